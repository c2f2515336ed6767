"""What each endpoint does, as the `data` of a successful answer; refusals are raised.

The shapes are those of the connector's wiremock mappings: auth/pat/successful_flow.json, auth/pat/invalid_token.json,
auth/keypair/jwt_token_invalid.json, queries/select_1_successful.json.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from sandbox.snowflake import errors, queries, session_statements, show_tokens, sign_in, token_statements
from sandbox.snowflake.call import BadRequest, Call
from sandbox.snowflake.errors import SignInRefused
from sandbox.snowflake.login_history import Factor
from sandbox.snowflake.results import ResultSet
from sandbox.snowflake.sessions import MASTER_SECONDS, SESSION_SECONDS, Session
from sandbox.snowflake.sign_in import Attempt
from sandbox.snowflake.state import SnowflakeState
from sandbox.snowflake.statements import Select, ShowTokens, Statement, UserStatement

FACTORS: Mapping[str, tuple[Factor, str, str | None]] = {  # by authenticator: the field, and what a refusal calls it
    "": (Factor.PASSWORD, "PASSWORD", "USERNAME_PASSWORD"),
    "SNOWFLAKE": (Factor.PASSWORD, "PASSWORD", "USERNAME_PASSWORD"),
    "SNOWFLAKE_JWT": (Factor.KEY_PAIR, "TOKEN", None),
    "PROGRAMMATIC_ACCESS_TOKEN": (Factor.TOKEN, "TOKEN", "PAT"),
}
TOKEN_CODES = frozenset({"394400", "394401"})


class NoSuchAccount(Exception):
    """No account of that name: the real host answers 404."""

    status = HTTPStatus.NOT_FOUND


def login(state: SnowflakeState, call: Call) -> dict[str, Any]:
    """POST /session/v1/login-request."""
    said = call.login
    account = state.account_called(str(said.get("ACCOUNT_NAME", "")))
    if account is None:
        raise NoSuchAccount
    authenticator = str(said.get("AUTHENTICATOR") or "").upper()
    if authenticator not in FACTORS:
        raise errors.not_simulated(f"the authenticator {authenticator}")
    factor, field, method = FACTORS[authenticator]
    environment = said.get("CLIENT_ENVIRONMENT") or {}
    attempt = Attempt(
        login_name=str(said.get("LOGIN_NAME", "")),
        secret=str(said.get(field) or ""),
        factor=factor,
        client=state.client_of(environment.get("APPLICATION")),
        role=call.query.get("roleName") or None,  # Airflow's hook sends what it has, if only an empty text
        client_type=str(said.get("CLIENT_APP_ID", "")),
        client_version=str(said.get("CLIENT_APP_VERSION", "")),
    )
    try:
        admission = sign_in.admit(state, account, attempt)
    except SignInRefused as refused:
        if method is not None:
            shown = "PAT" if refused.code in TOKEN_CODES else method
            refused.data = {"nextAction": "RETRY_LOGIN", "authnMethod": shown, "signInOptions": {}}
        raise
    session = state.open_session(admission)
    session.database, session.schema = call.query.get("databaseName") or None, call.query.get("schemaName") or None
    session.warehouse = call.query.get("warehouse") or None
    session_statements.set_parameters(session, said.get("SESSION_PARAMETERS") or {})
    return {
        "token": session.token,
        "masterToken": session.master_token,
        "validityInSeconds": SESSION_SECONDS,
        "masterValidityInSeconds": MASTER_SECONDS,
        "displayUserName": admission.user.name,
        "serverVersion": queries.VERSION,
        "firstLogin": False,
        "remMeToken": None,
        "remMeValidityInSeconds": 0,
        "healthCheckInterval": 45,
        "sessionId": session.id,
        "parameters": _parameters(session),
        "sessionInfo": {
            "databaseName": session.database,
            "schemaName": session.schema,
            "warehouseName": session.warehouse,
            "roleName": session.role,
        },
        "idToken": None,
        "idTokenValidityInSeconds": 0,
        "responseData": None,
        "mfaToken": None,
        "mfaTokenValidityInSeconds": 0,
    }


def query(state: SnowflakeState, call: Call) -> dict[str, Any]:
    """POST /queries/v1/query-request."""
    session = state.sessions.use(call.token)
    if isinstance(call.statement, errors.SnowflakeError):
        raise call.statement
    for name, what in (("bindings", "bind variables"), ("asyncExec", "asynchronous queries")):
        if call.body.get(name):
            raise errors.not_simulated(what)
    if call.body.get("describeOnly") and not isinstance(call.statement, Select):
        raise errors.not_simulated("describing a statement without executing it")
    result = _execute(state, session, call.statement)
    return {
        "parameters": _parameters(session),
        "rowtype": [column.as_json() for column in result.columns],
        "rowset": result.rowset(),
        "total": len(result.rows),
        "returned": len(result.rows),
        "queryId": str(uuid.uuid4()),
        "databaseProvider": None,
        "finalDatabaseName": session.database,
        "finalSchemaName": session.schema,
        "finalWarehouseName": session.warehouse,
        "finalRoleName": session.role,
        "numberOfBinds": 0,
        "arrayBindSupported": False,
        "statementTypeId": 4096,
        "version": 1,
        "sendResultTime": int(state.clock.now().timestamp() * 1000),
        "queryResultFormat": "json",
    }


def _execute(state: SnowflakeState, session: Session, statement: Statement) -> ResultSet:
    if isinstance(statement, UserStatement):
        return token_statements.execute(state, session, statement)
    if isinstance(statement, ShowTokens):
        return show_tokens.execute(state, session, statement)
    if isinstance(statement, Select):
        return queries.execute(state, session, statement)
    return session_statements.execute(session, statement)


def _parameters(session: Session) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in session.parameters.items()]


def renew_session(state: SnowflakeState, call: Call) -> dict[str, Any]:
    """POST /session/token-request."""
    if call.body.get("requestType") != "RENEW":
        raise BadRequest("only RENEW is simulated")
    session = state.sessions.renew(call.token, state.session_token())
    return {
        "sessionToken": session.token,
        "validityInSecondsST": SESSION_SECONDS,
        "masterToken": session.master_token,
        "validityInSecondsMT": MASTER_SECONDS,
        "sessionId": session.id,
    }


def logout(state: SnowflakeState, call: Call) -> None:
    """POST /session?delete=true."""
    if call.token is not None:
        state.sessions.close(call.token)


def heartbeat(state: SnowflakeState, call: Call) -> None:
    """POST /session/heartbeat."""
    state.sessions.use(call.token)


def nothing(state: SnowflakeState, call: Call) -> None:
    """Telemetry, and aborts of what is over by then."""


HANDLERS: Mapping[str, Callable[[SnowflakeState, Call], dict[str, Any] | None]] = {
    "login": login,
    "logout": logout,
    "renew_session": renew_session,
    "heartbeat": heartbeat,
    "abort": nothing,
    "telemetry": nothing,
}
