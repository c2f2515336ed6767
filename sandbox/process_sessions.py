"""End everything that a component of Airflow has started, whatever happens to us.

Each component runs in a session of its own (`setsid`). Airflow moves its tasks to process groups of their own, so a
process group would miss them; they cannot leave the session, though.

Run as a program, this is the guard: it reads session ids from standard input, one a line, and ends them all as soon
as that pipe closes, which also happens when the process at its other end is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def members(session_id: int) -> list[int]:
    """The processes of this session that still run."""
    found = []
    for pid in _all_pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == session_id and not _is_zombie(pid):
                found.append(pid)
    return found


def kill(session_ids: list[int], patience: float = 5.0) -> None:
    """SIGKILL all of them, again and again until nothing is left: a fork may slip through the first round."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        left = [pid for session_id in session_ids for pid in members(session_id)]
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def start_guard() -> subprocess.Popen[str]:
    """The guard as a process; write session ids to its standard input, close that to be rid of both."""
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-P", str(Path(__file__).resolve())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C at the terminal must not end the guard before its work
    )


def _all_pids() -> list[int]:
    proc = Path("/proc")
    if (proc / "self").exists():
        return [int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()]
    listing = subprocess.run(["ps", "-A", "-o", "pid="], check=True, capture_output=True, text=True)  # noqa: S607
    return [int(pid) for pid in listing.stdout.split()]


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"


def _guard() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    session_ids = [int(line) for line in sys.stdin if line.strip()]  # ends when the pipe closes
    for session_id in session_ids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(session_id, signal.SIGTERM)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(members(session_id) for session_id in session_ids):
        time.sleep(0.2)
    kill(session_ids)


if __name__ == "__main__":
    _guard()
