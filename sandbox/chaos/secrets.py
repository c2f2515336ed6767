"""Whether a secret of a sandbox Tableau can be read in an AIRFLOW_HOME."""

from __future__ import annotations

import time
from pathlib import Path

from sandbox.leaks import Scanner
from sandbox.tableau import TableauServer, TableauState
from sandbox.tableau.inventory_credentials import password_of
from sandbox.tableau.state import APP_SECRET_VALUE, TABLEAU_PAT_SECRET

FOUND = "A SECRET CAN BE READ:"


def secrets_of(state: TableauState) -> dict[str, str]:
    """The secrets of sign-ins and credentials, by name."""
    named = {"Tableau PAT": TABLEAU_PAT_SECRET, "Connected App": APP_SECRET_VALUE}
    for credential in state.site.credentials.values():
        named[f"old secret of {credential.name}"] = credential.secret
        named[f"new token of {credential.name}"] = credential.new_secret
        for person in credential.tableau_usernames:
            named[f"password of {person}"] = password_of(person)
    return named


def session_tokens(tableau: TableauServer) -> dict[str, str]:
    """Every session token that a request has carried, whole and in its parts."""
    named = {}
    for number, token in enumerate(sorted({entry.session for entry in tableau.requests if entry.session}), start=1):
        named[f"session {number}"] = token
        parts = token.split("|")[:2]  # the third is the id of the site
        named |= {f"session {number}, part {index}": part for index, part in enumerate(parts, start=1)}
    return named


class Secrets:
    """The secrets of all rounds so far, and a look for them."""

    def __init__(self) -> None:
        self._named: dict[str, str] = {}
        self._rounds = 0
        self._looked = 0.0

    def learn(self, tableau: TableauServer) -> None:
        """Take up those of a round."""
        self._rounds += 1
        self._named |= secrets_of(tableau.state)
        self._named |= {f"{name} of round {self._rounds}": token for name, token in session_tokens(tableau).items()}

    def look(self, home: Path, *, new: bool = False) -> list[str]:
        """Where which of them can be read.

        :param new: only in files that were written since the last look, the database excepted, which grows
        """
        began = time.time()
        scanner = Scanner(self._named)
        if not new:
            return [f"{FOUND} {each}" for each in scanner.folder(home)]
        found = scanner.folder(home, since=self._looked, without=frozenset({"airflow.db", "airflow.db-wal"}))
        self._looked = began
        return [f"{FOUND} {each}" for each in found]
