"""After all the runs of this folder; its name puts it last."""

from __future__ import annotations

from sandbox.leaks import Scanner
from sandbox.tableau import TableauServer
from tests.dags.rotations import Rotations


def test_no_secret_of_all_these_runs_can_be_read_in_this_airflow(rotate: Rotations, tableau: TableauServer) -> None:
    rotate(tableau, connections_per_task=5)
    secrets = {name if len(name) < 60 else "a session": value for name, value in rotate.secrets.items()}
    assert len(secrets) >= 9
    assert Scanner(rotate.secrets).folder(rotate.airflow.home) == []
