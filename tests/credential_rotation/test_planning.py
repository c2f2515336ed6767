"""Which run is rolled back when nobody says which; and what is known to hold the token already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from credential_rotation.fingerprint import Fingerprints
from credential_rotation.ledgers import Ledgers
from credential_rotation.planning import _note_of_sign_ins, _what_to_roll_back, _with_what_is_current, make_plan
from credential_rotation.rotation.inventory import Inventory
from credential_rotation.rotation.ledger import Ledger
from credential_rotation.rotation.outcomes import Exclusion, Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.selection import SelectionError, SiteInventory
from credential_rotation.run_folder import RunFolder
from credential_rotation.site_files import write_inventory
from credential_rotation.triggering_events import NamedByEvents
from tests.builders import connection, inventory, item, rotation_params, snowflake_credential, target

FINGERPRINTS = Fingerprints(b"a key")
CREDENTIALS = [snowflake_credential(token="today", previous_password="yesterday").reversed()]
SITES = [SiteInventory(name, name, Inventory((), {}), f"https://tableau.acme.example|{name}") for name in ("a", "b")]


class Updates:
    """Ledgers whose runs need no files: each updated one connection of each site."""

    def __init__(self, reports: str) -> None:
        self._ledgers = Ledgers(reports, "a_dag")
        self.read = self._ledgers.read
        self.embedded = "today"

    def know(self, site: SiteInventory, run_id: str, saved_at: str, token: str = "today") -> None:
        entry = {"token": FINGERPRINTS.of(token), "username": "ETL_USER", "saved_at": saved_at, "run_id": run_id}
        self._ledgers.write(site.site_key, Ledger.from_dict({f"{site.site}/{run_id}": entry}))

    def embedded_by(self, run_id: str) -> dict[str, str]:
        return {"snowflake_pat": FINGERPRINTS.of(self.embedded)} if run_id else {}

    def updated_by(self, run_id: str) -> dict[str, ConnectionRecord]:
        record = target(1, tableau_conn_id="a")
        return {record.key: record}


@pytest.fixture
def updates(tmp_path: Path) -> Updates:
    return Updates(f"file://{tmp_path}")


def note(updates: Updates, **params: Any) -> str:
    task: Any = SimpleNamespace(
        params=rotation_params(roll_back=True, **params), fingerprints=FINGERPRINTS, ledgers=updates
    )
    return _what_to_roll_back(task, SITES, CREDENTIALS, [target(1, tableau_conn_id="a")])[1]


ROLLS_BACK = "This run rolls back these connections:"


@pytest.mark.parametrize("later", [0, 1])
def test_of_all_runs_on_all_sites_the_first_says_what_was_there_whatever_its_id(updates: Updates, later: int) -> None:
    updates.know(SITES[1 - later], "scheduled__2026-11-24T04:00:00+00:00", "2026-11-24T04:00:00+00:00")
    updates.know(SITES[later], "manual__2026-11-24T05:00:00+00:00", "2026-11-24T05:00:00+00:00")
    assert note(updates) == f"{ROLLS_BACK} 1 of run 'scheduled__2026-11-24T04:00:00+00:00'."


def test_one_that_embedded_another_token_is_not_meant(updates: Updates) -> None:
    updates.know(SITES[0], "run 1", "2026-11-24T04:00:00+00:00")
    updates.know(SITES[1], "run 2", "2026-11-24T05:00:00+00:00", token="the day before yesterday")
    assert note(updates) == f"{ROLLS_BACK} 1 of run 'run 1'."


def test_one_that_a_person_names_and_that_embedded_another_token_is_an_error(updates: Updates) -> None:
    updates.embedded = "the day before yesterday"
    with pytest.raises(SelectionError, match="run 'run 0' embedded another token of snowflake_pat than the current"):
        note(updates, roll_back_run="run 0")


def test_one_that_a_person_names_is_the_one(updates: Updates) -> None:
    updates.know(SITES[0], "run 1", "2026-11-24T04:00:00+00:00")
    assert note(updates, roll_back_run="run 0") == f"{ROLLS_BACK} 1 of run 'run 0'."


# What is known to hold the token already

CREDENTIAL = snowflake_credential(token="today")
SAVED, LATER = "2026-11-24T04:00:00+00:00", "2026-11-24T05:00:00+00:00"
# An item with two connections, and one with a single one.
ONE, OTHER = (target(1, connection_id=luid, embed_password=True, updated_at=SAVED) for luid in ("one", "other"))
ALONE = target(2, embed_password=True, updated_at=SAVED)
ALL = [ONE, OTHER, ALONE]


@pytest.fixture
def ledgers(tmp_path: Path) -> Ledgers:
    return Ledgers(f"file://{tmp_path}", "a_dag")


def remember(ledgers: Ledgers, *records: ConnectionRecord, token: str = "today") -> None:
    """Each of these was updated with that token, at the time that its item shows."""
    entry = {"token": FINGERPRINTS.of(token), "username": "ETL_USER", "saved_at": SAVED, "run_id": "run 1"}
    entry |= {"item_updated_at": SAVED, "proof": "query"}
    entries = {f"{each.content_id}/{each.connection_id}": entry for each in records}
    ledgers.write("a site", Ledger.from_dict(entries))


def decided(ledgers: Ledgers, records: list[ConnectionRecord], **params: Any) -> dict[str, str]:
    """What is decided on each: whether it is left alone, held the token before, or neither."""
    task: Any = SimpleNamespace(params=rotation_params(**params), fingerprints=FINGERPRINTS, ledgers=ledgers)
    site = SiteInventory("tableau_default", "acme", Inventory((), {}), "a site")
    found = _with_what_is_current(task, [site], [CREDENTIAL], records, {"tableau_default": ledgers.read("a site")})
    assert [record.key for record in found] == [record.key for record in records]
    assert not any(record.held_current and record.outcome for record in found)
    return {
        str(each.connection_id): str(each.outcome or ("held it" if each.held_current else "to do")) for each in found
    }


def test_an_item_whose_connections_all_hold_the_token_is_left_alone(ledgers: Ledgers) -> None:
    remember(ledgers, *ALL)
    assert decided(ledgers, ALL) == {"one": "unchanged", "other": "unchanged", "connection-00002": "unchanged"}


def test_where_a_neighbour_is_to_be_written_all_of_its_item_is(ledgers: Ledgers) -> None:
    remember(ledgers, ONE, ALONE)
    assert decided(ledgers, ALL) == {"one": "held it", "other": "to do", "connection-00002": "unchanged"}


def test_a_neighbour_that_is_no_target_does_not_count(ledgers: Ledgers) -> None:
    remember(ledgers, ONE, ALONE)
    excluded = replace(OTHER, snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason=Exclusion.OTHER_USER)
    assert decided(ledgers, [ONE, excluded, ALONE]) == {
        "one": "unchanged", "other": "excluded", "connection-00002": "unchanged",
    }  # fmt: skip


def test_force_writes_all_and_knows_what_held_the_token_before(ledgers: Ledgers) -> None:
    remember(ledgers, ONE, ALONE)
    assert decided(ledgers, ALL, force=True) == {"one": "held it", "other": "to do", "connection-00002": "held it"}


@pytest.mark.parametrize("luid", ["one", "ONE", ONE.content_id])
def test_what_a_person_validates_on_is_written_with_all_of_its_item(ledgers: Ledgers, luid: str) -> None:
    remember(ledgers, *ALL)
    assert decided(ledgers, ALL, validate_on=luid) == {
        "one": "held it", "other": "held it", "connection-00002": "unchanged",
    }  # fmt: skip


def test_what_holds_another_token_or_was_changed_since_then_did_not_hold_it(ledgers: Ledgers) -> None:
    remember(ledgers, *ALL, token="yesterday")
    assert set(decided(ledgers, ALL).values()) == {"to do"}
    remember(ledgers, *ALL)
    changed = [replace(each, updated_at=LATER) for each in (ONE, OTHER)]
    assert decided(ledgers, [*changed, ALONE], force=True) == {
        "one": "to do", "other": "to do", "connection-00002": "held it",
    }  # fmt: skip


def signing_in_by(word: str, reason: Exclusion | None = Exclusion.OTHER_SIGN_IN) -> ConnectionRecord:
    return target(1, authentication_type=word, reason=reason)


def test_ways_to_sign_in_that_are_not_known_are_noted_with_their_words() -> None:
    okta, oauth = signing_in_by("Okta"), signing_in_by("oauth", Exclusion.OAUTH)
    records = [okta, signing_in_by("auth-none"), okta, oauth, signing_in_by("username-password", None)]
    [told] = _note_of_sign_ins(records)
    assert told.endswith("not known to mean user and password: 'Okta' (2), 'auth-none' (1).")


def test_nothing_is_noted_where_every_way_to_sign_in_is_known() -> None:
    assert _note_of_sign_ins([signing_in_by("oauth", Exclusion.OAUTH), signing_in_by("", None)]) == []


def test_of_many_words_for_ways_to_sign_in_the_most_frequent_are_noted() -> None:
    words = [f"word {number}" for number in range(12) for _ in range(12 - number)]
    [told] = _note_of_sign_ins([signing_in_by(word) for word in words])
    assert told.endswith("'word 9' (3) and 2 more.")


@pytest.mark.parametrize(
    ("named", "problems"),
    [(NamedByEvents(), 0), (NamedByEvents(("snowflake_pat",)), 0), (NamedByEvents(("snowflake_pat",), ("x",)), 1)],
)
def test_a_run_is_red_where_it_does_not_follow_all_that_an_event_names(
    tmp_path: Path, updates: Updates, named: NamedByEvents, problems: int
) -> None:
    folder = RunFolder("a_dag", "a_run", f"file://{tmp_path}")
    write_inventory(folder, inventory(item(connection())), generation="now")
    settings = SimpleNamespace(parallel_tasks=1)
    task: Any = SimpleNamespace(
        params=rotation_params(), fingerprints=FINGERPRINTS, ledgers=updates, folder=folder, settings=settings,
        named_by_events=named, generation="now",
    )  # fmt: skip
    plan, canaries = make_plan(task, [snowflake_credential()])
    assert list(canaries) == ["snowflake_pat"]
    assert len(plan.problems) == problems
    assert all("'x'" in problem for problem in plan.problems)
