"""A stand-in for Airflow's supervisor, which holds the Variables of a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    DeleteVariable,
    ErrorResponse,
    GetConnection,
    GetVariable,
    GetVariableKeys,
    OKResponse,
    PutVariable,
    VariableKeysResult,
    VariableResult,
)
from airflow.sdk.execution_time.secrets.execution_api import ExecutionAPISecretsBackend
from airflow.secrets.environment_variables import EnvironmentVariablesBackend


class Supervisor:
    """Holds Variables, and notes what it is sent.

    ``fails`` are kinds of messages that it stumbles over, ``denies`` those that it refuses; ``after_writing`` is told
    of each Variable that was written.
    """

    def __init__(self) -> None:
        self.variables: dict[str, str | None] = {}
        self.sent: list[Any] = []
        self.fails: tuple[type, ...] = ()
        self.denies: tuple[type, ...] = ()
        self.after_writing: Callable[[PutVariable], None] = lambda _: None

    def send(self, message: Any) -> Any:
        self.sent.append(message)
        if isinstance(message, self.fails):
            # The real one says nothing of what it was sent.
            detail = {"status_code": 500, "message": "Server returned error"}
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))
        if isinstance(message, self.denies):
            return ErrorResponse(error=ErrorType.PERMISSION_DENIED, detail={"status_code": 403})
        if isinstance(message, GetVariableKeys):
            keys = [key for key in self.variables if key.startswith(message.prefix or "")]
            return VariableKeysResult(keys=keys, total_entries=len(keys))
        if isinstance(message, GetVariable):
            if message.key in self.variables:
                return VariableResult(key=message.key, value=self.variables[message.key])
            return ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND)
        if isinstance(message, GetConnection):
            return ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND)
        if isinstance(message, PutVariable):
            self.variables[message.key] = message.value
            self.after_writing(message)
        if isinstance(message, DeleteVariable):
            self.variables.pop(message.key, None)
        return OKResponse(ok=True)


def supervise(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """From now on, what runs here is a task with this supervisor."""
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    # A task asks its supervisor; outside a task Airflow would look into a database.
    # In this order: what stands in the environment hides what Airflow holds.
    backends = [EnvironmentVariablesBackend(), ExecutionAPISecretsBackend()]
    monkeypatch.setattr("airflow.sdk.execution_time.supervisor.ensure_secrets_backend_loaded", lambda: backends)
    return supervisor
