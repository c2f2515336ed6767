"""What a task of the renewal learns from Airflow: its params, the users, and the way to their Snowflake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property

from airflow.sdk import Connection

from credential_rotation.hooks.snowflake import sign_in_with_password
from credential_rotation.hooks.snowflake_admin import signed_in_as_admin
from credential_rotation.renewal.params import RenewalParams
from credential_rotation.renewal.report import UserReport
from credential_rotation.renewal.step import Renewer, User
from credential_rotation.rotation.credentials import renewal_words
from credential_rotation.running_task import RunningTask
from credential_rotation.task_context import credential_in, existing_connection


class RenewalTask(RunningTask):
    """A task of the renewal."""

    def __init__(self) -> None:
        super().__init__()
        self._connections: dict[str, Connection] = {}

    @cached_property
    def params(self) -> RenewalParams:
        """What the run was asked for.

        :raises UnusableParams: when that can't be done
        """
        return RenewalParams.parse(self._params, self._dag_run.conf)

    def user(self, conn_id: str) -> User:
        """A Snowflake user, as its Airflow connection has it."""
        conn = existing_connection(conn_id)
        # Kept for its sign-in: one that can't be read just then would leave a token that is rotated and not tried.
        self._connections[conn_id] = conn
        found, words = credential_in(conn), renewal_words(conn)
        admin = words.admin_conn_id or self.params.admin_conn_id
        return User(conn_id, found.login, found.token, words.user_name, words.token_name, admin)

    @contextmanager
    def renewer(self, admin_conn_id: str) -> Iterator[tuple[Renewer, datetime]]:
        """Renews tokens in a session of an administrator; and what time it is for Snowflake."""
        with signed_in_as_admin(admin_conn_id) as admin:
            now = admin.now()
            yield Renewer(admin, self.store, self._sign_in, now), now

    def _sign_in(self, user: User, secret: str) -> None:
        sign_in_with_password(self._connections[user.conn_id], user.login, secret)

    def leave(self, user: UserReport) -> None:
        """Leave what is known of a user's token for the tasks that follow, and for the report."""
        self.folder.write(f"work/users/{user.snowflake_conn_id}.json", user.as_dict())

    def users(self) -> list[UserReport]:
        """What was left of the users, in the order of the params."""
        left = [self.folder.read(f"work/users/{conn_id}.json") for conn_id in self.params.snowflake_conn_ids]
        return [UserReport(**values) for values in left if values]

    def current(self, conn_id: str) -> str | None:
        """The fingerprint of a renewed token; None where the Airflow connection's own counts.

        :raises StoreUnusable: when it can't be read
        """
        kept = self.store.read(conn_id)
        return self.fingerprints.of(kept.current.secret) if kept is not None and kept.current.is_renewed else None
