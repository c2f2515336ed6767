"""Names as Snowflake's SQL reads them.

https://docs.snowflake.com/en/sql-reference/identifiers-syntax
"""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


def identifier(name: str) -> str:
    """A name as a person writes it: as it is when it is plain, so that its case does not matter, else in quotes."""
    return name if _PLAIN.fullmatch(name) else quoted(name)


def quoted(name: str) -> str:
    """A name exactly as Snowflake keeps it."""
    return '"' + name.replace('"', '""') + '"'
