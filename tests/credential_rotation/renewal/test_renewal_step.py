"""The renewal of one user's token, against a Snowflake that the real driver talks to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from credential_rotation.renewal.decision import State, Wishes
from credential_rotation.renewal.step import RenewalFailed
from credential_rotation.renewal.tokens import UnexpectedAnswer
from credential_rotation.rotation.snowflake_words import SnowflakeRefused
from credential_rotation.token_stores.kept import KeptTokens, StoreUnusable
from sandbox.snowflake import RefusalAfter, WithoutSecret
from sandbox.tableau.faults import ResetAfter
from tests.credential_rotation.renewal.renewing import CONN_ID, DUE, Killed, Renewing, Steps
from tests.credential_rotation.token_keeping import MemoryTokenStore
from tests.sandbox_snowflake.small_account import ROLE, SERVICE, TOKEN, account_of, service_of

STEPS = [
    "before tokens",
    "after tokens",
    "before adopt",
    "after adopt",
    "before rotate",
    "after rotate",
    "before keep_pending",
    "after keep_pending",
    "before tokens",
    "after tokens",
    "before keep_pending",
    "after keep_pending",
    "before sign_in",
    "after sign_in",
    "before promote",
    "after promote",
]
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


def test_a_user_in_lower_case_that_signs_in_by_another_name_is_renewed(renewing: Renewing) -> None:
    lower = account_of(renewing.state).users.pop(SERVICE)
    lower.name, lower.login_name = SERVICE.lower(), "somebody@acme.example"
    account_of(renewing.state).users[lower.name] = lower
    before = lower.tokens[0].secret
    renewing.user = replace(renewing.user, login=lower.login_name)
    with pytest.raises(SnowflakeRefused, match="does not exist"):
        renewing.renew()
    renewing.user = replace(renewing.user, user_name=lower.name)
    assert renewing.renew().is_renewed
    [in_force] = [token for token in lower.tokens if token.rotated_to is None]
    assert before != renewing.kept.current.secret == in_force.secret


def test_one_that_is_not_due_is_left_alone_and_nothing_is_kept(renewing: Renewing) -> None:
    renewal = renewing.renew(Wishes(renew_before_days=9))
    assert (renewal.is_renewed, renewal.decision.state) == (False, State.NOT_DUE)
    assert (renewing.rotations, renewing.store.states) == (0, [])


def test_to_look_changes_nothing_and_signs_no_user_in(renewing: Renewing) -> None:
    assert renewing.look().rotate
    assert (renewing.rotations, renewing.store.states) == (0, [])
    assert [event.user_name for event in account_of(renewing.state).logins if event.user_name == SERVICE] == []


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
def test_wherever_it_is_killed_the_next_run_brings_it_to_its_end(renewing: Renewing, ends_at: int) -> None:
    first = renewing.user.password
    with pytest.raises(Killed, match=STEPS[ends_at]):
        renewing.renew(steps=Steps(ends_at))
    _all_is_well_only_while_something_lives(renewing, first)
    was_rotated = renewing.rotations
    renewing.renew()
    assert renewing.rotations <= was_rotated + 1
    assert renewing.rotations <= 2
    assert renewing.refused == 0
    _ends_well(renewing, first)
    _all_is_well_only_while_something_lives(renewing, first)


@pytest.mark.parametrize("ends_at", _KILLS)
def test_whatever_time_goes_by_after_a_kill_it_is_not_called_well_while_all_that_is_known_is_dead(
    renewing: Renewing, ends_at: int
) -> None:
    first = renewing.user.password
    with pytest.raises(Killed):
        renewing.renew(steps=Steps(ends_at))
    for days in (0.5, 0.6, 9, 10, 11):
        renewing.state.advance(days=days)
        _all_is_well_only_while_something_lives(renewing, first)


@pytest.mark.parametrize("ends_at", _KILLS)
def test_a_kill_at_each_run_never_leaves_a_day_without_a_token_that_works(renewing: Renewing, ends_at: int) -> None:
    """Killed at the same step twice, and then left to itself."""
    first = renewing.user.password
    for _ in range(2):
        try:
            renewing.renew(steps=Steps(ends_at))
        except Killed:
            renewing.state.advance(hours=1)
        _all_is_well_only_while_something_lives(renewing, first)
    renewing.renew()
    assert renewing.refused == 0
    assert renewing.rotations <= 3
    _ends_well(renewing, first)


def _all_is_well_only_while_something_lives(renewing: Renewing, distributed: str) -> None:
    kept = renewing.store.kept.get(CONN_ID)
    current = kept.current.secret if kept else distributed
    if not renewing.lives(current) and not renewing.lives(distributed):
        decision = renewing.look()
        assert decision.problem or decision.rotate, decision


class TestALostSecret:
    """ROTATE took effect, and its secret is gone for good."""

    @pytest.mark.parametrize("how", ["no_row", "null", "empty", "status"])
    def test_success_without_a_secret_is_none(self, renewing: Renewing, how: str) -> None:
        first = renewing.user.password
        renewing.server.faults.script("rotate_token", WithoutSecret(how))
        with pytest.raises(UnexpectedAnswer, match=f"{TOKEN} of {SERVICE} is rotated, but gives no secret"):
            renewing.renew()
        assert renewing.kept.pending is None
        assert renewing.kept.current.secret == first
        decision = renewing.look()
        assert decision.rotate
        assert "a rotation was lost" in str(decision.note)
        renewing.renew()
        assert renewing.rotations == 2
        _ends_well(renewing, first)

    def test_an_error_after_the_effect_is_found_out_by_the_next_run(self, renewing: Renewing) -> None:
        first = renewing.user.password
        renewing.server.faults.script("rotate_token", RefusalAfter())
        with pytest.raises(SnowflakeRefused, match="SQL execution was cancelled"):
            renewing.renew()
        assert renewing.kept.current.secret == first
        renewing.renew()
        assert renewing.rotations == 2
        _ends_well(renewing, first)

    def test_an_answer_that_got_lost_is_had_again_by_the_driver(self, renewing: Renewing) -> None:
        first = renewing.user.password
        renewing.server.faults.script("rotate_token", ResetAfter())
        renewing.renew()
        assert len(service_of(renewing.state).tokens) == 2
        _ends_well(renewing, first)

    def test_once_the_secret_before_is_dead_a_person_decides(self, renewing: Renewing) -> None:
        renewing.server.faults.script("rotate_token", WithoutSecret("null"))
        with pytest.raises(UnexpectedAnswer):
            renewing.renew()
        renewing.state.advance(hours=25)
        renewal = renewing.renew()
        assert (renewal.is_renewed, renewing.rotations) == (False, 1)
        assert "run with force" in str(renewal.decision.problem)
        assert renewing.renew(Wishes(force=True)).is_renewed
        assert renewing.lets_tableau_in(renewing.kept.current.secret)


class TestATokenThatDoesNotSignIn:
    """Snowflake hands out secrets without looking whether they can be used."""

    def test_a_role_that_is_not_granted_any_more(self, renewing: Renewing) -> None:
        first = renewing.user.password
        service_of(renewing.state).roles.discard(ROLE)
        with pytest.raises(RenewalFailed, match="what Tableau embeds lives until"):
            renewing.renew()
        _is_pending(renewing, first, rotations=1, refused=1)
        with pytest.raises(RenewalFailed, match="tried again at the next run"):
            renewing.renew()
        _is_pending(renewing, first, rotations=1, refused=2)
        assert renewing.look().rotate
        service_of(renewing.state).roles.add(ROLE)
        assert renewing.renew().is_renewed
        assert (renewing.rotations, renewing.refused) == (1, 2)
        _ends_well(renewing, first)

    def test_a_network_policy_that_lets_airflow_not_in(self, renewing: Renewing) -> None:
        first = renewing.user.password
        only_tableau = renewing.state.client_addresses["tableau"]
        account_of(renewing.state).add_network_policy("EVERYONE", [only_tableau])
        with pytest.raises(RenewalFailed, match="is not allowed to access Snowflake"):
            renewing.renew()
        _is_pending(renewing, first, rotations=1, refused=1)
        account_of(renewing.state).add_network_policy("EVERYONE", renewing.state.client_addresses.values())
        assert renewing.renew().is_renewed
        assert (renewing.rotations, renewing.refused) == (1, 1)
        _ends_well(renewing, first)

    def test_no_network_policy_at_all(self, renewing: Renewing) -> None:
        first = renewing.user.password
        service_of(renewing.state).network_policy = None
        with pytest.raises(RenewalFailed, match="Network policy is required"):
            renewing.renew()
        _is_pending(renewing, first, rotations=1, refused=1)

    @pytest.mark.parametrize("dies_at", ["before sign_in", "after keep_pending"])
    def test_a_pending_one_that_a_person_has_rotated_away_is_forgotten_and_nobody_tries_it(
        self, renewing: Renewing, dies_at: str
    ) -> None:
        first = renewing.user.password
        with pytest.raises(Killed):
            renewing.renew(steps=Steps(STEPS.index(dies_at)))
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
            renewing.renew(steps=Steps(STEPS.index("before sign_in")))
        service_of(renewing.state).tokens.remove(renewing.in_force)
        for _ in range(3):
            assert renewing.renew().decision.state is State.MISSING
        assert (renewing.rotations, renewing.refused, renewing.kept.pending) == (1, 1, None)

    @pytest.mark.parametrize("ends_at", range(STEPS.index("before rotate"), len(STEPS)))
    def test_a_new_one_that_a_person_has_rotated_and_that_lives_on_is_not_taken_for_the_one_in_force(
        self, renewing: Renewing, ends_at: int
    ) -> None:
        with pytest.raises(Killed):
            renewing.renew(steps=Steps(ends_at))
        renewing.state.advance(hours=1)
        renewing.rotate_by_hand(overlap_hours=24)
        renewing.state.advance(hours=1)
        renewal = renewing.renew()
        assert renewal.is_renewed, renewal
        assert renewing.kept.current.secret == renewing.in_force.secret
        for _ in range(4):
            renewing.state.advance(hours=24)
            assert renewing.lives(renewing.kept.current.secret)

    def test_where_snowflake_does_not_say_what_the_one_before_is_called_now_another_rotation_is_the_safe_way(
        self, renewing: Renewing
    ) -> None:
        with pytest.raises(Killed):
            renewing.renew(steps=Steps(STEPS.index("after keep_pending")))
        pending = renewing.kept.pending
        assert pending is not None
        assert pending.formers is not None
        renewing.store.keep_pending(CONN_ID, replace(pending, formers=None))
        assert renewing.renew().is_renewed
        assert renewing.rotations == 2
        assert renewing.kept.current.secret == renewing.in_force.secret

    def test_another_try_that_rotates_meanwhile_is_no_success_of_this_one(self, renewing: Renewing) -> None:
        """A worker that was asleep goes on: its secret is not the one in force any more."""
        with pytest.raises(RenewalFailed, match="somebody else has rotated it"):
            renewing.renew(steps=RotatedMeanwhile(renewing))
        assert renewing.renew().is_renewed
        assert renewing.kept.current.secret == renewing.in_force.secret

    def test_a_token_name_that_means_another_one_than_is_kept_is_a_problem_in_words(self, renewing: Renewing) -> None:
        renewing.renew()
        renewing.state.add_token(service_of(renewing.state), "OTHER", role=ROLE, days_to_expiry=30, age_days=28)
        renewing.user = replace(renewing.user, token_name="OTHER")
        decision = renewing.renew(replace(DUE, force=True)).decision
        assert "is the token TABLEAU, and extra 'token_name' means OTHER" in str(decision.problem)
        assert renewing.rotations == 1

    def test_when_the_secret_before_is_dead_that_is_said_loudly(self, renewing: Renewing) -> None:
        service_of(renewing.state).roles.discard(ROLE)
        with pytest.raises(RenewalFailed, match="WHICH TABLEAU EMBEDS, IS DEAD"):
            renewing.renew(replace(DUE, overlap_hours=0))

    def test_of_several_secrets_before_it_the_first_to_die_is_told(self, renewing: Renewing) -> None:
        """One is what Tableau embeds, the others were lost."""
        renewing.server.faults.script("rotate_token", WithoutSecret("null"))
        with pytest.raises(UnexpectedAnswer):
            renewing.renew()
        dies_at = service_of(renewing.state).tokens[-1].expires_at
        renewing.state.advance(hours=20)
        service_of(renewing.state).roles.discard(ROLE)
        with pytest.raises(RenewalFailed, match=f"lives until {dies_at:%Y-%m-%d %H:%M} UTC"):
            renewing.renew()


def _is_pending(renewing: Renewing, first: str, *, rotations: int, refused: int) -> None:
    assert (renewing.rotations, renewing.refused) == (rotations, refused)
    kept = renewing.kept
    assert (kept.current.secret, kept.previous) == (first, None)
    assert kept.pending is not None
    assert kept.pending.secret == renewing.in_force.secret
    assert renewing.lives(first)


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
        full = _Full()
        full.kept = renewing.store.kept
        renewing.store = full
        with pytest.raises(StoreUnusable):
            renewing.renew()
        assert renewing.rotations == before


class RotatedMeanwhile(Steps):
    """Somebody rotates as soon as the new secret is kept."""

    def __init__(self, renewing: Renewing) -> None:
        super().__init__()
        self._renewing = renewing
        self._kept = False

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*given: Any) -> Any:
            result = call(*given)
            if name == "keep_pending" and not self._kept:
                self._kept = True
                self._renewing.rotate_by_hand()
            return result

        return stepped


class _Full(MemoryTokenStore):
    """Nothing can be written to it."""

    def _put(self, conn_id: str, kept: KeptTokens) -> None:
        raise StoreUnusable("Nothing can be written just now.")


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
        renewing.server.faults.script("rotate_token", WithoutSecret("null"))
        with pytest.raises(UnexpectedAnswer):
            renewing.renew()
        assert renewing.remove_rotated() == []
        assert renewing.lives(renewing.kept.current.secret)

    def test_while_one_is_pending_the_current_one_is_among_the_rotated_ones_and_stays(self, renewing: Renewing) -> None:
        with pytest.raises(Killed):
            renewing.renew(steps=Steps(STEPS.index("before promote")))
        assert renewing.remove_rotated() == []
        assert renewing.lives(renewing.kept.current.secret)


class TestWhatPeopleDo:
    """A person may rotate as well, and write to the Airflow connection."""

    def test_before_anything_is_kept_a_rotation_by_hand_delays_ours(self, renewing: Renewing) -> None:
        renewing.rotate_by_hand()
        assert renewing.renew().decision.state is State.OVERLAP_RUNNING
        assert renewing.rotations == 0

    def test_while_the_secret_before_lives_a_rotation_by_hand_is_followed_by_ours(self, renewing: Renewing) -> None:
        renewing.renew()
        first = renewing.kept.current.secret
        renewing.rotate_by_hand()
        renewal = renewing.renew()
        assert renewal.is_renewed
        assert "or a person rotated" in str(renewal.decision.note)
        _ends_well(renewing, first)

    def test_after_that_ours_waits_for_a_word(self, renewing: Renewing) -> None:
        renewing.renew()
        renewing.rotate_by_hand()
        by_hand = renewing.in_force.secret
        renewing.state.advance(hours=25)
        assert renewing.renew().decision.problem
        assert renewing.in_force.secret == by_hand
        assert renewing.rotations == 1

    def test_another_token_in_the_connection_counts_while_nothing_was_renewed(self, renewing: Renewing) -> None:
        with pytest.raises(Killed):
            renewing.renew(steps=Steps(STEPS.index("before rotate")))
        renewing.rotate_by_hand()
        renewing.user = replace(renewing.user, password=renewing.in_force.secret)
        by_hand = renewing.user.password
        assert renewing.renew().decision.state is State.OVERLAP_RUNNING
        renewing.state.advance(days=25)
        assert renewing.renew().is_renewed
        _ends_well(renewing, by_hand)

    def test_another_token_in_the_connection_counts_for_nothing_once_one_was_renewed(self, renewing: Renewing) -> None:
        renewing.renew()
        renewed = renewing.kept.current.secret
        renewing.user = replace(renewing.user, password="what somebody has written")
        renewing.state.advance(days=25)
        renewing.renew()
        _ends_well(renewing, renewed)


@pytest.mark.parametrize("roles", [[ROLE], []], ids=["renewed", "refused"])
def test_no_log_line_holds_a_secret_though_everybody_logs_at_debug(
    renewing: Renewing, caplog: pytest.LogCaptureFixture, roles: list[str]
) -> None:
    service_of(renewing.state).roles = set(roles)
    first = renewing.user.password
    with caplog.at_level(logging.DEBUG):
        try:
            renewing.renew()
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
            renewing.renew(steps=Steps(STEPS.index("before sign_in")))
        note_secrets()
        renewing.rotate_by_hand()
        assert renewing.renew().is_renewed
        note_secrets()
        assert renewing.remove_rotated()
        renewing.state.advance(days=25)
        with pytest.raises(Killed):
            renewing.renew(steps=Steps(STEPS.index("before sign_in") - 2))
        note_secrets()
        service_of(renewing.state).tokens.remove(renewing.in_force)
        renewing.renew()
    told = "\n".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)
    for words in ("is not the one in force any more", "is removed", "is dead, and forgotten"):
        assert words in told
    assert len(secrets) == 5
    assert not [secret for secret in secrets if secret in told]
