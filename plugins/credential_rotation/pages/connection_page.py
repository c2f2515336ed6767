"""The history of one connection, as a page."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from credential_rotation.announcements import ROTATION
from credential_rotation.fleet.model import ConnectionEvent, ConnectionHistory
from credential_rotation.pages.times import relative
from credential_rotation.pages.wording import Look, look, type_words, web_address
from credential_rotation.rotation.outcomes import PROOF_MEANS, Proof


def connection_values(history: ConnectionHistory, now: datetime) -> dict[str, Any]:
    """What connection.html shows."""
    return {
        "ago": partial(relative, now=now),
        "history": history,
        "type": type_words(history.content_type),
        "address": web_address(history.content_url),
        "standing": _standing(history),
        "events": [(event, look(event.outcome), _proof(event)) for event in history.events],
        "rotation": ROTATION,
    }


def _standing(history: ConnectionHistory) -> Look:
    if history.holds_current:
        return Look("✓", "Embeds the token in force", "good")
    if history.holds_current is None:
        return Look("?", "Not known which token it embeds", "warn")
    return Look("✕", "Embeds an old token", "bad")


def _proof(event: ConnectionEvent) -> str:
    try:
        return PROOF_MEANS[Proof(str(event.proof))]
    except ValueError:
        return str(event.proof or "")
