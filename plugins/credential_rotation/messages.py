"""One message for each run, through any notifier of Airflow's."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from contextvars import copy_context
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseNotifier
from airflow.sdk.configuration import conf

from credential_rotation.message_body import MessageBody
from credential_rotation.settings import UnusableEnvironment

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

LONGEST_SECONDS = 60.0

_EXAMPLE = (
    '{"class": "airflow.providers.smtp.notifications.smtp.SmtpNotifier", "kwargs": {"to": "bi@acme.example", '
    '"subject": "{{ credential_rotation.subject }}", "html_content": "{{ credential_rotation.html }}"}}'
)


def send_message(
    setting: str | None, context: Context, *, brief: Mapping[str, Any], summary: Mapping[str, Any], verdict: str
) -> None:
    """Tell how a run has ended. What goes wrong with the message is logged, and changes nothing about the run.

    It is sent from a thread, and waited for no longer than a minute: a server that never answers would hold the task
    until Airflow's time limit makes a green run red. The thread ends with the task's process at the latest.

    The notifier's own templates may use what :class:`credential_rotation.message_body.MessageBody` has, as
    ``credential_rotation.verdict``, say.

    :param setting: ``CREDENTIAL_ROTATION_NOTIFIER``: a JSON object with the class of a notifier and its arguments
    :param brief: the XCom of the task ``report``
    """
    if not setting:
        return
    sending = threading.Thread(
        target=copy_context().run,
        args=(_send, setting, context, brief, summary, verdict),
        name="message",
        daemon=True,
    )
    sending.start()
    sending.join(LONGEST_SECONDS)
    if sending.is_alive():
        log.error("The message about this run is not sent after %g seconds; nobody waits for it.", LONGEST_SECONDS)


def _send(setting: str, context: Context, brief: Mapping[str, Any], summary: Mapping[str, Any], verdict: str) -> None:
    try:
        body = MessageBody(
            dag_id=context["ti"].dag_id,
            run_id=brief["run_id"],
            state=brief["state"],
            dry_run=brief["dry_run"],
            verdict=" ".join(verdict.split()),  # a name may break lines
            summary=summary,
            report=brief["report"],
            url=_url(context["ti"].dag_id, brief["run_id"]),
        )
        notifier(setting)({**context, "credential_rotation": body.as_dict()})
    except BaseException:  # what a notifier raises to end the process ends this thread alone
        log.exception("The message about this run could not be sent.")
    else:
        log.info("A message about this run was sent.")


def _url(dag_id: str, run_id: str) -> str:
    """The run in the Airflow UI; the default is Airflow's own."""
    base = conf.get("api", "base_url", fallback="http://localhost:8080").rstrip("/")
    return f"{base}/dags/{quote(dag_id)}/runs/{quote(run_id)}"


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
