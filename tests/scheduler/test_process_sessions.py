"""Nothing that the local Airflow has started outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sandbox import process_sessions

SANDBOX = Path(process_sessions.__file__).resolve().parent.parent

# A component whose child has moved to a process group of its own, as Airflow's tasks do; both are deaf to SIGTERM.
COMPONENT = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setpgid(0, 0)
time.sleep(60)
"""

OWNER = f"""
import subprocess, sys, time
from sandbox import process_sessions
component = subprocess.Popen([sys.executable, "-c", {COMPONENT!r}], start_new_session=True)
guard = process_sessions.start_guard()
guard.stdin.write(f"{{component.pid}}\\n")
guard.stdin.flush()
print(component.pid, flush=True)
time.sleep(60)
"""


def test_kill_reaches_a_child_in_a_process_group_of_its_own() -> None:
    component = subprocess.Popen([sys.executable, "-c", COMPONENT], start_new_session=True)  # noqa: S603
    _wait(lambda: len(process_sessions.members(component.pid)) == 2)
    process_sessions.kill([component.pid])
    component.wait()
    assert process_sessions.members(component.pid) == []


def test_the_guard_ends_everything_when_its_owner_is_killed() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], cwd=SANDBOX, stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert owner.stdout is not None
    session_id = int(owner.stdout.readline())
    _wait(lambda: len(process_sessions.members(session_id)) == 2)
    os.kill(owner.pid, signal.SIGKILL)
    owner.communicate()
    _wait(lambda: process_sessions.members(session_id) == [], seconds=15)


def _wait(condition: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
