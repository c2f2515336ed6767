"""Signing in: three ways, one request, and words for whoever is refused."""

from __future__ import annotations

import jwt
import pytest

from credential_rotation.tableau.errors import (
    BadAnswer,
    ServerFault,
    SignInRefused,
    TableauError,
    TableauTooOld,
    TableauUnwell,
)
from credential_rotation.tableau.versions import ApiVersion
from sandbox.tableau import (
    ADMIN_USER,
    APP_CLIENT_ID,
    APP_SECRET_ID,
    APP_SECRET_VALUE,
    TABLEAU_PAT_NAME,
    HtmlPage,
    RawAnswer,
    ServerError,
    SessionLost,
    TableauCode,
    TableauServer,
    TableauState,
)
from tests.credential_rotation.hooks.connecting import SIGN_INS, Connect
from tests.credential_rotation.hooks.session_stores import MemoryStore
from tests.credential_rotation.hooks.telling import all_that_is_told_by
from tests.oracles import parse_request


def refused(connect: Connect, auth: str = "password", **changes: str) -> SignInRefused:
    with pytest.raises(SignInRefused) as caught:
        connect(auth, **changes).call("GET", "datasources")
    return caught.value


@pytest.mark.parametrize("auth", list(SIGN_INS))
def test_each_way_to_sign_in_leads_to_the_site(connect: Connect, server: TableauServer, auth: str) -> None:
    server.state.site.add_datasource("Orders")
    root = connect(auth).call("GET", "datasources")
    assert root is not None
    assert [each.get("name") for each in root.iter("datasource")] == ["Orders"]
    assert server.requests.counts() == {"server_info": 1, "sign_in": 1, "list_datasources": 1}
    (request,) = server.requests.all("sign_in")
    parse_request(request.body)


def test_the_default_site_of_a_server_has_no_name(connect: Connect, server: TableauServer) -> None:
    default = server.state.add_site("")
    default.add_flow("Nightly load")
    root = connect(site="").call("GET", "flows")
    assert root is not None
    assert root.find("flows/flow") is not None


def test_a_connected_app_signs_a_token_that_lives_for_minutes(connect: Connect, server: TableauServer) -> None:
    connect("jwt", scopes=["tableau:content:read"]).version()
    credentials = parse_request(server.requests.all("sign_in")[0].body).credentials
    assert credentials is not None
    token = str(credentials.jwt)
    claims = jwt.decode(token, APP_SECRET_VALUE, algorithms=["HS256"], audience="tableau")
    assert (claims["iss"], claims["sub"], claims["scp"]) == (APP_CLIENT_ID, ADMIN_USER, ["tableau:content:read"])
    assert 60 < claims["exp"] - claims["iat"] <= 600
    assert jwt.get_unverified_header(token) == {
        "alg": "HS256",
        "typ": "JWT",
        "kid": APP_SECRET_ID,
        "iss": APP_CLIENT_ID,
    }


def test_each_sign_in_by_a_connected_app_has_a_token_of_its_own(connect: Connect, server: TableauServer) -> None:
    hook = connect("jwt")
    hook.version()
    server.faults.script("list_flows", SessionLost())
    hook.call("GET", "flows")
    bodies = [request.body for request in server.requests.all("sign_in")]
    assert len(set(bodies)) == 2


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        ("password", ["login and password", "multi-factor"]),
        ("pat", ["name of the Tableau PAT", "15 unused days"]),
        ("jwt", ["client_id, secret_id", "the app must be enabled"]),
    ],
)
def test_a_refused_sign_in_is_asked_once_and_says_what_to_check(
    connect: Connect, server: TableauServer, auth: str, words: list[str]
) -> None:
    error = refused(connect, auth, password="a-wrong-secret-of-enough-bytes-for-a-key")
    assert server.requests.count("sign_in") == 1
    assert (error.status, error.code) == (401, "401001")
    for word in ["401001", "tableau_default", "'acme'", *words]:
        assert word in str(error)
    assert "a-wrong-secret" not in all_that_is_told_by(error)


def test_a_refused_connected_app_shows_tableaus_own_reason(connect: Connect) -> None:
    assert "errorCode=5" in str(refused(connect, "jwt", login="Nobody"))
    assert "errorCode=126" in str(refused(connect, "jwt", client_id="another"))
    assert "errorCode=127" in str(refused(connect, "jwt", secret_id="another"))


def test_an_unknown_site_is_a_refused_sign_in_that_names_the_site(connect: Connect, server: TableauServer) -> None:
    assert "'nowhere'" in str(refused(connect, site="nowhere"))
    assert server.requests.count("sign_in") == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(HtmlPage(401), id="a gateway's 401"),
        pytest.param(TableauCode("401002"), id="another 401"),
        pytest.param(TableauCode("403004"), id="403"),
        pytest.param(TableauCode("404000"), id="404"),
        pytest.param(TableauCode("400000"), id="400"),
    ],
)
def test_whatever_refuses_a_sign_in_it_is_asked_once(
    connect: Connect, server: TableauServer, answer: HtmlPage | TableauCode
) -> None:
    server.faults.script("sign_in", answer, times=5)
    refused(connect)
    assert server.requests.count("sign_in") == 1


@pytest.mark.parametrize("again", ["404000", "403004", "401001"])
def test_a_sign_in_that_is_refused_half_way_is_not_taken_for_a_missing_item(
    connect: Connect, server: TableauServer, again: str
) -> None:
    hook = connect()
    hook.call("GET", "flows")
    server.faults.script("list_flows", SessionLost())
    server.faults.script("sign_in", TableauCode(again))
    with pytest.raises(SignInRefused):
        hook.call("GET", "flows")


def test_a_refusal_of_the_sign_in_that_comes_later_is_not_answered_with_another_sign_in(
    connect: Connect, server: TableauServer
) -> None:
    server.faults.script("list_flows", TableauCode("401001"), times=9)
    with pytest.raises(SignInRefused):
        connect().call("GET", "flows")
    assert (server.requests.count("sign_in"), server.requests.count("list_flows")) == (1, 1)


def test_tableau_that_is_unwell_may_be_asked_to_sign_in_again(connect: Connect, server: TableauServer) -> None:
    server.faults.script("sign_in", [ServerError(), HtmlPage()])
    assert connect().version() == ApiVersion(3, 26)
    assert server.requests.count("sign_in") == 3
    server.faults.script("sign_in", ServerError(), times=9)
    with pytest.raises(ServerFault):
        connect(store=MemoryStore()).version()


@pytest.mark.parametrize(
    ("auth", "version", "needed"), [("password", "3.5", "3.6"), ("pat", "2.8", "3.6"), ("jwt", "3.9", "3.17")]
)
def test_a_tableau_that_is_too_old_is_not_signed_in_to(
    connect: Connect, server: TableauServer, auth: str, version: str, needed: str
) -> None:
    server.state.rest_api_version = version
    with pytest.raises(TableauTooOld, match=f"speaks REST API {version}; {needed} or later is needed"):
        connect(auth).version()
    assert server.requests.count("sign_in") == 0


def test_the_servers_own_version_is_used_and_3_10_is_newer_than_3_9(connect: Connect, state: TableauState) -> None:
    state.rest_api_version = "3.10"
    assert connect().version() == ApiVersion(3, 10)
    assert connect().version() > ApiVersion(3, 9)


def test_a_version_in_the_connection_is_not_asked_for(connect: Connect, server: TableauServer) -> None:
    hook = connect(api_version="3.19")
    hook.call("GET", "flows")
    assert server.requests.counts() == {"sign_in": 1, "list_flows": 1}
    assert {request.path.split("/")[2] for request in server.requests} == {"3.19"}
    assert hook.version() == ApiVersion(3, 19)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(TableauCode("404003"), id="missing"),
        pytest.param(HtmlPage(404), id="a page of somebody else's"),
        pytest.param(HtmlPage(403), id="forbidden"),
        pytest.param(HtmlPage(401), id="behind a gateway"),
        pytest.param(RawAnswer(200, "<tsResponse/>", "application/xml"), id="says nothing"),
        pytest.param(
            RawAnswer(
                200, "<tsResponse><serverInfo><restApiVersion>new</restApiVersion></serverInfo></tsResponse>", ""
            ),
            id="is no version",
        ),
    ],
)
def test_a_server_that_does_not_say_its_version_is_unwell_and_the_setting_is_named(
    connect: Connect, server: TableauServer, answer: TableauCode | HtmlPage | RawAnswer
) -> None:
    server.faults.script("server_info", answer, times=9)
    with pytest.raises(TableauUnwell, match="set extra 'api_version' of the Airflow connection 'tableau_default'"):
        connect().version()
    assert server.requests.count("sign_in") == 0


@pytest.mark.parametrize(
    "answer",
    [
        "<tsResponse/>",
        "<tsResponse><credentials/></tsResponse>",
        '<tsResponse><credentials><site id="s"/></credentials></tsResponse>',
        '<tsResponse><credentials token=""><site id="s"/></credentials></tsResponse>',
        '<tsResponse><credentials token="t"><site contentUrl="acme"/></credentials></tsResponse>',
        '<tsResponse><credentials token="t"/></tsResponse>',
    ],
)
def test_an_answer_without_a_session_is_no_sign_in(connect: Connect, server: TableauServer, answer: str) -> None:
    server.faults.script("sign_in", RawAnswer(200, answer, "application/xml"), times=9)
    with pytest.raises(
        BadAnswer, match=r"answered the sign-in without|lacks what Tableau answers to that \(credentials\)"
    ):
        connect().version()


def test_a_sign_in_needs_no_more_than_token_and_site(connect: Connect, server: TableauServer) -> None:
    body = '<tsResponse><credentials token="t"><site id="s"/></credentials></tsResponse>'
    server.faults.script("sign_in", RawAnswer(200, body, "application/xml"))
    assert connect().version() == ApiVersion(3, 26)


@pytest.mark.parametrize("auth", list(SIGN_INS))
def test_the_test_button_tells_where_it_is_signed_in(connect: Connect, server: TableauServer, auth: str) -> None:
    assert connect(auth).test_connection() == (True, f"Signed in to site 'acme' of {server.url}, REST API 3.26")


def test_the_test_button_tells_why_not(connect: Connect) -> None:
    worked, why = connect("pat", password="wrong-tableau-pat").test_connection()
    assert not worked
    assert "Tableau refuses to sign in (401001" in why
    assert "wrong-tableau-pat" not in why


def test_the_test_button_does_not_end_the_session_that_tasks_share(
    connect: Connect, server: TableauServer, state: TableauState
) -> None:
    task = connect("pat", run="a run")
    task.call("GET", "flows")
    (token,) = state.sessions.tokens()
    assert connect("pat").test_connection()[0]
    task.call("GET", "flows")
    assert state.sessions.tokens() == [token]
    assert state.sessions.started == 1


def test_the_name_of_the_tableau_pat_is_sent_and_no_password(connect: Connect, server: TableauServer) -> None:
    connect("pat").version()
    credentials = parse_request(server.requests.all("sign_in")[0].body).credentials
    assert credentials is not None
    assert credentials.personal_access_token_name == TABLEAU_PAT_NAME
    assert (credentials.name, credentials.password, credentials.jwt) == (None, None, None)


def test_every_way_to_fail_is_a_tableau_error() -> None:
    assert issubclass(SignInRefused, TableauError)
    assert not issubclass(SignInRefused, TableauUnwell)
