"""Whole runs of the renewal: when they are red, what they say, and until when Tableau works."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import pytest

from credential_rotation.fleet.files import FleetFiles
from credential_rotation.fleet.model import RunBrief
from credential_rotation.fleet.site_state import SiteState, UserState
from credential_rotation.rotation.snowflake_words import SnowflakeUnreachable
from sandbox.snowflake import rotate_token
from tests.credential_rotation.renewal.renewing import During, Killed, Steps
from tests.credential_rotation.renewal.whole_runs import CONN_ID, Runs
from tests.sandbox_snowflake.small_account import ROLE, account_of, service_of

NOT_DUE = {"renew_before_days": 3}


def _kill() -> None:
    raise Killed


def _rotate_by_hand(runs: Runs) -> str:
    """As a person does; what the former token is called."""
    user = service_of(runs.state)
    token = user.token("TABLEAU")
    assert token is not None
    return rotate_token(runs.state, user, token, 24).name


class TestWhatTableauEmbedsIsTriedInEachRun:
    """Also where nothing is due."""

    def test_it_signs_in_once_in_a_run_without_a_renewal(self, runs: Runs) -> None:
        assert not runs.run(**NOT_DUE).red
        assert [event.is_success for event in account_of(runs.state).logins] == [True]

    def test_refused_the_run_is_red_and_says_since_when(self, runs: Runs) -> None:
        runs.run(**NOT_DUE)
        worked = runs.state.clock.now()
        runs.state.advance(hours=6)
        service_of(runs.state).roles.discard(ROLE)
        result = runs.run(**NOT_DUE)
        assert result.red
        assert f"It last signed in at {worked:%Y-%m-%dT%H:%M}" in result.readable
        assert "is refused as well" in result.readable

    def test_one_that_never_worked_is_red_at_the_first_look(self, runs: Runs) -> None:
        runs.hold(CONN_ID, "a secret of somewhere else")
        result = runs.run(**NOT_DUE)
        assert result.red
        assert "It was never seen to sign in" in result.readable

    def test_with_the_check_off_no_token_is_tried(self, runs: Runs) -> None:
        runs.settings["CREDENTIAL_ROTATION_SNOWFLAKE_CHECK"] = "off"
        service_of(runs.state).roles.discard(ROLE)
        assert not runs.run(**NOT_DUE).red
        assert not runs.run().red
        assert account_of(runs.state).logins == []

    def test_where_tableau_alone_is_let_in_nothing_is_rotated_and_that_is_said(self, runs: Runs) -> None:
        account_of(runs.state).add_network_policy("EVERYONE", [runs.state.client_addresses["tableau"]])
        before = runs.in_force
        result = runs.run()
        assert result.red
        assert "Tableau need not be affected yet" in result.readable
        assert "What it embeds ends at" in result.readable
        assert "Nothing was rotated" in result.readable
        assert runs.in_force == before
        assert runs.tableau_works

    @pytest.mark.parametrize("revoked", [True, False])
    def test_a_role_that_is_revoked_between_two_runs_is_red_until_it_is_granted(
        self, runs: Runs, revoked: bool
    ) -> None:
        runs.run()
        runs.state.advance(hours=6)
        if revoked:
            service_of(runs.state).roles.discard(ROLE)
        assert runs.run().red is revoked
        service_of(runs.state).roles.add(ROLE)
        assert not runs.run().red


class TestSomebodyElse:
    """Who rotates the same token."""

    def test_by_hand_after_the_first_look_is_red_with_the_name_of_what_we_did_not_make(self, runs: Runs) -> None:
        runs.run(**NOT_DUE)
        former = _rotate_by_hand(runs)
        result = runs.run(**NOT_DUE)
        assert result.red
        assert "Somebody else rotates the token TABLEAU" in result.readable
        assert former in result.readable
        assert (runs.embedded, runs.tableau_works) == (runs.in_force, True)
        runs.state.advance(hours=6)
        assert not runs.run(**NOT_DUE).red

    def test_two_airflows_on_one_token_are_red_on_both_sides(
        self, runs: Runs, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runs.run()
        with monkeypatch.context() as also:
            staging = Runs(runs.state, f"file://{tmp_path_factory.mktemp('staging')}", also)
            runs.state.advance(days=25)
            staging.run()
        result = runs.run(**NOT_DUE)
        assert result.red
        assert "give each Airflow, and each person, a token of its own" in result.readable

    @pytest.mark.parametrize("is_renewed", [False, True], ids=["before a renewal", "after one"])
    def test_a_secret_that_a_person_writes_into_the_connection_is_brought_to_tableau(
        self, runs: Runs, is_renewed: bool
    ) -> None:
        runs.run() if is_renewed else runs.run(**NOT_DUE)
        _rotate_by_hand(runs)
        runs.hold(CONN_ID, runs.in_force)
        runs.state.advance(hours=1)
        result = runs.run(**NOT_DUE)
        assert result.emitted
        assert not result.red
        assert runs.embedded == runs.in_force
        runs.state.advance(hours=80)
        assert runs.tableau_works

    def test_one_that_is_written_when_no_other_works_is_brought_to_tableau_too(self, runs: Runs) -> None:
        runs.run(**NOT_DUE)
        _rotate_by_hand(runs)
        runs.state.advance(hours=25)
        runs.hold(CONN_ID, runs.in_force)
        assert not runs.tableau_works
        assert runs.run(**NOT_DUE).emitted
        assert runs.tableau_works

    def test_what_the_first_look_finds_is_not_announced(self, runs: Runs) -> None:
        assert not runs.run(**NOT_DUE).emitted

    def test_what_snowflake_refuses_is_not_announced(self, runs: Runs) -> None:
        runs.run(follows=False)
        service_of(runs.state).roles.discard(ROLE)
        runs.state.advance(hours=6)
        result = runs.run()
        assert (result.red, result.emitted) == (True, None)

    def test_one_that_is_not_in_force_is_red_and_says_how_to_go_back(self, runs: Runs) -> None:
        first = runs.embedded
        runs.run()
        runs.hold(CONN_ID, "a secret of somewhere else")
        result = runs.run()
        assert result.red
        assert "Empty the password: then the renewed token counts again" in result.readable
        for password in ("", None, first):
            runs.hold(CONN_ID, password)
            assert not runs.run().red


class TestWhatTheReportSaysOfWhatFailed:
    """It looks again, in Snowflake."""

    def test_a_secret_that_was_lost_shows_until_when_tableau_works(self, runs: Runs) -> None:
        result = runs.run(During("after rotate", _kill))
        [user] = result.users.values()
        assert (user["outcome"], user["days_left"]) == ("failed", 3.0)
        former = service_of(runs.state).tokens[-1]
        assert user["previous_ends_at"] == former.expires_at.isoformat(timespec="seconds")
        assert "ended without reporting a result (killed?)" in user["reason"] or "Killed" in user["reason"]
        assert "a rotation of the token TABLEAU was lost" in user["reason"]
        assert (
            f"may still hold the token that ends at {former.expires_at:%Y-%m-%d %H:%M} UTC, in 72 h" in result.readable
        )

    @pytest.mark.parametrize("at", ["after rotate", "before sign_in"])
    def test_where_it_can_not_look_it_says_the_worst_case(self, runs: Runs, at: str) -> None:
        unreachable = SnowflakeUnreachable("Snowflake is away.")

        class Gone(Steps):
            def _reach(self, name: str) -> None:
                super()._reach(name)
                if name == at and "before rotate" in self.names:
                    raise Killed

        before = runs.state.clock.now()
        gone, sign_in = Gone(), runs.signed_in

        def away(admin_conn_id: str) -> object:
            if "before rotate" in gone.names:
                raise unreachable
            return sign_in(admin_conn_id)

        runs.monkeypatch.setattr("credential_rotation.renewal_context.signed_in_as_admin", away)
        result = runs.run(gone)
        [user] = result.users.values()
        worst = before + timedelta(hours=72)
        assert "Whether its token was rotated is not known (Snowflake is away.)" in user["reason"]
        assert f"ends at {worst:%Y-%m-%d %H:%M} UTC at the worst" in user["reason"]
        assert user["previous_ends_at"][:16] == f"{worst:%Y-%m-%dT%H:%M}"

    def test_a_task_that_was_killed_before_it_could_rotate_has_rotated_nothing(self, runs: Runs) -> None:
        result = runs.run(During("before renew", _kill))
        [user] = result.users.values()
        assert user["outcome"] == "failed"
        assert user["days_left"] == 10.0
        assert "not known" not in user["reason"]

    def test_killed_after_the_promotion_the_retry_says_renewed(self, runs: Runs) -> None:
        result = runs.run(During("after promote", _kill), retries=1)
        [user] = result.users.values()
        assert (user["outcome"], result.red) == ("renewed", False)
        assert user["renewed_at"]

    def test_disabled_right_then_the_retry_says_so_and_not_renewed(self, runs: Runs) -> None:
        def disable() -> None:
            token = service_of(runs.state).token("TABLEAU")
            assert token is not None
            token.disabled = True
            raise Killed

        result = runs.run(During("after promote", disable), retries=1)
        [user] = result.users.values()
        assert (user["outcome"], result.red) == ("failed", True)
        assert "is disabled in Snowflake" in user["reason"]

    def test_when_that_retry_fails_as_well_the_next_run_knows_when_it_was_renewed(self, runs: Runs) -> None:
        runs.tableau_is_up = False
        runs.run(During("after promote", _kill))
        runs.state.advance(hours=6)
        result = runs.run()
        assert result.red
        assert "is not everywhere in Tableau yet" in result.readable
        assert "None" not in str(result.report and result.report["problems"])


class TestTheDeadline:
    """Whenever Tableau may hold a secret that ends, it is said when, and how many connections may hold it."""

    def _known(self, runs: Runs, holding: int, targets: int) -> None:
        token = runs.fingerprints.of(runs.in_force)
        run = RunBrief("rotate_snowflake_pat_in_tableau", "r", "failed", False, None, "2026-11-24T00:00:00+00:00", "")
        user = UserState("TABLEAU_ETL", token, run.ended_at, run, targets=targets)
        user.holding = {token: targets - holding, "": holding}
        FleetFiles(runs.reports).write_site(SiteState("acme", users={CONN_ID: user}))

    def test_is_said_with_the_number_of_connections(self, runs: Runs) -> None:
        runs.tableau_is_up = False
        runs.run()
        self._known(runs, 41, 62)
        runs.state.advance(hours=49)
        result = runs.run()
        ends_at = service_of(runs.state).tokens[-1].expires_at
        assert result.report is not None
        assert (
            f"{CONN_ID}: 41 of 62 connections may still hold the token that ends at {ends_at:%Y-%m-%d %H:%M} UTC, "
            "in 23 h."
        ) in result.report["notes"]
        assert result.users[CONN_ID]["days_left"] == 0.96
        assert result.red

    def test_once_it_is_over_that_is_said(self, runs: Runs) -> None:
        runs.tableau_is_up = False
        runs.run()
        runs.state.advance(hours=73)
        result = runs.run()
        assert result.red
        assert "may still hold the token that ended at" in result.readable
        assert not runs.tableau_works

    def test_renewed_again_before_it_arrived_the_first_end_counts(self, runs: Runs) -> None:
        runs.tableau_is_up = False
        runs.run()
        first = service_of(runs.state).tokens[-1].expires_at
        for _ in range(11):
            runs.state.advance(hours=6)
            assert runs.run().red
        assert runs.run(force=True).red
        for _ in range(3):
            runs.state.advance(hours=6)
            result = runs.run()
            assert result.red
            assert f"{first:%Y-%m-%d %H:%M} UTC" in " ".join(result.report["notes"]) if result.report else False
        assert not runs.tableau_works

    def test_what_was_rotated_after_it_had_arrived_is_told_from_then_on(self, runs: Runs) -> None:
        runs.run()
        runs.state.advance(days=25)
        result = runs.run(During("after rotate", _kill))
        assert result.users[CONN_ID]["days_left"] == 3.0
        assert result.report is not None
        assert "may still hold the token that ends at" in " ".join(result.report["notes"])

    def test_what_has_arrived_has_none(self, runs: Runs) -> None:
        runs.run()
        runs.state.advance(hours=6)
        result = runs.run()
        assert result.report is not None
        assert result.report["notes"] == []

    def test_a_rotation_that_failed_is_told_again_while_there_is_time(self, runs: Runs) -> None:
        runs.tableau_is_up = False
        assert runs.run().emitted
        told = []
        for _ in range(10):
            runs.state.advance(hours=6)
            result = runs.run()
            told.append((bool(result.emitted), result.red))
        assert told == [(True, True)] * 10
        runs.tableau_is_up = True
        runs.run()
        runs.state.advance(hours=6)
        assert not runs.run().red

    def test_less_than_the_overlap_is_left_is_said(self, runs: Runs) -> None:
        runs.state.advance(days=8, hours=12)
        result = runs.run()
        assert not result.red
        assert "both secrets live for 35 hours only" in str(result.users[CONN_ID]["note"])
        assert result.users[CONN_ID]["previous_ends_at"]

    @pytest.mark.parametrize(
        ("schedule", "overlap", "hours"),
        [("@daily", 24, 24), ("@daily", 71, 24), ("0 8 * * 1-5", 72, 72), ("0 */6 * * *", 12, 6)],
    )
    def test_a_schedule_that_is_too_slow_for_it_is_said(
        self, runs: Runs, schedule: str, overlap: int, hours: int
    ) -> None:
        runs.settings["CREDENTIAL_ROTATION_RENEW_SCHEDULE"] = schedule
        result = runs.run(overlap_hours=overlap)
        assert not result.red
        assert f"lets up to {hours} h pass between two runs" in result.readable

    @pytest.mark.parametrize(("schedule", "overlap"), [("17 */6 * * *", 72), ("@daily", 72), ("off", 24), ("@once", 1)])
    def test_one_that_is_fast_enough_or_no_schedule_is_not(self, runs: Runs, schedule: str, overlap: int) -> None:
        runs.settings["CREDENTIAL_ROTATION_RENEW_SCHEDULE"] = schedule
        assert "between two runs" not in runs.run(overlap_hours=overlap).readable


class TestOneBadConnection:
    """Stops nobody else."""

    BOTH: ClassVar = {"snowflake_conn_ids": ["snowflake_bad", CONN_ID]}

    def _fails_alone(self, runs: Runs, words: str) -> None:
        result = runs.run(**self.BOTH)
        assert result.red
        outcomes = {conn_id: user["outcome"] for conn_id, user in result.users.items()}
        assert outcomes == {"snowflake_bad": "failed", CONN_ID: "renewed"}
        assert words in result.users["snowflake_bad"]["reason"]
        assert result.emitted
        assert result.emitted["snowflake_conn_ids"] == [CONN_ID]
        assert runs.embedded == runs.in_force

    def test_one_that_is_missing(self, runs: Runs) -> None:
        self._fails_alone(runs, "there is no Airflow connection 'snowflake_bad'")

    def test_one_without_a_password(self, runs: Runs) -> None:
        runs.hold("snowflake_bad", "", login="ANOTHER")
        self._fails_alone(runs, "password is empty")

    def test_one_without_an_administrator(self, runs: Runs) -> None:
        runs.hold("snowflake_bad", "a secret", login="ANOTHER", extra={"admin_conn_id": "nobody"})
        self._fails_alone(runs, "there is no Airflow connection 'nobody'")

    def test_one_whose_extra_is_something_else(self, runs: Runs) -> None:
        runs.hold("snowflake_bad", "a secret", login="ANOTHER")
        runs.connections["snowflake_bad"].extra = "[]"
        self._fails_alone(runs, "JSON object")

    def test_a_password_that_was_taken_out_after_a_renewal_is_no_fault(self, runs: Runs) -> None:
        runs.run()
        runs.hold(CONN_ID, None)
        runs.state.advance(days=25)
        result = runs.run()
        assert (result.red, result.users[CONN_ID]["outcome"]) == (False, "renewed")
        assert runs.embedded == runs.in_force


class TestAnAccountThatCanNotBeReached:
    """It is no reason to leave the users of others alone."""

    BOTH: ClassVar = {"snowflake_conn_ids": ["snowflake_far", CONN_ID]}

    def _away(self, runs: Runs) -> list[str]:
        runs.hold("snowflake_far", "a secret", login="ANOTHER", extra={"admin_conn_id": "far_admin"})
        runs.hold("far_admin", None, login="ADMIN")
        asked, sign_in = [], runs.signed_in

        def away(admin_conn_id: str) -> object:
            asked.append(admin_conn_id)
            if admin_conn_id == "far_admin":
                raise SnowflakeUnreachable("Snowflake could not be asked for the sign-in of 'far_admin'")
            return sign_in(admin_conn_id)

        runs.monkeypatch.setattr("credential_rotation.renewal_context.signed_in_as_admin", away)
        return asked

    @pytest.mark.parametrize("retries", [0, 2])
    def test_after_the_last_try_its_users_have_failed_and_the_others_are_renewed(
        self, runs: Runs, retries: int
    ) -> None:
        asked = self._away(runs)
        result = runs.run(retries=retries, **self.BOTH)
        assert result.red
        assert asked.count("far_admin") == 1 + retries
        assert "could not be asked" in result.users["snowflake_far"]["reason"]
        assert result.users[CONN_ID]["outcome"] == "renewed"


def test_a_token_that_lives_only_three_days_is_red_and_never_dark(runs: Runs) -> None:
    token = service_of(runs.state).token("TABLEAU")
    assert token is not None
    token.days_to_expiry = 3
    token.expires_at = runs.state.clock.now() + timedelta(days=3)
    for _ in range(40):
        result = runs.run()
        assert result.red
        assert "is due already" in result.readable
        runs.state.advance(hours=6)
        assert runs.tableau_works


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_worker_whose_clock_is_off_says_and_does_the_same(runs: Runs, hours: int) -> None:
    runs.worker_is_off = hours
    runs.tableau_is_up = False
    assert not runs.run().red
    runs.state.advance(hours=1, minutes=30)
    assert not runs.run().red  # The rotation has two hours.
    runs.state.advance(hours=1)
    result = runs.run()
    assert result.red
    assert "in 70 h" in result.readable or "in 69 h" in result.readable
