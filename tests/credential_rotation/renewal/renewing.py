"""Runs of a renewal against a Snowflake, that can be ended at any step."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from airflow.sdk import Connection

from credential_rotation.hooks.snowflake import sign_in_with_password
from credential_rotation.hooks.snowflake_admin import SnowflakeAdmin, signed_in_as_admin
from credential_rotation.renewal.decision import Decision, Wishes
from credential_rotation.renewal.step import Renewal, Renewer
from credential_rotation.renewal.tokens import NewSecret
from credential_rotation.renewal.user import User
from credential_rotation.token_stores.kept import KeptTokens
from sandbox.snowflake import AccessToken, SnowflakeServer, SnowflakeState, TokenStatus
from sandbox.snowflake.rotation import rotate_token
from tests.credential_rotation.renewal.in_this_process import InThisProcess, sign_in
from tests.credential_rotation.token_keeping import MemoryAttempts, MemoryTokenStore
from tests.sandbox_snowflake.small_account import (
    ACCOUNT,
    ADMIN_ROLE,
    KEYS,
    ROTATOR,
    SERVICE,
    account_of,
    service_of,
    token_of,
)

CONN_ID = "snowflake_etl"
# The token of the small account lives ten days yet.
DUE = Wishes(renew_before_days=11, overlap_hours=24)


class Killed(BaseException):
    """The process ends here."""


class Steps:
    """Counts the steps of a run, and ends it before or after one of them."""

    def __init__(self, ends_at: int | None = None) -> None:
        self.ends_at = ends_at
        self.names: list[str] = []

    def around(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*arguments: Any) -> Any:
            self._reach(f"before {name}")
            result = act(*arguments)
            self._reach(f"after {name}")
            return result

        return stepping

    def _reach(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) - 1 == self.ends_at:
            raise Killed(name)


class During(Steps):
    """Something else happens at a step, once.

    ``at`` is its name, which means the first of that name, or its place.
    """

    def __init__(self, at: str | int, happens: Callable[[], object]) -> None:
        super().__init__()
        self._at: str | int | None = at
        self._happens = happens

    def _reach(self, name: str) -> None:
        super()._reach(name)
        if self._at in (name, len(self.names) - 1):
            self._at = None
            self._happens()


class Stepped:
    """Something of whose methods some are steps."""

    def __init__(self, of: Any, steps: Steps, *names: str) -> None:
        self._of = of
        for name in names:
            setattr(self, name, steps.around(name, getattr(of, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)


class Renewing:
    """One user's token, and what is kept of it.

    :param by_the_driver: whether Snowflake is asked through its real driver, which takes a while
    """

    def __init__(self, server: SnowflakeServer, state: SnowflakeState, *, by_the_driver: bool = True) -> None:
        self.server = server
        self._here = None if by_the_driver else InThisProcess(state)
        self.state = state
        self.store = MemoryTokenStore()
        self.attempts = MemoryAttempts()
        self.run_id = "a_run"
        self.dry_run = False
        self.checks = True
        self.names_formers = True
        self.role: str | None = None
        self.user = User(CONN_ID, SERVICE, token_of(state).secret)

    def renew(self, wishes: Wishes = DUE, steps: Steps | None = None) -> Renewal:
        """A run, with everything made afresh."""
        steps = steps or Steps()
        with self._signed_in() as admin:
            administration = Stepped(self._admin(admin), steps, "tokens", "rotate")
            store = Stepped(self.store, steps, "adopt", "keep_pending", "promote", "drop_pending")
            attempts = Stepped(self.attempts, steps, "begin", "end")
            sign_in = steps.around("sign_in", self._sign_in) if self.checks else None
            renewer = Renewer(administration, store, attempts, sign_in, admin.now(), run_id=self.run_id)
            return renewer.renew(self.user, wishes)

    def _admin(self, admin: SnowflakeAdmin) -> Any:
        return admin if self.names_formers else _WithoutNames(admin)

    def look(self, wishes: Wishes = DUE) -> Decision:
        with self._signed_in() as admin:
            return self._renewer(admin).look(self.user, wishes)

    def see(self, wishes: Wishes = DUE) -> Decision:
        with self._signed_in() as admin:
            return self._renewer(admin).see(self.user, wishes)

    def remove_rotated(self) -> list[str]:
        with self._signed_in() as admin:
            return self._renewer(admin).remove_rotated(self.user)

    def _renewer(self, admin: SnowflakeAdmin) -> Renewer:
        sign_in = self._sign_in if self.checks else None
        now = admin.now()
        return Renewer(admin, self.store, self.attempts, sign_in, now, run_id=self.run_id, dry_run=self.dry_run)

    @contextmanager
    def _signed_in(self) -> Iterator[Any]:
        if self._here:
            yield self._here
            return
        with signed_in_as_admin("snowflake_admin") as admin:
            yield admin

    def _sign_in(self, user: User, secret: str) -> None:
        if self._here:
            sign_in(self.state, user.login, secret)
            return
        extra: dict[str, Any] = {"account": ACCOUNT, "host": "127.0.0.1", "port": self.server.port}
        if self.role:
            extra["role"] = self.role
        conn = Connection(conn_id=CONN_ID, conn_type="snowflake", login="SOMEBODY", extra=json.dumps(extra))
        sign_in_with_password(conn, user.login, secret)

    @property
    def kept(self) -> KeptTokens:
        return self.store.kept[CONN_ID]

    @property
    def rotations(self) -> int:
        """How many we asked for."""
        return self._here.rotations if self._here else self.server.requests.count("rotate_token")

    def rotate_by_hand(self, overlap_hours: int = 24) -> None:
        """As a person does it, a minute later."""
        self.state.advance(minutes=1)
        rotate_token(self.state, service_of(self.state), token_of(self.state), overlap_hours, created_by="A_PERSON")

    def rotated_by_another(self) -> None:
        """Somebody else rotates, in the very moment."""
        rotate_token(self.state, service_of(self.state), token_of(self.state), 24, created_by="ANOTHER")

    @property
    def in_force(self) -> AccessToken:
        return token_of(self.state)

    @property
    def refused(self) -> int:
        """How many sign-ins of the user were refused."""
        return sum(not event.is_success for event in account_of(self.state).logins)

    def lives(self, secret: str) -> bool:
        """Whether Snowflake still takes a secret, going by what it holds."""
        now = self.state.clock.now()
        tokens = service_of(self.state).tokens
        return any(token.secret == secret and token.status(now) is TokenStatus.ACTIVE for token in tokens)

    def lets_tableau_in(self, secret: str) -> bool:
        address = f"{ACCOUNT}.snowflakecomputing.com"
        return self.state.sign_in(address=address, user=SERVICE, secret=secret, client="tableau").ok


class _WithoutNames:
    """An administration to which Snowflake does not say what the former token is called."""

    def __init__(self, admin: SnowflakeAdmin) -> None:
        self._admin = admin

    def __getattr__(self, name: str) -> Any:
        return getattr(self._admin, name)

    def rotate(self, *arguments: Any) -> NewSecret:
        return replace(self._admin.rotate(*arguments), former=None)


def connection(port: int, **changes: Any) -> str:
    """The administrator's Airflow connection, as the environment holds it."""
    key = base64.b64encode(KEYS.private.encode()).decode()
    extra = {"account": ACCOUNT, "host": "127.0.0.1", "port": port, "role": ADMIN_ROLE, "private_key_content": key}
    return json.dumps({"conn_type": "snowflake", "login": ROTATOR, "extra": extra | changes})
