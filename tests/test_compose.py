"""docker-compose.yaml read as data: what every container shares, what it asks for, and that Compose takes it."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from credential_rotation.settings import Settings
from tests.cluster import compose

REPOSITORY = Path(__file__).resolve().parents[1]
TEXT = (REPOSITORY / "docker-compose.yaml").read_text()
FILE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
AIRFLOW = {name: body for name, body in SERVICES.items() if name.startswith("airflow-")}

REQUIRED = {
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__API__SECRET_KEY",
    "POSTGRES_PASSWORD",
    "AIRFLOW_ADMIN_PASSWORD",
}
EXAMPLES = {name: f"a {name} with a $ and a space" for name in REQUIRED}

# What Compose knows: ${NAME}, ${NAME:-default}, ${NAME:?what to do}; $$ is a plain $.
INTERPOLATION = re.compile(r"\$(?:(?P<plain>\$)|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}|(?P<wrong>.?))")


def used_variables() -> list[re.Match[str]]:
    return [match for match in INTERPOLATION.finditer(_without_comments()) if not match["plain"]]


def _without_comments() -> str:
    return "\n".join(line for line in TEXT.splitlines() if not line.lstrip().startswith("#"))


def test_the_whole_topology_is_there() -> None:
    components = {"api-server", "scheduler", "dag-processor", "celery worker", "triggerer"}
    assert {body["command"] for body in AIRFLOW.values() if isinstance(body["command"], str)} == components
    assert {"postgres", "redis", "airflow-init"} <= SERVICES.keys()
    assert SERVICES["postgres"]["image"].startswith("postgres:16")
    assert SERVICES["redis"]["image"].startswith("redis:7.2")


@pytest.mark.parametrize("name", AIRFLOW)
def test_every_airflow_service_shares_secrets_settings_and_folders(name: str) -> None:
    shared, service = FILE["x-airflow"], AIRFLOW[name]
    assert service["environment"].items() >= shared["environment"].items()
    for key in ("image", "build", "user", "volumes"):
        assert service[key] == shared[key]


def test_the_airflow_version_is_the_locked_one() -> None:
    locked = re.search(r"^apache-airflow==(\S+)", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE)
    assert locked
    assert f"FROM apache/airflow:{locked[1]}-python3.12" in (REPOSITORY / "Dockerfile").read_text()
    assert FILE["x-airflow"]["image"] == f"${{AIRFLOW_IMAGE:-credential-rotation-airflow:{locked[1]}}}"


def test_our_code_is_mounted_read_only_and_side_by_side() -> None:
    volumes = FILE["x-airflow"]["volumes"]
    for folder in ("dags", "plugins", "include"):
        assert f"./{folder}:/opt/airflow/{folder}:ro" in volumes
        assert (REPOSITORY / folder).is_dir()


def test_logs_and_reports_are_on_shared_volumes() -> None:
    volumes = FILE["x-airflow"]["volumes"]
    reports = FILE["x-airflow"]["environment"]["CREDENTIAL_ROTATION_REPORTS"]
    assert "airflow-logs:/opt/airflow/logs" in volumes
    assert "airflow-reports:/opt/airflow/reports" in volumes
    assert reports == "${CREDENTIAL_ROTATION_REPORTS:-file:///opt/airflow/reports}"
    # A volume takes over the mode of the image's folder: without it, only root could write there.
    assert "mkdir --mode=0775 /opt/airflow/reports" in (REPOSITORY / "Dockerfile").read_text()


def test_every_setting_of_the_package_is_handed_on() -> None:
    code = [path for folder in ("dags", "plugins") for path in (REPOSITORY / folder).rglob("*.py")]
    named = {name for path in code for name in re.findall(r"\bCREDENTIAL_ROTATION_[A-Z_]*[A-Z]\b", path.read_text())}
    asked_for = Environment()
    Settings.from_environment(asked_for)
    # The image itself says where Airflow's home is.
    assert (named | asked_for.names) - {"AIRFLOW_HOME"} <= FILE["x-airflow"]["environment"].keys()


class Environment(dict[str, str]):
    """An empty one that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default


def test_the_image_build_checks_for_all_that_our_code_imports() -> None:
    code = [path for folder in ("dags", "plugins") for path in (REPOSITORY / folder).rglob("*.py")]
    imported = {name for path in code for name in _imports(ast.parse(path.read_text()))}
    known = {*sys.stdlib_module_names, "credential_rotation", "airflow"}
    needed = {name for name in imported if name.startswith("airflow.providers.") or name.split(".")[0] not in known}
    checked = re.search(r'python -c "import ([^"]+)"', (REPOSITORY / "Dockerfile").read_text())
    assert checked
    # airflow.providers.http.hooks.http comes with airflow.providers.http, requests.adapters with requests; but what is
    # in the namespace snowflake comes from several packages.
    depth = {
        name: 3 if name.startswith("airflow.providers.") else 2 if name.startswith("snowflake.") else 1
        for name in needed
    }
    assert {".".join(name.split(".")[: depth[name]]) for name in needed} <= set(checked[1].split(", "))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_secrets_come_from_the_environment_only() -> None:
    required = {match["name"] for match in used_variables() if match["kind"] == "?"}
    assert required == REQUIRED
    for match in used_variables():
        assert not match["wrong"], f"Compose would stumble over {match[0]!r}"
        if match["name"] in REQUIRED:
            assert match["kind"] == "?", f"{match['name']} must not have a default"
            assert "openssl rand" in match["text"], f"{match['name']} must say how to make one"


def test_no_secret_is_in_a_command_line() -> None:
    names = REQUIRED | {"PGPASSWORD"}
    for service in SERVICES.values():
        command = service.get("command", "")
        lines = [command] if isinstance(command, str) else [line for word in command for line in word.splitlines()]
        for line in [*lines, str(service.get("healthcheck"))]:
            # printf is built into the shell: it has no process, so no arguments that others could see.
            assert line.startswith("printf ") or not any(name in line for name in names)


def test_the_example_names_exactly_what_is_required_and_has_no_value() -> None:
    lines = (REPOSITORY / ".env.example").read_text().splitlines()
    settings = [line for line in lines if line and not line.startswith("#")]
    assert sorted(settings) == sorted(f"{name}=" for name in REQUIRED)


def test_git_and_the_image_ignore_the_env_file() -> None:
    assert ".env" in (REPOSITORY / ".gitignore").read_text().splitlines()
    assert "*" in (REPOSITORY / ".dockerignore").read_text().splitlines()


def test_ports_are_for_this_machine_only_and_the_broker_has_none() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("${AIRFLOW_BIND:-127.0.0.1}:") for port in ports)
    assert not {"ports", "expose"} & SERVICES["redis"].keys()
    assert not {"ports", "expose"} & SERVICES["postgres"].keys()


def test_what_runs_on_restarts_and_waits_for_its_turn() -> None:
    for name, service in SERVICES.items():
        assert service["restart"] == ("no" if name == "airflow-init" else "unless-stopped")
    for name, service in AIRFLOW.items():
        assert service["depends_on"]["postgres"] == {"condition": "service_healthy"}
        assert service["depends_on"]["redis"] == {"condition": "service_healthy"}
        if name != "airflow-init":
            assert service["depends_on"]["airflow-init"] == {"condition": "service_completed_successfully"}
            assert service["healthcheck"]["test"]
    assert SERVICES["airflow-worker"]["depends_on"]["airflow-apiserver"] == {"condition": "service_healthy"}


def test_the_sandbox_starts_only_when_asked_for() -> None:
    assert {name for name, body in SERVICES.items() if "profiles" in body} == {"sandbox-tableau"}
    assert SERVICES["sandbox-tableau"]["profiles"] == ["sandbox"]


def test_the_file_is_made_of_what_compose_knows() -> None:
    assert _structural_problems() == []


def test_compose_itself_accepts_the_file() -> None:
    if compose.command() is None:
        # The cluster test insists on it. Here, the test before this one has to do.
        warnings.warn(
            "Compose is not installed, so only the structure of docker-compose.yaml was checked", stacklevel=1
        )
        return
    resolved = compose.resolve(EXAMPLES, profiles=("sandbox",))
    assert resolved["services"].keys() == SERVICES.keys()
    worker = compose.services(EXAMPLES)["airflow-worker"]
    assert worker.environment["PGPASSWORD"] == EXAMPLES["POSTGRES_PASSWORD"]
    assert worker.command == ("celery", "worker")
    assert "CREDENTIAL_ROTATION_SCHEDULE" not in worker.environment


def test_what_is_set_reaches_the_tasks() -> None:
    if compose.command() is None:
        assert "CREDENTIAL_ROTATION_SCHEDULE" in FILE["x-airflow"]["environment"]
        return
    worker = compose.services(EXAMPLES | {"CREDENTIAL_ROTATION_SCHEDULE": "@daily"})["airflow-worker"]
    assert worker.environment["CREDENTIAL_ROTATION_SCHEDULE"] == "@daily"


@pytest.mark.parametrize("missing", sorted(REQUIRED))
def test_without_a_secret_compose_says_which_and_how_to_make_it(missing: str) -> None:
    if compose.command() is None:
        assert re.search(rf"\$\{{{missing}:\?[^}}]*openssl rand", TEXT)
        return
    with pytest.raises(compose.ComposeError, match=rf"(?s){missing}.*openssl rand"):
        compose.resolve({name: value for name, value in EXAMPLES.items() if name != missing})


SERVICE_KEYS = {
    *("image", "build", "user", "environment", "volumes", "restart", "depends_on", "command", "entrypoint"),
    *("ports", "healthcheck", "stop_grace_period", "profiles"),
}
HEALTH_KEYS = {"test", "interval", "timeout", "retries", "start_period"}


def _structural_problems() -> list[str]:
    """The part of the Compose specification that this file uses, and that a mistake would break."""
    problems = [f"top level: {key}" for key in FILE if key not in {"services", "volumes"} and not key.startswith("x-")]
    for name, service in SERVICES.items():
        problems += [f"{name}: {key} is unknown" for key in service.keys() - SERVICE_KEYS]
        problems += [f"{name}: health check: {key}" for key in service.get("healthcheck", {}).keys() - HEALTH_KEYS]
        problems += [
            f"{name}: {value!r} is no text" for value in service.get("environment", {}).values() if _odd(value)
        ]
        for other, terms in service.get("depends_on", {}).items():
            if other not in SERVICES:
                problems.append(f"{name} waits for {other}, which is not there")
            elif terms["condition"] == "service_healthy" and "healthcheck" not in SERVICES[other]:
                problems.append(f"{name} waits until {other} is healthy, which has no health check")
        sources = [volume.split(":")[0] for volume in service.get("volumes", ())]
        named = {source for source in sources if not source.startswith((".", "/"))}
        problems += [f"{name}: volume {source} is not declared" for source in named - FILE["volumes"].keys()]
    return problems


def _odd(value: object) -> bool:
    # YAML makes booleans of true and false, which Compose refuses in an environment.
    return not (value is None or isinstance(value, str))
