"""How a command of the sandbox ends: what it started is ended, too, and what went wrong is one sentence."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from rich.console import Console

from sandbox.airflow_api import AirflowError


def guarded(play: Callable[[Console], int], *, when_interrupted: int = 130) -> int:
    """Run a command; its exit code, or 1 when Airflow does not do what was asked.

    :param when_interrupted: the exit code after Ctrl-C
    """
    console = Console(highlight=False)
    # As Ctrl-C does: every `with` on the way out ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return play(console)
    except AirflowError as error:
        console.print(f"[red]{type(error).__name__}[/]:", end=" ")
        console.print(str(error), markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return when_interrupted
