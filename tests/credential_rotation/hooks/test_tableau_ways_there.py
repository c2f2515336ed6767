"""The way to Tableau: TLS, client certificates, proxies, and redirects that lead astray."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from credential_rotation.tableau.content import ContentType
from credential_rotation.tableau.errors import NotTrusted, RedirectRefused, TableauError, Unreachable, UnusableSetting
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.tableau import Redirect, TableauServer, TableauState, snowflake_connection
from tests.credential_rotation.hooks.certificates import Authority, HttpsTableau, serving_https
from tests.credential_rotation.hooks.connecting import SIGN_INS, Connect
from tests.credential_rotation.hooks.other_servers import Received, elsewhere, proxy_to
from tests.credential_rotation.hooks.telling import all_that_is_told_by

TABLEAU_PASSWORD = SIGN_INS["password"]["password"]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def https(state: TableauState, authority: Authority) -> Iterator[HttpsTableau]:
    with serving_https(state, authority.issue("tableau")) as server:
        yield server


@pytest.fixture
def stranger() -> Iterator[Received]:
    with elsewhere() as server:
        yield server


def test_a_certificate_of_an_unknown_authority_is_refused(connect: Connect, https: HttpsTableau) -> None:
    with pytest.raises(NotTrusted, match=r"can't be trusted.*extra 'verify'.*'tableau_default'"):
        connect(host=https.url).version()
    assert len(https.requests) == 0


def test_a_certificate_of_ones_own_authority_is_taken(
    connect: Connect, https: HttpsTableau, authority: Authority
) -> None:
    connect(host=https.url, verify=str(authority.file)).call("GET", "flows")
    assert https.requests.count("list_flows", status=200) == 1


def test_a_certificate_for_another_host_is_refused(connect: Connect, https: HttpsTableau, authority: Authority) -> None:
    host = f"https://localhost:{https.port}"  # the certificate names 127.0.0.1
    with pytest.raises(NotTrusted, match="can't be trusted"):
        connect(host=host, verify=str(authority.file)).version()
    assert len(https.requests) == 0


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_verifying_can_be_turned_off_on_purpose(
    connect: Connect, https: HttpsTableau, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(Authority(tmp_path, "Another CA").file))
    connect(host=https.url, verify=False).call("GET", "flows")
    assert https.requests.count("list_flows", status=200) == 1


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_in_the_environment_does_not_replace_the_file_of_the_connection(
    connect: Connect, https: HttpsTableau, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    other = Authority(tmp_path, "Another CA")
    monkeypatch.setenv(variable, str(tmp_path / "Acme CA.pem"))
    with pytest.raises(NotTrusted, match="can't be trusted"):
        connect(host=https.url, verify=str(other.file)).version()
    connect(host=https.url).call("GET", "flows")  # where the connection says nothing, it is the machine's own bundle
    assert https.requests.count("list_flows", status=200) == 1


def test_a_client_certificate_is_shown(connect: Connect, state: TableauState, authority: Authority) -> None:
    robot = authority.issue("our robot")
    pair = [str(robot.certificate), str(robot.key)]
    with serving_https(state, authority.issue("tableau"), client_authority=authority.file) as server:
        with pytest.raises(NotTrusted):
            connect(host=server.url, verify=str(authority.file)).version()
        assert len(server.requests) == 0
        connect(host=server.url, verify=str(authority.file), cert=pair).call("GET", "flows")
        assert server.requests.count("list_flows", status=200) == 1
        assert {client["subject"][0][0] for client in server.clients if client} == {("commonName", "our robot")}


@pytest.mark.parametrize("setting", ["verify", "cert"])
def test_a_file_that_is_missing_is_a_setting_to_correct(
    connect: Connect, https: HttpsTableau, authority: Authority, tmp_path: Path, setting: str
) -> None:
    files = {"verify": str(authority.file), setting: str(tmp_path / "missing.pem")}
    with pytest.raises(UnusableSetting, match=r"'tableau_default'.*missing\.pem"):
        connect(host=https.url, **files).version()


def test_a_proxy_of_the_connection_is_used(connect: Connect, server: TableauServer) -> None:
    with proxy_to(server.port) as proxy:
        hook = connect(host="http://tableau.test", allow_http=True, proxies={"http": f"http://u:p%40w@{proxy.url[7:]}"})
        hook.call("GET", "flows")
    assert server.requests.count("list_flows", status=200) == 1
    assert len(proxy.targets) == 3
    assert all(target.startswith("http://tableau.test/api/") for target in proxy.targets)
    assert {headers["proxy-authorization"] for headers in proxy.headers} == {"Basic dTpwQHc="}
    assert all("proxy-authorization" not in request.headers for request in server.requests)


def test_a_proxy_of_the_environment_is_used(
    connect: Connect, server: TableauServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy_to(server.port) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        connect(host="http://tableau.test", allow_http=True).call("GET", "flows")
        assert len(proxy.targets) == 3
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        connect().call("GET", "flows")
        assert len(proxy.targets) == 3


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1.2.3"])
def test_plain_http_to_this_machine_passes_no_proxy_of_the_environment(
    connect: Connect, server: TableauServer, monkeypatch: pytest.MonkeyPatch, variable: str, host: str
) -> None:
    site = server.state.site
    orders = site.add_datasource("Orders", connections=[snowflake_connection()])
    with proxy_to(server.port) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        hook = connect(host=f"http://{host}:{server.port}", run="a run")
        if host == "127.1.2.3":  # nobody listens there: without a proxy, nobody gets it
            with pytest.raises(Unreachable):
                hook.version()
        else:
            tableau = TableauSite(hook)
            (content,) = tableau.content(ContentType.DATASOURCE)
            tableau.embed(content, tableau.connections(content)[0], "SVC", "new-secret")
            assert hook.sign_out()
            assert orders.connections[0].password == "new-secret"
    assert proxy.targets == []


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_https_to_this_machine_passes_no_proxy_of_the_environment(
    connect: Connect, https: HttpsTableau, authority: Authority, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with proxy_to(https.port) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        connect(host=https.url, verify=str(authority.file)).call("GET", "flows")
    assert proxy.targets == []
    assert https.requests.count("list_flows", status=200) == 1


def test_the_session_that_others_may_take_passes_no_proxy_of_the_environment_either(
    connect: Connect, server: TableauServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy_to(server.port) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        http = connect().get_conn()
        assert http.get(f"{server.url}/api/2.4/serverinfo", timeout=5).status_code == 200
        assert proxy.targets == []
        assert http.get("http://tableau.test/api/2.4/serverinfo", timeout=5).status_code == 200
        assert proxy.targets == ["http://tableau.test/api/2.4/serverinfo"]


def test_plain_http_to_this_machine_passes_a_proxy_there_that_the_connection_names(
    connect: Connect, server: TableauServer, stranger: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", stranger.url)
    with proxy_to(server.port) as proxy:
        connect(proxies={"http": proxy.url}).call("GET", "flows")
    assert len(proxy.targets) == 3
    assert stranger.targets == []


def test_the_connections_own_proxy_comes_before_that_of_the_environment(
    connect: Connect, server: TableauServer, stranger: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", stranger.url)
    with proxy_to(server.port) as proxy:
        connect(host="http://tableau.test", allow_http=True, proxies={"http": proxy.url}).call("GET", "flows")
    assert stranger.targets == []


@pytest.mark.parametrize("status", [407, 502])
def test_a_proxy_that_refuses_is_named_without_its_password(
    connect: Connect, server: TableauServer, status: int
) -> None:
    with proxy_to(server.port, status=status) as proxy:
        hook = connect(
            host="https://tableau.test",
            proxies={"https": f"http://u:proxy-password@{proxy.url.removeprefix('http://')}"},
        )
        with pytest.raises(Unreachable, match=r"the proxy on the way to https://tableau\.test refused") as caught:
            hook.version()
    assert "proxy-password" not in all_that_is_told_by(caught.value)


@pytest.mark.parametrize("proxy", ["http://u:proxy-password@127.0.0.1:1", "http://u:proxy-password@127.0.0.1:99999"])
def test_a_proxy_that_is_away_or_nonsense_is_unreachable_without_its_password(connect: Connect, proxy: str) -> None:
    hook = connect(host="http://tableau.test", allow_http=True, proxies={"http": proxy})
    with pytest.raises(Unreachable) as caught:
        hook.version()
    assert "proxy-password" not in all_that_is_told_by(caught.value)


def test_nobody_listens(connect: Connect, server: TableauServer) -> None:
    hook = connect()
    server.stop()
    with pytest.raises(Unreachable, match=f"no answer from {server.url}"):
        hook.version()
    assert hook.traffic.requests == 4


@pytest.mark.parametrize("operation", ["server_info", "sign_in", "list_flows"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_is_refused_and_nothing_is_sent_there(
    connect: Connect, server: TableauServer, stranger: Received, operation: str, status: int
) -> None:
    server.faults.script(operation, Redirect(f"{stranger.url}/api/", status), times=9)
    with pytest.raises(RedirectRefused, match=f"redirects to {stranger.url}. Nothing was sent there") as caught:
        connect().call("GET", "flows")
    assert caught.value.status == status
    assert server.requests.count(operation) == 1
    assert stranger.targets == []


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("//127.0.0.1:{port}/x", id="the same scheme"),
        pytest.param("http://127.0.0.1:{own}@127.0.0.1:{port}/x", id="our origin as the user"),
        pytest.param("http://127.0.0.1:{port}\\@127.0.0.1:{own}/x", id="a backslash, which parsers read differently"),
        pytest.param("http://127.0.0.1:{port}#@127.0.0.1:{own}/x", id="our origin in the fragment"),
        pytest.param("http:\\\\127.0.0.1:{port}/x", id="backslashes for slashes"),
        pytest.param("http://127.0.0.1:{port}?@127.0.0.1:{own}/", id="our origin in the query"),
    ],
)
def test_no_disguise_leads_to_another_origin(
    connect: Connect, server: TableauServer, stranger: Received, location: str
) -> None:
    there = location.format(port=stranger.port, own=server.port)
    server.faults.script("list_flows", Redirect(there, 307), times=9)
    with pytest.raises(TableauError):
        connect().call("GET", "flows")
    assert stranger.targets == []


@pytest.mark.parametrize("location", ["http://[", "http://127.0.0.1:99999/", "http://127.0.0.1:x/", "https:///", ""])
def test_a_redirect_to_nowhere_is_refused(connect: Connect, server: TableauServer, location: str) -> None:
    server.faults.script("list_flows", Redirect(location, 307), times=9)
    with pytest.raises(RedirectRefused):
        connect().call("GET", "flows")


def test_a_redirect_from_http_to_https_is_refused_with_words(connect: Connect, server: TableauServer) -> None:
    server.faults.script("server_info", Redirect(f"https://127.0.0.1:{server.port}/api/2.4/serverinfo", 301))
    with pytest.raises(RedirectRefused, match="If Tableau is there, write that into the Airflow connection"):
        connect().version()
    assert server.requests.count() == 1


def test_a_redirect_from_https_to_http_is_refused(
    connect: Connect, https: HttpsTableau, authority: Authority, stranger: Received
) -> None:
    https.faults.script("sign_in", Redirect(f"http://127.0.0.1:{https.port}/api/3.26/auth/signin", 307))
    with pytest.raises(RedirectRefused):
        connect(host=https.url, verify=str(authority.file)).version()
    assert https.requests.count("sign_in") == 1


def test_a_redirect_within_tableau_is_followed_when_it_loses_nothing(connect: Connect, server: TableauServer) -> None:
    hook = connect()
    hook.version()
    site = server.state.site
    site.add_datasource("Orders")
    there = f"/api/3.26/sites/{site.id}/datasources"
    for status in (301, 302, 303, 307, 308):
        server.faults.script("list_flows", Redirect(there, status))
        root = hook.call("GET", "flows")
        assert root is not None
        assert root.find("datasources/datasource") is not None
    followed = server.requests.all("list_datasources")
    assert len(followed) == 5
    assert all(request.session for request in followed)


def test_a_redirect_that_keeps_method_and_body_is_followed_for_a_post(connect: Connect, server: TableauServer) -> None:
    server.faults.script("sign_in", Redirect(f"{server.url}/api/3.26/auth/signin", 308))
    connect().call("GET", "flows")
    assert [request.method for request in server.requests.all("sign_in")] == ["POST", "POST"]
    assert server.state.sessions.started == 1


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_turn_a_post_into_a_get_is_refused(
    connect: Connect, server: TableauServer, status: int
) -> None:
    server.faults.script("sign_in", Redirect("/api/3.26/auth/signin", status), times=9)
    with pytest.raises(RedirectRefused, match="in a way that would lose it"):
        connect().version()
    assert server.requests.count("sign_in") == 1


def test_redirects_in_a_circle_come_to_an_end(connect: Connect, server: TableauServer) -> None:
    server.faults.script("server_info", Redirect("/api/2.4/serverinfo", 302), times=50)
    with pytest.raises(RedirectRefused, match="in a circle"):
        connect().version()
    assert server.requests.count() == 6


def test_no_error_about_a_redirect_tells_a_secret(connect: Connect, server: TableauServer, stranger: Received) -> None:
    hook = connect()
    hook.version()
    (token,) = server.state.sessions.tokens()
    server.faults.script("list_flows", Redirect(f"{stranger.url}/?token={token}", 302))
    with pytest.raises(RedirectRefused) as caught:
        hook.call("GET", "flows")
    told = all_that_is_told_by(caught.value)
    assert token not in told
    assert TABLEAU_PASSWORD not in told


def test_the_session_that_others_may_take_follows_no_redirect_either(
    connect: Connect, server: TableauServer, stranger: Received
) -> None:
    server.faults.script("server_info", Redirect(f"{stranger.url}/api/2.4/serverinfo", 302))
    response = connect().get_conn().get(f"{server.url}/api/2.4/serverinfo", timeout=5)
    assert response.status_code == 302
    assert stranger.targets == []


def test_the_session_that_others_may_take_trusts_and_shows_the_same_certificates(
    connect: Connect, state: TableauState, authority: Authority
) -> None:
    robot = authority.issue("our robot")
    with serving_https(state, authority.issue("tableau"), client_authority=authority.file) as server:
        cert = [str(robot.certificate), str(robot.key)]
        session = connect(host=server.url, verify=str(authority.file), cert=cert).get_conn()
        assert session.get(f"{server.url}/api/2.4/serverinfo", timeout=5).status_code == 200
