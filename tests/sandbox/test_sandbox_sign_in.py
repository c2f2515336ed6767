"""Sessions: how they start, how they end, and what is said then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from sandbox.tableau import ADMIN_USER, APP_CLIENT_ID, APP_SECRET_ID, APP_SECRET_VALUE, Site, TableauState
from tests.sandbox.bare_client import BY_PASSWORD, BY_PAT, BareClient, error_code


def _token(*, kid: str = APP_SECRET_ID, key: str = APP_SECRET_VALUE, **changes: Any) -> dict[str, str]:
    claims: dict[str, Any] = {
        "iss": APP_CLIENT_ID,
        "sub": ADMIN_USER,
        "aud": "tableau",
        "jti": "1",
        "exp": int(time.time()) + 300,
        "scp": ["tableau:content:read"],
    }
    return {"jwt": jwt.encode(claims | changes, key, "HS256", headers={"kid": kid})}


def test_a_session_has_a_token_a_site_and_a_user(stranger: BareClient, site: Site) -> None:
    credentials = stranger.sign_in(BY_PAT).json()["credentials"]
    assert credentials["site"] == {"id": site.id, "contentUrl": "acme"}
    assert credentials["user"] == {"id": site.user(ADMIN_USER).id}
    assert stranger.get("datasources").status_code == 200


@pytest.mark.parametrize(
    ("credentials", "site"),
    [
        pytest.param(BY_PASSWORD | {"password": "wrong"}, "acme", id="wrong password"),
        pytest.param(BY_PAT | {"personalAccessTokenSecret": "wrong"}, "acme", id="wrong Tableau PAT"),
        pytest.param(BY_PAT, "nowhere", id="unknown site"),
        pytest.param({}, "acme", id="nothing"),
    ],
)
def test_whatever_is_wrong_the_answer_is_401001(stranger: BareClient, credentials: dict[str, str], site: str) -> None:
    response = stranger.sign_in(credentials, site)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "401001")


def test_a_request_without_a_session_is_401000(stranger: BareClient) -> None:
    assert error_code(stranger.get("datasources")) == "401000"


def test_a_request_with_a_made_up_session_is_401002(stranger: BareClient) -> None:
    stranger.token = "made|up"
    assert error_code(stranger.get("datasources")) == "401002"


def test_a_second_sign_in_ends_the_first_with_a_tableau_pat_only(client: BareClient) -> None:
    by_password = client.token
    client.sign_in(BY_PASSWORD)
    first, second = BareClient(client.server), BareClient(client.server)
    first.sign_in(BY_PAT)
    second.sign_in(BY_PAT)
    assert error_code(first.get("flows")) == "401002"
    assert second.get("flows").status_code == 200
    client.token = by_password
    assert client.get("flows").status_code == 200


def test_a_session_ends_after_idling_and_not_while_it_is_used(client: BareClient, state: TableauState) -> None:
    for _ in range(3):
        state.clock.advance(minutes=119)
        assert client.get("flows").status_code == 200
    state.clock.advance(minutes=121)
    assert error_code(client.get("flows")) == "401002"


def test_signing_out_ends_the_session_for_all_who_share_it(client: BareClient) -> None:
    other = BareClient(client.server)
    other.token = client.token
    assert client.send("POST", "auth/signout").status_code == 204
    assert error_code(other.get("flows")) == "401002"


def test_another_sites_id_in_the_path_is_403(client: BareClient, state: TableauState) -> None:
    other = state.add_site("other")
    response = client.send("GET", f"sites/{other.id}/datasources")
    assert response.status_code == 403


def test_switching_the_site_gives_a_new_session_there(client: BareClient, state: TableauState) -> None:
    other = state.add_site("other")
    old = client.token
    body = '<tsRequest><site contentUrl="other"/></tsRequest>'
    assert error_code(client.send("POST", "auth/switchSite", data=body.replace("other", "acme"))) == "403070"
    assert other.id in client.send("POST", "auth/switchSite", data=body).text
    assert client.token == old
    assert error_code(client.get("flows")) == "401002"


def test_a_connected_app_signs_a_user_in(stranger: BareClient) -> None:
    assert stranger.sign_in(_token() | {"isUat": False}).status_code == 200  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("credentials", "login_error"),
    [
        pytest.param(lambda: _token(iss="another-app"), "126", id="unknown app"),
        pytest.param(lambda: _token(kid="another-secret"), "127", id="unknown secret"),
        pytest.param(lambda: _token(key="another-value-that-is-long-enough-for-hs256"), "16", id="wrong signature"),
        pytest.param(lambda: _token(sub=ADMIN_USER.upper()), "5", id="user in other case"),
        pytest.param(lambda: _token(aud="elsewhere"), "16", id="other audience"),
        pytest.param(lambda: _token(exp=int(time.time()) + 3600), "16", id="lives too long"),
        pytest.param(lambda: _token(exp=int(time.time()) - 10), "16", id="expired"),
        pytest.param(lambda: _token(scp="tableau:content:read"), "16", id="scopes not a list"),
        pytest.param(lambda: {"jwt": "no.token.atall"}, "16", id="no token at all"),
    ],
)
def test_a_wrong_token_is_refused_with_its_login_error(
    stranger: BareClient, credentials: Callable[[], dict[str, str]], login_error: str
) -> None:
    # Made now: such a token lives for ten minutes, and the tests are collected long before.
    error = stranger.sign_in(credentials()).json()["error"]
    assert error["code"] == "401001"
    assert f"(errorCode={login_error})" in error["detail"]


def test_versions_are_compared_as_numbers(client: BareClient, state: TableauState) -> None:
    state.rest_api_version = "3.10"
    statuses = {}
    for version in ("2.4", "3.9", "3.10", "3.11", "4.0", "x"):
        client.version = version
        statuses[version] = client.get("datasources").status_code
    assert statuses == {"2.4": 200, "3.9": 200, "3.10": 200, "3.11": 404, "4.0": 404, "x": 404}


def test_what_a_version_does_not_have_is_404003(client: BareClient) -> None:
    client.version = "3.2"
    assert error_code(client.get("flows")) == "404003"
    client.version = "3.17"
    assert error_code(client.get("virtualConnections")) == "404003"
    client.version = "3.18"
    assert client.get("virtualConnections").status_code == 200


def test_server_info_answers_at_any_version_without_a_session(stranger: BareClient) -> None:
    for version in ("2.4", "3.99"):
        stranger.version = version
        assert b"<restApiVersion>3.26<" in stranger.send("GET", "serverInfo").content


def test_an_old_server_knows_no_connected_apps(stranger: BareClient, state: TableauState) -> None:
    state.rest_api_version = stranger.version = "3.16"
    assert stranger.sign_in(_token()).json()["error"]["code"] == "400000"
