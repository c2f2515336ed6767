"""What is told of a run besides its report: whatever goes wrong with it changes no run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def harmless(what: str) -> Iterator[None]:
    """Log what goes wrong, and go on.

    :param what: did not come about then, in a sentence
    """
    try:
        yield
    except Exception:
        log.exception(what)
