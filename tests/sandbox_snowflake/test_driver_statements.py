"""The real snowflake-connector-python rotates: typed rows, errors, lost answers, renewed sessions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from snowflake import connector
from snowflake.connector.errors import DatabaseError, InterfaceError, NonRetryableTlsError, ProgrammingError

from sandbox.snowflake import (
    AnotherRotator,
    RefusalAfter,
    SnowflakeServer,
    SnowflakeState,
    Unwell,
    UnwellAfter,
    WithoutSecret,
)
from sandbox.tableau import HalfBody, ResetAfter, SessionLost
from sandbox.tableau.clock import to_the_millisecond
from sandbox.tableau.faults import Fault
from tests.sandbox_snowflake.small_account import (
    ACCOUNT,
    ADDRESS,
    ADMIN,
    ADMIN_PASSWORD,
    SERVICE,
    TOKEN,
    service_of,
    token_of,
)

ROTATE = f"ALTER USER {SERVICE} ROTATE PAT {TOKEN} EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 24"
SHOW = f"SHOW USER PROGRAMMATIC ACCESS TOKENS FOR USER {SERVICE}"


@pytest.fixture
def cursor(server: SnowflakeServer) -> Iterator[Any]:
    connection = connector.connect(
        host="127.0.0.1",
        port=server.port,
        account=ACCOUNT,
        user=ADMIN,
        password=ADMIN_PASSWORD,
        network_timeout=10,
        session_parameters={"QUERY_TAG": "rotation"},
    )
    yield connection.cursor(connector.DictCursor)
    connection.close(retry=False)


def works(snowflake: SnowflakeState, secret: str) -> bool:
    return snowflake.sign_in(address=ADDRESS, user=SERVICE, secret=secret, client="tableau").ok


def test_rows_come_by_name_and_with_their_types(cursor: Any, snowflake_state: SnowflakeState) -> None:
    row = cursor.execute(ROTATE).fetchone()
    assert row["token_secret"] == token_of(snowflake_state).secret
    live, old = cursor.execute(SHOW).fetchall()
    assert isinstance(live["expires_at"], datetime)
    assert live["expires_at"].utcoffset() is not None
    assert (old["name"], old["rotated_to"]) == (row["rotated_token_name"], TOKEN)
    snowflake_state.behaviour.show_times = "text"
    assert isinstance(cursor.execute(SHOW).fetchone()["expires_at"], str)


@pytest.mark.parametrize("microsecond", [1_000, 66_000, 359_499, 359_500, 999_999])
def test_times_come_to_the_millisecond_in_both_ways_of_showing_them(
    cursor: Any, snowflake_state: SnowflakeState, microsecond: int
) -> None:
    token = token_of(snowflake_state)
    token.created_on = token.created_on.replace(microsecond=microsecond)
    token.expires_at = token.expires_at.replace(microsecond=microsecond)
    kept = [to_the_millisecond(token.created_on), to_the_millisecond(token.expires_at)]
    row = cursor.execute(SHOW).fetchone()
    assert [row["created_on"], row["expires_at"]] == kept
    snowflake_state.behaviour.show_times = "text"
    row = cursor.execute(SHOW).fetchone()
    read = [datetime.strptime(row[name], "%Y-%m-%d %H:%M:%S.%f %z") for name in ("created_on", "expires_at")]
    assert read == kept


def test_a_rotation_is_seen_by_its_new_time_of_creation(cursor: Any, snowflake_state: SnowflakeState) -> None:
    before = cursor.execute(SHOW).fetchone()["created_on"]
    cursor.execute(ROTATE)
    live, old = cursor.execute(SHOW).fetchall()
    assert (old["created_on"], live["created_on"]) == (before, token_of(snowflake_state).created_on)
    assert old["name"] == f"{TOKEN}_ROTATED_{live['created_on'].timestamp() * 1000:.0f}"
    assert live["created_on"] > before


def test_values_that_a_session_knows_of_itself(cursor: Any) -> None:
    row = cursor.execute("SELECT 1 AS one, 'it''s' AS text, TRUE AS yes, CURRENT_TIMESTAMP() AS now").fetchone()
    assert (row["ONE"], row["TEXT"], row["YES"]) == (1, "it's", True)
    assert isinstance(row["NOW"], datetime)


@pytest.mark.parametrize(
    ("sql", "code", "state"),
    [
        ("CREATE TABLE T (A INT)", 1003, "42000"),
        (f"ALTER USER {SERVICE} ROTATE PAT NO_SUCH", 2003, "02000"),
        ("ALTER USER NOBODY ROTATE PAT T", 2003, "02000"),
        (f"ALTER USER {SERVICE} ROTATE PAT {TOKEN} EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 999", 1008, "22023"),
        ("SELECT 1; SELECT 2", 8, "0A000"),
    ],
)
def test_refusals_arrive_as_errors(cursor: Any, sql: str, code: int, state: str) -> None:
    with pytest.raises(ProgrammingError) as refused:
        cursor.execute(sql)
    assert (refused.value.errno, refused.value.sqlstate) == (code, state)


@pytest.mark.parametrize("fault", [ResetAfter(), UnwellAfter(), Unwell(), SessionLost()])
def test_the_driver_repeats_what_it_lost_and_rotates_once(
    cursor: Any, server: SnowflakeServer, snowflake_state: SnowflakeState, fault: Fault
) -> None:
    server.faults.script("rotate_token", fault)
    row = cursor.execute(ROTATE).fetchone()
    assert row["token_secret"] == token_of(snowflake_state).secret
    assert len(service_of(snowflake_state).tokens) == 2
    numbers = {entry.query["requestId"] for entry in server.requests.all("rotate_token")}
    assert (server.requests.count("rotate_token"), len(numbers)) == (2, 1)


@pytest.mark.parametrize("fault", [ResetAfter(), UnwellAfter()])
def test_without_replays_a_lost_answer_costs_a_second_rotation(
    cursor: Any, server: SnowflakeServer, snowflake_state: SnowflakeState, fault: Fault
) -> None:
    first = token_of(snowflake_state).secret
    snowflake_state.behaviour.replay_requests = False
    server.faults.script("rotate_token", fault)
    row = cursor.execute(ROTATE).fetchone()
    numbers = {entry.query["requestId"] for entry in server.requests.all("rotate_token")}
    assert (server.requests.count("rotate_token"), len(numbers)) == (2, 1)
    live, oldest, lost = service_of(snowflake_state).tokens
    assert (live.secret, lost.name) == (row["token_secret"], row["rotated_token_name"])
    assert oldest.secret == first
    assert [each["rotated_to"] for each in cursor.execute(SHOW).fetchall()] == [None, TOKEN, TOKEN]
    assert [works(snowflake_state, each.secret) for each in (live, oldest, lost)] == [True] * 3
    snowflake_state.advance(hours=24)
    assert [works(snowflake_state, each.secret) for each in (live, oldest, lost)] == [True, False, False]


@pytest.mark.parametrize("fault", [Unwell(), Unwell(429)])
def test_without_replays_what_had_no_effect_rotates_once(
    cursor: Any, server: SnowflakeServer, snowflake_state: SnowflakeState, fault: Fault
) -> None:
    snowflake_state.behaviour.replay_requests = False
    server.faults.script("rotate_token", fault)
    row = cursor.execute(ROTATE).fetchone()
    assert (row["token_secret"], len(service_of(snowflake_state).tokens)) == (token_of(snowflake_state).secret, 2)
    assert server.requests.count("rotate_token") == 2


@pytest.mark.parametrize(("when", "ours"), [("before", "TABLEAU"), ("after", "TABLEAU_ROTATED_")])
def test_another_rotator_is_in_the_way(
    cursor: Any, server: SnowflakeServer, snowflake_state: SnowflakeState, when: str, ours: str
) -> None:
    server.faults.script("rotate_token", AnotherRotator(ACCOUNT, SERVICE, TOKEN, 24, when))
    secret = cursor.execute(ROTATE).fetchone()["token_secret"]
    (holder,) = [token.name for token in service_of(snowflake_state).tokens if token.secret == secret]
    assert holder.rstrip("0123456789") == ours
    assert len(cursor.execute(SHOW).fetchall()) == 3
    assert server.requests.count("rotate_token") == 1


def test_an_answer_is_lost_for_good(cursor: Any, server: SnowflakeServer, snowflake_state: SnowflakeState) -> None:
    server.faults.script("rotate_token", RefusalAfter())
    with pytest.raises(DatabaseError, match="cancelled"):
        cursor.execute(ROTATE)
    assert len(service_of(snowflake_state).tokens) == 2


def test_half_an_answer_is_not_asked_for_again(
    cursor: Any, server: SnowflakeServer, snowflake_state: SnowflakeState
) -> None:
    server.faults.script("rotate_token", HalfBody())
    with pytest.raises(NonRetryableTlsError):
        cursor.execute(ROTATE)
    assert server.requests.count("rotate_token") == 1
    assert len(service_of(snowflake_state).tokens) == 2


def test_a_rotation_that_brings_no_secret(cursor: Any, server: SnowflakeServer) -> None:
    server.faults.script("rotate_token", [WithoutSecret("no_row"), WithoutSecret("null"), WithoutSecret("status")])
    assert cursor.execute(ROTATE).fetchone() is None
    assert cursor.execute(ROTATE).fetchone()["token_secret"] is None
    assert "token_secret" not in cursor.execute(ROTATE).fetchone()


def test_a_session_is_renewed_by_itself_until_its_master_is_over(
    cursor: Any, server: SnowflakeServer, snowflake_state: SnowflakeState
) -> None:
    snowflake_state.advance(hours=2)
    assert cursor.execute("SELECT 1 AS one").fetchone() == {"ONE": 1}
    assert server.requests.count("renew_session") == 1
    snowflake_state.advance(hours=3)
    with pytest.raises((DatabaseError, InterfaceError), match="must authenticate again"):
        cursor.execute("SELECT 1")
