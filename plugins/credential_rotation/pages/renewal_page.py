"""The report of a renewal, as a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from credential_rotation.pages.wording import Look, counted
from credential_rotation.renewal.decision import STATE_MEANS, State
from credential_rotation.renewal.report import FAILED, NOTHING_TO_DO, PLANNED, RENEWED

# What a person has to look at comes first.
_LOOKS: dict[str, Look] = {
    FAILED: Look("✕", "failed", "bad"),
    PLANNED: Look("◌", "planned", "plan"),
    RENEWED: Look("✓", "renewed", "good"),
    NOTHING_TO_DO: Look("=", "nothing to do", "idle"),
}


@dataclass(frozen=True)
class User:
    """A user of a report, its values as they are there."""

    look: Look
    means: str
    values: Mapping[str, Any]


def renewal_values(report: Mapping[str, Any]) -> dict[str, Any]:
    """What renewal.html shows of a ``report.json``."""
    users = [_user(each) for each in report.get("users") or () if isinstance(each, Mapping)]
    users.sort(key=lambda user: _ORDER.index(user.look.words) if user.look.words in _ORDER else len(_ORDER))
    problems = [str(problem) for problem in report.get("problems") or ()]
    return {
        "verdict": _verdict(report, users, problems),
        "dry_run": bool(report.get("dry_run")),
        "problems": problems,
        "notes": [str(note) for note in report.get("notes") or ()],
        "users": users,
    }


_ORDER = [look.words for look in _LOOKS.values()]


def _user(values: Mapping[str, Any]) -> User:
    outcome = str(values.get("outcome") or "")
    look = _LOOKS.get(outcome, Look("?", outcome.replace("_", " "), "idle"))
    return User(look, _means(values.get("decision")), {name: values.get(name) for name in _SHOWN})


_SHOWN = ("snowflake_conn_id", "user", "token_name", "expires_at", "reason", "alarm", "note", "next_due")


def _means(decision: object) -> str:
    """How the token stood, in words."""
    try:
        return STATE_MEANS[State(str(decision))].replace("`", "")
    except ValueError:
        return str(decision or "").replace("_", " ")


def _verdict(report: Mapping[str, Any], users: list[User], problems: list[str]) -> Look:
    """A sentence with a symbol."""
    tokens = counted(len(users), "token")
    number = {words: sum(user.look.words == words for user in users) for words in _ORDER}
    if failed := number["failed"]:
        return Look("✕", f"{failed} of {tokens} {'needs' if failed == 1 else 'need'} a look", "bad")
    if problems or report.get("state") != "success":
        return Look("✕", "The renewal has failed", "bad")
    if number["planned"]:
        return Look("◌", f"{number['planned']} of {tokens} would be renewed", "plan")
    if number["renewed"]:
        return Look("✓", f"{number['renewed']} of {tokens} renewed", "good")
    return Look("✓", f"No token is due, of {len(users)}" if users else "No token was looked at", "good")
