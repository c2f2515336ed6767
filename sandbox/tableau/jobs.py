"""Background jobs: what a refresh becomes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.tableau.content import Content

SUCCESS, FAILED, CANCELLED = 0, 1, 2


@dataclass(eq=False)
class Job:
    """One extract refresh."""

    id: str
    content: Content
    created_at: datetime
    polls: int = 0
    completed_at: datetime | None = None
    finish_code: int | None = None
    notes: str = ""
