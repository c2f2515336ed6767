"""SELECT: values and functions, or the views and table functions that know about logins and tokens."""

from __future__ import annotations

from sandbox.snowflake.sql_tokens import Reader
from sandbox.snowflake.statements import Condition, Expression, Select, Value


def parse_select(reader: Reader) -> Select:
    """What follows SELECT."""
    items = [_item(reader)]
    while reader.accept(","):
        items.append(_item(reader))
    if not reader.accept("FROM"):
        return Select(tuple(items))
    source, arguments = _source(reader)
    return Select(tuple(items), source, arguments, tuple(_conditions(reader)), tuple(_order(reader)), _limit(reader))


def _item(reader: Reader) -> tuple[Expression, str]:
    mark = reader.mark
    expression = _expression(reader)
    name = reader.text_since(mark)
    if expression.kind == "column":
        name = expression.text
    elif expression.kind != "star":
        name = name.upper()
    if reader.accept("AS") or (reader.peek() not in {"", ",", "FROM"} and expression.kind != "star"):
        name = reader.identifier()
    return expression, name


def _expression(reader: Reader) -> Expression:
    if reader.accept("*"):
        return Expression("star", "*")
    if reader.peek() in {"<string>", "<number>", "TRUE", "FALSE"}:
        return Expression("literal", "", reader.literal())
    name = reader.identifier()
    if not reader.accept("("):
        return Expression("column", name)
    arguments: list[Value] = []
    while not reader.accept(")"):
        arguments.append(reader.literal())
        if not reader.accept(",") and reader.peek() != ")":
            reader.fail()
    return Expression("call", name, arguments=tuple(arguments))


def _source(reader: Reader) -> tuple[str, dict[str, Value]]:
    if not reader.accept("TABLE", "("):
        return _dotted_name(reader), {}
    name = _dotted_name(reader)
    reader.expect("(")
    arguments: dict[str, Value] = {}
    while not reader.accept(")"):
        key = reader.identifier()
        reader.expect("=>")
        arguments[key] = reader.literal()
        if not reader.accept(",") and reader.peek() != ")":
            reader.fail()
    reader.expect(")")
    return f"{name}()", arguments


def _dotted_name(reader: Reader) -> str:
    parts = [reader.identifier()]
    while reader.accept("."):
        parts.append(reader.identifier())
    return ".".join(parts)


def _conditions(reader: Reader) -> list[Condition]:
    conditions: list[Condition] = []
    if reader.accept("WHERE"):
        conditions.append(_condition(reader))
        while reader.accept("AND"):
            conditions.append(_condition(reader))
    return conditions


def _condition(reader: Reader) -> Condition:
    column = reader.identifier()
    if reader.accept("IS", "NOT", "NULL"):
        return Condition(column, "IS NOT NULL")
    if reader.accept("IS", "NULL"):
        return Condition(column, "IS NULL")
    if reader.accept("="):
        return Condition(column, "=", reader.literal())
    if reader.accept("<>") or reader.accept("!="):
        return Condition(column, "<>", reader.literal())
    return reader.fail()


def _order(reader: Reader) -> list[tuple[str, bool]]:
    order: list[tuple[str, bool]] = []
    if reader.accept("ORDER", "BY"):
        while not order or reader.accept(","):
            column = reader.identifier()
            descending = reader.accept("DESC")
            reader.accept("ASC")
            order.append((column, descending))
    return order


def _limit(reader: Reader) -> int | None:
    if not reader.accept("LIMIT"):
        return None
    if reader.peek() != "<number>":
        reader.fail()
    return int(str(reader.literal()))
