"""SELECT: what a session knows of itself, and what the account knows of logins and tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from sandbox.snowflake import errors
from sandbox.snowflake.account import Account
from sandbox.snowflake.login_history import LoginEvent
from sandbox.snowflake.results import Column, ResultSet
from sandbox.snowflake.sessions import Session
from sandbox.snowflake.state import SnowflakeState
from sandbox.snowflake.statements import Condition, Expression, Select

VERSION = "9.38.0"
Rows = tuple[Mapping[str, str], list[dict[str, Any]]]  # columns with their types, and rows

FUNCTIONS: Mapping[str, Callable[[SnowflakeState, Session], Any]] = {
    "CURRENT_USER": lambda _, session: session.admission.user.name,
    "CURRENT_ROLE": lambda _, session: session.role,
    "CURRENT_ACCOUNT": lambda _, session: session.admission.account.name.upper(),
    "CURRENT_ACCOUNT_NAME": lambda _, session: session.admission.account.name.upper(),
    "CURRENT_DATABASE": lambda _, session: session.database,
    "CURRENT_SCHEMA": lambda _, session: session.schema,
    "CURRENT_WAREHOUSE": lambda _, session: session.warehouse,
    "CURRENT_SESSION": lambda _, session: str(session.id),
    "CURRENT_VERSION": lambda *_: VERSION,
    "CURRENT_IP_ADDRESS": lambda _, session: session.admission.event.client_ip,
    "CURRENT_TIMESTAMP": lambda state, _: state.clock.now(),
}
TYPES = {int: "fixed", bool: "boolean", str: "text", type(None): "text"}

LOGIN_HISTORY: Mapping[str, str] = {
    "EVENT_ID": "fixed",
    "EVENT_TIMESTAMP": "timestamp_ltz",
    "EVENT_TYPE": "text",
    "USER_NAME": "text",
    "CLIENT_IP": "text",
    "REPORTED_CLIENT_TYPE": "text",
    "REPORTED_CLIENT_VERSION": "text",
    "FIRST_AUTHENTICATION_FACTOR": "text",
    "SECOND_AUTHENTICATION_FACTOR": "text",
    "IS_SUCCESS": "text",
    "ERROR_CODE": "fixed",
    "ERROR_MESSAGE": "text",
}
CREDENTIALS: Mapping[str, str] = {
    "CREDENTIAL_ID": "fixed",
    "NAME": "text",
    "USER_NAME": "text",
    "TYPE": "text",
    "STATUS": "text",
    "LAST_USED_ON": "timestamp_ltz",
    "EXPIRATION_DATE": "timestamp_ltz",
    "CREATED_ON": "timestamp_ltz",
}


def execute(state: SnowflakeState, session: Session, statement: Select) -> ResultSet:
    """Evaluate."""
    if statement.source is None:
        return _values(state, session, statement)
    types, rows = _source(state, session, statement)
    for name in [*(condition.column for condition in statement.where), *(name for name, _ in statement.order_by)]:
        _known(name, types)
    for condition in statement.where:
        rows = [row for row in rows if _holds(condition, row[condition.column])]
    for column, descending in reversed(statement.order_by):
        filled = [row for row in rows if row[column] is not None]
        filled.sort(key=itemgetter(column), reverse=descending)
        rows = filled + [row for row in rows if row[column] is None]
    rows = rows[: statement.limit]
    if [expression.kind for expression, _ in statement.items] == ["star"]:
        return ResultSet([Column(name, kind) for name, kind in types.items()], [list(row.values()) for row in rows])
    chosen = [(_column_of(expression, types), name) for expression, name in statement.items]
    return ResultSet(
        [Column(name, types[column]) for column, name in chosen],
        [[row[column] for column, _ in chosen] for row in rows],
    )


def _values(state: SnowflakeState, session: Session, statement: Select) -> ResultSet:
    columns, values = [], []
    for expression, name in statement.items:
        value = _value(state, session, expression)
        columns.append(Column(name, TYPES.get(type(value), "timestamp_ltz")))
        values.append(value)
    return ResultSet(columns, [values])


def _value(state: SnowflakeState, session: Session, expression: Expression) -> Any:
    if expression.kind == "literal":
        return expression.value
    if expression.kind == "call" and expression.text in FUNCTIONS and not expression.arguments:
        return FUNCTIONS[expression.text](state, session)
    if expression.kind == "call" and expression.text == "SYSTEM$GET_LOGIN_FAILURE_DETAILS":
        return _login_failure(session.admission.account, expression)
    if expression.kind == "column" and expression.text == "CURRENT_TIMESTAMP":
        return state.clock.now()
    raise (
        errors.unknown_column(expression.text)
        if expression.kind == "column"
        else errors.not_simulated(f"{expression.text}({', '.join(map(str, expression.arguments))})")
    )


def _login_failure(account: Account, expression: Expression) -> str | None:
    for event in account.logins:
        if event.uuid and (event.uuid,) == expression.arguments:
            return json.dumps(
                {
                    "clientIP": event.client_ip,
                    "clientType": event.reported_client_type,
                    "clientVersion": event.reported_client_version,
                    "username": event.user_name,
                    "errorCode": event.error_message,
                    "timestamp": int(event.event_timestamp.timestamp()),
                }
            )
    return None


def _source(state: SnowflakeState, session: Session, statement: Select) -> Rows:
    account, source = session.admission.account, str(statement.source).removeprefix("SNOWFLAKE.")
    if source == "ACCOUNT_USAGE.LOGIN_HISTORY":
        types = {**LOGIN_HISTORY, "FIRST_AUTHENTICATION_FACTOR_ID": "fixed"}
        return types, [_login(event, types) for event in account.logins]
    if source == "ACCOUNT_USAGE.CREDENTIALS":
        return CREDENTIALS, _credentials(state, account)
    if source.endswith(("INFORMATION_SCHEMA.LOGIN_HISTORY()", "INFORMATION_SCHEMA.LOGIN_HISTORY_BY_USER()")):
        return LOGIN_HISTORY, _recent_logins(session, statement, by_user=source.endswith("_BY_USER()"))
    raise errors.does_not_exist("Object", str(statement.source))


def _recent_logins(session: Session, statement: Select, *, by_user: bool) -> list[dict[str, Any]]:
    """The newest first, at most RESULT_LIMIT, 100 when nothing is said."""
    known = {"RESULT_LIMIT", *(("USER_NAME",) if by_user else ())}
    unknown = statement.arguments.keys() - known
    if unknown:
        raise errors.not_simulated(f"the argument {min(unknown)} of {statement.source}")
    user = str(statement.arguments.get("USER_NAME", session.admission.user.name)).strip('"').casefold()
    events = [
        event
        for event in reversed(session.admission.account.logins)
        if not by_user or (event.user_name or "").casefold() == user
    ]
    return [_login(event, LOGIN_HISTORY) for event in events[: int(statement.arguments.get("RESULT_LIMIT") or 100)]]


def _login(event: LoginEvent, types: Mapping[str, str]) -> dict[str, Any]:
    values = {
        **{name.upper(): value for name, value in vars(event).items()},
        "EVENT_TYPE": "LOGIN",
        "FIRST_AUTHENTICATION_FACTOR": event.first_authentication_factor.value,
        "SECOND_AUTHENTICATION_FACTOR": None,
        "IS_SUCCESS": "YES" if event.is_success else "NO",
    }
    return {name: values[name] for name in types}


def _credentials(state: SnowflakeState, account: Account) -> list[dict[str, Any]]:
    now = state.clock.now()
    return [
        {
            "CREDENTIAL_ID": token.id,
            "NAME": token.name,
            "USER_NAME": user.name,
            "TYPE": "PAT",
            "STATUS": token.status(now).value,
            "LAST_USED_ON": token.last_used_on,
            "EXPIRATION_DATE": token.expires_at,
            "CREATED_ON": token.created_on,
        }
        for user in account.users.values()
        for token in user.tokens
    ]


def _known(column: str, types: Mapping[str, str]) -> str:
    if column not in types:
        raise errors.unknown_column(column)
    return column


def _column_of(expression: Expression, types: Mapping[str, str]) -> str:
    if expression.kind != "column":
        raise errors.not_simulated(f"{expression.kind} {expression.text} beside a FROM".replace("  ", " "))
    return _known(expression.text, types)


def _holds(condition: Condition, value: Any) -> bool:
    match condition.operator:
        case "IS NULL":
            return value is None
        case "IS NOT NULL":
            return value is not None
        case "=":
            return value is not None and str(value) == str(condition.value)
    return value is not None and str(value) != str(condition.value)
