"""The statements that the sandbox understands, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

Value = str | int | bool | None


@dataclass(frozen=True)
class Statement:
    """The base of all statements; `operation` is its name in the request log and for faults."""

    operation: ClassVar[str] = "unknown_sql"


@dataclass(frozen=True)
class UserStatement(Statement):
    """ALTER USER [IF EXISTS] [<user>]: without a user it means whoever is signed in."""

    user: str | None
    user_if_exists: bool = False


@dataclass(frozen=True)
class AddToken(UserStatement):
    """ADD PROGRAMMATIC ACCESS TOKEN."""

    operation: ClassVar[str] = "add_token"
    token: str = ""
    if_not_exists: bool = False
    options: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class RotateToken(UserStatement):
    """ROTATE PROGRAMMATIC ACCESS TOKEN."""

    operation: ClassVar[str] = "rotate_token"
    token: str = ""
    if_exists: bool = False
    overlap_hours: int | None = None


@dataclass(frozen=True)
class RenameToken(UserStatement):
    """MODIFY PROGRAMMATIC ACCESS TOKEN ... RENAME TO."""

    operation: ClassVar[str] = "modify_token"
    token: str = ""
    if_exists: bool = False
    new_name: str = ""


@dataclass(frozen=True)
class ModifyToken(UserStatement):
    """MODIFY PROGRAMMATIC ACCESS TOKEN ... SET."""

    operation: ClassVar[str] = "modify_token"
    token: str = ""
    if_exists: bool = False
    options: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class RemoveToken(UserStatement):
    """REMOVE PROGRAMMATIC ACCESS TOKEN."""

    operation: ClassVar[str] = "remove_token"
    token: str = ""
    if_exists: bool = False


@dataclass(frozen=True)
class SetUser(UserStatement):
    """ALTER USER ... SET, as far as signing in goes."""

    operation: ClassVar[str] = "alter_user"
    options: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class ShowTokens(Statement):
    """SHOW USER PROGRAMMATIC ACCESS TOKENS [FOR USER <user>]."""

    operation: ClassVar[str] = "show_tokens"
    user: str | None = None


@dataclass(frozen=True)
class AlterSession(Statement):
    """ALTER SESSION SET or UNSET."""

    operation: ClassVar[str] = "alter_session"
    settings: dict[str, Value] = field(default_factory=dict)
    unset: tuple[str, ...] = ()


@dataclass(frozen=True)
class Use(Statement):
    """USE ROLE, WAREHOUSE, DATABASE, SCHEMA or SECONDARY ROLES."""

    operation: ClassVar[str] = "use"
    kind: str = ""
    name: str = ""


@dataclass(frozen=True)
class Transaction(Statement):
    """BEGIN, COMMIT or ROLLBACK: nothing here is transactional, as DDL is not in Snowflake."""

    operation: ClassVar[str] = "transaction"
    word: str = ""


@dataclass(frozen=True)
class Expression:
    """A literal, a function call or a column, with the text that becomes the column's name."""

    kind: str  # "literal", "call", "column" or "star"
    text: str
    value: Value = None
    arguments: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Condition:
    """One comparison of WHERE."""

    column: str
    operator: str  # "=", "<>", "IS NULL", "IS NOT NULL"
    value: Value = None


@dataclass(frozen=True)
class Select(Statement):
    """SELECT of values, or from a view or table function of the login history."""

    operation: ClassVar[str] = "select"
    items: tuple[tuple[Expression, str], ...] = ()  # with the name of the column
    source: str | None = None  # such as SNOWFLAKE.ACCOUNT_USAGE.LOGIN_HISTORY
    arguments: dict[str, Value] = field(default_factory=dict)  # of a table function
    where: tuple[Condition, ...] = ()
    order_by: tuple[tuple[str, bool], ...] = ()  # column, descending
    limit: int | None = None
