"""What a task of the renewal learns from Airflow: its params, the users, and the way to their Snowflake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property

from airflow.sdk import Connection

from credential_rotation.file_names import json_file
from credential_rotation.hooks.snowflake import sign_in_with_password
from credential_rotation.hooks.snowflake_admin import signed_in_as_admin
from credential_rotation.renewal.params import RenewalParams
from credential_rotation.renewal.report import UserReport
from credential_rotation.renewal.step import Renewer
from credential_rotation.renewal.user import User
from credential_rotation.rotation.credentials import renewal_words
from credential_rotation.running_task import RunningTask
from credential_rotation.task_context import airflow_connection, credential_in, existing_connection
from credential_rotation.token_stores.kept import KeptToken


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
        """A Snowflake user, as its Airflow connection has it.

        :raises UnusableCredential: when the connection does not exist or can't serve as one
        """
        conn = existing_connection(conn_id)
        # Kept for its sign-in: one that can't be read just then would leave a token that is rotated and not tried.
        self._connections[conn_id] = conn
        found, words = credential_in(conn, self.store), renewal_words(conn)
        admin = words.admin_conn_id or self.params.admin_conn_id
        return User(conn_id, found.login, conn.password or "", words.user_name, words.token_name, admin)

    @contextmanager
    def renewer(self, admin_conn_id: str) -> Iterator[tuple[Renewer, datetime]]:
        """Renews tokens in a session of an administrator; and what time it is for Snowflake."""
        sign_in = self._sign_in if self.settings.snowflake_check else None
        with signed_in_as_admin(admin_conn_id) as admin:
            now = admin.now()
            renewer = Renewer(admin, self.store, self.renewals, sign_in, now, run_id=self.run_id, dry_run=self.dry_run)
            yield renewer, now

    def _sign_in(self, user: User, secret: str) -> None:
        sign_in_with_password(self._connections[user.conn_id], user.login, secret)

    def leave(self, user: UserReport) -> None:
        """Leave what is known of a user's token for the tasks that follow, and for the report."""
        self.folder.write(f"work/users/{json_file(user.snowflake_conn_id)}", user.as_dict())

    def user_report(self, conn_id: str) -> UserReport | None:
        """What was left of a user."""
        values = self.folder.read(f"work/users/{json_file(conn_id)}")
        return UserReport(**values) if values else None

    def users(self) -> list[UserReport]:
        """What was left of the users, in the order of the params."""
        return [found for conn_id in self.params.snowflake_conn_ids if (found := self.user_report(conn_id))]

    def begin(self, conn_id: str, at: datetime) -> None:
        """Leave word that a token may be rotated from now on: if this task says no more, somebody has to look."""
        self.folder.write(f"work/begun/{json_file(conn_id)}", at.isoformat())

    def begun_at(self, conn_id: str) -> datetime | None:
        """When the renewal of a token was begun, by Snowflake's clock."""
        at = self.folder.read(f"work/begun/{json_file(conn_id)}")
        return datetime.fromisoformat(at) if at else None

    def keep_time(self, now: datetime) -> None:
        """Keep how far Snowflake's clock is from this worker's, for tasks that do not sign in to Snowflake."""
        self.folder.write("work/clock.json", (now - _this_worker_s_clock()).total_seconds())

    def now(self) -> datetime:
        """What time it is for Snowflake, as far as this run knows."""
        return _this_worker_s_clock() + timedelta(seconds=self.folder.read("work/clock.json") or 0.0)

    def renewed(self, conn_id: str) -> KeptToken | None:
        """The renewed token that counts; None where the Airflow connection's own does.

        :raises StoreUnusable: when it can't be read
        """
        kept, conn = self.store.read(conn_id), airflow_connection(conn_id)
        return kept.renewed(conn.password or "") if kept is not None and conn is not None else None

    def current(self, conn_id: str) -> str | None:
        """The fingerprint of what Tableau is to embed: the renewed token, or the Airflow connection's own.

        :raises StoreUnusable: when it can't be read
        """
        renewed, conn = self.renewed(conn_id), airflow_connection(conn_id)
        secret = renewed.secret if renewed else (conn.password if conn else None)
        return self.fingerprints.of(secret) if secret else None

    def has_arrived(self, conn_id: str, token: str | None) -> bool:
        """Whether every connection in Tableau embeds a token, as far as rotations have told.

        :param token: its fingerprint
        """
        return token is not None and self.renewals.arrival(conn_id).is_everywhere(token, self.settings.tableau_conn_ids)


def _this_worker_s_clock() -> datetime:
    return datetime.now(UTC)
