"""The server itself: https, sessions, repeated requests, faults, the request log and the control plane."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from sandbox.snowflake import (
    AnotherRotator,
    Refusal,
    RefusalAfter,
    SnowflakeServer,
    SnowflakeState,
    Unwell,
    UnwellAfter,
    WithoutSecret,
)
from sandbox.tableau import HalfBody, ResetAfter, ResetBefore, SessionLost, Silence, Slow
from tests.sandbox_snowflake.bare_driver import BareDriver, Refused
from tests.sandbox_snowflake.small_account import (
    ACCOUNT,
    ADDRESS,
    ADMIN,
    SERVICE,
    TOKEN,
    service_of,
    small_account,
    token_of,
)

ROTATE = f"ALTER USER {SERVICE} ROTATE PAT {TOKEN}"
SHOW = f"SHOW USER PATS FOR USER {SERVICE}"


@pytest.fixture
def snowflake() -> SnowflakeState:
    return small_account()


@pytest.fixture
def server(snowflake: SnowflakeState) -> Iterator[SnowflakeServer]:
    with SnowflakeServer(snowflake, tls=False) as server:
        yield server


@pytest.fixture
def admin(server: SnowflakeServer) -> BareDriver:
    driver = BareDriver(server)
    driver.sign_in()
    return driver


def test_it_speaks_https_to_those_who_trust_its_authority(snowflake: SnowflakeState, tmp_path: Path) -> None:
    with SnowflakeServer(snowflake, folder=tmp_path) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert server.ca_file == tmp_path / "ca.pem"
        assert (tmp_path / "server.pem").stat().st_mode & 0o077 == 0
        driver = BareDriver(server)
        driver.sign_in()
        assert driver.sql("SELECT 1") == [{"1": "1"}]
        server.faults.script("select", ResetBefore())
        with pytest.raises(requests.ConnectionError):
            driver.sql("SELECT 1")
        assert requests.get(f"https://localhost:{server.port}/", verify=str(server.ca_file), timeout=5).ok
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(server.url, timeout=5)


def test_an_unknown_account_has_no_host(server: SnowflakeServer) -> None:
    with pytest.raises(KeyError):
        BareDriver(server).sign_in(ACCOUNT_NAME="ELSEWHERE")
    assert [entry.status for entry in server.requests] == [404]


def test_the_locator_is_a_name_of_the_account(server: SnowflakeServer) -> None:
    BareDriver(server).sign_in(ACCOUNT_NAME="XY12345")


# -- sessions ------------------------------------------------------------------------------------------------------


def test_a_session_is_renewed_with_its_master_token(admin: BareDriver, snowflake: SnowflakeState) -> None:
    snowflake.advance(hours=1)
    with pytest.raises(Refused, match="390112"):
        admin.sql("SELECT 1")
    body = {"oldSessionToken": admin.token, "requestType": "RENEW"}
    admin.token = admin.call("/session/token-request", body, admin.master_token)["sessionToken"]
    assert admin.sql("SELECT 1") == [{"1": "1"}]
    snowflake.advance(hours=3)
    with pytest.raises(Refused, match="390114"):
        admin.call("/session/token-request", body, admin.master_token)


def test_a_closed_session_is_gone(admin: BareDriver, snowflake: SnowflakeState) -> None:
    admin.call("/session?delete=true", {}, admin.token)
    with pytest.raises(Refused, match="390104"):
        admin.sql("SELECT 1")
    assert len(snowflake.sessions) == 0


def test_a_session_outlives_the_token_that_opened_it(server: SnowflakeServer, snowflake: SnowflakeState) -> None:
    driver = BareDriver(server)
    driver.sign_in(SERVICE, token_of(snowflake).secret)
    service_of(snowflake).tokens.clear()
    assert driver.sql("SELECT CURRENT_USER() AS U") == [{"U": SERVICE}]


def test_what_it_does_not_simulate_it_refuses(admin: BareDriver) -> None:
    for sql, body in (
        ("SELECT 1", {"bindings": {"1": {"type": "TEXT", "value": "x"}}}),
        ("SELECT 1", {"asyncExec": True}),
        (ROTATE, {"describeOnly": True}),
        ("SELECT SYSTEM$DECODE_PAT('x')", {}),
    ):
        with pytest.raises(Refused, match="does not simulate"):
            admin.sql(sql, **body)
    with pytest.raises(Refused, match="invalid property 'NO_SUCH'"):
        admin.sql("ALTER SESSION SET NO_SUCH = 1")
    with pytest.raises(Refused, match="invalid identifier 'NO_SUCH'"):
        admin.sql("SELECT NO_SUCH FROM SNOWFLAKE.ACCOUNT_USAGE.CREDENTIALS")
    with pytest.raises(Refused, match="no endpoint /queries/v1/other"):
        admin.call("/queries/v1/other", {}, admin.token)


# -- repeated requests and faults ----------------------------------------------------------------------------------


def test_a_repeated_request_gets_the_first_answer(admin: BareDriver, snowflake: SnowflakeState) -> None:
    number = str(uuid.uuid4())
    first = admin.sql(ROTATE, request_id=number)
    assert admin.sql(ROTATE, request_id=number) == first
    assert len(service_of(snowflake).tokens) == 2
    assert admin.server.requests.count("rotate_token", replayed="yes") == 1
    snowflake.behaviour.replay_requests = False
    (again,) = admin.sql(ROTATE, request_id=number)
    live, _, lost = service_of(snowflake).tokens
    assert (again["token_secret"], first[0]["token_secret"]) == (live.secret, lost.secret)


def test_an_answer_is_lost_after_it_took_effect(admin: BareDriver, snowflake: SnowflakeState) -> None:
    number = str(uuid.uuid4())
    admin.server.faults.script("rotate_token", ResetAfter(), where={"user": SERVICE})
    with pytest.raises(requests.ConnectionError):
        admin.sql(ROTATE, request_id=number)
    assert len(service_of(snowflake).tokens) == 2
    (row,) = admin.sql(ROTATE, request_id=number)
    assert row["token_secret"] == token_of(snowflake).secret


@pytest.mark.parametrize(
    ("fault", "tokens"),
    [(Unwell(), 1), (Unwell(429), 1), (UnwellAfter(), 2), (HalfBody(), 2), (Refusal(), 1), (RefusalAfter(), 2)],
)
def test_a_rotation_fails_with_and_without_effect(
    admin: BareDriver, snowflake: SnowflakeState, fault: Unwell, tokens: int
) -> None:
    admin.server.faults.script("rotate_token", fault)
    with pytest.raises((requests.RequestException, Refused, KeyError)):
        admin.sql(ROTATE)
    assert len(service_of(snowflake).tokens) == tokens
    assert admin.server.faults.left() == 0


@pytest.mark.parametrize("how", ["no_row", "null", "empty", "status"])
def test_a_rotation_succeeds_without_a_secret(admin: BareDriver, snowflake: SnowflakeState, how: str) -> None:
    admin.server.faults.script("rotate_token", WithoutSecret(how))
    rows = admin.sql(ROTATE)
    assert not any(row.get("token_secret") for row in rows)
    assert len(service_of(snowflake).tokens) == 2


def another_rotator(when: str, overlap_hours: int | None = 6) -> AnotherRotator:
    return AnotherRotator(ACCOUNT, SERVICE, TOKEN, overlap_hours, when)


def works(snowflake: SnowflakeState, secret: str | None) -> bool:
    return snowflake.sign_in(address=ADDRESS, user=SERVICE, secret=secret or "", client="tableau").ok


def test_another_rotates_just_before_a_rotation(admin: BareDriver, snowflake: SnowflakeState) -> None:
    first = token_of(snowflake).secret
    admin.server.faults.script("rotate_token", another_rotator("before"))
    (row,) = admin.sql(ROTATE)
    live, oldest, others = service_of(snowflake).tokens
    assert (oldest.secret, row["token_secret"], row["rotated_token_name"]) == (first, live.secret, others.name)
    assert (others.created_by, live.created_by) == ("ANOTHER_ROTATOR", ADMIN)
    assert [works(snowflake, secret) for secret in (first, others.secret, live.secret)] == [True] * 3
    snowflake.advance(hours=6)
    assert [works(snowflake, secret) for secret in (first, others.secret, live.secret)] == [False, True, True]


def test_another_rotates_just_after_a_rotation(admin: BareDriver, snowflake: SnowflakeState) -> None:
    admin.server.faults.script("rotate_token", another_rotator("after"))
    (row,) = admin.sql(ROTATE)
    live, _, ours = service_of(snowflake).tokens
    assert (row["token_secret"], live.created_by) == (ours.secret, "ANOTHER_ROTATOR")
    assert (works(snowflake, ours.secret), works(snowflake, live.secret)) == (True, True)
    snowflake.advance(hours=6)
    assert (works(snowflake, ours.secret), works(snowflake, live.secret)) == (False, True)


@pytest.mark.parametrize(("when", "shown"), [("before", [2, 2]), ("after", [1, 2])])
def test_another_rotates_while_tokens_are_shown(
    admin: BareDriver, snowflake: SnowflakeState, when: str, shown: list[int]
) -> None:
    admin.server.faults.script("show_tokens", another_rotator(when), where={"user": SERVICE})
    assert [len(admin.sql(SHOW)), len(admin.sql(SHOW))] == shown


def test_another_rotates_while_somebody_signs_in(server: SnowflakeServer, snowflake: SnowflakeState) -> None:
    driver = BareDriver(server)
    server.faults.script("login", [another_rotator("after", 0), another_rotator("before", 0)], where={"user": SERVICE})
    secret = token_of(snowflake).secret
    driver.sign_in(SERVICE, secret)
    assert not works(snowflake, secret)
    with pytest.raises(Refused, match="394401"):
        driver.sign_in(SERVICE, token_of(snowflake).secret)
    assert server.faults.left() == 0


def test_another_rotates_before_a_lost_answer_comes_again(admin: BareDriver, snowflake: SnowflakeState) -> None:
    number = str(uuid.uuid4())
    admin.server.faults.script("rotate_token", [ResetAfter(), another_rotator("before", 0)])
    with pytest.raises(requests.ConnectionError):
        admin.sql(ROTATE, request_id=number)
    (row,) = admin.sql(ROTATE, request_id=number)
    assert row["token_secret"] == service_of(snowflake).tokens[-1].secret
    assert not works(snowflake, row["token_secret"])
    assert works(snowflake, token_of(snowflake).secret)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (AnotherRotator("elsewhere", SERVICE, TOKEN), "account elsewhere has no user TABLEAU_ETL"),
        (AnotherRotator(ACCOUNT, "NOBODY", TOKEN), "has no user NOBODY with a token TABLEAU"),
        (AnotherRotator(ACCOUNT, SERVICE, "NO_SUCH"), "with a token NO_SUCH"),
        (another_rotator("before", 9999), "EXPIRE_ROTATED_TOKEN_AFTER_HOURS"),
    ],
)
def test_another_rotator_who_cannot_rotate_is_noticed(
    admin: BareDriver, snowflake: SnowflakeState, fault: AnotherRotator, why: str
) -> None:
    admin.server.faults.script("show_tokens", fault)
    answer = admin.send("/queries/v1/query-request?requestId=1", {"sqlText": SHOW}, admin.token)
    assert answer.status_code == 400
    assert why in answer.json()["error"]
    assert len(service_of(snowflake).tokens) == 1


def test_an_answer_comes_late_or_never(admin: BareDriver) -> None:
    admin.server.faults.script("select", [Slow(0.05), Silence(0.05, "close")])
    assert admin.sql("SELECT 1")
    with pytest.raises(requests.ConnectionError):
        admin.sql("SELECT 1")


def test_a_session_is_lost_in_the_middle(admin: BareDriver) -> None:
    admin.server.faults.script("show_tokens", SessionLost())
    with pytest.raises(Refused, match="390112"):
        admin.sql(SHOW)


# -- the request log and the control plane -------------------------------------------------------------------------


def test_the_log_knows_what_each_request_did(admin: BareDriver) -> None:
    admin.sql(ROTATE)
    with pytest.raises(Refused):
        admin.sql("DROP USER X")
    assert admin.server.requests.counts() == {"login": 1, "rotate_token": 1, "unknown_sql": 1}
    (entry,) = admin.server.requests.all("rotate_token", user=SERVICE, token=TOKEN)
    assert (entry.status, entry.code) == (200, None)
    assert [entry.code for entry in admin.server.requests.all("unknown_sql")] == ["001003"]


def control(server: SnowflakeServer, path: str, **said: object) -> requests.Response:
    url = f"{server.url}/_sandbox/{path}"
    return requests.post(url, json=said, timeout=5) if said else requests.get(url, timeout=5)


def test_the_control_plane_shows_and_moves_everything(admin: BareDriver, server: SnowflakeServer) -> None:
    (token,) = control(server, "state").json()["accounts"]["acme-prod"]["users"][SERVICE]["tokens"]
    assert token["status"] == "ACTIVE"
    asked = {"address": "acme-prod.snowflakecomputing.com", "user": SERVICE, "secret": token["secret"]}
    assert control(server, "sign_in", client="tableau", **asked).json()["ok"]
    control(server, "network_policies", account="acme-prod", name="NOBODY", allowed=[])
    control(server, "users", account="acme-prod", user=SERVICE, network_policy="NOBODY")
    assert control(server, "sign_in", client="tableau", **asked).json()["code"] == "390422"
    control(server, "users", account="acme-prod", user=SERVICE, network_policy="EVERYONE")
    control(server, "clock", days=11)
    assert control(server, "sign_in", client="tableau", **asked).json()["code"] == "394401"
    assert [event["is_success"] for event in control(server, "logins").json()] == [True, True, False, False]
    assert control(server, "behaviour", show_columns="reference").json()["show_columns"] == "reference"
    assert control(server, "behaviour", show_columns="misspelt").status_code == 400
    assert control(server, "sessions/end", all=True).json() == {"ended": 1}
    assert control(server, "requests").json()["counts"] == {"login": 1}
    assert control(server, "no/such").status_code == 404


def test_the_control_plane_scripts_faults(admin: BareDriver, server: SnowflakeServer) -> None:
    faults = [{"fault": "without_secret", "how": "null"}, {"fault": "unwell", "status": 502}]
    assert len(control(server, "faults", operation="rotate_token", faults=faults).json()["left"]) == 2
    assert admin.sql(ROTATE)[0]["token_secret"] is None
    assert len(control(server, "faults").json()["consumed"]) == 1
    another: dict[str, object] = {"fault": "another_rotator", "account": ACCOUNT, "user": SERVICE, "token": TOKEN}
    for wrong in (
        {"fault": "no_such"},
        {"fault": "unwell", "no_such": 1},
        {"fault": "without_secret", "how": "x"},
        {"fault": "another_rotator"},
        another | {"when": "x"},
    ):
        assert control(server, "faults", operation="rotate_token", faults=[wrong]).status_code == 400
    assert control(server, "faults", operation="no_such", faults=faults).status_code == 400


def test_the_control_plane_scripts_another_rotator(
    admin: BareDriver, server: SnowflakeServer, snowflake: SnowflakeState
) -> None:
    fault = {"fault": "another_rotator", "account": ACCOUNT, "user": SERVICE.lower(), "token": TOKEN}
    control(server, "faults", operation="login", faults=[fault | {"overlap_hours": 0, "when": "after"}])
    admin.sign_in()
    (consumed,) = control(server, "faults").json()["consumed"]
    assert (consumed["request"]["user"], consumed["user"]) == (ADMIN, SERVICE.lower())
    assert [token.status(snowflake.clock.now()) for token in service_of(snowflake).tokens] == ["ACTIVE", "EXPIRED"]


def test_the_control_plane_sets_the_pat_policy(server: SnowflakeServer, snowflake: SnowflakeState) -> None:
    def shown() -> object:
        return control(server, "state").json()["accounts"][ACCOUNT]["pat_policy"]

    assert shown() == {"max_expiry_in_days": 365, "blocked_roles": []}
    control(server, "pat_policy", account=ACCOUNT, max_expiry_in_days=29, blocked_roles=[])
    assert shown() == {"max_expiry_in_days": 29, "blocked_roles": []}
    assert not works(snowflake, token_of(snowflake).secret)
    assert control(server, "pat_policy", account=ACCOUNT, blocked_roles=["READER"]).json() == shown()
    assert shown() == {"max_expiry_in_days": 365, "blocked_roles": ["READER"]}
    assert not works(snowflake, token_of(snowflake).secret)
    for wrong in ({"blocked_roles": "READER"}, {"blocked_roles": ["NO_ROLE"]}, {"max_expiry": 30}):
        assert control(server, "pat_policy", account=ACCOUNT, **wrong).status_code == 400
    control(server, "pat_policy", account=ACCOUNT)
    assert works(snowflake, token_of(snowflake).secret)


def test_a_network_policy_lets_in_tableau_alone(server: SnowflakeServer, snowflake: SnowflakeState) -> None:
    addresses = control(server, "state").json()["client_addresses"]
    control(server, "network_policies", account=ACCOUNT, name="TABLEAU_ALONE", allowed=[addresses["tableau"]])
    control(server, "users", account=ACCOUNT, user=SERVICE, network_policy="TABLEAU_ALONE")
    driver, secret = BareDriver(server), token_of(snowflake).secret
    with pytest.raises(Refused, match=f"390422: .*{addresses['airflow']} is not allowed"):
        driver.sign_in(SERVICE, secret)
    driver.sign_in(SERVICE, secret, client="tableau")
    assert works(snowflake, secret)
    moved = control(server, "client_addresses", Airflow=addresses["tableau"], tableau="203.0.113.99").json()
    assert moved == {"airflow": addresses["tableau"], "tableau": "203.0.113.99"}
    driver.sign_in(SERVICE, secret)
    assert not works(snowflake, secret)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("users", {"user": SERVICE, "network_policy": "NO_SUCH", "disabled": True}),
        ("network_policies", {"name": "EVERYONE", "allowed": ["everywhere"]}),
        ("network_policies", {"name": "EVERYONE", "allowed": "192.0.2.10"}),
        ("network_policies", {"name": "EVERYONE", "allowed": [], "blocked": ["192.0.2.999"]}),
        ("client_addresses", {"airflow": "192.0.2.11", "tableau": "tableau"}),
    ],
)
def test_a_network_that_cannot_be_is_refused(
    server: SnowflakeServer, snowflake: SnowflakeState, path: str, said: dict[str, object]
) -> None:
    before = control(server, "state").json()["accounts"]
    addresses = dict(snowflake.client_addresses)
    account = {"account": ACCOUNT} if path != "client_addresses" else {}
    assert control(server, path, **account, **said).status_code == 400
    assert control(server, "state").json()["accounts"] == before
    assert snowflake.client_addresses == addresses


def test_a_lock_ends_a_quarter_of_an_hour_later(server: SnowflakeServer, snowflake: SnowflakeState) -> None:
    driver, secret = BareDriver(server), token_of(snowflake).secret
    for _ in range(5):
        with pytest.raises(Refused, match="394400"):
            driver.sign_in(SERVICE, "guess")
    for minutes in (0, 14.9):
        control(server, "clock", minutes=minutes)
        with pytest.raises(Refused, match="390102"):
            driver.sign_in(SERVICE, secret)  # the right one, which neither ends the lock nor makes it longer
    control(server, "clock", minutes=0.1)
    driver.sign_in(SERVICE, secret)
