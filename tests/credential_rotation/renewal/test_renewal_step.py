"""The renewal of one user's token, against a Snowflake that the real driver talks to."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from credential_rotation.renewal.decision import State, Wishes
from credential_rotation.renewal.step import RenewalFailed
from credential_rotation.renewal.tokens import SecretLost
from credential_rotation.retry_policy import RotationRetryPolicy
from credential_rotation.rotation.snowflake_words import Refusal as Reason
from credential_rotation.rotation.snowflake_words import SnowflakeRefused, SnowflakeUnreachable
from credential_rotation.token_stores.kept import KeptToken, StoreUnusable
from sandbox.snowflake import Refusal, RefusalAfter, WithoutSecret
from sandbox.snowflake.faults import UnwellAfter
from sandbox.tableau.faults import Fault, ResetAfter
from tests.credential_rotation.renewal.renewing import CONN_ID, DUE, During, Killed, Renewing, Steps
from tests.sandbox_snowflake.small_account import ACCOUNT, ROLE, SERVICE, TOKEN, account_of, service_of

STEPS = [
    *("before tokens", "after tokens"),
    *("before sign_in", "after sign_in"),
    *("before adopt", "after adopt"),
    *("before tokens", "after tokens"),
    *("before begin", "after begin"),
    *("before rotate", "after rotate"),
    *("before keep_pending", "after keep_pending"),
    *("before end", "after end"),
    *("before tokens", "after tokens"),
    *("before keep_pending", "after keep_pending"),
    *("before sign_in", "after sign_in"),
    *("before promote", "after promote"),
    *("before tokens", "after tokens"),
    *("before tokens", "after tokens"),
]
ROTATED, KEPT, TRIED = (STEPS.index(step) for step in ("after rotate", "after keep_pending", "before promote"))
BEFORE_TRIAL = TRIED - 2
_KILLS = [pytest.param(number, id=f"{number}-{name.replace(' ', '-')}") for number, name in enumerate(STEPS)]


def _ends_well(renewing: Renewing, first: str) -> None:
    """The current token is the one in force, it works in Tableau, and what it took the place of is known."""
    kept = renewing.kept
    assert (kept.current.name, kept.current.is_renewed, kept.pending) == (TOKEN, True, None)
    assert kept.current.secret == renewing.in_force.secret
    until = datetime.fromisoformat(kept.current.expires_at or "")
    assert abs(until - renewing.in_force.expires_at) < timedelta(seconds=1)
    assert renewing.lets_tableau_in(kept.current.secret)
    assert kept.previous is not None
    assert kept.previous.secret == first
    assert renewing.lives(first)


def test_a_token_that_is_due_is_renewed(renewing: Renewing) -> None:
    first = renewing.user.password
    steps = Steps()
    renewal = renewing.renew(steps=steps)
    assert renewal.is_renewed
    assert (renewal.decision.state, renewal.decision.overlap_hours) == (State.DUE, 24)
    assert steps.names == STEPS
    assert (renewing.rotations, renewing.refused) == (1, 0)
    _ends_well(renewing, first)
    assert renewing.look().state is State.OVERLAP_RUNNING


@pytest.mark.parametrize("name", ["tableau_etl", 'The "ETL" user', "tableau.etl@acme.example"])
def test_a_user_whose_name_needs_quotes_is_renewed(renewing: Renewing, name: str) -> None:
    quoted = account_of(renewing.state).users.pop(SERVICE)
    quoted.name, quoted.login_name = name, "somebody@acme.example"
    account_of(renewing.state).users[name] = quoted
    before = quoted.tokens[0].secret
    renewing.user = replace(renewing.user, login=quoted.login_name)
    with pytest.raises(SnowflakeRefused, match="does not exist"):
        renewing.renew()
    renewing.user = replace(renewing.user, user_name=name)
    assert renewing.renew().is_renewed
    [in_force] = [token for token in quoted.tokens if token.rotated_to is None]
    assert before != renewing.kept.current.secret == in_force.secret


@pytest.mark.parametrize("name", ["tableau_etl", "TABLEAU_Etl"])
def test_a_login_in_any_case_is_the_user_as_sql_reads_it(renewing: Renewing, name: str) -> None:
    renewing.user = replace(renewing.user, login=name, token_name=TOKEN.lower())
    assert renewing.renew().is_renewed


def test_one_that_is_not_due_is_left_alone_and_nothing_is_kept(renewing: Renewing) -> None:
    renewal = renewing.renew(Wishes(renew_before_days=9))
    assert (renewal.is_renewed, renewal.decision.state) == (False, State.NOT_DUE)
    assert (renewing.rotations, renewing.store.states) == (0, [])


def sign_ins(renewing: Renewing) -> list[bool]:
    """Of the user, whether each was let in."""
    return [event.is_success for event in account_of(renewing.state).logins if event.user_name == SERVICE]


def test_to_see_changes_nothing_and_signs_no_user_in(renewing: Renewing) -> None:
    assert renewing.see().rotate
    assert (renewing.rotations, renewing.store.states) == (0, [])
    assert sign_ins(renewing) == []


def test_a_look_signs_in_once_and_keeps_what_is_known_of_the_token(renewing: Renewing) -> None:
    assert renewing.look().works
    assert (renewing.rotations, sign_ins(renewing)) == (0, [True])
    current = renewing.kept.current
    assert (current.secret, current.is_renewed, current.works) == (renewing.user.password, False, True)
    assert abs(datetime.fromisoformat(current.expires_at or "") - renewing.in_force.expires_at) < timedelta(seconds=1)
    assert renewing.look().works
    assert len(renewing.store.states) == 1


def test_a_look_of_a_dry_run_keeps_nothing(renewing: Renewing) -> None:
    renewing.dry_run = True
    assert renewing.look().works
    assert renewing.store.states == []


def test_the_next_renewal_takes_up_from_what_is_kept(renewing: Renewing) -> None:
    first = renewing.user.password
    renewing.renew()
    second = renewing.kept.current.secret
    renewing.state.advance(days=25)
    assert renewing.renew().is_renewed
    _ends_well(renewing, second)
    assert not renewing.lives(first)
    assert renewing.rotations == 2


@pytest.mark.parametrize("ends_at", _KILLS)
def test_wherever_it_is_killed_the_next_run_brings_it_to_its_end(quick: Renewing, ends_at: int) -> None:
    first = quick.user.password
    with pytest.raises(Killed, match=STEPS[ends_at]):
        quick.renew(steps=Steps(ends_at))
    _all_is_well_only_while_something_lives(quick, first)
    was_rotated = quick.rotations
    quick.renew()
    assert quick.rotations <= was_rotated + 1
    assert quick.rotations <= 2
    assert quick.refused == 0
    _ends_well(quick, first)
    _all_is_well_only_while_something_lives(quick, first)


@pytest.mark.parametrize("ends_at", _KILLS)
def test_whatever_time_goes_by_after_a_kill_it_is_not_called_well_while_all_that_is_known_is_dead(
    quick: Renewing, ends_at: int
) -> None:
    first = quick.user.password
    with pytest.raises(Killed):
        quick.renew(steps=Steps(ends_at))
    for days in (0.5, 0.6, 9, 10, 11):
        quick.state.advance(days=days)
        _all_is_well_only_while_something_lives(quick, first)


@pytest.mark.parametrize("ends_at", _KILLS)
def test_a_kill_at_each_run_never_leaves_a_day_without_a_token_that_works(quick: Renewing, ends_at: int) -> None:
    """Killed at the same step twice, and then left to itself."""
    first = quick.user.password
    for _ in range(2):
        try:
            quick.renew(steps=Steps(ends_at))
        except Killed:
            quick.state.advance(hours=1)
        _all_is_well_only_while_something_lives(quick, first)
    quick.renew()
    assert quick.refused == 0
    assert quick.rotations <= 3
    _ends_well(quick, first)


def _all_is_well_only_while_something_lives(renewing: Renewing, distributed: str) -> None:
    kept = renewing.store.kept.get(CONN_ID)
    current = kept.current.secret if kept else distributed
    if not renewing.lives(current) and not renewing.lives(distributed):
        decision = renewing.look()
        assert decision.problem or decision.rotate, decision


class TestALostSecret:
    """ROTATE took effect, and its secret is gone for good: it is asked for once more in the same run."""

    @pytest.mark.parametrize(
        "fault",
        [*(WithoutSecret(how) for how in ("no_row", "null", "empty", "status")), RefusalAfter(), UnwellAfter()],
        ids=lambda fault: getattr(fault, "how", type(fault).__name__),
    )
    def test_is_asked_for_again_in_the_same_run(self, renewing: Renewing, fault: Fault) -> None:
        first = renewing.user.password
        renewing.state.behaviour.replay_requests = False
        renewing.server.faults.script("rotate_token", fault)
        renewal = renewing.renew()
        assert renewal.is_renewed
        assert renewal.decision.alarm is None
        assert renewing.rotations == 2
        _ends_well(renewing, first)

    def test_twice_is_an_error_that_says_until_when_tableau_works(self, renewing: Renewing) -> None:
        first = renewing.user.password
        _lose_secrets(renewing)
        with pytest.raises(SecretLost, match=f"rotated the token {TOKEN} of {SERVICE}, though") as lost:
            renewing.renew()
        former = max(service_of(renewing.state).tokens, key=lambda token: token.name)
        assert f"what Tableau embeds is {former.name} now" in str(lost.value)
        assert f"ends at {former.expires_at:%Y-%m-%d %H:%M} UTC" in str(lost.value)
        assert (renewing.kept.pending, renewing.kept.current.secret) == (None, first)
        decision = renewing.see()
        assert decision.rotate
        assert "a rotation of the token TABLEAU was lost" in str(decision.note)
        assert decision.alarm is None
        assert renewing.renew().is_renewed
        assert renewing.rotations == 3
        _ends_well(renewing, first)

    def test_an_error_without_the_effect_is_no_lost_secret(self, renewing: Renewing) -> None:
        renewing.server.faults.script("rotate_token", Refusal("000603", "SQL execution internal error"))
        with pytest.raises(SnowflakeRefused, match="internal error"):
            renewing.renew()
        assert len(service_of(renewing.state).tokens) == 1
        assert renewing.see().state is State.DUE
        assert renewing.renew().is_renewed

    def test_whether_it_was_rotated_can_not_be_seen_is_said(self, renewing: Renewing) -> None:
        renewing.server.faults.script("rotate_token", RefusalAfter())
        broken = During("after begin", lambda: renewing.server.faults.script("show_tokens", Refusal()))
        with pytest.raises(SnowflakeUnreachable, match="was rotated all the same could not be seen"):
            renewing.renew(steps=broken)
        assert renewing.renew().is_renewed
        assert renewing.rotations == 2

    def test_an_answer_that_got_lost_is_had_again_by_the_driver(self, renewing: Renewing) -> None:
        first = renewing.user.password
        renewing.server.faults.script("rotate_token", ResetAfter())
        renewing.renew()
        assert len(service_of(renewing.state).tokens) == 2
        _ends_well(renewing, first)

    def test_what_the_driver_did_twice_is_in_force_all_the_same(self, renewing: Renewing) -> None:
        first = renewing.user.password
        renewing.state.behaviour.replay_requests = False
        renewing.server.faults.script("rotate_token", ResetAfter())
        renewal = renewing.renew()
        assert renewal.is_renewed
        assert renewal.decision.alarm is None
        assert len(service_of(renewing.state).tokens) == 3
        _ends_well(renewing, first)

    def test_once_the_previous_secret_is_dead_a_person_decides(self, renewing: Renewing) -> None:
        _lose_secrets(renewing)
        with pytest.raises(SecretLost):
            renewing.renew()
        renewing.state.advance(hours=25)
        renewal = renewing.renew()
        assert (renewal.is_renewed, renewing.rotations) == (False, 2)
        assert "run with force" in str(renewal.decision.problem)
        assert renewing.renew(replace(DUE, force=True)).is_renewed
        assert renewing.lets_tableau_in(renewing.kept.current.secret)

    def test_found_just_before_the_previous_secret_dies_it_is_renewed_and_an_alarm(self, renewing: Renewing) -> None:
        _lose_secrets(renewing)
        with pytest.raises(SecretLost):
            renewing.renew()
        renewing.state.advance(hours=23, minutes=59)
        renewal = renewing.renew()
        assert renewal.is_renewed
        assert "can't reach all of Tableau by then" in str(renewal.decision.alarm)


def _lose_secrets(renewing: Renewing) -> None:
    """As often as they are asked for in a run."""
    renewing.server.faults.script("rotate_token", [WithoutSecret("null")] * 2)


class TestATokenThatIsNotLetIn:
    """Airflow can't sign in with what Tableau embeds: nothing is rotated, and it is said whether Tableau can."""

    def _is_refused(self, renewing: Renewing, wishes: Wishes = DUE) -> str:
        looked, renewal = renewing.look(wishes), renewing.renew(wishes)
        assert (looked.state, renewal.decision.state) == (State.REFUSED, State.REFUSED)
        assert (renewal.is_renewed, renewing.rotations, renewing.store.states) == (False, 0, [])
        assert looked.problem == renewal.decision.problem
        return str(looked.problem)

    @pytest.mark.parametrize("wishes", [DUE, replace(DUE, force=True), Wishes()], ids=["due", "forced", "not due"])
    def test_a_network_policy_that_lets_in_tableau_alone(self, renewing: Renewing, wishes: Wishes) -> None:
        only_tableau = renewing.state.client_addresses["tableau"]
        account_of(renewing.state).add_network_policy("EVERYONE", [only_tableau])
        looked = renewing.look(wishes)
        assert (looked.state, looked.rotate, looked.works) == (State.REFUSED, False, False)
        assert "Tableau need not be affected yet" in str(looked.problem)
        assert f"ends at {renewing.in_force.expires_at:%Y-%m-%d %H:%M} UTC" in str(looked.problem)
        assert renewing.rotations == 0
        assert renewing.lets_tableau_in(renewing.user.password)

    def test_a_wrong_role_in_extra(self, renewing: Renewing) -> None:
        renewing.role = "ANOTHER"
        assert "Airflow alone is refused" in self._is_refused(renewing)

    def test_no_network_policy_at_all(self, renewing: Renewing) -> None:
        service_of(renewing.state).network_policy = None
        assert "is refused as well" in self._is_refused(renewing)

    def test_a_role_that_is_not_granted_any_more(self, renewing: Renewing) -> None:
        service_of(renewing.state).roles.discard(ROLE)
        assert "is refused as well" in self._is_refused(renewing)

    def test_a_policy_about_the_life_of_tokens_is_named(self, renewing: Renewing) -> None:
        account_of(renewing.state).set_pat_policy(max_expiry_in_days=15)
        assert "MAX_EXPIRY_IN_DAYS" in self._is_refused(renewing)

    def test_a_role_that_is_blocked_is_named(self, renewing: Renewing) -> None:
        account_of(renewing.state).set_pat_policy(blocked_roles=[ROLE])
        assert "BLOCKED_ROLES_LIST" in self._is_refused(renewing)

    def test_a_user_that_is_locked_is_tried_again_later_when_it_is_due(self, renewing: Renewing) -> None:
        for _ in range(5):
            address = f"{ACCOUNT}.snowflakecomputing.com"
            renewing.state.sign_in(address=address, user=SERVICE, secret="wrong", client="laptop")
        assert renewing.look().rotate
        assert renewing.look(Wishes()).state is State.REFUSED
        with pytest.raises(SnowflakeRefused) as locked:
            renewing.renew()
        assert locked.value.refusal is Reason.LOCKED
        assert RotationRetryPolicy().evaluate(locked.value, 1, 3).retry_delay == timedelta(minutes=16)
        renewing.state.advance(minutes=16)
        assert renewing.renew().is_renewed

    def test_an_unknown_secret_is_not_renewed_without_force(self, renewing: Renewing) -> None:
        renewing.user = replace(renewing.user, password="a secret that never worked")
        self._is_refused(renewing)
        assert renewing.renew(replace(DUE, force=True)).is_renewed
        previous = renewing.kept.previous
        assert previous is not None
        assert not previous.works

    def test_without_a_check_nothing_is_tried(self, renewing: Renewing) -> None:
        renewing.checks = False
        account_of(renewing.state).add_network_policy("EVERYONE", [renewing.state.client_addresses["tableau"]])
        renewing.look()
        assert renewing.renew().is_renewed
        assert sign_ins(renewing) == []
        assert renewing.lets_tableau_in(renewing.kept.current.secret)
        previous = renewing.kept.previous
        assert previous is not None
        assert not previous.works


class TestANewTokenThatDoesNotSignIn:
    """Snowflake hands out secrets without looking whether they can be used."""

    @staticmethod
    def _without_role(renewing: Renewing) -> During:
        return During("after rotate", lambda: service_of(renewing.state).roles.discard(ROLE))

    def test_a_role_that_is_revoked_meanwhile(self, renewing: Renewing) -> None:
        first = renewing.user.password
        with pytest.raises(RenewalFailed, match="So is the previous secret: Tableau, which embeds"):
            renewing.renew(steps=self._without_role(renewing))
        _is_pending(renewing, first)
        with pytest.raises(RenewalFailed, match="tried again in the next run"):
            renewing.renew()
        looked = renewing.look()
        assert looked.rotate
        assert "is refused as well" in str(looked.alarm)
        service_of(renewing.state).roles.add(ROLE)
        assert renewing.renew().is_renewed
        _ends_well(renewing, first)

    def test_a_network_policy_that_lets_airflow_in_no_more(self, renewing: Renewing) -> None:
        first = renewing.user.password
        only_tableau = [renewing.state.client_addresses["tableau"]]
        policy = During("after rotate", lambda: account_of(renewing.state).add_network_policy("EVERYONE", only_tableau))
        with pytest.raises(RenewalFailed, match="is not allowed to access Snowflake"):
            renewing.renew(steps=policy)
        _is_pending(renewing, first)
        account_of(renewing.state).add_network_policy("EVERYONE", renewing.state.client_addresses.values())
        assert renewing.renew().is_renewed
        _ends_well(renewing, first)

    def test_only_the_new_one_is_refused(self, renewing: Renewing) -> None:
        """Then it is said until when the previous one works."""
        first = renewing.user.password
        disabled = During("after rotate", lambda: setattr(renewing.in_force, "disabled", True))
        with pytest.raises(RenewalFailed, match="The previous secret still signs in") as failed:
            renewing.renew(steps=disabled)
        former = service_of(renewing.state).tokens[-1]
        assert f"What Tableau embeds ends at {former.expires_at:%Y-%m-%d %H:%M} UTC" in str(failed.value)
        _is_pending(renewing, first)

    def test_where_it_can_not_be_seen_until_when_the_previous_one_works_that_is_said(self, renewing: Renewing) -> None:
        user = service_of(renewing.state)

        def happens() -> None:
            user.roles.discard(ROLE)
            renewing.server.faults.script("show_tokens", Refusal())

        with pytest.raises(RenewalFailed, match="works could not be seen: Snowflake refuses"):
            renewing.renew(steps=During(BEFORE_TRIAL, happens))

    def test_a_user_that_is_locked_right_then_is_tried_again_after_the_lock(self, renewing: Renewing) -> None:
        first = renewing.user.password

        def lock() -> None:
            service_of(renewing.state).locked_until = renewing.state.clock.now() + timedelta(minutes=15)

        with pytest.raises(RenewalFailed) as failed:
            renewing.renew(steps=During("after rotate", lock))
        assert RotationRetryPolicy().evaluate(failed.value, 1, 3).retry_delay == timedelta(minutes=16)
        renewing.state.advance(minutes=16)
        assert renewing.renew().is_renewed
        _ends_well(renewing, first)

    @pytest.mark.parametrize("dies_at", [BEFORE_TRIAL, KEPT])
    def test_a_pending_one_that_a_person_has_rotated_away_is_forgotten_and_nobody_tries_it(
        self, renewing: Renewing, dies_at: int
    ) -> None:
        first = renewing.user.password
        with pytest.raises(Killed):
            renewing.renew(steps=Steps(dies_at))
        renewing.rotate_by_hand(overlap_hours=0)
        assert renewing.renew().is_renewed
        assert (renewing.rotations, renewing.refused) == (2, 0)
        _ends_well(renewing, first)

    @pytest.mark.parametrize("code", ["394400", "390100"])
    def test_a_pending_one_that_a_person_has_removed_is_tried_once_and_forgotten(
        self, renewing: Renewing, code: str
    ) -> None:
        """A wrong token may also be called a wrong password."""
        renewing.state.behaviour.wrong_token_as_password = code
        with pytest.raises(Killed):
            renewing.renew(steps=Steps(BEFORE_TRIAL))
        service_of(renewing.state).tokens.remove(renewing.in_force)
        for _ in range(3):
            assert renewing.renew().decision.state is State.MISSING
        assert (renewing.rotations, renewing.refused, renewing.kept.pending) == (1, 1, None)

    @pytest.mark.parametrize("ends_at", range(STEPS.index("before rotate"), len(STEPS)))
    def test_a_new_one_that_a_person_has_rotated_and_that_lives_on_is_not_taken_for_the_one_in_force(
        self, quick: Renewing, ends_at: int
    ) -> None:
        with pytest.raises(Killed):
            quick.renew(steps=Steps(ends_at))
        quick.state.advance(hours=1)
        quick.rotate_by_hand(overlap_hours=24)
        quick.state.advance(hours=1)
        renewal = quick.renew()
        assert renewal.is_renewed, renewal
        assert quick.kept.current.secret == quick.in_force.secret
        for _ in range(4):
            quick.state.advance(hours=24)
            assert quick.lives(quick.kept.current.secret)

    def test_where_snowflake_does_not_name_the_former_token_it_is_found_by_looking(self, renewing: Renewing) -> None:
        first = renewing.user.password
        renewing.names_formers = False
        assert renewing.renew().is_renewed
        assert renewing.rotations == 1
        _ends_well(renewing, first)

    def test_a_store_that_stumbles_once_does_not_lose_the_secret(
        self, renewing: Renewing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("credential_rotation.renewal.step._KEEPING_WAIT", 0.0)
        first = renewing.user.password
        keep, stumbled = renewing.store.keep_pending, []

        def stumble(*arguments: Any) -> None:
            if not stumbled:
                stumbled.append(True)
                raise StoreUnusable("Nothing can be written just now.")
            keep(*arguments)

        monkeypatch.setattr(renewing.store, "keep_pending", stumble)
        assert renewing.renew().is_renewed
        assert renewing.rotations == 1
        _ends_well(renewing, first)

    def test_a_token_name_that_means_another_one_than_is_kept_is_a_problem_in_words(self, renewing: Renewing) -> None:
        renewing.renew()
        renewing.state.add_token(service_of(renewing.state), "OTHER", role=ROLE, days_to_expiry=30, age_days=28)
        renewing.user = replace(renewing.user, token_name="OTHER")
        decision = renewing.renew(replace(DUE, force=True)).decision
        assert "is the token TABLEAU, and OTHER is meant now" in str(decision.problem)
        assert renewing.rotations == 1

    def test_when_the_previous_secret_is_dead_that_is_said_loudly(self, renewing: Renewing) -> None:
        with pytest.raises(RenewalFailed, match="So is the previous secret"):
            renewing.renew(replace(DUE, overlap_hours=0), steps=self._without_role(renewing))


class TestSomebodyElseWhoRotates:
    """A person, a second Airflow, Terraform: seen by what no two rotations have in common, whenever it was."""

    @pytest.mark.parametrize("step", _KILLS[ROTATED:])
    @pytest.mark.parametrize("later", [timedelta(0), timedelta(seconds=1)], ids=str)
    def test_right_after_our_own_is_found_in_the_same_run_or_the_next(
        self, quick: Renewing, step: int, later: timedelta
    ) -> None:
        def rotate() -> None:
            quick.state.clock.advance(seconds=later.total_seconds())
            quick.rotated_by_another()

        renewals = [quick.renew(steps=During(step, rotate))]
        quick.run_id = "another_run"
        quick.state.advance(hours=6)
        renewals.append(quick.renew())
        alarms = " ".join(str(renewal.decision.alarm) for renewal in renewals)
        assert "Somebody else rotates the token TABLEAU" in alarms
        assert "Only one may rotate a token" in alarms
        assert quick.kept.current.secret == quick.in_force.secret
        assert quick.lives(quick.kept.current.secret)

    @pytest.mark.parametrize("step", _KILLS[:ROTATED])
    def test_before_our_own_is_replaced_by_ours_in_the_same_run(self, quick: Renewing, step: int) -> None:
        first = quick.user.password
        assert quick.renew(steps=During(step, quick.rotated_by_another)).is_renewed
        assert quick.rotations == 1
        _ends_well(quick, first)
        quick.state.advance(hours=6)
        assert quick.renew().decision.alarm is None
        assert quick.kept.current.secret == quick.in_force.secret

    def test_each_time_is_given_up_and_said(self, renewing: Renewing) -> None:
        class Always(Steps):
            def _reach(self, name: str) -> None:
                super()._reach(name)
                if name == "after rotate":
                    renewing.rotated_by_another()

        with pytest.raises(RenewalFailed, match="somebody else rotated it right after"):
            renewing.renew(steps=Always())
        assert "somebody else rotates the token TABLEAU" in str(renewing.see().problem)

    def test_before_our_first_renewal_is_noticed_from_the_first_look_on(self, renewing: Renewing) -> None:
        assert renewing.look(Wishes()).state is State.NOT_DUE
        renewing.rotate_by_hand()
        former = service_of(renewing.state).tokens[-1].name
        decision = renewing.look(Wishes())
        assert decision.rotate
        assert former in str(decision.alarm)
        renewal = renewing.renew(Wishes())
        assert renewal.is_renewed
        assert former in str(renewal.decision.alarm)
        assert renewing.kept.current.secret == renewing.in_force.secret

    def test_a_second_airflow_that_embeds_what_ours_has_replaced_is_told_so(self, renewing: Renewing) -> None:
        staging = Renewing(renewing.server, renewing.state)
        assert staging.look(Wishes()).problem is None
        renewing.renew()
        assert "Somebody else rotates" in str(staging.look(Wishes()).alarm)
        renewing.state.advance(hours=25)
        assert "run with force" in str(staging.look(Wishes()).problem)

    def test_what_is_told_once_and_has_been_replaced_is_not_told_again(self, renewing: Renewing) -> None:
        renewing.renew()
        renewing.rotate_by_hand()
        assert renewing.renew().decision.alarm
        renewing.run_id = "another_run"
        assert renewing.renew().decision.alarm is None
        assert renewing.look().alarm is None


def _is_pending(renewing: Renewing, first: str) -> None:
    assert renewing.rotations == 1
    kept = renewing.kept
    assert (kept.current.secret, kept.previous) == (first, None)
    assert kept.pending is not None
    assert kept.pending.secret == renewing.in_force.secret
    assert renewing.lives(first)


def test_what_an_earlier_version_has_kept_as_pending_is_finished(renewing: Renewing) -> None:
    with pytest.raises(Killed):
        renewing.renew(steps=Steps(KEPT))
    pending = renewing.kept.pending
    assert pending is not None
    written = pending.as_dict() | {"formers": [str(pending.former)]}
    del written["former"]
    renewing.store.keep_pending(CONN_ID, KeptToken.from_dict(written))
    assert renewing.renew().is_renewed
    assert renewing.rotations == 1


def test_a_pending_token_that_is_dead_and_listed_is_given_up_by_force(renewing: Renewing) -> None:
    with pytest.raises(Killed):
        renewing.renew(steps=Steps(KEPT))
    pending = renewing.kept.pending
    assert pending is not None
    in_force = renewing.in_force.expires_at.isoformat()
    renewing.store.keep_pending(CONN_ID, replace(pending, secret="a dead one", expires_at=in_force))
    with pytest.raises(RenewalFailed, match="force gives it up"):
        renewing.renew()
    assert renewing.renew(replace(DUE, force=True)).is_renewed
    assert renewing.kept.current.secret == renewing.in_force.secret


class TestWhatStandsInTheWay:
    """Nothing is rotated, and nothing that is kept changes."""

    def _is_refused(self, renewing: Renewing, state: State) -> str:
        renewal = renewing.renew(replace(DUE, force=True))
        assert (renewal.is_renewed, renewal.decision.state) == (False, state)
        assert (renewing.rotations, renewing.store.states, renewing.refused) == (0, [], 0)
        return str(renewal.decision.problem)

    def test_fifteen_tokens(self, renewing: Renewing) -> None:
        renewing.user = replace(renewing.user, token_name=TOKEN)
        for number in range(14):
            renewing.state.add_token(service_of(renewing.state), f"OTHER_{number}", role=ROLE)
        assert "Snowflake allows 15" in self._is_refused(renewing, State.NO_FREE_SLOT)

    def test_no_token(self, renewing: Renewing) -> None:
        service_of(renewing.state).tokens.clear()
        assert "no token in Snowflake" in self._is_refused(renewing, State.MISSING)

    def test_no_token_of_that_name(self, renewing: Renewing) -> None:
        renewing.user = replace(renewing.user, token_name="ANOTHER")
        assert f"no token ANOTHER in Snowflake: {TOKEN}." in self._is_refused(renewing, State.MISSING)

    def test_a_disabled_token(self, renewing: Renewing) -> None:
        renewing.in_force.disabled = True
        assert "SET DISABLED = FALSE" in self._is_refused(renewing, State.DISABLED)

    def test_an_expired_token(self, renewing: Renewing) -> None:
        renewing.state.advance(days=11)
        assert "has expired" in self._is_refused(renewing, State.EXPIRED)

    def test_no_such_user(self, renewing: Renewing) -> None:
        renewing.user = replace(renewing.user, login="NOBODY")
        with pytest.raises(SnowflakeRefused, match="'NOBODY' does not exist or not authorized"):
            renewing.renew()
        assert (renewing.rotations, renewing.store.states) == (0, [])

    def test_an_administrator_who_may_not(self, renewing: Renewing) -> None:
        service_of(renewing.state).token_managers.clear()
        with pytest.raises(SnowflakeRefused, match="nsufficient privileges"):
            renewing.renew()
        assert (renewing.rotations, renewing.store.states) == (0, [])

    @pytest.mark.parametrize("is_known", [False, True])
    def test_a_place_that_takes_nothing_is_found_out_before_a_secret_depends_on_it(
        self, renewing: Renewing, is_known: bool
    ) -> None:
        if is_known:
            renewing.renew()
            renewing.state.advance(days=25)
        before = renewing.rotations
        renewing.store.refuses = True
        with pytest.raises(StoreUnusable):
            renewing.renew()
        assert renewing.rotations == before


class TestRemoving:
    """What is removed is gone for good."""

    def test_what_the_token_was_before_is_removed(self, renewing: Renewing) -> None:
        first = renewing.user.password
        renewing.renew()
        (name,) = renewing.remove_rotated()
        assert name.startswith(f"{TOKEN}_ROTATED_")
        assert not renewing.lives(first)
        assert renewing.lets_tableau_in(renewing.kept.current.secret)
        assert renewing.remove_rotated() == []

    def test_what_another_token_was_before_stays(self, renewing: Renewing) -> None:
        user = service_of(renewing.state)
        other = renewing.state.add_token(user, "OTHER_ROTATED_1744239049066", role=ROLE)
        other.rotated_to = "OTHER"
        renewing.user = replace(renewing.user, token_name=TOKEN)
        renewing.renew()
        assert len(renewing.remove_rotated()) == 1
        assert other in user.tokens

    def test_nothing_is_removed_of_which_nothing_is_kept(self, renewing: Renewing) -> None:
        renewing.rotate_by_hand()
        assert renewing.remove_rotated() == []
        assert renewing.lives(renewing.user.password)

    @pytest.mark.parametrize("is_renewed", [False, True])
    def test_after_a_lost_rotation_the_one_that_is_kept_is_among_the_rotated_ones_and_stays(
        self, renewing: Renewing, is_renewed: bool
    ) -> None:
        if is_renewed:
            renewing.renew()
            renewing.state.advance(days=25)
        _lose_secrets(renewing)
        with pytest.raises(SecretLost):
            renewing.renew()
        assert renewing.remove_rotated() == []
        assert renewing.lives(renewing.kept.current.secret)

    def test_while_one_is_pending_the_current_one_is_among_the_rotated_ones_and_stays(self, renewing: Renewing) -> None:
        with pytest.raises(Killed):
            renewing.renew(steps=Steps(TRIED))
        assert renewing.remove_rotated() == []
        assert renewing.lives(renewing.kept.current.secret)


class TestWhatPeopleDo:
    """A person may rotate as well, and write to the Airflow connection."""

    def test_before_the_first_look_a_rotation_by_hand_leaves_open_which_secret_we_have(
        self, renewing: Renewing
    ) -> None:
        first = renewing.user.password
        renewing.rotate_by_hand()
        renewal = renewing.renew()
        assert "which one the Airflow connection holds can't be told" in str(renewal.decision.note)
        assert (renewal.is_renewed, renewal.decision.alarm) == (True, None)
        _ends_well(renewing, first)

    def test_while_the_previous_secret_lives_a_rotation_by_hand_is_followed_by_ours(self, renewing: Renewing) -> None:
        renewing.renew()
        first = renewing.kept.current.secret
        renewing.rotate_by_hand()
        renewal = renewing.renew()
        assert renewal.is_renewed
        assert "somebody else rotates" in str(renewal.decision.note)
        _ends_well(renewing, first)

    def test_after_that_ours_waits_for_a_word(self, renewing: Renewing) -> None:
        renewing.renew()
        renewing.rotate_by_hand()
        by_hand = renewing.in_force.secret
        renewing.state.advance(hours=25)
        assert renewing.renew().decision.problem
        assert renewing.in_force.secret == by_hand
        assert renewing.rotations == 1

    @pytest.mark.parametrize("is_renewed", [False, True], ids=["before a renewal", "after one"])
    def test_another_secret_in_the_connection_counts_and_is_renewed_while_two_work(
        self, renewing: Renewing, is_renewed: bool
    ) -> None:
        """Which of the living ones a person has written can't be told; it was the one in force here."""
        renewing.renew() if is_renewed else renewing.look()
        renewing.rotate_by_hand()
        by_hand = renewing.in_force.secret
        renewing.user = replace(renewing.user, password=by_hand)
        renewal = renewing.renew()
        assert renewal.is_renewed
        assert renewal.decision.alarm is None
        assert "can't be told" in str(renewal.decision.note)
        _ends_well(renewing, by_hand)

    def test_another_secret_in_the_connection_counts_once_only_one_works(self, renewing: Renewing) -> None:
        renewing.renew()
        renewing.rotate_by_hand()
        renewing.state.advance(hours=25)
        by_hand = renewing.in_force.secret
        renewing.user = replace(renewing.user, password=by_hand)
        decision = renewing.look()
        assert (decision.state, decision.problem, decision.works) == (State.NOT_DUE, None, True)
        assert (renewing.kept.current.secret, renewing.kept.current.is_renewed) == (by_hand, False)
        renewing.state.advance(days=25)
        assert renewing.renew().is_renewed
        _ends_well(renewing, by_hand)

    def test_a_new_token_by_name_is_taken_up(self, renewing: Renewing) -> None:
        renewing.renew()
        new = renewing.state.add_token(service_of(renewing.state), "NEW", role=ROLE, days_to_expiry=30)
        renewing.user = replace(renewing.user, token_name="NEW")
        assert "Write the secret of NEW into the Airflow connection" in str(renewing.look().problem)
        renewing.user = replace(renewing.user, password=new.secret)
        assert renewing.look().problem is None
        assert (renewing.kept.current.name, renewing.kept.current.secret) == ("NEW", new.secret)

    def test_a_pending_token_is_never_thrown_away_for_what_a_person_writes(self, renewing: Renewing) -> None:
        with pytest.raises(Killed):
            renewing.renew(steps=Steps(KEPT))
        pending = renewing.kept.pending
        renewing.user = replace(renewing.user, password=service_of(renewing.state).tokens[-1].secret + "?")
        renewing.look()
        assert renewing.kept.pending == pending
        assert renewing.renew().is_renewed
        assert renewing.kept.current.secret == renewing.in_force.secret

    def test_one_that_is_not_in_force_is_a_problem_in_words(self, renewing: Renewing) -> None:
        first = renewing.user.password
        renewing.renew()
        renewed = renewing.kept.current.secret
        renewing.user = replace(renewing.user, password="what somebody has written")
        renewing.state.advance(days=25)
        decision = renewing.renew(replace(DUE, force=True)).decision
        assert (decision.state, decision.rotate) == (State.REWRITTEN, False)
        assert "Empty the password" in str(decision.problem)
        for password in ("", first, renewed):
            renewing.user = replace(renewing.user, password=password)
            assert renewing.see().rotate, password
        renewing.renew()
        _ends_well(renewing, renewed)

    def test_a_connection_whose_password_was_taken_out_is_renewed(self, renewing: Renewing) -> None:
        renewing.renew()
        renewed = renewing.kept.current.secret
        renewing.user = replace(renewing.user, password="")
        for _ in range(2):
            renewing.state.advance(days=25)
            assert renewing.renew().is_renewed
        assert renewed != renewing.kept.current.secret == renewing.in_force.secret


@pytest.mark.parametrize("is_refused", [False, True], ids=["renewed", "refused"])
def test_no_log_line_holds_a_secret_though_everybody_logs_at_debug(
    renewing: Renewing, caplog: pytest.LogCaptureFixture, is_refused: bool
) -> None:
    first, user = renewing.user.password, service_of(renewing.state)
    steps = During("after rotate", user.roles.clear) if is_refused else Steps()
    with caplog.at_level(logging.DEBUG):
        try:
            renewing.renew(steps=steps)
        except RenewalFailed as refused:
            logging.getLogger().warning("%s", refused)
    assert any("rotated, and its new secret is kept" in line for line in caplog.messages)
    new = renewing.in_force.secret
    assert new != first
    told = "\n".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)
    assert first not in told
    assert new not in told


def test_no_log_line_of_what_is_forgotten_and_removed_holds_a_secret(
    renewing: Renewing, caplog: pytest.LogCaptureFixture
) -> None:
    secrets: set[str] = set()

    def note_secrets() -> None:
        secrets.update(token.secret for token in service_of(renewing.state).tokens)

    with caplog.at_level(logging.DEBUG):
        with pytest.raises(Killed):
            renewing.renew(steps=Steps(BEFORE_TRIAL))
        note_secrets()
        renewing.rotate_by_hand()
        assert renewing.renew().is_renewed
        note_secrets()
        assert renewing.remove_rotated()
        renewing.state.advance(days=25)
        with pytest.raises(Killed):
            renewing.renew(steps=Steps(BEFORE_TRIAL - 2))
        note_secrets()
        service_of(renewing.state).tokens.remove(renewing.in_force)
        renewing.renew()
    told = "\n".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)
    for words in ("is not the one in force any more", "is removed", "is dead, and forgotten"):
        assert words in told
    assert len(secrets) == 5
    assert not [secret for secret in secrets if secret in told]
