"""The names of what clients do, for the request log and for faults."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.snowflake import statements

PATHS: Mapping[tuple[str, str], str] = {
    ("POST", "/session/v1/login-request"): "login",
    ("POST", "/session"): "logout",
    ("POST", "/session/token-request"): "renew_session",
    ("POST", "/session/heartbeat"): "heartbeat",
    ("POST", "/queries/v1/query-request"): "query",
    ("POST", "/queries/v1/abort-request"): "abort",
    ("POST", "/telemetry/send"): "telemetry",
}
STATEMENTS = frozenset(
    kind.operation
    for kind in (
        statements.Statement,
        statements.AddToken,
        statements.RotateToken,
        statements.ModifyToken,
        statements.RemoveToken,
        statements.SetUser,
        statements.ShowTokens,
        statements.AlterSession,
        statements.Use,
        statements.Transaction,
        statements.Select,
    )
)
OPERATIONS = frozenset(PATHS.values()) - {"query"} | STATEMENTS
