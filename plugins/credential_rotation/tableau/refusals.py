"""Remembers that a sign-in was refused, so that not every task tries it again: Tableau locks accounts."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from credential_rotation.tableau.errors import SignInRefused
from credential_rotation.tableau.session import SessionSeal

log = logging.getLogger(__name__)

# Long enough for the tasks that run at the same time; short enough for a person who has mended it.
_REMEMBERED_SECONDS = 60.0


class RefusalMemory:
    """One refusal of one sign-in, known to all processes of this host; another secret is another sign-in.

    :param file: where it is kept, sealed; None: only this process knows
    """

    def __init__(self, seal: SessionSeal, file: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._seal = seal
        self._file = file
        self._clock = clock
        self._text = ""

    def remember(self, error: SignInRefused) -> None:
        """Keep a refusal."""
        self._text = self._seal.seal_text(json.dumps({"at": self._clock(), "said": str(error), "code": error.code}))
        try:
            if self._file:
                self._file.write_text(self._text)
        except OSError as problem:
            log.warning("Other tasks will try the refused sign-in as well: %s", problem)

    def raise_if_recent(self) -> None:
        """Refuse in Tableau's stead, if Tableau refused a moment ago.

        :raises SignInRefused: what Tableau said then
        """
        text = self._seal.open_text(self._read())
        refusal: dict[str, Any] = json.loads(text) if text else {"at": 0.0}
        age = self._clock() - refusal["at"]
        if 0 <= age < _REMEMBERED_SECONDS:
            raise SignInRefused(
                f"{refusal['said']} (So it was {age:.0f} s ago. It is tried again after {_REMEMBERED_SECONDS:.0f} s.)",
                status=401,
                code=refusal["code"],
            )

    def _read(self) -> str:
        try:
            return self._file.read_text() if self._file else self._text
        except OSError:
            return self._text
