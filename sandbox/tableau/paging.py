"""Paging: pageSize 1 to 1000 (100 if not said), pageNumber from 1 to the last page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sandbox.tableau.answers import Element
from sandbox.tableau.errors import TableauError

Item = TypeVar("Item")

# Codes as in Tableau's reference of Query Data Sources: 400006, 400007, 403014.
INVALID_PAGE_NUMBER = "400006"
INVALID_PAGE_SIZE = "400007"
PAGE_SIZE_EXCEEDED = "403014"


def page(items: Sequence[Item], query: dict[str, str]) -> tuple[Element, Sequence[Item]]:
    """The pagination element and the items of the page that the query asks for."""
    size = _number(query.get("pageSize", "100"), INVALID_PAGE_SIZE)
    number = _number(query.get("pageNumber", "1"), INVALID_PAGE_NUMBER)
    if size > 1000:
        raise TableauError(PAGE_SIZE_EXCEEDED, f"Page size {size} is larger than the maximum allowed, 1000.")
    first = (number - 1) * size
    if first >= len(items) and number > 1:
        raise TableauError(INVALID_PAGE_NUMBER, f"Page number {number} is greater than the final page number.")
    # strings, in JSON too (tableau-mcp pagination.ts)
    pagination = Element(
        "pagination", {"pageNumber": str(number), "pageSize": str(size), "totalAvailable": str(len(items))}
    )
    return pagination, items[first : first + size]


def _number(text: str, code: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise TableauError(code, f"'{text}' is not a whole number of at least one.")
    return int(text)
