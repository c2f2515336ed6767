"""What changes no run."""

from __future__ import annotations

import pytest

from credential_rotation.harmless import harmless


def test_what_goes_wrong_is_logged_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    with harmless("The flag could not be hoisted (100%)."):
        raise OSError("no wind")
    assert "The flag could not be hoisted (100%)." in caplog.text
    assert "no wind" in caplog.text


def test_what_is_to_end_the_task_ends_it() -> None:
    with pytest.raises(KeyboardInterrupt), harmless("The flag could not be hoisted."):
        raise KeyboardInterrupt
