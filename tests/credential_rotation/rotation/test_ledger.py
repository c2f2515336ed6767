"""What is known to be embedded, and when that is forgotten."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from credential_rotation.rotation.ledger import Entry, Ledger, Secrets
from credential_rotation.rotation.outcomes import Exclusion, Outcome, Proof
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.tableau.content import ContentType
from tests.builders import target

SAVED = datetime(2026, 5, 2, 8, 0, tzinfo=UTC)
NEW, OLD, OTHER = "fingerprint of new", "fingerprint of old", "fingerprint of another"
SECRETS = Secrets(token=NEW, previous=OLD)
LOGIN, RUN = "ETL_USER", "manual__1"


def done(number: int = 1, seconds: float = 0, **fields: Any) -> ConnectionRecord:
    """What a run left, so many seconds after the first."""
    saved_at = SAVED + timedelta(seconds=seconds)
    times = {"saved_at": saved_at.isoformat(), "item_updated_at": in_tableau(seconds)}
    values = {"outcome": Outcome.UPDATED, "proof": Proof.SAVED, "touched": True, "attempts": 1}
    return target(number, **values | times | fields)


def in_tableau(seconds: float) -> str:
    """The same moment by Tableau's clock, which is three hours ahead of ours."""
    return (SAVED + timedelta(hours=3, seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def found(number: int = 1, seconds: float = 0, **fields: Any) -> ConnectionRecord:
    """What a later run finds; its item was changed so many seconds after the update was saved."""
    return target(number, **{"updated_at": in_tableau(seconds), "embed_password": True} | fields)


def ledger_of(*records: ConnectionRecord, secrets: Secrets = SECRETS, run_id: str = RUN) -> Ledger:
    ledger = Ledger()
    for record in records:
        ledger.learn(record, secrets, LOGIN, run_id)
    return through_json(ledger)


def through_json(ledger: Ledger) -> Ledger:
    return Ledger.from_dict(json.loads(json.dumps(ledger.as_dict())))


class TestCurrent:
    """A connection that holds the token needs no update."""

    def test_what_was_updated_is_current_and_says_how_that_was_shown(self) -> None:
        ledger = ledger_of(done(proof=Proof.REFRESH_JOB))
        assert ledger.is_current(found(), NEW, LOGIN)
        marked = ledger.marked(found())
        assert (marked.outcome, marked.proof, marked.is_well) == (Outcome.UNCHANGED, Proof.REFRESH_JOB, True)

    def test_what_is_not_known_is_not_current(self) -> None:
        assert not Ledger().is_current(found(), NEW, LOGIN)
        assert not ledger_of(done(1)).is_current(found(2), NEW, LOGIN)
        assert not ledger_of(done(1)).is_current(found(1, connection_id="published again"), NEW, LOGIN)

    def test_another_token_or_user_is_not_current(self) -> None:
        ledger = ledger_of(done())
        assert not ledger.is_current(found(), OTHER, LOGIN)
        assert not ledger.is_current(found(), NEW, "BI_USER")
        assert not ledger.is_current(found(username="BI_USER"), NEW, LOGIN)

    def test_the_case_of_a_user_does_not_matter(self) -> None:
        assert ledger_of(done()).is_current(found(username="etl_user"), NEW, "Etl_User")

    @pytest.mark.parametrize(("embedded", "current"), [(True, True), (None, True), (False, False)])
    def test_where_the_password_is_not_embedded_any_more_it_is_not_current(
        self, embedded: bool | None, current: bool
    ) -> None:
        assert ledger_of(done()).is_current(found(embed_password=embedded), NEW, LOGIN) is current

    @pytest.mark.parametrize(
        ("seconds", "current"), [(-3600, False), (-1, False), (0, True), (1, False), (3600, False)]
    )
    def test_what_was_changed_since_is_not_current(self, seconds: float, current: bool) -> None:
        assert ledger_of(done()).is_current(found(seconds=seconds), NEW, LOGIN) is current

    @pytest.mark.parametrize("unknown", ["", None])
    def test_without_a_time_it_is_not_current(self, unknown: str | None) -> None:
        assert not ledger_of(done(item_updated_at=unknown)).is_current(found(updated_at=unknown), NEW, LOGIN)
        assert not ledger_of(done(item_updated_at=unknown)).is_current(found(), NEW, LOGIN)
        assert not ledger_of(done()).is_current(found(updated_at=unknown), NEW, LOGIN)

    def test_after_the_update_of_a_neighbour_in_the_item_it_is_not_current(self) -> None:
        neighbour = done(1, 600, connection_id="neighbour")
        for order in ([done(1), neighbour], [neighbour, done(1)]):
            ledger = ledger_of(*order)
            assert not ledger.is_current(found(1, 600), NEW, LOGIN)
            assert ledger.is_current(found(1, 600, connection_id="neighbour"), NEW, LOGIN)

    def test_the_update_of_another_item_says_nothing(self) -> None:
        assert not ledger_of(done(1), done(2, 600)).is_current(found(1, 600), NEW, LOGIN)


class TestLearning:
    """What a run says of its connections."""

    def test_what_is_known_are_token_user_time_and_run(self) -> None:
        [entry] = ledger_of(done(proof=Proof.QUERY)).as_dict().values()
        assert Entry(**entry) == Entry(
            NEW, LOGIN, SAVED.isoformat(), RUN, Proof.QUERY, in_tableau(0), ContentType.DATASOURCE, "snowflake_pat"
        )

    def test_the_user_is_the_one_that_was_embedded(self) -> None:
        ledger = ledger_of(done(username="jane", new_username="JANE_NEW"))
        assert ledger.is_current(found(username="JANE_NEW"), NEW, "JANE_NEW")

    def test_a_canary_that_was_put_back_holds_the_secret_before_with_the_user_before(self) -> None:
        ledger = ledger_of(done(username="jane", outcome=Outcome.ROLLED_BACK, reason="it did not connect"))
        assert ledger.is_current(found(username="jane"), OLD, "jane")
        assert not ledger.is_current(found(username="jane"), NEW, "jane")

    def test_of_a_canary_that_was_put_back_nothing_is_known_where_the_secret_before_is_not(self) -> None:
        put_back = done(outcome=Outcome.ROLLED_BACK, reason="it did not connect")
        ledger = ledger_of(done())
        ledger.learn(put_back, Secrets(NEW), LOGIN, RUN)
        assert ledger.as_dict() == {}

    def test_a_roll_back_that_was_asked_for_holds_what_it_embedded(self) -> None:
        rolled_back = done(username="ETL_USER", new_username="jane", outcome=Outcome.ROLLED_BACK)
        ledger = ledger_of(rolled_back, secrets=Secrets(token=OLD, previous=NEW))
        assert ledger.is_current(found(username="jane"), OLD, "jane")

    @pytest.mark.parametrize(
        "fields",
        [
            {"outcome": Outcome.EXCLUDED, "reason": Exclusion.OAUTH, "touched": False},
            {"outcome": Outcome.PLANNED, "touched": False},
            {"outcome": Outcome.UNCHANGED, "touched": False},
            {"outcome": Outcome.NOT_ATTEMPTED, "touched": False},
            {"outcome": Outcome.FAILED, "touched": False},
        ],
    )
    def test_what_was_not_touched_is_still_known(self, fields: dict[str, Any]) -> None:
        ledger = ledger_of(done())
        ledger.learn(done(saved_at=None, **fields), Secrets(OTHER), LOGIN, "later")
        assert ledger.is_current(found(), NEW, LOGIN)

    @pytest.mark.parametrize(
        "fields",
        [
            {"outcome": Outcome.FAILED, "reason": "500"},
            {"outcome": Outcome.FAILED, "saved_at": None},
            {"outcome": None, "proof": None},
            {"outcome": Outcome.GONE},
            {"outcome": Outcome.GONE, "touched": False},
            {"outcome": Outcome.UPDATED, "saved_at": None},
            {"outcome": Outcome.NOT_ATTEMPTED, "reason": "its turn did not come", "saved_at": None},
        ],
    )
    def test_of_what_nobody_is_sure_of_nothing_is_known_any_more(self, fields: dict[str, Any]) -> None:
        ledger = ledger_of(done(1), done(2))
        ledger.learn(done(1, **fields), Secrets(OTHER), LOGIN, "later")
        assert list(through_json(ledger).as_dict()) == ["item-00002/connection-00002"]

    def test_a_later_run_counts(self) -> None:
        ledger = ledger_of(done())
        ledger.learn(done(seconds=60), Secrets(OTHER), LOGIN, "later")
        assert ledger.is_current(found(seconds=60), OTHER, LOGIN)

    def test_an_earlier_run_that_is_looked_at_again_does_not(self) -> None:
        ledger = ledger_of(done(seconds=60), secrets=Secrets(OTHER), run_id="later")
        ledger.learn(done(), SECRETS, LOGIN, RUN)
        assert ledger.is_current(found(seconds=60), OTHER, LOGIN)
        assert ledger.runs_of([OTHER]) == ["later"]


class TestForgetting:
    """What somebody else changed is looked at before an update of ours hides that."""

    def test_what_was_published_again_is_forgotten_before_the_update_of_its_neighbour_hides_that(self) -> None:
        first, second = found(1, 3600), found(1, 3600, connection_id="neighbour")
        ledger = ledger_of(done(1), done(1, connection_id="neighbour"))
        assert ledger.forget_what_changed([first, second])
        ledger.learn(done(1, 7200, connection_id="neighbour"), SECRETS, LOGIN, "later")
        assert not ledger.is_current(found(1, 7200), NEW, LOGIN)
        assert ledger.is_current(found(1, 7200, connection_id="neighbour"), NEW, LOGIN)

    def test_what_is_as_it_was_left_is_not_forgotten(self) -> None:
        ledger = ledger_of(done(1), done(2))
        assert not ledger.forget_what_changed([found(1), found(2), found(3, 3600)])
        assert ledger.is_current(found(1), NEW, LOGIN)

    @pytest.mark.parametrize("changed", [{"username": "jane"}, {"embed_password": False}, {"updated_at": ""}])
    def test_what_was_changed_by_hand_is_forgotten(self, changed: dict[str, Any]) -> None:
        ledger = ledger_of(done(1), done(2))
        assert ledger.forget_what_changed([found(1, **changed), found(2)])
        assert list(ledger.as_dict()) == ["item-00002/connection-00002"]

    def test_to_forget_what_is_not_known_is_no_error(self) -> None:
        Ledger().forget(found())
        assert not Ledger().forget_what_changed([found()])


class TestRunsOfAToken:
    """Which runs a roll-back is of, where nobody says."""

    def test_they_are_all_that_embedded_one_of_the_tokens_where_it_still_is(self) -> None:
        ledger = Ledger()
        ledger.learn(done(1), SECRETS, LOGIN, "first")
        ledger.learn(done(2, 60), SECRETS, LOGIN, "second")
        ledger.learn(done(3, 120), Secrets(OTHER), LOGIN, "of another credential")
        assert through_json(ledger).runs_of([NEW]) == ["first", "second"]
        assert through_json(ledger).runs_of([NEW, OTHER]) == ["first", "second", "of another credential"]

    def test_of_a_token_that_nobody_embedded_there_is_none(self) -> None:
        assert ledger_of(done()).runs_of([OLD]) == []
        assert ledger_of(done()).runs_of([]) == []


def test_a_ledger_holds_no_secret_and_is_in_order() -> None:
    kept = ledger_of(done(2), done(1, proof=None)).as_dict()
    assert list(kept) == ["item-00001/connection-00001", "item-00002/connection-00002"]
    assert list(kept["item-00001/connection-00001"]) == [field.name for field in fields(Entry)]
