"""The life of a token: added, shown, rotated, modified, removed, expired, each by SQL over the wire."""

from __future__ import annotations

import itertools
import json
import random
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.snowflake import SnowflakeServer, SnowflakeState, TokenStatus, UserType, rotate_token
from sandbox.snowflake.errors import SnowflakeError
from tests.sandbox_snowflake.bare_driver import BareDriver, Refused, Row
from tests.sandbox_snowflake.small_account import (
    ADDRESS,
    ADMIN,
    ADMIN_ROLE,
    ROLE,
    SERVICE,
    TOKEN,
    account_of,
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
def admin(snowflake: SnowflakeState) -> Iterator[BareDriver]:
    with SnowflakeServer(snowflake, tls=False) as server:
        driver = BareDriver(server)
        driver.sign_in()
        yield driver


def works(snowflake: SnowflakeState, secret: str | None, user: str = SERVICE) -> bool:
    return snowflake.sign_in(address=ADDRESS, user=user, secret=secret or "", client="tableau").ok


def rotate(admin: BareDriver, options: str = "") -> Row:
    (row,) = admin.sql(f"{ROTATE} {options}")
    return row


def refusal(admin: BareDriver, sql: str) -> Refused:
    with pytest.raises(Refused) as refused:
        admin.sql(sql)
    return refused.value


# -- ROTATE --------------------------------------------------------------------------------------------------------


def test_both_secrets_work_until_the_overlap_is_over(admin: BareDriver, snowflake: SnowflakeState) -> None:
    old = token_of(snowflake).secret
    row = rotate(admin, "EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 6")
    assert list(row) == ["token_name", "token_secret", "rotated_token_name"]
    assert row["token_name"] == TOKEN
    assert str(row["rotated_token_name"]).startswith("TABLEAU_ROTATED_")
    assert works(snowflake, old)
    assert works(snowflake, row["token_secret"])
    snowflake.advance(hours=6)
    assert not works(snowflake, old)
    assert works(snowflake, row["token_secret"])


def test_the_new_secret_lives_as_long_as_the_token_was_made_for(admin: BareDriver, snowflake: SnowflakeState) -> None:
    secret = rotate(admin)["token_secret"]
    snowflake.advance(days=29, hours=23)
    assert works(snowflake, secret)
    snowflake.advance(hours=1, seconds=1)
    answer = snowflake.sign_in(address=ADDRESS, user=SERVICE, secret=str(secret), client="tableau")
    assert (answer.code, answer.message) == ("394401", "Programmatic access token is expired.")


def test_the_overlap_is_a_day_when_nothing_is_said(admin: BareDriver, snowflake: SnowflakeState) -> None:
    rotated = service_of(snowflake).token(str(rotate(admin)["rotated_token_name"]))
    assert rotated is not None
    assert timedelta(hours=23, minutes=59) < rotated.left(snowflake.clock.now()) <= timedelta(hours=24)


def test_no_hours_kill_the_old_secret_at_once(admin: BareDriver, snowflake: SnowflakeState) -> None:
    old = token_of(snowflake).secret
    rotate(admin, "EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 0")
    assert not works(snowflake, old)


def test_the_overlap_cannot_outlive_the_old_secret(admin: BareDriver, snowflake: SnowflakeState) -> None:
    snowflake.advance(days=9, hours=20)  # 4 of its hours are left, less an instant
    assert (
        "between 0 and the 3 hours"
        in refusal(admin_again(admin), f"{ROTATE} EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 4").message
    )
    token = service_of(snowflake).token(str(rotate(admin)["rotated_token_name"]))
    assert token is not None
    assert token.left(snowflake.clock.now()) < timedelta(hours=4)  # the default is cut


def admin_again(admin: BareDriver) -> BareDriver:
    """Sign in again: the clock has moved past the session's end."""
    admin.sign_in()
    return admin


def test_what_was_rotated_can_only_expire_or_be_removed(admin: BareDriver, snowflake: SnowflakeState) -> None:
    name = rotate(admin)["rotated_token_name"]
    for change in (f"ROTATE PAT {name}", f"MODIFY PAT {name} SET DISABLED = TRUE", f"MODIFY PAT {name} RENAME TO X"):
        assert "can only expire or be removed" in refusal(admin, f"ALTER USER {SERVICE} {change}").message
    (row,) = admin.sql(f"ALTER USER {SERVICE} REMOVE PAT {name}")
    assert row == {"status": f"Programmatic access token {name} successfully removed."}
    assert [token.name for token in service_of(snowflake).tokens] == [TOKEN]


def test_a_role_that_is_no_longer_granted_does_not_stop_a_rotation(
    admin: BareDriver, snowflake: SnowflakeState
) -> None:
    service_of(snowflake).roles.clear()
    secret = rotate(admin)["token_secret"]
    answer = snowflake.sign_in(address=ADDRESS, user=SERVICE, secret=str(secret), client="airflow")
    assert (answer.ok, answer.code) == (False, "394400")


def test_neither_does_a_missing_network_policy(admin: BareDriver, snowflake: SnowflakeState) -> None:
    service_of(snowflake).network_policy = None
    secret = rotate(admin)["token_secret"]
    answer = snowflake.sign_in(address=ADDRESS, user=SERVICE, secret=str(secret), client="airflow")
    assert (answer.ok, answer.code) == (False, "390432")


def test_a_disabled_token_stays_disabled_when_it_is_rotated(admin: BareDriver, snowflake: SnowflakeState) -> None:
    token_of(snowflake).disabled = True
    assert not works(snowflake, rotate(admin)["token_secret"])
    snowflake.behaviour.rotating_disabled = "refused"
    assert "is disabled" in refusal(admin, ROTATE).message


def test_if_exists_on_a_missing_token_succeeds_with_no_secret(admin: BareDriver) -> None:
    assert admin.sql(f"ALTER USER {SERVICE} ROTATE PAT IF EXISTS NOBODYS") == [
        {"status": "Statement executed successfully."}
    ]
    assert refusal(admin, f"ALTER USER {SERVICE} ROTATE PAT NOBODYS").code == "002003"
    assert admin.sql("ALTER USER IF EXISTS NOBODY ROTATE PAT T") == [{"status": "Statement executed successfully."}]
    assert "User 'NOBODY' does not exist or not authorized." in refusal(admin, "ALTER USER NOBODY ROTATE PAT T").message


def test_a_test_rotates_without_a_session_by_the_same_rules(admin: BareDriver, snowflake: SnowflakeState) -> None:
    token, first = token_of(snowflake), token_of(snowflake).secret
    old = rotate_token(snowflake, service_of(snowflake), token, 6, created_by="SOMEBODY")
    assert (old.secret, old.rotated_to, token.created_by) == (first, TOKEN, "SOMEBODY")
    assert (works(snowflake, first), works(snowflake, token.secret)) == (True, True)
    assert [row["name"] for row in admin.sql(SHOW)] == [TOKEN, old.name]
    snowflake.advance(hours=6)
    assert (works(snowflake, first), works(snowflake, token.secret)) == (False, True)
    with pytest.raises(SnowflakeError, match="between 0 and the 713 hours"):
        rotate_token(snowflake, service_of(snowflake), token, 30 * 24)
    with pytest.raises(SnowflakeError, match="can only expire or be removed"):
        rotate_token(snowflake, service_of(snowflake), old)


@pytest.mark.parametrize("microsecond", [*random.Random(7).sample(range(1_000_000), 20), 0, 499, 500, 66_000, 999_999])
def test_rotations_within_a_millisecond_differ_in_name_and_time(
    admin: BareDriver, snowflake: SnowflakeState, monkeypatch: pytest.MonkeyPatch, microsecond: int
) -> None:
    now = snowflake.clock.now().replace(microsecond=microsecond)
    monkeypatch.setattr(snowflake.clock, "now", lambda: now)
    admin.sql(f"ALTER USER {SERVICE} ADD PAT SECOND ROLE_RESTRICTION = '{ROLE}'")
    names, times = [], [token_of(snowflake).created_on]
    for _ in range(3):
        names.append(rotate(admin)["rotated_token_name"])
        times.append(token_of(snowflake).created_on)
        admin.sql(f"ALTER USER {SERVICE} REMOVE PAT {names[-1]}")
    admin.sql(f"ALTER USER {SERVICE} MODIFY PAT {TOKEN} RENAME TO OTHER")
    admin.sql(f"ALTER USER {SERVICE} MODIFY PAT SECOND RENAME TO {TOKEN}")
    times.append(token_of(snowflake).created_on)
    names.append(rotate(admin)["rotated_token_name"])
    times.append(token_of(snowflake).created_on)
    assert len(set(names)) == 4
    assert names[0] == f"{TOKEN}_ROTATED_{int(now.timestamp())}{microsecond // 1000:03}"
    shown = [f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}" for moment in times]
    assert all(before < after for before, after in itertools.pairwise(shown[:4]))
    assert shown[4] < shown[5]


# -- ADD and the limits --------------------------------------------------------------------------------------------


def test_a_secret_looks_like_a_json_web_token_and_is_shown_once(admin: BareDriver, snowflake: SnowflakeState) -> None:
    sql = f"ALTER USER {SERVICE} ADD PAT SECOND ROLE_RESTRICTION = '{ROLE}'"
    (row,) = admin.sql(sql)
    header, payload, _ = str(row["token_secret"]).split(".")
    assert json.loads(urlsafe_b64decode(header + "=="))["alg"] == "ES256"
    expires = datetime.fromtimestamp(json.loads(urlsafe_b64decode(payload + "=="))["exp"], UTC)
    assert timedelta(days=14, hours=23) < expires - snowflake.clock.now() <= timedelta(days=15)
    assert works(snowflake, row["token_secret"])
    assert str(row["token_secret"]) not in str(admin.sql(SHOW))
    assert refusal(admin, sql).code == "002002"
    again = admin.sql(sql.replace("ADD PAT", "ADD PAT IF NOT EXISTS"))
    assert again == [{"status": "SECOND already exists, statement succeeded."}]


def test_fifteen_tokens_are_enough(admin: BareDriver, snowflake: SnowflakeState) -> None:
    for number in range(2, 16):
        admin.sql(f"ALTER USER {SERVICE} ADD PAT T{number} ROLE_RESTRICTION = '{ROLE}' DAYS_TO_EXPIRY = 90")
    assert "maximum of 15" in refusal(admin, f"ALTER USER {SERVICE} ADD PAT T16 ROLE_RESTRICTION = '{ROLE}'").message
    assert "maximum of 15" in refusal(admin, ROTATE).message  # the old secret needs a place of its own
    rotate(admin, "EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 0")  # unless it dies at once
    service_of(snowflake).tokens[1].disabled = True  # which gives no place
    assert "maximum of 15" in refusal(admin, ROTATE).message
    service_of(snowflake).tokens[2].expires_at = snowflake.clock.now()  # which does
    rotate(admin)


@pytest.mark.parametrize(("days", "message"), [(0, "between 1 and 365"), (366, "between 1 and 365")])
def test_a_token_lives_a_year_at_most(admin: BareDriver, days: int, message: str) -> None:
    sql = f"ALTER USER {SERVICE} ADD PAT T ROLE_RESTRICTION = '{ROLE}' DAYS_TO_EXPIRY = {days}"
    assert message in refusal(admin, sql).message


def test_a_service_needs_a_role_that_it_has_and_a_network_policy(admin: BareDriver, snowflake: SnowflakeState) -> None:
    add = f"ALTER USER {SERVICE} ADD PAT T"
    assert "role restriction is required" in refusal(admin, add).message
    assert "Role 'NO_ROLE' does not exist" in refusal(admin, f"{add} ROLE_RESTRICTION = 'NO_ROLE'").message
    assert "is not granted" in refusal(admin, f"{add} ROLE_RESTRICTION = '{ADMIN_ROLE}'").message
    service_of(snowflake).network_policy = None
    assert "network policy is required" in refusal(admin, f"{add} ROLE_RESTRICTION = '{ROLE}'").message


def test_the_authentication_policy_limits_what_is_added(admin: BareDriver, snowflake: SnowflakeState) -> None:
    add = f"ALTER USER {SERVICE} ADD PAT T ROLE_RESTRICTION = '{ROLE}'"
    account_of(snowflake).set_pat_policy(max_expiry_in_days=14)
    assert "between 1 and 14" in refusal(admin, f"{add} DAYS_TO_EXPIRY = 15").message
    assert "between 1 and 14" in refusal(admin, add).message  # 15 days when nothing is said
    account_of(snowflake).set_pat_policy(blocked_roles=[ROLE])
    assert "Role 'READER' is blocked" in refusal(admin, add).message
    assert len(service_of(snowflake).tokens) == 1
    account_of(snowflake).set_pat_policy(max_expiry_in_days=14, blocked_roles=[ADMIN_ROLE])
    admin.sql(f"{add} DAYS_TO_EXPIRY = 14")
    assert works(snowflake, service_of(snowflake).tokens[-1].secret)


@pytest.mark.parametrize("policy", [{"max_expiry_in_days": 29}, {"blocked_roles": [ROLE]}])
def test_the_authentication_policy_does_not_stop_a_rotation(
    admin: BareDriver, snowflake: SnowflakeState, policy: dict[str, Any]
) -> None:
    account_of(snowflake).set_pat_policy(**policy)
    secret = rotate(admin)["token_secret"]
    assert [row["status"] for row in admin.sql(SHOW)] == ["ACTIVE", "ACTIVE"]
    assert not works(snowflake, secret)
    account_of(snowflake).set_pat_policy()
    assert works(snowflake, secret)


def test_a_person_needs_neither_to_make_a_token_of_its_own(admin: BareDriver, snowflake: SnowflakeState) -> None:
    account_of(snowflake).role_reaches(ADMIN_ROLE, ADMIN_ROLE)
    (row,) = admin.sql("ALTER USER ADD PAT MINE MINS_TO_BYPASS_NETWORK_POLICY_REQUIREMENT = 60")
    assert works(snowflake, row["token_secret"], ADMIN)
    snowflake.advance(minutes=61)
    assert not works(snowflake, row["token_secret"], ADMIN)


# -- who may -------------------------------------------------------------------------------------------------------


def test_a_role_without_the_privilege_may_not(admin: BareDriver, snowflake: SnowflakeState) -> None:
    service_of(snowflake).token_managers.clear()
    for sql in (ROTATE, SHOW):
        refused = refusal(admin, sql)
        assert (refused.code, refused.data["sqlState"]) == ("003001", "42501")
        assert "Insufficient privileges to operate on user 'TABLEAU_ETL'" in refused.message
    service_of(snowflake).owner = ADMIN_ROLE
    rotate(admin)
    service_of(snowflake).owner = "OWNER"
    account_of(snowflake).add_role("OWNER")
    account_of(snowflake).add_role(ADMIN_ROLE, "OWNER")  # what a role inherits counts
    rotate(admin)


def test_a_session_that_a_token_opened_may_not(admin: BareDriver, snowflake: SnowflakeState) -> None:
    (mine,) = admin.sql("ALTER USER ADD PAT MINE MINS_TO_BYPASS_NETWORK_POLICY_REQUIREMENT = 60")
    other = BareDriver(admin.server)
    other.sign_in(ADMIN, str(mine["token_secret"]))
    assert "authenticated with a programmatic access token" in refusal(other, "ALTER USER ROTATE PAT MINE").message
    other.sql(ROTATE)  # another user's: the guide lets it pass
    snowflake.behaviour.token_session_refused = "any"  # the pages of MODIFY and REMOVE do not
    assert "authenticated with a programmatic access token" in refusal(other, ROTATE).message
    assert "Insufficient privileges" in refusal(other, f"USE ROLE {ADMIN_ROLE}").message


# -- MODIFY and users ----------------------------------------------------------------------------------------------


def test_a_disabled_token_signs_in_again_when_it_is_enabled(admin: BareDriver, snowflake: SnowflakeState) -> None:
    secret = token_of(snowflake).secret
    admin.sql(f"ALTER USER {SERVICE} MODIFY PAT {TOKEN} SET DISABLED = TRUE COMMENT = 'leaked?'")
    assert not works(snowflake, secret)
    admin.sql(f"ALTER USER {SERVICE} MODIFY PAT {TOKEN} SET DISABLED = FALSE")
    assert works(snowflake, secret)
    assert token_of(snowflake).comment == "leaked?"


def test_renaming_takes_the_rotated_ones_along(admin: BareDriver, snowflake: SnowflakeState) -> None:
    rotate(admin)
    admin.sql(f"ALTER USER {SERVICE} MODIFY PAT {TOKEN} RENAME TO BETTER")
    assert [(token.name == "BETTER", token.rotated_to) for token in service_of(snowflake).tokens] == [
        (True, None),
        (False, "BETTER"),
    ]


def test_tokens_stay_disabled_when_their_user_comes_back(admin: BareDriver, snowflake: SnowflakeState) -> None:
    service_of(snowflake).owner = ADMIN_ROLE
    admin.sql(f"ALTER USER {SERVICE} SET DISABLED = TRUE")
    answer = snowflake.sign_in(address=ADDRESS, user=SERVICE, secret=token_of(snowflake).secret, client="airflow")
    assert answer.code == "390101"
    admin.sql(f"ALTER USER {SERVICE} SET DISABLED = FALSE")
    assert token_of(snowflake).status(snowflake.clock.now()) is TokenStatus.DISABLED
    assert not works(snowflake, token_of(snowflake).secret)


# -- SHOW ----------------------------------------------------------------------------------------------------------


def test_show_tells_the_live_token_from_the_rotated_one(admin: BareDriver, snowflake: SnowflakeState) -> None:
    rotate(admin)
    live, old = admin.sql(SHOW)
    assert list(live) == [
        "name",
        "user_name",
        "role_restriction",
        "expires_at",
        "status",
        "comment",
        "created_on",
        "created_by",
        "mins_to_bypass_network_policy_requirement",
        "rotated_to",
    ]
    assert (live["name"], live["status"], live["rotated_to"], live["created_by"]) == (TOKEN, "ACTIVE", None, ADMIN)
    assert (old["status"], old["rotated_to"]) == ("ACTIVE", TOKEN)
    assert float(str(live["expires_at"])) == pytest.approx(token_of(snowflake).expires_at.timestamp(), abs=0.001)
    snowflake.advance(hours=25)
    assert [row["status"] for row in admin_again(admin).sql(SHOW)] == ["ACTIVE", "EXPIRED"]
    snowflake.behaviour.expired_listed_days = 7
    snowflake.advance(days=8)
    assert [row["name"] for row in admin_again(admin).sql(SHOW)] == [TOKEN]


def test_show_has_another_documented_shape(admin: BareDriver, snowflake: SnowflakeState) -> None:
    snowflake.behaviour.show_columns, snowflake.behaviour.show_times = "reference", "text"
    (row,) = admin.sql(SHOW)
    assert "rotated_to" not in row
    assert "mins_to_bypass_required_network_policy" in row
    shown = datetime.strptime(str(row["expires_at"]), "%Y-%m-%d %H:%M:%S.%f %z")
    assert abs(shown - token_of(snowflake).expires_at) < timedelta(seconds=1)
    assert shown.utcoffset() != timedelta()  # the session's time zone, which is Los Angeles unless it is set
    admin.sql("ALTER SESSION SET TIMEZONE = 'UTC'")
    assert str(admin.sql(SHOW)[0]["expires_at"]).endswith(" +0000")


@pytest.mark.parametrize("microsecond", [0, 1, 499, 500, 999, 66_000, 359_500, 999_499, 999_500, 999_999])
@pytest.mark.parametrize("column", ["created_on", "expires_at"])
def test_both_ways_of_showing_a_time_agree_to_the_millisecond(
    admin: BareDriver, snowflake: SnowflakeState, column: str, microsecond: int
) -> None:
    kept = getattr(token_of(snowflake), column).replace(microsecond=microsecond)
    setattr(token_of(snowflake), column, kept)
    (row,) = admin.sql(SHOW)
    as_timestamp = row[column]
    snowflake.behaviour.show_times = "text"
    (row,) = admin.sql(SHOW)
    as_text = datetime.strptime(str(row[column]), "%Y-%m-%d %H:%M:%S.%f %z")
    assert as_text == kept.replace(microsecond=microsecond // 1000 * 1000)
    assert as_timestamp == f"{int(kept.timestamp())}.{microsecond // 1000:03}"


def test_everybody_may_show_their_own(admin: BareDriver, snowflake: SnowflakeState) -> None:
    user = account_of(snowflake).add_user("PERSON", UserType.PERSON, password="of-a-person")
    snowflake.add_token(user, "MINE")
    admin.sign_in("PERSON", "of-a-person")
    assert [row["name"] for row in admin.sql("SHOW USER PROGRAMMATIC ACCESS TOKENS")] == ["MINE"]
