"""What keeps parallel tasks from starting new updates: failures that stand, or something that concerns them all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from credential_rotation.rotation.budget import Failures, Hold
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.run_folder import RunFolder

_FINAL, _PASSING, _STOP, _REFUSED = ".final", ".passing", ".stop", ".refused"
REFUSED_ELSEWHERE = "Snowflake refused the token at another connection"


class FailureMarks:
    """One file for each connection that failed, so that a single listing tells every task how many there are.

    :param generation: when the run was started or, after a person cleared tasks of a finished run, started again: what
        failed before that is to be tried anew, and holds nobody up
    """

    def __init__(self, folder: RunFolder, plan_id: str, generation: str) -> None:
        self._folder = folder
        self._place = f"work/{plan_id}/failed-{generation}"

    def hold(self, most: int | None, conn_id: str | None = None) -> Hold | None:
        """Why no new update may start, when ``most`` failures are allowed; None for ``most``: as many as there are.

        :param conn_id: the Airflow connection of the credential that is to be embedded
        """
        names = self._folder.names(self._place)
        if stopped := self._reasons(names):
            return Hold("; ".join(stopped), retriable=False)
        of_credential = f"{self._place}/{_name(str(conn_id))}-"
        if refused := [name for name in names if name.startswith(of_credential) and name.endswith(_REFUSED)]:
            return Hold(str(self._folder.read(refused[0]) or REFUSED_ELSEWHERE), retriable=False)
        return _failures(names).hold(most)

    def count(self) -> Failures:
        """The failures that stand now."""
        return _failures(self._folder.names(self._place))

    def update(self, before: ConnectionRecord | None, now: ConnectionRecord) -> None:
        """Let the marks say what has become of a connection."""
        old, new = _marks(before), _marks(now)
        for name, why in new.items():
            # Though it had failed before: that may have been before the run was started again, in another place.
            self._folder.write(f"{self._place}/{name}", why)
        for name in old:
            if name not in new:
                self._folder.remove(f"{self._place}/{name}")

    def make_good(self, records: Iterable[ConnectionRecord]) -> None:
        """Let the marks say what has become of connections whose task was killed before it came to that."""
        names = set(self._folder.names(self._place))
        for record in records:
            wanted = _marks(record)
            for name in _marks_of_failures(record):
                place = f"{self._place}/{name}"
                if name in wanted and place not in names:
                    self._folder.write(place, wanted[name])
                elif name not in wanted and place in names:
                    self._folder.remove(place)

    def stop(self, task: str, why: str) -> None:
        """Let no task start a new update any more."""
        self._folder.write(f"{self._place}/{task}{_STOP}", why)

    def stopped_because(self) -> list[str]:
        """Why updates were stopped, each reason once."""
        return self._reasons(self._folder.names(self._place))

    def _reasons(self, names: list[str]) -> list[str]:
        return sorted({str(self._folder.read(name)) for name in names if name.endswith(_STOP)})


def _failures(names: list[str]) -> Failures:
    return Failures(
        final=sum(name.endswith(_FINAL) for name in names), passing=sum(name.endswith(_PASSING) for name in names)
    )


def _marks(record: ConnectionRecord | None) -> dict[str, str]:
    """The marks of a connection, with what is in them."""
    if record is None or record.outcome is not Outcome.FAILED:
        return {}
    refused, final, passing = _marks_of_failures(record)
    marks = {passing if record.retriable else final: record.title}
    if record.is_refused_by_snowflake:
        # Each further update would be another refused sign-in, and five of those lock the user.
        marks[refused] = f"{REFUSED_ELSEWHERE} ({record.title}: {record.reason})"
    return marks


def _marks_of_failures(record: ConnectionRecord) -> tuple[str, str, str]:
    """All marks that a connection may ever have: refused, failed for good, failed in a way that may pass."""
    name = _name(record.key)
    return f"{_name(str(record.snowflake_conn_id))}-{name}{_REFUSED}", f"{name}{_FINAL}", f"{name}{_PASSING}"


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
