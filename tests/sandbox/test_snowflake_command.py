"""`python -m sandbox snowflake` serves until it is told to stop."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import requests

REPOSITORY = Path(__file__).parents[2]


def test_it_says_where_it_listens_and_whom_to_trust(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox", "snowflake", "--port", "0", "--folder", str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(5)]
        assert lines[0].startswith("Snowflake sandbox on https://127.0.0.1:")
        assert lines[1] == f"TOKEN_ROTATION signs in with {tmp_path / 'token_rotation.p8'}"
        assert f"export REQUESTS_CA_BUNDLE={tmp_path / 'ca.pem'}" in lines
        assert (tmp_path / "token_rotation.p8").stat().st_mode & 0o077 == 0
        state = requests.get(f"{lines[0].split()[-1]}/_sandbox/state", verify=str(tmp_path / "ca.pem"), timeout=5)
        users = state.json()["accounts"]["acme-prod"]["users"]
        assert [token["name"] for token in users["TABLEAU_ETL"]["tokens"]] == ["TABLEAU", "TABLEAU_NEXT"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
