"""The control plane, below /_sandbox/: what a demo or another process uses where a test uses Python. JSON, loopback."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl

from sandbox.snowflake_accounts import SnowflakeAccounts
from sandbox.tableau import control_content
from sandbox.tableau.answers import JSON_TYPE, Answer
from sandbox.tableau.clock import iso
from sandbox.tableau.control_content import Refused, Said, show_content, show_job
from sandbox.tableau.faults import fault_from_json

if TYPE_CHECKING:
    from sandbox.tableau.server import TableauServer

PREFIX = "/_sandbox/"


def answer(server: TableauServer, method: str, url: SplitResult, body: bytes, client: str) -> Answer:
    """Answer a request to the control plane."""
    if not ipaddress.ip_address(client).is_loopback:
        return _json({"error": "the control plane is for this machine alone"}, 403)
    handler = HANDLERS.get((method, url.path.removeprefix(PREFIX).rstrip("/")))
    if handler is None:
        known = sorted(f"{verb} {PREFIX}{path}" for verb, path in HANDLERS)
        return _json({"error": "no such thing", "known": known}, 404)
    try:
        said = json.loads(body) if body.strip() else dict(parse_qsl(url.query))
        return _json(handler(server, said))
    except Refused as refused:
        return _json({"error": str(refused)}, refused.status)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return _json({"error": f"{type(error).__name__}: {error}"}, 400)


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, body=json.dumps(value, ensure_ascii=False, indent=1).encode(), content_type=JSON_TYPE)


def _get_state(server: TableauServer, said: Said) -> Any:  # noqa: ARG001 - a handler like the others
    state = server.state
    with state.lock:
        return {
            "rest_api_version": state.rest_api_version,
            "now": iso(state.clock.now()),
            "sessions": len(state.sessions),
            "sessions_started": state.sessions.started,
            "jobs": [show_job(job) for job in state.jobs.values()],
            "sites": [
                {
                    "id": site.id,
                    "content_url": site.content_url,
                    "users": [dataclasses.asdict(user) for user in site.users],
                    "projects": [dataclasses.asdict(project) for project in site.projects],
                    "contents": [show_content(content) for content in site.contents],
                }
                for site in state.sites
            ],
        }


def _get_targets(server: TableauServer, said: Said) -> Any:  # noqa: ARG001 - a handler like the others
    return [dataclasses.asdict(target) for target in server.state.expected_targets()]


def _get_requests(server: TableauServer, said: Said) -> Any:
    last = int(said.get("last", 200))
    entries = server.requests.all(said.get("operation"), method=said.get("method"))
    return {
        "total": len(entries),
        "counts": server.requests.counts(),
        "most_in_flight": server.requests.most_in_flight,
        "requests": [entry.as_json() for entry in entries[-last:]] if last else [],
    }


def _clear_requests(server: TableauServer, said: Said) -> Any:  # noqa: ARG001 - a handler like the others
    server.requests.clear()
    return {"total": 0}


def _get_faults(server: TableauServer, said: Said) -> Any:  # noqa: ARG001 - a handler like the others
    return server.faults.as_json()


def _script_faults(server: TableauServer, said: Said) -> Any:
    faults = [fault_from_json(each) for each in said["faults"]]
    server.faults.script(said["operation"], faults, said.get("where"), int(said.get("times", 1)))
    return server.faults.as_json()


def _clear_faults(server: TableauServer, said: Said) -> Any:
    server.faults.clear()
    return _get_faults(server, said)


def _get_clock(server: TableauServer, said: Said) -> Any:  # noqa: ARG001 - a handler like the others
    return {"now": server.state.clock.now().isoformat()}


def _advance_clock(server: TableauServer, said: Said) -> Any:
    server.state.clock.advance(seconds=float(said.get("seconds", 0)), minutes=float(said.get("minutes", 0)))
    return _get_clock(server, said)


def _end_sessions(server: TableauServer, said: Said) -> Any:  # noqa: ARG001 - a handler like the others
    return {"ended": server.state.sessions.end_all()}


def _set_latency(server: TableauServer, said: Said) -> Any:
    latency = server.state.latency
    known = {field.name for field in dataclasses.fields(latency)}
    unknown = set(said) - known
    if unknown:
        raise ValueError(f"unknown {sorted(unknown)}; known are {sorted(known)}")
    server.state.latency = dataclasses.replace(latency, **said)
    return dataclasses.asdict(server.state.latency)


def _accounts(server: TableauServer) -> SnowflakeAccounts:
    if not isinstance(server.state.snowflake, SnowflakeAccounts):
        raise Refused(409, "the Snowflake truth is kept elsewhere")
    return server.state.snowflake


def _get_accounts(server: TableauServer, said: Said) -> Any:  # noqa: ARG001 - a handler like the others
    return _accounts(server).as_json()


def _set_accounts(server: TableauServer, said: Said) -> Any:
    _accounts(server).apply_json(said)
    return _accounts(server).as_json()


HANDLERS: dict[tuple[str, str], Callable[[TableauServer, Said], Any]] = {
    ("GET", "state"): _get_state,
    ("GET", "targets"): _get_targets,
    ("GET", "requests"): _get_requests,
    ("DELETE", "requests"): _clear_requests,
    ("GET", "faults"): _get_faults,
    ("POST", "faults"): _script_faults,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "clock"): _get_clock,
    ("POST", "clock"): _advance_clock,
    ("POST", "sessions/end"): _end_sessions,
    ("POST", "latency"): _set_latency,
    ("POST", "jobs"): control_content.set_job,
    ("POST", "republish"): control_content.republish,
    ("POST", "edit"): control_content.edit,
    ("POST", "publish"): control_content.publish,
    ("GET", "accounts"): _get_accounts,
    ("POST", "accounts"): _set_accounts,
}
