"""ALTER SESSION, USE, BEGIN, COMMIT and ROLLBACK: what hooks and drivers send besides the statements that matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

from sandbox.snowflake import errors
from sandbox.snowflake.account import PUBLIC
from sandbox.snowflake.results import EXECUTED, ResultSet, status
from sandbox.snowflake.sessions import Session
from sandbox.snowflake.statements import AlterSession, Statement, Transaction, Use

KNOWN_PARAMETERS = frozenset(
    {
        "ABORT_DETACHED_QUERY",
        "AUTOCOMMIT",
        "DATE_OUTPUT_FORMAT",
        "JSON_INDENT",
        "LOCK_TIMEOUT",
        "MULTI_STATEMENT_COUNT",
        "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT",
        "QUERY_TAG",
        "ROWS_PER_RESULTSET",
        "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS",
        "STATEMENT_TIMEOUT_IN_SECONDS",
        "TIMESTAMP_LTZ_OUTPUT_FORMAT",
        "TIMESTAMP_NTZ_OUTPUT_FORMAT",
        "TIMESTAMP_OUTPUT_FORMAT",
        "TIMESTAMP_TYPE_MAPPING",
        "TIMESTAMP_TZ_OUTPUT_FORMAT",
        "TIMEZONE",
        "TIME_OUTPUT_FORMAT",
        "USE_CACHED_RESULT",
    }
)


def execute(session: Session, statement: Statement) -> ResultSet:
    """Change the session, and nothing else."""
    match statement:
        case AlterSession():
            set_parameters(session, statement.settings)
            for name in statement.unset:
                session.parameters.pop(name, None)
        case Use():
            _use(session, statement)
        case Transaction():
            pass  # every statement here is DDL, which commits by itself
        case _:
            raise errors.not_simulated(statement.operation)
    return status(EXECUTED)


def set_parameters(session: Session, settings: Mapping[str, Any]) -> None:
    """Set session parameters; unknown ones are refused, except those that are a client's own business."""
    for name, value in settings.items():
        upper = name.upper()
        if upper not in KNOWN_PARAMETERS and not upper.startswith("CLIENT_"):
            raise errors.SnowflakeError(
                "001420", f"SQL compilation error:\ninvalid property '{upper}' for 'SESSION'", "42601"
            )
        if upper == "TIMEZONE" and value not in available_timezones():
            raise errors.invalid_value(value, upper, "it must be the name of a time zone")
        session.parameters[upper] = value


def _use(session: Session, statement: Use) -> None:
    match statement.kind:
        case "ROLE":
            _use_role(session, statement.name)
        case "WAREHOUSE":
            session.warehouse = statement.name
        case "DATABASE":
            session.database = statement.name
        case "SCHEMA":
            session.schema = statement.name


def _use_role(session: Session, name: str) -> None:
    account, user = session.admission.account, session.admission.user
    if name not in account.roles:
        raise errors.does_not_exist("Role", name)
    # sessions by token reject USE ROLE, even to the role they have (chio-labs/sqlbuild #402)
    if session.admission.token is not None or name not in {*user.roles, PUBLIC}:
        raise errors.insufficient_privileges("role", name)
    session.role = name
