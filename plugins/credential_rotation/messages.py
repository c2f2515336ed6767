"""One message for each run, through any notifier of Airflow's."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier
from airflow.sdk.configuration import conf

from credential_rotation.settings import UnusableEnvironment

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

_EXAMPLE = (
    '{"class": "airflow.providers.smtp.notifications.smtp.SmtpNotifier", "kwargs": {"to": "bi@acme.example", '
    '"subject": "{{ credential_rotation.state }}: {{ credential_rotation.dag_id }}", '
    '"html_content": "{{ credential_rotation.verdict }} {{ credential_rotation.url }}"}}'
)


def send_message(setting: str | None, context: Context, *, state: str, verdict: str, report: str) -> None:
    """Tell how a run has ended. What goes wrong with the message is logged, and changes nothing about the run.

    The notifier's own templates may use ``credential_rotation.state``, ``.verdict``, ``.report``, ``.dag_id``,
    ``.run_id`` and ``.url``.

    :param setting: ``CREDENTIAL_ROTATION_NOTIFIER``: a JSON object with the class of a notifier and its arguments
    """
    if not setting:
        return
    ti = context["ti"]
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    told = {
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "state": state,
        "verdict": verdict,
        "report": report,
        "url": f"{base}/dags/{ti.dag_id}/runs/{ti.run_id}",
    }
    try:
        notifier(setting)({**context, "credential_rotation": told})
    except Exception:
        log.exception("The message about this run could not be sent.")
    else:
        log.info("A message about this run was sent.")


def notifier(setting: str) -> BaseNotifier:
    """The notifier that a setting names.

    :raises UnusableEnvironment: when it names none
    """
    try:
        said = json.loads(setting)
        module, _, name = str(said["class"]).rpartition(".")
        kind, arguments = getattr(import_module(module), name), said.get("kwargs", {})
        made = kind(**arguments) if isinstance(arguments, Mapping) else None
    except (ValueError, KeyError, TypeError, ImportError, AttributeError) as problem:
        raise UnusableEnvironment(_wrong(f"{type(problem).__name__}: {problem}")) from None
    if not isinstance(made, BaseNotifier):
        raise UnusableEnvironment(_wrong("that is no notifier"))
    return made


def _wrong(why: Any) -> str:
    return f"CREDENTIAL_ROTATION_NOTIFIER must be JSON such as {_EXAMPLE}, but can't be used ({why})."
