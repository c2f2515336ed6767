"""What an Airflow connection says about a Tableau site: every field, and every complaint."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import BaseHook, Connection

from credential_rotation.tableau.content import ContentType
from credential_rotation.tableau.errors import UnusableSetting
from credential_rotation.tableau.settings import (
    DEFAULT_SCOPES,
    Auth,
    TableauSettings,
    from_airflow_connection,
    is_loopback,
)
from credential_rotation.tableau.versions import ApiVersion

SECRET = "s3cret-of-the-sign-in"


def read(extra: Any = None, **fields: Any) -> TableauSettings:
    known = {"conn_type": "tableau", "host": "tableau.acme.example", "login": "me", "password": SECRET}
    text = extra if isinstance(extra, str) else json.dumps(extra) if extra is not None else None
    return from_airflow_connection(Connection(conn_id="our_site", extra=text, **{**known, **fields}))


def complaint(extra: Any = None, **fields: Any) -> str:
    with pytest.raises(UnusableSetting) as caught:
        read(extra, **fields)
    text = str(caught.value)
    assert text.startswith("Airflow connection 'our_site': ")
    assert SECRET not in text
    return text.removeprefix("Airflow connection 'our_site': ")


def test_little_needs_to_be_said() -> None:
    settings = read()
    assert settings == TableauSettings(
        conn_id="our_site",
        base_url="https://tableau.acme.example",
        site="",
        auth=Auth.PASSWORD,
        login="me",
        secret=SECRET,
        scopes=DEFAULT_SCOPES,
        verify=True,
        timeout=60.0,
    )


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        pytest.param({"host": "10ax.online.tableau.com"}, "https://10ax.online.tableau.com", id="a name alone"),
        pytest.param({"host": " 10ax.online.tableau.com "}, "https://10ax.online.tableau.com", id="with blanks"),
        pytest.param({"host": "https://bi.acme.example/"}, "https://bi.acme.example", id="copied from the browser"),
        pytest.param({"host": "https://BI.Acme.Example"}, "https://bi.acme.example", id="in capitals"),
        pytest.param({"host": "bi", "schema": "https"}, "https://bi", id="with a schema"),
        pytest.param({"host": "https://bi", "schema": "http"}, "https://bi", id="the host's own scheme wins"),
        pytest.param({"host": "bi", "port": 8443}, "https://bi:8443", id="with a port"),
        pytest.param({"host": "bi:8443"}, "https://bi:8443", id="with the port in the host"),
        pytest.param({"host": "bi:8443", "port": 1}, "https://bi:8443", id="the host's own port wins"),
        pytest.param({"host": "bi", "port": 443}, "https://bi", id="the usual port is not said"),
        pytest.param({"host": "https://bi:443"}, "https://bi", id="nor when the host says it"),
        pytest.param({"host": "https://bi:80"}, "https://bi:80", id="a usual port of the other scheme is said"),
        pytest.param({"host": "https://acme.example/bi/"}, "https://acme.example/bi", id="below a path"),
        pytest.param({"host": "https://apis.example/apiary"}, "https://apis.example/apiary", id="a path like api"),
        pytest.param({"host": "https://[2001:db8::1]:8443"}, "https://[2001:db8::1]:8443", id="IPv6"),
        pytest.param({"host": "127.0.0.1", "schema": "http", "port": 80}, "http://127.0.0.1", id="http to loopback"),
        pytest.param({"host": "http://localhost:8000"}, "http://localhost:8000", id="http to localhost"),
        pytest.param({"host": "http://[::1]:8000"}, "http://[::1]:8000", id="http to IPv6 loopback"),
        pytest.param({"host": "http://bi", "extra": {"allow_http": True}}, "http://bi", id="http on purpose"),
    ],
)
def test_the_address_is_found(fields: dict[str, Any], url: str) -> None:
    assert read(**fields).base_url == url


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"host": None}, "host is empty", id="no host"),
        pytest.param({"host": "  "}, "host is empty", id="a blank host"),
        pytest.param({"host": "ftp://bi"}, "schema must be https", id="another scheme"),
        pytest.param({"host": "bi", "schema": "tableau"}, "schema must be https", id="another schema"),
        pytest.param({"host": "https://"}, "host is no valid address", id="a scheme alone"),
        pytest.param({"host": "https://bi:http"}, "host is no valid address", id="a port that is no number"),
        pytest.param({"host": "https://bi:99999"}, "host is no valid address", id="a port out of range"),
        pytest.param({"port": 99999}, "port must be", id="a port field out of range"),
        pytest.param({"port": -1}, "port must be", id="a negative port field"),
        pytest.param({"host": "https://[::1"}, "host is no valid address", id="half an IPv6 address"),
        pytest.param({"host": "my tableau"}, "host is no valid address", id="a name with a blank"),
        pytest.param({"host": "bi?x=1"}, "host is no valid address", id="a query"),
        pytest.param({"host": "https://me:pw@bi"}, "host holds a user or password", id="user and password"),
        pytest.param({"host": "me@bi"}, "host holds a user or password", id="a user"),
        pytest.param({"host": "https://bi/api/3.26"}, "without /api/", id="the API itself"),
        pytest.param({"host": "https://bi/#/site/acme/home"}, "belongs in extra 'site'", id="a page of the site"),
        pytest.param({"host": "https://bi/#"}, "belongs in extra 'site'", id="a page of the Default site"),
        pytest.param({"host": "https://bi/t/site/acme"}, "belongs in extra 'site'", id="a site in the path"),
    ],
)
def test_an_address_that_can_not_be_is_named(fields: dict[str, Any], words: str) -> None:
    assert words in complaint(**fields)


@pytest.mark.parametrize(
    "host",
    [
        "http://tableau.acme.example",
        "http://localhost.evil.example",
        "http://127.0.0.1.nip.io",
        "http://2130706433",
        "http://0.0.0.0",
        "http://10.0.0.1",
    ],
)
@pytest.mark.parametrize("allow", [None, False, 1, "yes"])
def test_http_is_for_this_machine_alone(host: str, allow: Any) -> None:
    words = complaint({"allow_http": allow}, host=host)
    assert "secrets would go to" in words
    assert "allow_http" in words


def test_only_what_must_be_this_machine_is_loopback() -> None:
    assert [is_loopback(host) for host in ("localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1")] == [True] * 5
    assert not any(is_loopback(host) for host in ("localhost.acme.example", "0.0.0.0", "::", "127.1", ""))  # noqa: S104


def test_the_site_has_two_names() -> None:
    assert read({"site": "acme"}).site == "acme"
    assert read({"site_id": "acme"}).site == "acme"  # the official provider's
    assert read({"site": "acme", "site_id": "acme"}).site == "acme"
    assert "they differ" in complaint({"site": "acme", "site_id": "other"})
    assert "extra 'site' must be a text" in complaint({"site": 7})


@pytest.mark.parametrize(
    ("extra", "auth"),
    [
        ({}, Auth.PASSWORD),
        ({"auth": "password"}, Auth.PASSWORD),
        ({"auth": "pat"}, Auth.PAT),
        ({"auth": "jwt", "client_id": "c", "secret_id": "s"}, Auth.JWT),
    ],
)
def test_there_are_three_ways_to_sign_in(extra: dict[str, str], auth: Auth) -> None:
    assert read(extra).auth is auth


@pytest.mark.parametrize("auth", ["PAT", "token", "", None, 1, ["pat"], {}])
def test_another_way_to_sign_in_is_refused(auth: Any) -> None:
    assert "is not one of 'password', 'pat', 'jwt'" in complaint({"auth": auth})


def test_login_and_password_must_be_there_and_mean_something_else_for_each_way() -> None:
    jwt = {"auth": "jwt", "client_id": "c", "secret_id": "s"}
    assert "login is empty; it must be the Tableau user name" in complaint(login=None)
    assert "login is empty; it must be the name of the Tableau PAT" in complaint({"auth": "pat"}, login=" ")
    assert "login is empty; it must be the user to sign in as" in complaint(jwt, login="")
    assert "password is empty; it must be the user's password" in complaint(password="")
    assert "password is empty; it must be the secret of the Tableau PAT" in complaint({"auth": "pat"}, password=None)
    assert "password is empty; it must be the secret value of the Connected App" in complaint(jwt, password="")


def test_blanks_belong_to_a_password_but_not_to_a_login() -> None:
    settings = read(login=" me ", password=" p w ")
    assert (settings.login, settings.secret) == ("me", " p w ")


@pytest.mark.parametrize("field", ["login", "password"])
@pytest.mark.parametrize("char", ["\0", "\x1b", "\ufffe", "\ud800"], ids=["NUL", "escape", "U+FFFE", "half a pair"])
def test_what_xml_can_not_carry_is_refused_before_it_is_sent(field: str, char: str) -> None:
    words = complaint(**{field: f"{SECRET}{char}{SECRET}"})
    assert f"{field} holds the character U+{ord(char):04X}" in words


def test_a_connected_app_needs_its_ids() -> None:
    assert "extra 'client_id' is missing" in complaint({"auth": "jwt", "secret_id": "s"})
    assert "extra 'secret_id' is missing" in complaint({"auth": "jwt", "client_id": "c", "secret_id": ""})
    assert "extra 'client_id' must be a text" in complaint({"auth": "jwt", "client_id": 1, "secret_id": "s"})


def test_scopes_are_a_list_or_words() -> None:
    assert read({"scopes": ["tableau:content:read"]}).scopes == ("tableau:content:read",)
    assert read({"scopes": "tableau:content:read tableau:jobs:read"}).scopes == (
        "tableau:content:read",
        "tableau:jobs:read",
    )
    for scopes in ([], "", {}, 1, [1], ["x", None]):
        assert "extra 'scopes' must be a list" in complaint({"scopes": scopes})


def test_an_api_version_is_a_text_and_3_10_is_newer_than_3_9() -> None:
    assert read({"api_version": "3.26"}).api_version == ApiVersion(3, 26)
    assert read({"api_version": ""}).api_version is None
    assert ApiVersion.parse("3.10") > ApiVersion.parse("3.9")
    assert str(ApiVersion.parse(" 3.10 ")) == "3.10"
    for number in (3.1, 3.26, 3):
        assert "must be a text, in quotes" in complaint({"api_version": number})
    for text in ("3", "3.", ".3", "v3.26", "3.26.1", "latest", "3.-1"):
        assert "extra 'api_version' can't be used" in complaint({"api_version": text})


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("False", False),
        ("/etc/ssl/our-ca.pem", "/etc/ssl/our-ca.pem"),
    ],
)
def test_verify_is_a_switch_or_a_file(said: bool | str, meant: bool | str) -> None:
    assert read({"verify": said}).verify == meant


@pytest.mark.parametrize("said", [None, "", 0, 1, []])
def test_a_verify_that_means_nothing_is_refused(said: Any) -> None:
    assert "extra 'verify' must be true, false, or the path" in complaint({"verify": said})


def test_a_client_certificate_is_a_file_or_a_pair() -> None:
    assert read({"cert": "client.pem"}).cert == "client.pem"
    assert read({"cert": ["client.pem", "client.key"]}).cert == ("client.pem", "client.key")
    assert read({"cert": ""}).cert is None
    for cert in (1, [], ["a"], ["a", "b", "c"], ["a", 1], {}):
        assert "extra 'cert' must be the path" in complaint({"cert": cert})


def test_proxies_are_an_object_of_texts() -> None:
    assert read({"proxies": {"https": "http://proxy:3128"}}).proxies == {"https": "http://proxy:3128"}
    for proxies in ("http://proxy:3128", ["http://proxy"], {"https": None}, 1):
        assert "extra 'proxies' must be an object" in complaint({"proxies": proxies})


OTHER_MACHINES = [
    "http://u:proxy-password@proxy:3128",
    "proxy:3128",
    "https://proxy",
    "socks5://10.0.0.1:1080",
    "http://[",
]


@pytest.mark.parametrize("proxy", OTHER_MACHINES)
@pytest.mark.parametrize("scheme", ["http", "all", "http://127.0.0.1", "all://127.0.0.1"])
def test_plain_http_leaves_this_machine_by_no_proxy(scheme: str, proxy: str) -> None:
    words = complaint({"proxies": {scheme: proxy}}, host="http://127.0.0.1:8850")
    assert "extra 'proxies' would send secrets unencrypted to another machine" in words
    assert "allow_http" in words
    assert "proxy-password" not in words
    on_purpose = read({"proxies": {scheme: proxy}, "allow_http": True}, host="http://127.0.0.1:8850")
    assert on_purpose.proxies == {scheme: proxy}


@pytest.mark.parametrize(
    ("host", "proxies"),
    [
        ("http://127.0.0.1", {"http": "http://127.0.0.1:8080"}),
        ("http://localhost", {"all": "localhost:8080"}),
        ("http://[::1]", {"http": "http://[::1]:8080"}),
        ("http://127.0.0.1", {"https": "http://proxy:3128"}),
        ("https://127.0.0.1", {"https": "http://proxy:3128"}),
        ("https://bi", {"all": "http://proxy:3128"}),
    ],
)
def test_a_proxy_that_gets_no_plain_http_from_this_machine_may_be_named(host: str, proxies: dict[str, str]) -> None:
    assert read({"proxies": proxies}, host=host).proxies == proxies


def test_a_site_may_be_without_some_types_of_content() -> None:
    assert read().without == frozenset()
    both = frozenset({ContentType.FLOW, ContentType.VIRTUAL_CONNECTION})
    assert read({"without": ["virtual_connection"]}).without == {ContentType.VIRTUAL_CONNECTION}
    assert read({"without": ["flow", "virtual_connection"]}).without == both
    assert read({"without": "flow virtual_connection"}).without == both
    for without in (["workbook"], ["flows"], {"flow": True}, [1], [[]], True, 7, "virtual connection"):
        said = complaint({"without": without})
        assert "extra 'without' must be a list of what this site has none of: flow, virtual_connection" in said


def test_a_timeout_is_a_number_of_seconds() -> None:
    assert read({"timeout": 5}).timeout == 5
    assert read({"timeout": "2.5"}).timeout == 2.5
    for timeout in (0, -1, 3601, "soon", None, True, [], float("nan"), float("inf")):
        assert "extra 'timeout' must be a number of seconds" in complaint({"timeout": timeout})


@pytest.mark.parametrize("extra", ["no JSON", "[1]", '"text"', "7"])
def test_an_extra_that_is_no_object_is_refused(extra: str) -> None:
    assert "extra is no JSON object" in complaint(extra)


def test_no_secret_shows_when_settings_are_printed() -> None:
    settings = read({"proxies": {"https": "http://u:proxy-password@proxy:3128"}})
    assert SECRET not in repr(settings)
    assert "proxy-password" not in repr(settings)


def test_a_connection_of_the_official_provider_works_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {
        "conn_type": "tableau",
        "host": "https://bi.acme.example",
        "login": "me",
        "password": SECRET,
        "extra": {"site_id": "acme", "verify": "False", "cert": "/certs/client.pem"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_OUR_SITE", json.dumps(fields))
    settings = from_airflow_connection(BaseHook.get_connection("our_site"))
    assert (settings.base_url, settings.site, settings.auth) == ("https://bi.acme.example", "acme", Auth.PASSWORD)
    assert (settings.verify, settings.cert) == (False, "/certs/client.pem")


def test_a_connection_may_be_a_url_in_which_everything_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "tableau://me:p%40ss%2Fword@bi.acme.example:8000/http?site=acme&auth=pat&timeout=5&verify=false"
    monkeypatch.setenv("AIRFLOW_CONN_OUR_SITE", f"{url}&allow_http=true&api_version=3.10")
    settings = from_airflow_connection(BaseHook.get_connection("our_site"))
    assert settings.base_url == "http://bi.acme.example:8000"
    assert (settings.login, settings.secret, settings.auth) == ("me", "p@ss/word", Auth.PAT)
    assert (settings.site, settings.timeout, settings.verify) == ("acme", 5.0, False)
    assert settings.api_version == ApiVersion(3, 10)


def test_sign_ins_that_end_each_others_sessions_have_the_same_identity() -> None:
    one = read({"auth": "pat", "site": "acme"})
    assert one.identity == read({"auth": "pat", "site": "other"}, host="TABLEAU.acme.example").identity
    assert one.identity != read({"auth": "pat"}, login="another").identity
    assert one.identity != read({"auth": "pat"}, host="other.example").identity
    assert SECRET not in one.identity
    assert read({"site": "ACME"}).site_key == read({"site": "acme"}, login="another").site_key
    assert read({"site": "acme"}).site_key != read({"site": "other"}).site_key
