"""Whatever happens at a boundary of a renewal, Tableau ends on a secret that works, or a run says in time that not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.credential_rotation.renewal import matrix
from tests.credential_rotation.renewal.matrix import CELLS, Cell, Event, Moment, Story, play
from tests.credential_rotation.renewal.whole_runs import CONN_ID, Runs
from tests.sandbox_snowflake.small_account import small_account

PAGE = Path(__file__).parents[3] / "docs" / "renewal.md"


@pytest.fixture(scope="module")
def stories() -> dict[Cell, Story]:
    return {}


def _name(cell: Cell) -> str:
    return f"{cell.event.name}-{cell.moment.name}-{cell.follow_up.name}"


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("cell", CELLS, ids=_name)
def test_tableau_ends_on_a_secret_that_works_or_a_run_says_so_in_time(
    cell: Cell, runs: Runs, stories: dict[Cell, Story], is_first: bool
) -> None:
    story = play(cell, runs, is_first=is_first)
    for number, look in enumerate(story.looks):
        if not look.tableau_works and not _is_the_event(cell, number):
            told = [each for each in story.looks[:number] if each.result and each.result.red]
            assert told, f"dark at {look.at} without a word"
            assert any("ends at" in (each.result.readable if each.result else "") for each in told)
        if look.result and look.result.report and not (cell.event is Event.ANOTHER_ROTATOR and number == 0):
            told_days = look.result.users[CONN_ID]["days_left"]
            assert told_days is None or told_days <= look.days_left + 0.01, f"{told_days} of {look.days_left}"
    assert story.looks[-1].tableau_works
    assert runs.embedded == runs.in_force
    assert not story.results[-1].red
    if is_first:
        stories[cell] = story
    elif cell in stories:
        assert story.words == stories[cell].words


def _is_the_event(cell: Cell, number: int) -> bool:
    """While its role is revoked, nothing that a renewal does lets Tableau in."""
    return cell.event is Event.TRIAL_REFUSED and number == 0


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.event is Event.ANOTHER_ROTATOR], ids=_name)
def test_somebody_else_who_rotates_after_us_makes_a_run_red(cell: Cell, runs: Runs) -> None:
    red = [result for result in play(cell, runs).results if result.red]
    assert bool(red) is (cell.moment is not Moment.BEFORE_ROTATE)
    assert all("Somebody else rotates the token TABLEAU" in result.readable for result in red)


def test_the_table_in_the_docs_is_this_matrix(
    stories: dict[Cell, Story],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    nothing_masked: None,
    request: pytest.FixtureRequest,
) -> None:
    all_of_them = [
        stories.get(cell) or play(cell, Runs(small_account(), f"file://{tmp_path / str(number)}", monkeypatch))
        for number, cell in enumerate(CELLS)
    ]
    page = PAGE.read_text()
    expected = matrix.replaced(page, list(matrix.table(all_of_them)))
    if request.config.getoption("--write-matrix"):
        PAGE.write_text(expected)
    assert PAGE.read_text() == expected
