"""An api-server around the pages, and runs that have left something to show."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow import settings
from sqlalchemy import create_engine
from sqlalchemy.orm import scoped_session, sessionmaker

from tests.credential_rotation.fleet.story import Story
from tests.credential_rotation.pages.airflow_around import AirflowAround, Visitor


@pytest.fixture(scope="session")
def airflow_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where Airflow keeps its DAGs and the tokens that were revoked."""
    home = tmp_path_factory.mktemp("airflow")
    address = f"sqlite:///{home}/airflow.db"
    there = os.environ | {"AIRFLOW_HOME": str(home), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address}
    migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=there, cwd=home, capture_output=True, check=True)  # noqa: S603
    engine = create_engine(address)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "engine", engine)
        patch.setattr(settings, "Session", scoped_session(sessionmaker(engine)))
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret of this Airflow " * 3)
        yield


@pytest.fixture
def airflow(airflow_database: None) -> AirflowAround:
    return AirflowAround()


@pytest.fixture
def visitor(airflow: AirflowAround) -> Visitor:
    """May read everything, and trigger nothing."""
    return airflow.visitor("VIEWER")


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    """Runs leave their files where the pages look for them."""
    monkeypatch.setenv("CREDENTIAL_ROTATION_REPORTS", str(tmp_path / "reports"))
    return Story(f"file://{tmp_path}/reports")
