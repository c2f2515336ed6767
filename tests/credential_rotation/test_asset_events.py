"""The event that a rotation emits; what it says is tested with whole runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from credential_rotation.asset_events import emit_rotated
from tests.builders import rotation_params


def test_an_event_that_can_not_be_emitted_changes_no_run(caplog: pytest.LogCaptureFixture) -> None:
    task: Any = SimpleNamespace(dry_run=False, run_id="a_run", params=rotation_params())
    context: Any = {"outlet_events": {}}
    emit_rotated(context, task, {"summary": {"targets": 0}, "not_looked_at": []})
    assert "The asset event of this run could not be emitted." in caplog.text
