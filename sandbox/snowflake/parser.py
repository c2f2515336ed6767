"""A small strict parser: what it does not know is refused, for a sandbox that guesses proves nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sandbox.snowflake import errors
from sandbox.snowflake.select_parser import parse_select
from sandbox.snowflake.sql_tokens import Reader, tokenize
from sandbox.snowflake.statements import (
    AddToken,
    AlterSession,
    ModifyToken,
    RemoveToken,
    RenameToken,
    RotateToken,
    SetUser,
    ShowTokens,
    Statement,
    Transaction,
    Use,
    Value,
)

TOKEN_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
BYPASS = ("MINS_TO_BYPASS_NETWORK_POLICY_REQUIREMENT", int)
ADD_OPTIONS: Mapping[str, type] = dict([("ROLE_RESTRICTION", str), ("DAYS_TO_EXPIRY", int), BYPASS, ("COMMENT", str)])
MODIFY_OPTIONS: Mapping[str, type] = dict([("DISABLED", bool), BYPASS, ("COMMENT", str)])
USER_OPTIONS: Mapping[str, type] = {
    "DISABLED": bool,
    "NETWORK_POLICY": str,
    "RSA_PUBLIC_KEY": str,
    "RSA_PUBLIC_KEY_2": str,
}


def parse(sql: str) -> Statement:
    """The one statement in this text."""
    tokens = tokenize(sql)
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    count = 1 + sum(token.kind == "sign" and token.text == ";" for token in tokens)
    if count > 1:
        raise errors.too_many_statements(count, 1)
    reader = Reader(sql, tokens)
    statement = _statement(reader)
    reader.expect_end()
    return statement


def _statement(reader: Reader) -> Statement:
    if reader.accept("ALTER", "USER"):
        return _alter_user(reader)
    if reader.accept("SHOW", "USER"):
        _expect_tokens_word(reader, plural=True)
        return ShowTokens(reader.identifier() if reader.accept("FOR", "USER") else None)
    if reader.accept("ALTER", "SESSION"):
        return _alter_session(reader)
    if reader.accept("USE"):
        return _use(reader)
    if reader.accept("SELECT"):
        return parse_select(reader)
    return _transaction(reader)


def _transaction(reader: Reader) -> Transaction:
    if reader.accept("START"):
        reader.expect("TRANSACTION")
        return Transaction("BEGIN")
    for word in ("BEGIN", "COMMIT", "ROLLBACK"):
        if reader.accept(word):
            _ = reader.accept("WORK") or (word == "BEGIN" and reader.accept("TRANSACTION"))
            return Transaction(word)
    return reader.fail()


# -- ALTER USER ----------------------------------------------------------------------------------------------------


def _alter_user(reader: Reader) -> Statement:
    user_if_exists = reader.accept("IF", "EXISTS")
    user = None if _verb_comes(reader) else reader.identifier()
    if reader.accept("ADD"):
        _expect_tokens_word(reader)
        if_not_exists = reader.accept("IF", "NOT", "EXISTS")
        return AddToken(user, user_if_exists, _token_name(reader), if_not_exists, _options(reader, ADD_OPTIONS))
    if reader.accept("ROTATE"):
        _expect_tokens_word(reader)
        if_exists, name = reader.accept("IF", "EXISTS"), _token_name(reader)
        hours = _options(reader, {"EXPIRE_ROTATED_TOKEN_AFTER_HOURS": int}).get("EXPIRE_ROTATED_TOKEN_AFTER_HOURS")
        return RotateToken(user, user_if_exists, name, if_exists, hours if isinstance(hours, int) else None)
    if reader.accept("REMOVE"):
        _expect_tokens_word(reader)
        if_exists = reader.accept("IF", "EXISTS")
        return RemoveToken(user, user_if_exists, _token_name(reader), if_exists)
    if reader.accept("MODIFY"):
        return _modify(reader, user, user_if_exists)
    reader.expect("SET")
    options = _options(reader, USER_OPTIONS)
    if not options:
        reader.fail()
    return SetUser(user, user_if_exists, options)


def _verb_comes(reader: Reader) -> bool:
    """Whether the user is left out. A user called ADD has to be quoted."""
    return reader.peek() == "SET" or (
        reader.peek() in {"ADD", "ROTATE", "MODIFY", "REMOVE"} and reader.peek(1) in {"PAT", "PROGRAMMATIC"}
    )


def _modify(reader: Reader, user: str | None, user_if_exists: bool) -> Statement:
    _expect_tokens_word(reader)
    if_exists, name = reader.accept("IF", "EXISTS"), _token_name(reader)
    if reader.accept("RENAME", "TO"):
        return RenameToken(user, user_if_exists, name, if_exists, _token_name(reader))
    reader.expect("SET")
    options = _options(reader, MODIFY_OPTIONS)
    if not options:
        reader.fail()
    return ModifyToken(user, user_if_exists, name, if_exists, options)


def _expect_tokens_word(reader: Reader, *, plural: bool = False) -> None:
    end = "S" if plural else ""
    if not reader.accept(f"PAT{end}"):
        reader.expect("PROGRAMMATIC", "ACCESS", f"TOKEN{end}")


def _token_name(reader: Reader) -> str:
    """Letters, digits and underscores, stored in capitals (ADD page)."""
    name = reader.identifier().upper()
    if not TOKEN_NAME.fullmatch(name):
        raise errors.invalid_value(
            name, "token_name", "letters, digits and underscores, the first of them a letter or underscore"
        )
    return name


def _options(reader: Reader, known: Mapping[str, type]) -> dict[str, Value]:
    options: dict[str, Value] = {}
    while reader.peek() in known and reader.peek(1) == "=":
        name = reader.identifier()
        if name in options:
            raise errors.invalid_value(name, name, "it is given twice")
        reader.expect("=")
        value = reader.literal()
        if type(value) is not known[name]:
            raise errors.invalid_value(value, name, f"a value of type {known[name].__name__} is needed")
        options[name] = value
        reader.accept(",")
    return options


# -- sessions ------------------------------------------------------------------------------------------------------


def _alter_session(reader: Reader) -> AlterSession:
    if reader.accept("UNSET"):
        names = [reader.identifier()]
        while reader.accept(","):
            names.append(reader.identifier())
        return AlterSession(unset=tuple(names))
    reader.expect("SET")
    settings: dict[str, Value] = {}
    while not reader.at_end:
        name = reader.identifier()
        reader.expect("=")
        settings[name] = reader.literal()
        reader.accept(",")
    if not settings:
        reader.fail()
    return AlterSession(settings)


def _use(reader: Reader) -> Use:
    if reader.accept("SECONDARY", "ROLES"):
        if reader.peek() not in {"ALL", "NONE"}:
            reader.fail()
        return Use("SECONDARY ROLES", reader.identifier())
    for kind in ("ROLE", "WAREHOUSE", "DATABASE", "SCHEMA"):
        if reader.accept(kind):
            name = reader.identifier()
            while kind == "SCHEMA" and reader.accept("."):
                name = reader.identifier()
            return Use(kind, name)
    return Use("DATABASE", reader.identifier())
