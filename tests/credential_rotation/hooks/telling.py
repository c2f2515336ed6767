"""Everything that an error tells, to a person or to a program that prints it."""

from __future__ import annotations

import traceback


def all_that_is_told_by(error: BaseException) -> str:
    """Text, repr, fields and traceback of an error, and of all errors that it was made from."""
    told: list[str] = []
    left: list[BaseException | None] = [error]
    seen: set[int] = set()
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        told += [str(each), repr(each), repr(each.args), repr(vars(each)), *traceback.format_exception(each)]
        left += [each.__cause__, each.__context__, *(arg for arg in each.args if isinstance(arg, BaseException))]
    return "\n".join(told)
