"""The folder of the local Airflow: who may use it, and the keys that make it the same Airflow after a restart."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from cryptography.fernet import Fernet

from sandbox.airflow_api import AirflowError

ADMIN = "admin"
LOCK_FILE = "local_airflow.lock"
KEYS_FILE = "local_airflow_keys.json"
PASSWORDS_FILE = "simple_auth_manager_passwords.json.generated"


@dataclass(frozen=True)
class Keys:
    """What Airflow's processes share with each other and with nobody else."""

    fernet_key: str
    jwt_secret: str
    api_secret_key: str
    admin_password: str


def load_or_make_keys(home: Path) -> Keys:
    """The keys of this AIRFLOW_HOME; made at the first start, readable by the owner only."""
    path = home / KEYS_FILE
    if path.exists():
        return Keys(**json.loads(path.read_text()))
    keys = Keys(
        fernet_key=Fernet.generate_key().decode(),
        jwt_secret=secrets.token_urlsafe(48),
        api_secret_key=secrets.token_urlsafe(32),
        admin_password=secrets.token_urlsafe(12),
    )
    _write_private(path, json.dumps(asdict(keys), indent=2))
    # Written for Airflow, which would otherwise make up a password and print it to its log.
    _write_private(home / PASSWORDS_FILE, json.dumps({ADMIN: keys.admin_password}) + "\n")
    return keys


def claim(home: Path) -> IO[str]:
    """Keep everybody else out of this folder until the returned file is closed."""
    home.mkdir(parents=True, exist_ok=True)
    lock = (home / LOCK_FILE).open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise AirflowError(f"another Airflow runs in {home}; stop that one first") from error
    return lock


def empty(home: Path) -> None:
    """Remove what an earlier start left; refuse when the folder is somebody else's."""
    entries = [entry for entry in home.iterdir() if entry.name != LOCK_FILE]
    if entries and not (home / KEYS_FILE).exists():
        raise AirflowError(f"{home} has things in it that are not ours; name an empty folder")
    # The keys go last: until then an interrupted cleaning can be taken up again.
    for entry in sorted(entries, key=lambda entry: entry.name == KEYS_FILE):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
