"""What is to be done about a user's token: each state it may be in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest

from credential_rotation.renewal.decision import Decision, State, Wishes, decide
from credential_rotation.renewal.standing import InForce
from credential_rotation.renewal.tokens import MOST_TOKENS, Token

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FORCE = Wishes(force=True, overlap_hours=24)


def token(name: str = "TABLEAU", *, hours: float = 24 * 30, status: str = "ACTIVE", of: str | None = None) -> Token:
    return Token(name, status, NOW + timedelta(hours=hours), of)


def rotated(*, hours: float, of: str = "TABLEAU") -> Token:
    return token(f"{of}_ROTATED_1744239049066", hours=hours, of=of)


def decided(
    *tokens: Token, name: str | None = None, known: InForce = InForce.YES, wishes: Wishes | None = None
) -> Decision:
    return decide(tokens, name, known, NOW, wishes or Wishes(overlap_hours=24), why="a rotation was lost")


def test_one_that_lives_for_long_is_not_due() -> None:
    assert decided(token()) == Decision(State.NOT_DUE, token(), is_current=True)


@pytest.mark.parametrize(("hours", "state"), [(7 * 24 + 0.1, State.NOT_DUE), (7 * 24, State.DUE), (30, State.DUE)])
def test_it_is_due_when_it_expires_within_the_days(hours: float, state: State) -> None:
    decision = decided(token(hours=hours))
    assert decision.state is state
    assert decision.rotate is (state is State.DUE)
    assert decision.problem is None


def test_the_days_are_counted_over_zones() -> None:
    there = timezone(timedelta(hours=-11))
    expires = (NOW + timedelta(days=7, minutes=1)).astimezone(there)
    assert decided(Token("TABLEAU", "ACTIVE", expires)).state is State.NOT_DUE
    assert decided(Token("TABLEAU", "ACTIVE", expires - timedelta(minutes=2))).state is State.DUE


def test_force_makes_it_due_at_any_time() -> None:
    forced = Decision(State.DUE, token(), rotate=True, overlap_hours=24, is_current=True)
    assert decided(token(), wishes=FORCE) == forced


@pytest.mark.parametrize(("hours", "overlap"), [(24, 24), (23.9, 23), (5.5, 5), (2.0, 2)])
def test_the_overlap_is_what_is_wished_but_no_more_than_is_left(hours: float, overlap: int) -> None:
    decision = decided(token(hours=hours))
    assert (decision.rotate, decision.overlap_hours) == (True, overlap)
    assert (decision.note is None) is (overlap == 24)
    assert overlap == 24 or f"for {overlap} hours only" in str(decision.note)


def test_with_less_than_two_hours_left_a_person_decides() -> None:
    decision = decided(token(hours=1.9))
    assert (decision.state, decision.rotate) == (State.DUE, False)
    assert "expires in 1.9 hours, which is too short" in str(decision.problem)
    forced = decided(token(hours=1.9), wishes=FORCE)
    assert (forced.rotate, forced.overlap_hours, forced.problem) == (True, 1, None)


@pytest.mark.parametrize("wished", [0, 1])
def test_an_overlap_that_is_wished_to_be_short_is_short(wished: int) -> None:
    decision = decided(token(hours=48), wishes=Wishes(overlap_hours=wished))
    assert (decision.rotate, decision.overlap_hours, decision.problem) == (True, wished, None)


def test_of_several_tokens_somebody_must_say_which() -> None:
    decision = decided(token("B"), token("A"), rotated(hours=3, of="A"))
    assert (decision.state, decision.token, decision.rotate) == (State.MISSING, None, False)
    assert decision.problem == "the user has several tokens; say which with extra 'token_name': A, B."
    assert decided(token("B"), token("A"), name="a").token == token("A")


def test_one_that_is_named_and_not_there_is_missing_and_the_others_are_told() -> None:
    decision = decided(token("B"), token("A"), name="TABLEAU")
    assert (decision.state, decision.rotate) == (State.MISSING, False)
    assert decision.problem == "the user has no token TABLEAU in Snowflake: A, B."
    assert decided(name="TABLEAU", wishes=FORCE).problem == "the user has no token TABLEAU in Snowflake."


@pytest.mark.parametrize("tokens", [[], [rotated(hours=3)]])
def test_a_user_without_a_token_in_force_is_told_of(tokens: Sequence[Token]) -> None:
    decision = decided(*tokens, wishes=FORCE)
    assert (decision.state, decision.rotate) == (State.MISSING, False)
    assert "has no token in Snowflake" in str(decision.problem)


def test_a_rotated_token_is_never_the_one_that_is_named() -> None:
    assert decided(rotated(hours=3), token(), name="TABLEAU_ROTATED_1744239049066").state is State.MISSING


def test_a_token_that_dies_with_the_one_before_it_is_due_all_the_same() -> None:
    decision = decided(token(hours=24), rotated(hours=23.5))
    assert (decision.state, decision.rotate) == (State.DUE, True)


def test_while_the_secret_before_lives_nothing_is_done() -> None:
    decision = decided(token(hours=100), rotated(hours=3))
    assert (decision.state, decision.rotate, decision.problem) == (State.OVERLAP_RUNNING, False, None)
    assert decision.note == "the previous secret works until 2026-11-24 15:00 UTC"
    assert decided(token(hours=100), rotated(hours=3), wishes=FORCE).rotate


@pytest.mark.parametrize("before", [rotated(hours=-1), rotated(hours=3, of="ANOTHER")])
def test_one_that_is_dead_or_that_of_another_token_delays_nothing(before: Token) -> None:
    assert decided(token(hours=100), before, token("ANOTHER"), name="TABLEAU").state is State.DUE


@pytest.mark.parametrize("days", [0, 0.2, 1])
def test_what_would_expire_between_two_runs_is_due_whatever_was_wished(days: float) -> None:
    """A schedule may pause for a third of the overlap."""
    wishes = Wishes(renew_before_days=days, overlap_hours=72)
    assert decided(token(hours=25.9), wishes=wishes).rotate
    assert not decided(token(hours=26.1), wishes=wishes).rotate


def test_a_token_that_lives_hardly_longer_than_its_overlap_is_renewed_in_time() -> None:
    wishes = Wishes(overlap_hours=72)
    assert decided(token(hours=70), rotated(hours=66), wishes=wishes).state is State.OVERLAP_RUNNING
    assert decided(token(hours=25), rotated(hours=21), wishes=wishes).rotate


def test_a_disabled_token_is_never_rotated() -> None:
    decision = decided(token(hours=1000, status="DISABLED"), wishes=FORCE)
    assert (decision.state, decision.rotate) == (State.DISABLED, False)
    assert "SET DISABLED = FALSE" in str(decision.problem)


@pytest.mark.parametrize("expired", [token(hours=-1), token(hours=0), token(hours=5, status="EXPIRED")])
def test_an_expired_token_is_never_rotated(expired: Token) -> None:
    decision = decided(expired, wishes=FORCE)
    assert (decision.state, decision.token, decision.rotate) == (State.EXPIRED, expired, False)
    assert "has expired" in str(decision.problem)


class TestAfterALostRotation:
    """The token in force is not the one that is kept."""

    def test_another_rotation_does_no_harm_while_the_secret_before_lives(self) -> None:
        decision = decided(token(), rotated(hours=3), known=InForce.NO)
        assert (decision.state, decision.rotate, decision.overlap_hours) == (State.DUE, True, 24)
        assert decision.problem is None
        assert "a rotation was lost" in str(decision.note)
        assert "works until 2026-11-24 15:00 UTC" in str(decision.note)

    def test_why_and_until_when_stand_before_each_problem(self) -> None:
        many = [token("OTHER", hours=9)] * (MOST_TOKENS - 2)
        decision = decided(token(), rotated(hours=3), *many, name="TABLEAU", known=InForce.NO)
        assert str(decision.problem).startswith("a rotation was lost, and what Tableau embeds ends at 2026-11-24 15:00")
        assert "15 tokens that have not expired" in str(decision.problem)

    def test_two_who_rotate_against_each_other_do_not_use_up_the_tokens(self) -> None:
        living = [rotated(hours=hours) for hours in (50, 60, 70)]
        decision = decided(token(), *living, known=InForce.NO)
        assert (decision.rotate, decision.alarm) == (False, None)
        assert "is renewed when less than 10 hours are left" in str(decision.problem)
        assert decided(token(), *living[:2], known=InForce.NO).rotate
        assert decided(token(), *living, rotated(hours=9), known=InForce.NO).rotate
        assert decided(token(), *living, known=InForce.NO, wishes=FORCE).rotate

    def test_of_several_that_live_the_first_to_die_is_told(self) -> None:
        """Which of them Tableau embeds can't be seen."""
        decision = decided(token(), rotated(hours=20), rotated(hours=3), known=InForce.NO)
        assert "works until 2026-11-24 15:00 UTC" in str(decision.note)

    @pytest.mark.parametrize("tokens", [[token()], [token(), rotated(hours=-1)]])
    def test_a_person_decides_once_it_is_dead(self, tokens: list[Token]) -> None:
        decision = decided(*tokens, known=InForce.NO)
        assert (decision.state, decision.rotate) == (State.DUE, False)
        assert "Tableau may be without a token that works" in str(decision.problem)
        forced = decided(*tokens, known=InForce.NO, wishes=FORCE)
        assert (forced.rotate, forced.problem) == (True, None)

    def test_a_free_slot_is_needed_as_ever(self) -> None:
        many = [token(f"T{number}") for number in range(MOST_TOKENS - 2)]
        decision = decided(token(), rotated(hours=3), *many, name="TABLEAU", known=InForce.NO)
        assert (decision.state, decision.rotate) == (State.NO_FREE_SLOT, False)


class TestSlots:
    """Snowflake allows 15 tokens that have not expired."""

    @pytest.mark.parametrize(
        ("other", "state"),
        [
            (token("OTHER"), State.NO_FREE_SLOT),
            (token("OTHER", status="DISABLED"), State.NO_FREE_SLOT),
            (rotated(hours=9, of="ANOTHER"), State.NO_FREE_SLOT),
            (token("OTHER", hours=-1), State.DUE),
            (token("OTHER", status="EXPIRED"), State.DUE),
        ],
    )
    def test_what_has_not_expired_takes_one(self, other: Token, state: State) -> None:
        decision = decided(token(hours=30), *[other] * (MOST_TOKENS - 1), name="TABLEAU")
        assert decision.state is state
        assert decision.rotate is (state is State.DUE)
        assert ("15 tokens that have not expired" in str(decision.problem)) is (state is State.NO_FREE_SLOT)

    def test_force_makes_no_room(self) -> None:
        assert not decided(token(), *[token("OTHER")] * 14, name="TABLEAU", wishes=FORCE).rotate

    def test_without_an_overlap_none_is_needed(self) -> None:
        wishes = Wishes(overlap_hours=0)
        assert decided(token(hours=30), *[token("OTHER")] * 14, name="TABLEAU", wishes=wishes).rotate
