"""The control plane, below /_sandbox/: what a demo or another process uses where a test uses Python. JSON, loopback."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl

from sandbox.snowflake.account import Account, User
from sandbox.snowflake.faults import fault_from_json
from sandbox.snowflake.tokens import AccessToken
from sandbox.tableau.answers import JSON_TYPE, Answer

if TYPE_CHECKING:
    from sandbox.snowflake.server import SnowflakeServer

PREFIX = "/_sandbox/"
Said = dict[str, Any]


def answer(server: SnowflakeServer, method: str, url: SplitResult, body: bytes, client: str) -> Answer:
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
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return _json({"error": f"{type(error).__name__}: {error}"}, 400)


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, body=json.dumps(value, ensure_ascii=False, indent=1).encode(), content_type=JSON_TYPE)


def _get_state(server: SnowflakeServer, said: Said) -> Any:  # noqa: ARG001 - a handler like the others
    state = server.state
    with state.lock:
        return {
            "now": state.clock.now().isoformat(),
            "sessions": len(state.sessions),
            "sessions_opened": state.sessions.opened,
            "client_addresses": state.client_addresses,
            "behaviour": dataclasses.asdict(state.behaviour),
            "accounts": {account.name: _account(server, account) for account in state.accounts.values()},
        }


def _account(server: SnowflakeServer, account: Account) -> Said:
    return {
        "addresses": sorted(account.addresses),
        "network_policy": account.network_policy,
        "network_policies": {policy.name: dataclasses.asdict(policy) for policy in account.network_policies.values()},
        "pat_policy": dataclasses.asdict(account.pat_policy),
        "users": {user.name: _user(server, user) for user in account.users.values()},
    }


def _user(server: SnowflakeServer, user: User) -> Said:
    return {
        "type": user.type.value,
        "disabled": user.disabled,
        "locked_until": user.locked_until.isoformat() if user.locked_until else None,
        "roles": sorted(user.roles),
        "network_policy": user.network_policy,
        "password": user.password,
        "tokens": [_token(server, token) for token in user.tokens],
    }


def _token(server: SnowflakeServer, token: AccessToken) -> Said:
    return {
        "id": token.id,
        "name": token.name,
        "secret": token.secret,
        "status": token.status(server.state.clock.now()).value,
        "role_restriction": token.role_restriction,
        "created_on": token.created_on.isoformat(),
        "expires_at": token.expires_at.isoformat(),
        "rotated_to": token.rotated_to,
        "last_used_on": token.last_used_on.isoformat() if token.last_used_on else None,
    }


def _get_logins(server: SnowflakeServer, said: Said) -> Any:
    accounts = [server.state.accounts[said["account"]]] if "account" in said else server.state.accounts.values()
    return [event.as_json() for account in accounts for event in account.logins]


def _get_requests(server: SnowflakeServer, said: Said) -> Any:
    last = int(said.get("last", 200))
    entries = server.requests.all(said.get("operation"), method=said.get("method"))
    return {
        "total": len(entries),
        "counts": server.requests.counts(),
        "most_in_flight": server.requests.most_in_flight,
        "requests": [entry.as_json() for entry in entries[-last:]] if last else [],
    }


def _clear_requests(server: SnowflakeServer, said: Said) -> Any:  # noqa: ARG001 - a handler like the others
    server.requests.clear()
    return {"total": 0}


def _get_faults(server: SnowflakeServer, said: Said) -> Any:  # noqa: ARG001 - a handler like the others
    return server.faults.as_json()


def _script_faults(server: SnowflakeServer, said: Said) -> Any:
    faults = [fault_from_json(each) for each in said["faults"]]
    server.faults.script(said["operation"], faults, said.get("where"), int(said.get("times", 1)))
    return server.faults.as_json()


def _clear_faults(server: SnowflakeServer, said: Said) -> Any:
    server.faults.clear()
    return _get_faults(server, said)


def _get_clock(server: SnowflakeServer, said: Said) -> Any:  # noqa: ARG001 - a handler like the others
    return {"now": server.state.clock.now().isoformat()}


def _advance_clock(server: SnowflakeServer, said: Said) -> Any:
    server.state.advance(**{name: float(value) for name, value in said.items()})
    return _get_clock(server, said)


def _end_sessions(server: SnowflakeServer, said: Said) -> Any:  # noqa: ARG001 - a handler like the others
    return {"ended": server.state.sessions.close_all()}


def _sign_in(server: SnowflakeServer, said: Said) -> Any:
    """What `RemoteTruth` asks."""
    return dataclasses.asdict(server.state.sign_in(**{name: said[name] for name in ASKED}))


def _set_behaviour(server: SnowflakeServer, said: Said) -> Any:
    server.state.behaviour = dataclasses.replace(server.state.behaviour, **said)
    return dataclasses.asdict(server.state.behaviour)


def _set_user(server: SnowflakeServer, said: Said) -> Any:
    """Change a user: `disabled`, `locked` (false lets it in again), `roles`, `network_policy`."""
    account = server.state.accounts[said["account"]]
    user = account.user(said["user"])
    policy = said.get("network_policy")
    if policy is not None and policy not in account.network_policies:
        raise ValueError(f"{account.name} has no network policy {policy}")
    with server.state.lock:
        if said.get("disabled") is True:
            user.disable()
        user.disabled = bool(said.get("disabled", user.disabled))
        user.roles = set(said.get("roles", user.roles))
        user.network_policy = said.get("network_policy", user.network_policy)
        if said.get("locked") is False:
            user.locked_until, user.guesses = None, 0
    return _user(server, user)


def _set_network_policy(server: SnowflakeServer, said: Said) -> Any:
    account = server.state.accounts[said["account"]]
    policy = account.add_network_policy(said["name"], said["allowed"], said.get("blocked", ()))
    return dataclasses.asdict(policy)


def _set_client_addresses(server: SnowflakeServer, said: Said) -> Any:
    """Where clients come from, by name: those that are not named stay where they are."""
    addresses = {client.casefold(): str(ipaddress.ip_address(address)) for client, address in said.items()}
    server.state.client_addresses |= addresses
    return server.state.client_addresses


def _set_pat_policy(server: SnowflakeServer, said: Said) -> Any:
    account = server.state.accounts[said.pop("account")]
    return dataclasses.asdict(account.set_pat_policy(**said))


ASKED = ("address", "user", "secret", "client")
HANDLERS: dict[tuple[str, str], Callable[[SnowflakeServer, Said], Any]] = {
    ("GET", "state"): _get_state,
    ("GET", "logins"): _get_logins,
    ("GET", "requests"): _get_requests,
    ("DELETE", "requests"): _clear_requests,
    ("GET", "faults"): _get_faults,
    ("POST", "faults"): _script_faults,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "clock"): _get_clock,
    ("POST", "clock"): _advance_clock,
    ("POST", "sessions/end"): _end_sessions,
    ("POST", "sign_in"): _sign_in,
    ("POST", "behaviour"): _set_behaviour,
    ("POST", "users"): _set_user,
    ("POST", "network_policies"): _set_network_policy,
    ("POST", "pat_policy"): _set_pat_policy,
    ("POST", "client_addresses"): _set_client_addresses,
}
