"""Any sequence of runs, kills, cleared tasks and changes around them keeps the promises.

    Run, Run(roll_back=True)   a run, a roll-back; a task of it may be killed: Incident
    Clear                      any task is cleared, with or without what follows
    Republish                  an author publishes an item again, with an old secret
    ChangeToken, RePoint       a new token, another site

After each step: a green run has no target without the token; a green roll-back has none with the token that it takes
back; the ledger says of none that it holds the token that does not; nothing else is touched. At the end a run that
nobody disturbs makes all well, and a roll-back takes all of it back.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from airflow.sdk._shared.secrets_masker import SecretsMasker
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.engine import ConjectureRunner

from credential_rotation import rotate_tasks, updating
from credential_rotation.rotation import proof
from tests.credential_rotation.sequences.dying import Point
from tests.credential_rotation.sequences.playing import Stage
from tests.credential_rotation.sequences.promises import broken_promises
from tests.credential_rotation.sequences.small_airflow import State
from tests.credential_rotation.sequences.steps import (
    FAILED,
    LATEST,
    TASKS,
    ChangeToken,
    Clear,
    Incident,
    RePoint,
    Republish,
    Run,
    Step,
)
from tests.credential_rotation.sequences.two_sites import CREDENTIALS, ITEMS
from tests.credential_rotation.supervising import Supervisor

# -- what happens -----------------------------------------------------------------------------------------------------

_WRITING = ("validate_one", "update_connections")
_REQUESTING = ("discover", *_WRITING)
_UPDATES = (Point.BEFORE_UPDATE, Point.AFTER_UPDATE)
_WITHIN = (*_UPDATES, Point.BEFORE_FILE)
_numbers = st.integers(1, 8)

_republish = st.builds(
    Republish, st.just(LATEST) | st.sampled_from(ITEMS), st.sampled_from((False, False, True)), st.booleans()
)
_change_token = st.builds(ChangeToken, st.sampled_from(CREDENTIALS))
_re_point = st.just(RePoint())
_clear = st.builds(Clear, st.sampled_from((*TASKS, FAILED)), st.booleans(), st.none() | st.integers(0, 2))
_meanwhile = st.lists(st.one_of(_republish, _republish, _republish, _clear, _change_token, _re_point), max_size=2).map(
    tuple
)

_incidents = st.one_of(
    st.builds(
        Incident,
        st.sampled_from(_WRITING),
        st.sampled_from(_WITHIN),
        _numbers,
        _meanwhile,
        st.booleans(),
        st.booleans(),
    ),
    st.builds(
        Incident,
        st.sampled_from(_REQUESTING),
        st.sampled_from((Point.BEFORE_REQUEST, Point.AFTER_REQUEST)),
        _numbers,
        _meanwhile,
        st.booleans(),
    ),
    st.builds(
        Incident,
        st.sampled_from((*TASKS, *_WRITING, *_WRITING)),
        st.just(Point.BEFORE_FILE),
        st.integers(1, 20),
        _meanwhile,
        st.booleans(),
    ),
)
_run = st.builds(
    Run,
    roll_back=st.sampled_from((False, False, True)),
    only=st.sampled_from((None, None, *CREDENTIALS)),
    connections_per_task=st.sampled_from((None, 3)),
    saves_each=st.booleans(),
    canary_proof=st.sampled_from(("saved", "saved", "saved", "connects")),
    force=st.sampled_from((False, False, False, True)),
    validate_on=st.sampled_from((None, None, "etl and bi")),
    incident=st.none() | _incidents,
)
_clear_afterwards = st.builds(
    Clear,
    st.sampled_from((*TASKS, FAILED)),
    st.booleans(),
    st.none() | st.integers(0, 2),
    st.booleans(),
    st.none() | _incidents,
)
_any_step = st.one_of(
    _run, _clear_afterwards, _republish, _run, _clear_afterwards, _republish, _change_token, _re_point
)


# A run, and what comes after it.
_sequences = st.builds(
    lambda first, further: [first, *further],
    _run.map(lambda run: replace(run, roll_back=False)),
    st.lists(_any_step, max_size=6),
)


# -- what must be true ------------------------------------------------------------------------------------------------

Play = Callable[[Sequence[Step]], None]


@pytest.fixture
def play(supervisor: Supervisor, quickly: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Play:
    """Plays a sequence in a world of its own."""
    monkeypatch.setattr(proof, "YOUNGEST_CACHE_SECONDS", -1.0)
    monkeypatch.setattr(updating, "_SHORTEST_ABSENCE", 0.0)
    # Of no concern here, and more than half of what a run takes.
    monkeypatch.setattr(rotate_tasks, "write_report_page", lambda *_: None)
    monkeypatch.setattr(SecretsMasker, "add_mask", lambda *_: None)
    # Hypothesis follows each sequence with some that differ little from it; quite another one finds more.
    monkeypatch.setattr(ConjectureRunner, "generate_mutations_from", lambda *_: None, raising=False)
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
    numbers = itertools.count()

    def play(steps: Sequence[Step]) -> None:
        supervisor.variables.clear()
        with (
            pytest.MonkeyPatch.context() as patched,
            Stage(patched, supervisor, tmp_path / f"{next(numbers)}") as stage,
        ):
            for number, step in enumerate(steps, start=1):
                stage.play(step)
                assert not broken_promises(stage), f"{steps} after {number} of {len(steps)} steps"
            stage.play(Run())
            assert stage.runs[-1].state is State.SUCCESS, f"{steps} and a run that nobody disturbs, which is red"
            assert not broken_promises(stage), f"{steps} and a run that nobody disturbs"
            stage.play(Run(roll_back=True))
            assert stage.runs[-1].state is State.SUCCESS, f"{steps}, a run, and a roll-back, which is red"
            assert not broken_promises(stage), f"{steps}, a run, and a roll-back"

    return play


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(steps=_sequences)
def test_any_sequence_keeps_the_promises(play: Play, steps: list[Step]) -> None:
    play(steps)


def test_a_run_and_its_roll_back_that_nobody_disturbs(play: Play) -> None:
    play([])


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([Run(), Republish("bi orders")], id="published again two seconds after the run"),
        pytest.param(
            [Run(incident=Incident("update_connections", Point.BEFORE_FILE, 5, (Republish("bi overview"),)))],
            id="published again when its task was killed after its journal was saved",
        ),
        pytest.param(
            [Run(incident=Incident("validate_one", Point.BEFORE_FILE, 6, (Republish("bi orders"),)))],
            id="a canary, likewise",
        ),
        pytest.param(
            [
                Run(
                    connections_per_task=3,
                    saves_each=True,
                    incident=Incident("update_connections", Point.BEFORE_UPDATE, 3, (Republish("etl and bi"),)),
                )
            ],
            id="published again when its task was killed between two connections of the item",
        ),
        pytest.param(
            [
                Run(
                    incident=Incident(
                        "validate_one", Point.BEFORE_FILE, 4, (Clear("discover"),), ends=True, kills=False
                    )
                ),
                Run(roll_back=True),
            ],
            id="a canary writes after its plan was dropped",
        ),
        pytest.param(
            [Run(), Run(roll_back=True), Clear("validate_one", earlier=True)],
            id="cleared after a roll-back took its token back",
        ),
    ],
)
def test_the_shortest_sequences_that_once_broke_a_promise(play: Play, steps: list[Step]) -> None:
    play(steps)
