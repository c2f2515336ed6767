"""What a spreadsheet must not take for a formula, though somebody in Tableau has called something so.

https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

_BEGINS_A_FORMULA = tuple("=+-@−")
# Where a cell begins: a spreadsheet may split at another separator than a comma, and then quotes keep nothing together.
_BEGINNING = r"(?:\A|[,;|\t\n\r\v\f\x1c-\x1f\x85\u2028\u2029])"
# What it may pass over before it looks at a cell: blanks, quotes, and characters that nobody sees.
_PASSED_OVER = r'["\s\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]*'
_FIRST_OF_A_CELL = re.compile(rf"{_BEGINNING}{_PASSED_OVER}(?=([^\w\s]?))")


def harmless_cell(value: Any) -> Any:
    """A value for a cell, with an apostrophe before whatever would begin a formula, which makes that text."""
    return _FIRST_OF_A_CELL.sub(_as_text, value) if isinstance(value, str) else value


def _as_text(found: re.Match[str]) -> str:
    # Where Chinese or Japanese is written, a full-width sign is as good as the usual one.
    is_formula = unicodedata.normalize("NFKC", found[1]).startswith(_BEGINS_A_FORMULA)
    return f"{found[0]}'" if is_formula else found[0]
