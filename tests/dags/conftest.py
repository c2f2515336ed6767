"""One Airflow for all the runs of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dags.airflow_under_test import AirflowUnderTest


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowUnderTest]:
    started = AirflowUnderTest(tmp_path_factory.mktemp("airflow"))
    started.start()
    yield started
    started.stop()
