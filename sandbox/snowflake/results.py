"""Result sets, in the form in which drivers get them: every value a string or null, with a type beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.tableau.clock import to_the_millisecond

TEXT_LENGTH = 16_777_216


@dataclass(frozen=True)
class Column:
    """A column's name and Snowflake's type of it."""

    name: str
    type: str = "text"  # text, fixed, boolean, timestamp_ltz

    def as_json(self) -> dict[str, Any]:
        """The driver's `rowtype` (connector fixture select_1_successful.json)."""
        text = self.type == "text"
        return {
            "name": self.name,
            "database": "",
            "schema": "",
            "table": "",
            "nullable": True,
            "type": self.type,
            "length": TEXT_LENGTH if text else None,
            "byteLength": TEXT_LENGTH if text else None,
            "precision": {"fixed": 38, "timestamp_ltz": 0}.get(self.type),
            "scale": {"fixed": 0, "timestamp_ltz": 3}.get(self.type),
            "collation": None,
        }


@dataclass(frozen=True)
class ResultSet:
    """Columns and rows of plain values."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]

    def rowset(self) -> list[list[str | None]]:
        """The rows for the wire."""
        return [[_wire(value) for value in row] for row in self.rows]


def status(text: str) -> ResultSet:
    """The one row of a statement that has no more to say."""
    return ResultSet([Column("status")], [[text]])


EXECUTED = "Statement executed successfully."


def _wire(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime):
        return f"{to_the_millisecond(value).timestamp():.3f}"
    return str(value)
