"""A batch that is killed in mid-write, and stopped on its retry: nothing that may hold the token is lost from sight."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest

from credential_rotation import journal, updating
from credential_rotation.failure_marks import FailureMarks
from credential_rotation.journal import read_journals
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.report import settle
from credential_rotation.rotation.snowflake_words import Refusal, SnowflakeRefused
from credential_rotation.tableau.tableau_site import TableauSite
from credential_rotation.updating import update_targets
from sandbox.tableau import TableauCode, TableauServer
from tests.credential_rotation.mapped_tasks import PLAN, targets_on, task_of
from tests.dags.small_tableau import ETL, embedding, small_tableau


class _Killed(BaseException):
    """The process ends here: nothing more is saved."""


@pytest.fixture
def tableau() -> Iterator[TableauServer]:
    state = small_tableau(ETL)
    for number in range(12):
        state.site.add_workbook(f"etl report {number}", connections=[embedding(ETL)])
    with TableauServer(state) as server:
        yield server


@pytest.fixture
def targets(tableau: TableauServer) -> list[ConnectionRecord]:
    return targets_on(tableau.state.site)


@pytest.fixture
def task(
    tableau: TableauServer,
    targets: list[ConnectionRecord],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quickly: None,
) -> Any:
    # What is saved every two seconds is not saved in time here.
    monkeypatch.setattr(journal, "_SECONDS_BETWEEN_SAVES", 60.0)
    monkeypatch.setattr(journal, "_NAMED_AHEAD", 3)
    return task_of(tableau, targets, [ETL], tmp_path, monkeypatch, canary_proof="saved")


class Killing:
    """Ends the process at an update, before or after it took effect; nothing is saved from then on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool) -> None:
        self._monkeypatch = monkeypatch
        self._embed, self._save = TableauSite.embed, journal.Journal._save
        self._lock, self._left, self._after = threading.Lock(), number, after

    def __enter__(self) -> None:
        self._monkeypatch.setattr(TableauSite, "embed", lambda *arguments: self._ends(*arguments))  # noqa: PLW0108 (bound)

    def __exit__(self, *_: object) -> None:
        self._monkeypatch.setattr(TableauSite, "embed", self._embed)
        self._monkeypatch.setattr(journal.Journal, "_save", self._save)

    def _ends(self, *arguments: Any) -> Any:
        with self._lock:
            self._left -= 1
            is_the_end, is_over = self._left == 0, self._left < 0
        if is_over or (is_the_end and not self._after):
            self._die()
        result = self._embed(*arguments)
        if is_the_end:
            self._die()
        return result

    def _die(self) -> None:
        self._monkeypatch.setattr(journal.Journal, "_save", lambda _: None)
        raise _Killed


def _holding(tableau: TableauServer, targets: list[ConnectionRecord]) -> set[str]:
    site = tableau.state.site
    return {each.key for each in targets if site.connection(str(each.connection_id)).password == ETL.new_secret}


@pytest.mark.parametrize("kill", product(range(1, 9), [False, True]), ids=str)
def test_whoever_may_hold_the_token_is_in_the_report_and_in_the_roll_back(
    tableau: TableauServer,
    task: Any,
    targets: list[ConnectionRecord],
    monkeypatch: pytest.MonkeyPatch,
    kill: tuple[int, bool],
) -> None:
    number, after = kill
    in_flight = Random(number).randint(1, 4)
    marks = FailureMarks(task.folder, PLAN, "now")
    with Killing(monkeypatch, number, after=after), pytest.raises(_Killed):
        update_targets(task, PLAN, "batch", targets, in_flight=in_flight, marks=marks, budget=0)
    tableau.faults.script("update_connection", [TableauCode("403004", "Not allowed.")] * 100)
    with pytest.raises(Exception, match=r"Not allowed|max_failures|failed"):
        update_targets(task, PLAN, "batch", targets, in_flight=in_flight, marks=marks, budget=0)
    holding = _holding(tableau, targets)
    assert len(holding) >= number - (0 if after else 1)
    begun, done = read_journals(task.folder, PLAN)
    settled = {record.key: record for record in settle(targets, done, attempted=begun)}
    for key in holding:
        assert settled[key].outcome is not Outcome.NOT_ATTEMPTED
        assert settled[key].outcome is Outcome.UPDATED or settled[key].touched
    assert holding <= set(task.ledgers.updated_by("a_run"))
    not_attempted = [record for record in settled.values() if record.outcome is Outcome.NOT_ATTEMPTED]
    assert len(not_attempted) >= len(targets) - number - in_flight - 4


def test_a_canary_killed_in_mid_write_whose_token_snowflake_then_refuses_is_put_back(
    tableau: TableauServer, task: Any, targets: list[ConnectionRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = replace(targets[0], canary=True)
    with Killing(monkeypatch, 1, after=True), pytest.raises(_Killed):
        update_targets(task, PLAN, "canary", [canary], in_flight=1, marks=None)
    assert _holding(tableau, targets) == {canary.key}
    task.settings = replace(task.settings, snowflake_check=True)
    refused = SnowflakeRefused("Programmatic access token is expired.", Refusal.TOKEN_EXPIRED)
    monkeypatch.setattr(
        "credential_rotation.snowflake_check.sign_in_with_password",
        lambda conn, login, secret: _refuse(refused) if secret == ETL.new_secret else None,
    )
    with pytest.raises(updating.ConnectionsFailed):
        update_targets(task, PLAN, "canary", [canary], in_flight=1, marks=None)
    assert _holding(tableau, targets) == set()
    [record] = read_journals(task.folder, PLAN)[1]
    assert (record.outcome, record.touched) == (Outcome.ROLLED_BACK, True)
    assert "was killed" in str(record.reason)
    assert "put back" in str(record.reason)


def _refuse(refused: SnowflakeRefused) -> None:
    raise refused
