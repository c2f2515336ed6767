"""The sandbox's Snowflake without its driver: thousands of renewals take seconds."""

from __future__ import annotations

from datetime import datetime

from credential_rotation.renewal.tokens import NewSecret, Token
from credential_rotation.rotation.snowflake_words import SnowflakeRefused, refusal_in
from sandbox.snowflake import SnowflakeState, rotate_token
from sandbox.snowflake.errors import SnowflakeError
from tests.sandbox_snowflake.small_account import ACCOUNT

ADDRESS = f"{ACCOUNT}.snowflakecomputing.com"


class InThisProcess:
    """The administration, as the real one answers it; see :class:`credential_rotation.hooks.snowflake_admin`."""

    def __init__(self, state: SnowflakeState) -> None:
        self._state = state
        self.rotations = 0

    def now(self) -> datetime:
        return self._state.clock.now()

    def tokens(self, user: str) -> list[Token]:
        now = self._state.clock.now()
        account = self._state.accounts[ACCOUNT]
        if (found := account.find_user(user)) is None:
            raise SnowflakeRefused(f"User '{user}' does not exist or not authorized.")
        return [Token(each.name, each.status(now).value, each.expires_at, each.rotated_to) for each in found.tokens]

    def rotate(self, user: str, token: str, overlap_hours: int) -> NewSecret:
        found = self._state.accounts[ACCOUNT].user(user)
        self.rotations += 1
        in_force = found.token(token)
        assert in_force is not None
        try:
            former = rotate_token(self._state, found, in_force, overlap_hours)
        except SnowflakeError as refused:
            raise SnowflakeRefused(str(refused)) from None
        return NewSecret(in_force.secret, former.name)


def sign_in(state: SnowflakeState, login: str, secret: str) -> None:
    """As :func:`credential_rotation.hooks.snowflake.sign_in_with_password` does it."""
    answer = state.sign_in(address=ADDRESS, user=login, secret=secret, client="airflow")
    if not answer.ok:
        raise SnowflakeRefused(f"Snowflake refuses {login}: {answer.message}", refusal_in(answer.message))
