"""Everything goes wrong at once: one round of `make chaos`."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from sandbox.chaos.menu import Menu
from sandbox.chaos.plan import Event, Moment, Plan, Planned
from sandbox.chaos.round import play_round
from sandbox.chaos.secrets import Secrets, session_tokens
from sandbox.chaos.servers import started
from sandbox.killing import Way

pytestmark = [pytest.mark.scheduler, pytest.mark.kills]


@pytest.fixture
def plan() -> Plan:
    events = (
        Planned(Event.RENAME, Moment("query_connections", 5, 0.0), seed=1),
        Planned(Event.SESSIONS_END, Moment("query_connections", 15, 0.1), seed=2),
        Planned(Event.OUTAGE, Moment("query_connections", 20, 0.1), seed=7),
        Planned(Event.REMOVE, Moment("query_connections", 25, 0.1), seed=3),
        Planned(Event.REPUBLISH_NEW_IDS, Moment("update_connection", 5, 0.1), seed=4),
        Planned(Event.KILL, Moment("update_connection", 6, 0.1), seed=5, way=Way.BOTH, everyone=True),
        Planned(Event.PUBLISH, Moment("update_connection", 8, 0.1), seed=6),
    )
    return Plan(number=1, seed=7, faults=Menu(Random(7)).draw(6), events=events, per_task=4)


def test_nothing_is_lost_when_everything_goes_wrong_at_once(tmp_path: Path, plan: Plan) -> None:
    with started(tmp_path) as servers:
        done = play_round(servers, plan)
        secrets = Secrets()
        secrets.learn(servers.tableau)
        sessions = session_tokens(servers.tableau)
    assert done.wrong == []
    assert done.missed == []
    assert done.killed
    assert done.consumed.total() >= 3
    assert done.states[1] == "success"
    assert len(sessions) >= 6  # of two sessions at least, each whole and in its two parts
    assert secrets.look(tmp_path) == []
