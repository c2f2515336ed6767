"""The plugin file: every component of Airflow loads it, and only the api-server needs what it leads to."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"

# As a scheduler or a worker does: nothing but plugins/ is on the path.
LOADS = f"""
import json, sys
sys.path.insert(0, {str(PLUGINS)!r})
from airflow._shared.plugins_manager import _load_plugins_from_plugin_directory
before = set(sys.modules)
plugins, errors = _load_plugins_from_plugin_directory({str(PLUGINS)!r})
print(json.dumps([
    [plugin.name for plugin in plugins],
    errors,
    sorted(name for name in set(sys.modules) - before if "credential" in name or name.startswith("fastapi")),
    [view["href"] for view in plugins[0].external_views],
]))
"""


def test_it_is_the_only_one_and_costs_a_scheduler_nothing(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-P", "-c", LOADS],
        capture_output=True,
        check=True,
        text=True,
        cwd=tmp_path,
        env={"AIRFLOW_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    names, errors, loaded, hrefs = json.loads(done.stdout.splitlines()[-1])
    assert names == ["credential_rotation"]
    assert errors == {}
    assert loaded == ["credential_rotation_plugin"]
    assert not [href for href in hrefs if href.startswith(("/", "http"))]


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> object:
    from credential_rotation_plugin import CredentialRotationPlugin  # noqa: PLC0415 (imports Airflow)

    return CredentialRotationPlugin()


def test_the_api_server_gets_the_page(plugin: object) -> None:
    from credential_rotation.pages.app import app  # noqa: PLC0415 (imports Airflow)

    [page] = plugin.fastapi_apps  # type: ignore[attr-defined]
    assert (page["url_prefix"], page["app"]) == ("/credential-rotation", app)


def test_a_page_that_cannot_be_made_is_in_the_log_and_airflow_starts_and_says_so_in_its_place(
    plugin: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "credential_rotation.pages.app", None)
    with caplog.at_level(logging.ERROR):
        [page] = plugin.fastapi_apps  # type: ignore[attr-defined]
    assert "The page 'Credential rotation' can't be made." in caplog.text
    assert "ModuleNotFoundError" in caplog.text
    airflow = FastAPI()
    airflow.mount(page["url_prefix"], page["app"])
    airflow.get("/{anything:path}")(lambda anything: "Airflow inside of Airflow")
    for path in ("/", "/run?dag_id=a&run_id=b", "/api/fleet"):
        answer = TestClient(airflow).get("/credential-rotation" + path)
        assert answer.status_code == 503
        assert answer.text == "This page can't be made here. The log of Airflow's api-server says why."
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
