"""What the sandbox Tableau holds after a run, compared with what it should hold: looked at, not taken from a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.tableau.connections import Connection
from sandbox.tableau.site import SandboxCredential, Site


@dataclass(frozen=True)
class Embedded:
    """Everything about a connection that an update could change."""

    server_address: str
    server_port: str
    username: str
    password: str | None
    embedded: bool
    disturbed: bool
    writes: int


@dataclass(frozen=True)
class Verdict:
    """The counts, and each difference in words that hold no secret."""

    targets: int
    targets_right: int
    others: int
    others_untouched: int
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether there was something to do and all is as it should be."""
        return not self.differences and self.targets > 0


def take_snapshot(site: Site) -> dict[str, Embedded]:
    """Connection LUID to what it holds now."""
    return {connection.id: _embedded(connection) for _, connection in site.connections()}


def judge(before: Mapping[str, Embedded], site: Site, credentials: Mapping[str, SandboxCredential]) -> Verdict:
    """Compare every connection of the site with what a rotation should have made of it.

    :param before: what `take_snapshot` saw before the run.
    :param site: the site as it is now.
    :param credentials: what was to be rotated, by the label that the targets of each bear.
    """
    targets = targets_right = others = others_untouched = 0
    differences: list[str] = []
    for content, connection in site.connections():
        was, holds = before[connection.id], _embedded(connection)
        credential = credentials.get(connection.target_of or "")
        if credential is None:
            wrong = _differences(was, holds)
            others += 1
            others_untouched += not wrong
        else:
            wrong = _wrong_in_target(was, holds, credential)
            targets += 1
            targets_right += not wrong
        where = f"{content.content_type.value} {content.name!r}, connection {connection.id}"
        differences += [f"{where}: {text}" for text in wrong]
    return Verdict(targets, targets_right, others, others_untouched, tuple(differences))


def judge_others(before: Mapping[str, Embedded], site: Site, credentials: Mapping[str, SandboxCredential]) -> list[str]:
    """What was touched though it is no target; for a run that has not come to its end."""
    return [
        f"{content.content_type.value} {content.name!r}, connection {connection.id}: {text}"
        for content, connection in site.connections()
        if connection.target_of not in credentials
        for text in _differences(before[connection.id], _embedded(connection))
    ]


def compare_with_report(
    site: Site, credentials: Mapping[str, SandboxCredential], report: Mapping[str, Any], done: str = "updated"
) -> list[str]:
    """Whether the report says of each connection what is so; the differences in words.

    :param done: the outcome that each target should have
    """
    told: dict[str | None, list[str]] = {}
    for row in report["connections"]:
        reason = f" ({row['reason']})" if row["outcome"] == "excluded" else ""
        told.setdefault(row["connection_id"], []).append(row["outcome"] + reason)
    differences = []
    for content, connection in site.connections():
        expected = done if connection.target_of in credentials else f"excluded ({connection.why})"
        said = " and ".join(told.pop(connection.id, ["nothing"]))
        if said != expected:
            differences.append(
                f"the report says {said!r} of {content.name!r}, connection {connection.id}: it is {expected!r}"
            )
    differences += [f"the report names a connection that is not there: {unknown}" for unknown in told]
    return differences


def _embedded(connection: Connection) -> Embedded:
    return Embedded(
        connection.server_address,
        connection.server_port,
        connection.username,
        connection.password,
        connection.embedded,
        connection.disturbed,
        len(connection.writes),
    )


def _wrong_in_target(was: Embedded, holds: Embedded, credential: SandboxCredential) -> list[str]:
    wrong = []
    if holds.password != credential.new_secret:
        wrong.append("still holds the old secret" if holds.password == was.password else "holds another secret")
    if holds.username.casefold() != credential.login.casefold():
        wrong.append(f"signs in as {holds.username!r} instead of {credential.login!r}")
    if not holds.embedded:
        wrong.append("asks people for the password")
    if (holds.server_address, holds.server_port) != (was.server_address, was.server_port):
        wrong.append(f"leads to {holds.server_address}:{holds.server_port} now")
    if holds.disturbed:
        wrong.append("has lost its way to sign in")
    return wrong


def _differences(was: Embedded, holds: Embedded) -> list[str]:
    names = [name for name in Embedded.__dataclass_fields__ if getattr(was, name) != getattr(holds, name)]
    return [f"is not to be touched, yet differs in {', '.join(names)}"] if names else []
