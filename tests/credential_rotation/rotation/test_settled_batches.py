"""Updates of a batch that somebody publishes over before the task is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from credential_rotation.rotation.one_connection import Orders
from credential_rotation.rotation.outcomes import Outcome, Proof
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.update_batch import KEEPS_CHANGING, BatchResult, as_whole_items, update_batch
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.tableau import Site, TableauServer, TableauState, Throttle, snowflake_connection
from tests.builders import target
from tests.credential_rotation.hooks.connecting import Connect
from tests.credential_rotation.rotation.on_the_sandbox import CREDENTIAL, TOKEN, find_targets
from tests.credential_rotation.rotation.proving import Proofs
from tests.dags.small_tableau import ACCOUNT, published_again_just_before


def update(tableau: TableauSite, targets: list[ConnectionRecord], **orders: Any) -> BatchResult:
    return update_batch(
        tableau,
        targets,
        {CREDENTIAL.conn_id: CREDENTIAL},
        in_flight=4,
        done=lambda _: None,
        hold=lambda _: None,
        orders=Orders(**orders),
    )


@pytest.fixture
def proofs(state: TableauState, connect: Connect) -> Proofs:
    state.job_polls = 1
    state.accounts.add_account(ACCOUNT).add_user(CREDENTIAL.login, [TOKEN])
    return Proofs(state, connect())


@pytest.fixture
def six(site: Site, tableau: TableauSite) -> list[ConnectionRecord]:
    for number in range(6):
        site.add_datasource(f"Orders {number}", connections=[snowflake_connection()])
    return find_targets(tableau)


def test_what_is_published_over_is_updated_again(
    site: Site, tableau: TableauSite, server: TableauServer, six: list[ConnectionRecord]
) -> None:
    server.faults.script("list_datasources", published_again_just_before(site, site.contents[2]))
    records = update(tableau, six).records
    assert {record.outcome for record in records} == {Outcome.UPDATED}
    assert [content.connections[0].password for content in site.contents] == [TOKEN] * 6
    assert [len(content.connections[0].writes) for content in site.contents] == [1, 1, 2, 1, 1, 1]
    times = [content.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ") for content in site.contents]
    assert [record.item_updated_at for record in records] == times


def test_what_is_published_with_new_luids_has_failed(
    site: Site, tableau: TableauSite, server: TableauServer, six: list[ConnectionRecord]
) -> None:
    fault = published_again_just_before(site, site.contents[2], new_ids=True)
    server.faults.script("list_datasources", fault)
    failed = update(tableau, six).records[2]
    assert (failed.outcome, failed.retriable) == (Outcome.FAILED, False)
    assert "its connections were replaced meanwhile" in str(failed.reason)


def test_what_is_never_seen_to_stay_is_left_to_a_later_try(
    site: Site, tableau: TableauSite, six: list[ConnectionRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, content = tableau.updated_at, site.contents[2]
    monkeypatch.setattr(
        tableau, "updated_at", lambda asked: {luid: at for luid, at in real(asked).items() if luid != content.id}
    )
    [failed] = [record for record in update(tableau, six).records if record.outcome is not Outcome.UPDATED]
    assert (failed.content_id, failed.outcome, failed.reason) == (content.id, Outcome.FAILED, KEEPS_CHANGING)
    assert (failed.retriable, failed.touched, failed.attempts) == (True, True, 3)


def test_what_can_not_be_looked_at_is_left_to_a_later_try(
    tableau: TableauSite, server: TableauServer, six: list[ConnectionRecord]
) -> None:
    server.faults.script("list_datasources", Throttle("120"))
    result = update(tableau, six)
    assert result.retry_after == 120
    assert {(each.outcome, each.retriable, each.touched, each.attempts) for each in result.records} == {
        (Outcome.FAILED, True, True, 1)
    }
    server.requests.clear()
    assert {each.outcome for each in update(tableau, list(result.records)).records} == {Outcome.UPDATED}


@pytest.mark.parametrize("moves", [False, True])
def test_a_refresh_of_ours_is_no_publication(site: Site, tableau: TableauSite, proofs: Proofs, moves: bool) -> None:
    proofs.state.refresh_moves_updated_at = moves
    content = site.add_datasource("Extract", connections=[snowflake_connection()], has_extracts=True)
    [record] = find_targets(tableau)
    while record.outcome is None:
        [record] = update(tableau, [record], prover=proofs.prover(), is_canary=True).records
        proofs.state.clock.advance(minutes=1)
    assert (record.outcome, record.proof) == (Outcome.UPDATED, Proof.REFRESH_JOB)
    assert bool(record.item_updated_at) != moves
    assert len(content.connections[0].writes) == 1


def settled(number: int, **fields: Any) -> ConnectionRecord:
    return target(number, saved_at="x", item_updated_at="y", **fields)


def test_an_item_is_written_as_a_whole() -> None:
    alone, beside = settled(1), settled(2)
    new = target(2, connection_id="new")
    assert as_whole_items([alone, beside, new]) == [alone, replace(beside, saved_at=None, item_updated_at=None), new]


def test_what_failed_after_it_was_saved_is_written_again() -> None:
    failed = settled(1, outcome=Outcome.FAILED, retriable=True)
    assert as_whole_items([failed]) == [replace(failed, saved_at=None, item_updated_at=None)]
