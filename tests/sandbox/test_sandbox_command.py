"""`python -m sandbox tableau` serves until it is told to stop."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import requests

REPOSITORY = Path(__file__).parents[2]


def test_it_says_where_it_listens_serves_and_ends_at_sigterm() -> None:
    command = [sys.executable, "-m", "sandbox", "tableau", "--port", "0", "--data-sources", "5", "--workbooks", "2"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Tableau sandbox on http://127.0.0.1:")
        url = line.split()[-1]
        contents = requests.get(f"{url}/_sandbox/state", timeout=5).json()["sites"][0]["contents"]
        assert len(contents) == 5 + 2 + 12 + 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
