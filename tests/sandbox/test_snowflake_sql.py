"""The SQL that the sandbox Snowflake reads, and the much larger part that it refuses."""

from __future__ import annotations

import pytest

from sandbox.snowflake.errors import SnowflakeError
from sandbox.snowflake.parser import parse
from sandbox.snowflake.statements import (
    AddToken,
    AlterSession,
    ModifyToken,
    RemoveToken,
    RenameToken,
    RotateToken,
    Select,
    SetUser,
    ShowTokens,
    Statement,
    Transaction,
    Use,
)


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        ("ALTER USER etl ADD PAT t", AddToken("ETL", token="T")),
        (
            (
                "ALTER USER IF EXISTS \"ann.lee\" ADD PROGRAMMATIC ACCESS TOKEN IF NOT EXISTS t ROLE_RESTRICTION = 'R' "
                "DAYS_TO_EXPIRY = 30 COMMENT = 'it''s; mine -- all of it'"
            ),
            AddToken(
                "ann.lee",
                True,
                "T",
                True,
                {"ROLE_RESTRICTION": "R", "DAYS_TO_EXPIRY": 30, "COMMENT": "it's; mine -- all of it"},
            ),
        ),
        ("alter user etl rotate pat t;", RotateToken("ETL", token="T")),
        ("ALTER USER ROTATE PROGRAMMATIC ACCESS TOKEN t", RotateToken(None, token="T")),
        (
            "ALTER USER etl ROTATE PAT IF EXISTS t EXPIRE_ROTATED_TOKEN_AFTER_HOURS=0",
            RotateToken("ETL", token="T", if_exists=True, overlap_hours=0),
        ),
        ("ALTER USER etl MODIFY PAT t RENAME TO u", RenameToken("ETL", token="T", new_name="U")),
        ("ALTER USER etl MODIFY PAT t SET DISABLED=TRUE", ModifyToken("ETL", token="T", options={"DISABLED": True})),
        ("ALTER USER etl REMOVE PAT IF EXISTS t", RemoveToken("ETL", token="T", if_exists=True)),
        ("ALTER USER etl SET DISABLED = FALSE", SetUser("ETL", options={"DISABLED": False})),
        ("SHOW USER PROGRAMMATIC ACCESS TOKENS FOR USER etl", ShowTokens("ETL")),
        ("/* of mine */ SHOW USER PATS -- all", ShowTokens(None)),
        ("ALTER SESSION SET autocommit=False", AlterSession({"AUTOCOMMIT": False})),
        ("ALTER SESSION UNSET QUERY_TAG, TIMEZONE", AlterSession(unset=("QUERY_TAG", "TIMEZONE"))),
        ("USE SCHEMA db.s", Use("SCHEMA", "S")),
        ("USE SECONDARY ROLES NONE", Use("SECONDARY ROLES", "NONE")),
        ("BEGIN TRANSACTION", Transaction("BEGIN")),
        ("COMMIT", Transaction("COMMIT")),
    ],
)
def test_it_reads_the_documented_forms(sql: str, statement: Statement) -> None:
    assert parse(sql) == statement


def test_a_column_is_named_after_its_text_or_its_alias() -> None:
    statement = parse("SELECT 1, current_user(), Current_Role() AS role, user_name u FROM a.b")
    assert isinstance(statement, Select)
    assert [name for _, name in statement.items] == ["1", "CURRENT_USER()", "ROLE", "U"]


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "DROP USER etl",
        "ALTER USER etl",
        "ALTER USER etl ROTATE TOKEN t",
        "ALTER USER etl ROTATE PAT t EXPIRE_ROTATED_TOKEN_AFTER_HOURS = '24'",
        "ALTER USER etl ROTATE PAT t EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 1.5",
        "ALTER USER etl ROTATE PAT t DAYS_TO_EXPIRY = 30",
        "ALTER USER etl ADD PAT IF EXISTS t",
        "ALTER USER etl ADD PAT t DAYS_TO_EXPIRY = 1 DAYS_TO_EXPIRY = 2",
        "ALTER USER etl ADD PAT \"no blanks\" ROLE_RESTRICTION = 'R'",
        "ALTER USER etl ADD PAT 1st",
        "ALTER USER etl MODIFY PAT t SET",
        "ALTER USER etl MODIFY PAT t SET DAYS_TO_EXPIRY = 30",
        "ALTER USER etl MODIFY PAT t SET DISABLED = 1",
        "ALTER USER etl REMOVE PAT t CASCADE",
        "ALTER USER identifier('etl') REMOVE PAT t",
        "SHOW USER PATS IN ACCOUNT",
        "SHOW USERS",
        "SELECT",
        "SELECT 1 +",
        "SELECT * FROM t WHERE a > 1",
        "SELECT 'no end",
        "USE",
    ],
)
def test_it_refuses_whatever_else_there_is(sql: str) -> None:
    with pytest.raises(SnowflakeError) as refused:
        parse(sql)
    assert refused.value.code in {"001003", "001008"}


def test_a_syntax_error_says_where() -> None:
    with pytest.raises(SnowflakeError) as refused:
        parse("ALTER USER etl\n  ROTATE TOKEN t")
    assert "syntax error line 2 at position 9 unexpected 'TOKEN'." in refused.value.message


def test_two_statements_in_one_are_one_too_many() -> None:
    with pytest.raises(SnowflakeError) as refused:
        parse("SELECT 1; SELECT 2")
    assert refused.value.code == "000008"
