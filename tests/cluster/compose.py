"""Reads docker-compose.yaml as Compose itself resolves it: merged, interpolated, with absolute paths."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]


class ComposeError(Exception):
    """Compose is missing, or refuses the file; the text is what it says."""


@dataclass(frozen=True)
class Mount:
    """A folder of the host, or a named volume, as a container sees it."""

    source: str
    target: str

    @property
    def is_named_volume(self) -> bool:
        return not self.source.startswith("/")


@dataclass(frozen=True)
class Service:
    """What a container would be started with."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    healthcheck: tuple[str, ...]
    mounts: tuple[Mount, ...]
    waits_for: Mapping[str, str]
    """Service to the condition it must meet."""


def command() -> list[str] | None:
    """How Compose is called on this machine: the Docker plugin, the standalone program, or not at all."""
    docker, standalone = shutil.which("docker"), shutil.which("docker-compose")
    if docker and _runs(docker, "compose", "version"):
        return [docker, "compose"]
    return [standalone] if standalone else None


def resolve(variables: Mapping[str, str], project: Path = REPOSITORY, profiles: tuple[str, ...] = ()) -> dict[str, Any]:
    """`config`: the whole file with these variables, and no others, filled in."""
    compose = command()
    if compose is None:
        raise ComposeError("Neither `docker compose` nor `docker-compose` is there; apt-get install docker-compose")
    options = [f"--project-directory={project}", f"--file={project / 'docker-compose.yaml'}"]
    options += [f"--profile={profile}" for profile in profiles]
    # Neither this shell's variables nor a developer's .env may decide what the test sees.
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with tempfile.NamedTemporaryFile() as nothing:
        done = subprocess.run(  # noqa: S603
            [*compose, *options, f"--env-file={nothing.name}", "config"],
            env=kept | dict(variables),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise ComposeError(done.stderr.strip())
    document: dict[str, Any] = yaml.safe_load(done.stdout)
    return document


def services(
    variables: Mapping[str, str], project: Path = REPOSITORY, profiles: tuple[str, ...] = ()
) -> dict[str, Service]:
    """Every service that starts with these profiles."""
    bodies: dict[str, dict[str, Any]] = resolve(variables, project, profiles)["services"]
    # Compose 1 prints those of other profiles, too.
    wanted = {name: body for name, body in bodies.items() if set(body.get("profiles", profiles)) <= set(profiles)}
    return {name: _service(name, body) for name, body in wanted.items()}


def _runs(*words: str) -> bool:
    return subprocess.run(words, capture_output=True, check=False).returncode == 0  # noqa: S603


def _service(name: str, body: Mapping[str, Any]) -> Service:
    environment = {key: _unescape(value) for key, value in body.get("environment", {}).items() if value is not None}
    words = body.get("command") or ()
    return Service(
        name=name,
        command=tuple(_unescape(word) for word in (shlex.split(words) if isinstance(words, str) else words)),
        environment=environment,
        healthcheck=tuple(_unescape(word) for word in body.get("healthcheck", {}).get("test", ())),
        mounts=tuple(_mount(item) for item in body.get("volumes", ())),
        waits_for={other: terms["condition"] for other, terms in body.get("depends_on", {}).items()},
    )


def _mount(item: str | Mapping[str, Any]) -> Mount:
    # Compose 1 prints the short form, Compose 2 the long one.
    source, target = item.split(":")[:2] if isinstance(item, str) else (item["source"], item["target"])
    return Mount(source, target)


def _unescape(value: object) -> str:
    """`config` prints a file that Compose can read again, so every $ comes doubled."""
    return str(value).replace("$$", "$")
