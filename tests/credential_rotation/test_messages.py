"""One message for a run, through a notifier that a setting names."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from airflow.sdk import DAG, BaseNotifier

from credential_rotation.messages import notifier, send_message
from credential_rotation.settings import UnusableEnvironment


class Teller(BaseNotifier):
    """Keeps what it is to say."""

    template_fields: Sequence[str] = ("text",)
    told: ClassVar[list[str]] = []

    def __init__(self, text: str, *, broken: bool = False) -> None:
        super().__init__()
        self.text = text
        self.broken = broken

    def notify(self, context: Any) -> None:
        if self.broken:
            raise RuntimeError("the mail server is away")
        self.told.append(self.text)


class _Instance:
    dag_id, run_id = "renew_snowflake_pat", "manual__1"


CONTEXT: Any = {"ti": _Instance(), "dag": DAG("renew_snowflake_pat", schedule=None)}


def setting(**arguments: object) -> str:
    return json.dumps({"class": f"{__name__}.Teller", "kwargs": arguments})


@pytest.fixture(autouse=True)
def _nothing_told() -> None:
    Teller.told.clear()


def test_the_message_says_how_the_run_ended_and_where_to_look() -> None:
    text = "{{ credential_rotation.state }}: {{ credential_rotation.verdict }} {{ credential_rotation.url }}"
    send_message(setting(text=text), CONTEXT, state="failed", verdict="etl: {{ too late }}", report="/r.json")
    assert Teller.told == ["failed: etl: {{ too late }} /dags/renew_snowflake_pat/runs/manual__1"]


def test_without_the_setting_nothing_is_sent() -> None:
    send_message(None, CONTEXT, state="failed", verdict="", report="")
    assert Teller.told == []


@pytest.mark.parametrize("text", [setting(text="x", broken=True), "no JSON", setting(nonsense=1)])
def test_a_message_that_can_not_be_sent_is_logged_and_changes_nothing(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        send_message(text, CONTEXT, state="success", verdict="", report="")
    assert "could not be sent" in caplog.text
    assert Teller.told == []


@pytest.mark.parametrize(
    "text", ["no JSON", "[]", '{"class": "os.getcwd"}', '{"class": "no.such.Thing"}', '{"kwargs": {}}', '{"class": 1}']
)
def test_a_setting_that_names_no_notifier_is_one_clear_error(text: str) -> None:
    with pytest.raises(UnusableEnvironment, match="CREDENTIAL_ROTATION_NOTIFIER must be JSON such as"):
        notifier(text)
