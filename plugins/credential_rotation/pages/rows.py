"""The connections of a report as compact JSON, for table.js: texts are written once, and a row is a list of numbers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from credential_rotation.pages.wording import LOOKS, look, type_words, web_address
from credential_rotation.rotation.outcomes import EXCLUSION_MEANS, PROOF_MEANS, Exclusion, Outcome

# As texts; the others as they are.
_TEXTS = (
    "outcome", "proof", "reason", "content_name", "project", "content_type", "username", "snowflake_conn_id", "owner",
    "site", "tableau_conn_id", "server_address", "content_id", "connection_id", "authentication_type",
    "url_base", "url_tail",
)  # fmt: skip
_NUMBERS = ("attempts", "seconds", "canary", "cause")
# What a person sees who opens a row; a long reason is cut short in its column.
_DETAILS = {
    "reason": "Reason",
    "owner": "Owner",
    "site": "Site",
    "tableau_conn_id": "Tableau connection",
    "server_address": "Server",
    "authentication_type": "Way to sign in",
    "proof_means": "Proof",
    "content_id": "LUID of the content",
    "connection_id": "LUID of the connection",
}
_COLUMNS = {
    "outcome": "Outcome",
    "content": "Content",
    "user": "Signs in as",
    "proof": "Proof",
    "reason": "Reason",
    "attempts": "Tries",
    "seconds": "Seconds",
}
_MAY_BE_EMPTY = frozenset({"proof", "reason", "attempts", "seconds"})
_AT_ONCE = 500


class ConnectionsTable:
    """Takes the connections one by one, and lets go of each."""

    def __init__(self) -> None:
        self._words: dict[str, int] = {"": 0}
        self._rows: dict[str, list[str]] = {look.words: [] for look in LOOKS.values()}
        self._sites: set[Any] = set()
        self._told: set[str] = set()

    def add(self, row: Mapping[str, Any], cause: int) -> None:
        """Take one.

        :param cause: which of the groups of reasons it is in; 0 for none
        """
        words = look(row.get("outcome")).words
        self._sites.add(row.get("site"))
        base, tail = _split(web_address(row.get("content_url")))
        texts = {
            **row,
            "outcome": words,
            "proof": proof_words(row.get("proof")),
            "reason": reason_words(row),
            "content_type": type_words(row.get("content_type")),
            "url_base": base,
            "url_tail": tail,
        }
        seconds = row.get("seconds")
        self._told.update(name for name in _MAY_BE_EMPTY - self._told if texts.get(name))
        codes = [self._code(texts.get(name)) for name in _TEXTS]
        numbers = [
            int(row.get("attempts") or 0),
            "null" if seconds is None else f"{float(seconds):.1f}",
            int(bool(row.get("canary"))),
            cause,
        ]
        self._rows.setdefault(words, []).append(f"[{','.join(map(str, [*codes, *numbers]))}]")

    @property
    def total(self) -> int:
        """How many rows there are."""
        return sum(map(len, self._rows.values()))

    @property
    def columns(self) -> dict[str, str]:
        """What is shown, and the heads. A dry run proves nothing, an old report does not say how long anything took."""
        return {name: title for name, title in _COLUMNS.items() if name in self._told or name not in _MAY_BE_EMPTY}

    @property
    def outcomes(self) -> list[tuple[str, str, str, int]]:
        """The outcomes that occur: words, symbol, tone and number."""
        looks = {look.words: look for look in LOOKS.values()}
        return [
            (words, *((looks[words].symbol, looks[words].tone) if words in looks else ("?", "idle")), len(rows))
            for words, rows in self._rows.items()
            if rows
        ]

    def pieces(self) -> Iterator[Markup]:
        """The JSON text, piece by piece, since it may be long. Nothing in it can end the block it is in."""
        head = {
            "noun": "connection" if self.total == 1 else "connections",
            "sites": len(self._sites),
            "fields": [*_TEXTS, *_NUMBERS],
            "unsearched": ["url_base", "url_tail"],
            "numbers": list(_NUMBERS),
            "outcomes": {words: [symbol, tone] for words, symbol, tone, _ in self.outcomes},
            "means": {proof_words(proof): means for proof, means in PROOF_MEANS.items()},
            "details": _DETAILS,
        }
        yield Markup(f'{_dumps(head)[:-1]},"rows":[')  # noqa: S704 (escaped by _dumps)
        yield from _joined(",\n".join(some) for some in _batched(itertools.chain.from_iterable(self._rows.values())))
        yield Markup('],"words":[')
        yield from _joined(_dumps(some)[1:-1] for some in _batched(self._words))
        yield Markup("]}")

    def _code(self, text: object) -> int:
        return self._words.setdefault("" if text is None else str(text), len(self._words))


def proof_words(proof: object) -> str:
    """``refresh_job`` as ``refresh job``."""
    return str(proof or "").replace("_", " ")


def reason_words(row: Mapping[str, Any]) -> str:
    """Why; for an excluded connection also what that means."""
    reason = str(row.get("reason") or "")
    if row.get("outcome") != Outcome.EXCLUDED or reason not in list(Exclusion):
        return reason
    return f"{reason.replace('_', ' ')}: {EXCLUSION_MEANS[Exclusion(reason)]}"


def _split(address: str | None) -> tuple[str, str]:
    """An address up to its last slash, and the rest: the first part is the same for thousands."""
    if not address:
        return "", ""
    base, slash, tail = address.rpartition("/")
    return base + slash, tail


def _dumps(value: Any) -> str:
    text = htmlsafe_json_dumps(value, json.dumps, ensure_ascii=False, separators=(",", ":"))
    return str(text).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _joined(texts: Iterable[str]) -> Iterator[Markup]:
    between = ""
    for text in texts:
        yield Markup(between + text)  # noqa: S704 (numbers, and what _dumps escaped)
        between = ",\n"


def _batched(texts: Iterable[str]) -> Iterator[list[str]]:
    left = iter(texts)
    while some := list(itertools.islice(left, _AT_ONCE)):
        yield some
