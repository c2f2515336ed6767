"""One message for a run, through a notifier that a setting names."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pytest
from airflow.sdk import DAG, BaseNotifier

from credential_rotation import messages
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


class Hanging(BaseNotifier):
    """Waits for a server that never answers."""

    done = threading.Event()

    def notify(self, context: Any) -> None:
        self.done.wait(20)


class Leaving(BaseNotifier):
    """Raises what no ``except Exception`` catches."""

    def notify(self, context: Any) -> None:
        raise SystemExit(1)


class _Instance:
    dag_id, run_id = "renew_snowflake_pat", "manual__2026-05-01T08:00:00+00:00"


CONTEXT: Any = {"ti": _Instance(), "dag": DAG("renew_snowflake_pat", schedule=None)}


BRIEF = {"run_id": _Instance.run_id, "state": "failed", "dry_run": False, "report": "/reports/report.json"}


def send(text: str | None, verdict: str = "", summary: dict[str, Any] | None = None, **brief: Any) -> None:
    send_message(text, CONTEXT, brief=BRIEF | brief, summary=summary or {}, verdict=verdict)


def setting(**arguments: object) -> str:
    return json.dumps({"class": f"{__name__}.Teller", "kwargs": arguments})


@pytest.fixture(autouse=True)
def _nothing_told() -> None:
    Teller.told.clear()


def test_the_message_says_how_the_run_ended_and_where_to_look() -> None:
    text = "{{ credential_rotation.state }}: {{ credential_rotation.verdict }} {{ credential_rotation.report }}"
    send(setting(text=text), "etl: {{ too late }}")
    assert Teller.told == ["failed: etl: {{ too late }} /reports/report.json"]


def test_the_link_leads_to_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.acme.example/base/")
    send(setting(text="{{ credential_rotation.url }}"))
    run = "manual__2026-05-01T08%3A00%3A00%2B00%3A00"
    assert Teller.told == [f"https://airflow.acme.example/base/dags/renew_snowflake_pat/runs/{run}"]


def test_the_numbers_are_there_one_by_one_and_ready_made() -> None:
    text = "{{ credential_rotation.summary.failed }} {{ credential_rotation.text }}"
    send(setting(text=text), summary={"users": 3, "renewed": 0, "failed": 2})
    [told] = Teller.told
    assert told.startswith("2 renew_snowflake_pat: failed\n")
    assert "users 3, failed 2" in told.splitlines()


def test_a_name_can_not_add_a_line() -> None:
    send(setting(text="{{ credential_rotation.text }}"), "Orders\r\nRun: https://evil.example")
    assert "Orders Run: https://evil.example" in Teller.told[0].splitlines()


def test_without_the_setting_nothing_is_sent() -> None:
    send(None)
    assert Teller.told == []


@pytest.mark.parametrize("text", [setting(text="x", broken=True), "no JSON", setting(nonsense=1)])
def test_a_message_that_can_not_be_sent_is_logged_and_changes_nothing(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        send(text)
    assert "could not be sent" in caplog.text
    assert Teller.told == []


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(messages, "LONGEST_SECONDS", 0.2)
    yield json.dumps({"class": f"{__name__}.Hanging"})
    Hanging.done.set()


def test_a_notifier_that_hangs_is_not_waited_for(hanging: str, caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()
    with caplog.at_level(logging.ERROR):
        send(hanging)
    assert time.monotonic() - began < 5
    assert "is not sent after 0.2 seconds" in caplog.text


def test_a_notifier_that_wants_to_end_the_process_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        send(json.dumps({"class": f"{__name__}.Leaving"}))
    assert "could not be sent" in caplog.text


@pytest.mark.parametrize(
    "text", ["no JSON", "[]", '{"class": "os.getcwd"}', '{"class": "no.such.Thing"}', '{"kwargs": {}}', '{"class": 1}']
)
def test_a_setting_that_names_no_notifier_is_one_clear_error(text: str) -> None:
    with pytest.raises(UnusableEnvironment, match="CREDENTIAL_ROTATION_NOTIFIER must be JSON such as"):
        notifier(text)
