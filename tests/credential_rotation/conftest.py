"""A sandbox Tableau, and a hook that is connected to it by an Airflow connection out of the environment."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.tableau import Site, TableauServer, TableauState
from tests.credential_rotation.hooks.connecting import Connect
from tests.credential_rotation.hooks.session_stores import MemoryStore
from tests.credential_rotation.supervising import Supervisor, supervise

_FROM_OUTSIDE = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC")


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This machine's own proxies, certificates and Airflow do not matter."""
    for name in os.environ:
        if name.upper() in _FROM_OUTSIDE or name.startswith(("AIRFLOW_CONN_", "AIRFLOW_VAR_", "CREDENTIAL_ROTATION_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))


@pytest.fixture
def state() -> TableauState:
    state = TableauState()
    state.add_site("acme")
    return state


@pytest.fixture
def site(state: TableauState) -> Site:
    return state.site


@pytest.fixture
def server(state: TableauState) -> Iterator[TableauServer]:
    with TableauServer(state) as server:
        yield server


@pytest.fixture
def store() -> MemoryStore:
    """Where the shared session is kept, instead of an Airflow Variable: these need a task that runs."""
    return MemoryStore()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the hook would have waited before each further try; it does not wait."""
    from credential_rotation.tableau import session_sharing, tableau_site, transport  # noqa: PLC0415 (imports Airflow)

    waits: list[float] = []
    how_long = transport._quick_wait

    def note(retry: transport.RetryCallState) -> float:
        waits.append(how_long(retry))
        return 0.0

    monkeypatch.setattr(transport, "_quick_wait", note)
    monkeypatch.setattr(session_sharing, "_HOST_JITTER_SECONDS", 0.0)
    monkeypatch.setattr(tableau_site, "_BEFORE_IT_IS_MISSING", (0.0, 0.0))
    return waits


@pytest.fixture
def quick_seal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key that seals a session is slow to derive on purpose: here, it is not."""
    from credential_rotation.tableau import session  # noqa: PLC0415 (imports Airflow)

    def derive(material: bytes, salt: bytes) -> bytes:
        return base64.urlsafe_b64encode(hashlib.sha256(salt + material).digest())

    monkeypatch.setattr(session, "_derive", derive)


@pytest.fixture
def nothing_masked() -> None:
    """Airflow's masker forgets the secrets of earlier tests: it becomes slow with hundreds of them."""
    from airflow.sdk._shared.secrets_masker import reset_secrets_masker  # noqa: PLC0415 (imports Airflow)

    reset_secrets_masker()


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """Airflow itself is not here: a stand-in holds Variables, and tests look at what it is sent."""
    return supervise(monkeypatch)


@pytest.fixture
def quickly(waits: list[float], quick_seal: None, nothing_masked: None) -> None:
    """Nothing takes longer than the test needs."""


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, server: TableauServer, store: MemoryStore, quickly: None) -> Connect:
    """Makes hooks; see :class:`Connect`."""
    return Connect(monkeypatch, server, store)
