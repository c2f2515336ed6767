"""The faults that a test can script: those of the wire are Tableau's, the others are Snowflake's own."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from sandbox.snowflake import exchange as snowflake
from sandbox.snowflake.errors import SnowflakeError
from sandbox.snowflake.exchange import as_answer, failure
from sandbox.snowflake.results import EXECUTED, status
from sandbox.snowflake.rotation import rotate_token
from sandbox.snowflake.state import SnowflakeState
from sandbox.tableau.answers import Answer
from sandbox.tableau.faults import (
    EmptyBody,
    Exchange,
    Fault,
    HalfBody,
    HtmlPage,
    Pass,
    RawAnswer,
    Redirect,
    ResetAfter,
    ResetBefore,
    SessionLost,
    Silence,
    Slow,
)


@dataclass(frozen=True)
class Unwell(Fault):
    """A 5xx, or a 429: with no effect. The driver tries statements again by itself."""

    word: ClassVar[str] = "unwell"
    status: int = 503

    def play(self, exchange: Exchange) -> Answer:  # noqa: ARG002 - answers in the endpoint's place
        """Fail, with no effect."""
        return as_answer({"error": "the service is unwell"}, self.status)


@dataclass(frozen=True)
class Refusal(Fault):
    """Any code and text, with no effect."""

    word: ClassVar[str] = "refusal"
    code: str = "000604"
    message: str = "SQL execution was cancelled by the client due to a timeout. Error message was Cancelled."
    sql_state: str = "57014"

    def play(self, exchange: Exchange) -> Answer:  # noqa: ARG002 - answers in the endpoint's place
        """Refuse with this code."""
        return as_answer(failure(SnowflakeError(self.code, self.message, self.sql_state), sql=True))


@dataclass(frozen=True)
class RefusalAfter(Refusal):
    """The statement takes effect, yet the answer says that it failed: the secret is lost for good."""

    word: ClassVar[str] = "refusal_after"

    def play(self, exchange: Exchange) -> Answer:
        """Do the work, then say that it failed."""
        exchange.answer()
        return super().play(exchange)


@dataclass(frozen=True)
class UnwellAfter(Unwell):
    """The statement takes effect, and a gateway answers in Snowflake's place."""

    word: ClassVar[str] = "unwell_after"

    def play(self, exchange: Exchange) -> Answer:
        """Do the work, then fail."""
        exchange.answer()
        return super().play(exchange)


@dataclass(frozen=True)
class WithoutSecret(Fault):
    """ADD or ROTATE succeeds, and no secret comes: `no_row`, `null`, `empty`, or `status` as with IF EXISTS."""

    word: ClassVar[str] = "without_secret"
    how: str = "no_row"

    def __post_init__(self) -> None:
        if self.how not in {"no_row", "null", "empty", "status"}:
            raise ValueError(f"unknown way to keep a secret back: {self.how}")

    def play(self, exchange: Exchange) -> Answer:
        """Do the work, then keep the secret back."""
        answer = exchange.answer()
        reply = json.loads(answer.body or b"{}")
        data = reply.get("data") or {}
        names = [column["name"] for column in data.get("rowtype", ())]
        if "token_secret" not in names:
            return answer
        match self.how:
            case "no_row":
                data["rowset"] = []
            case "null" | "empty":
                for row in data["rowset"]:
                    row[names.index("token_secret")] = None if self.how == "null" else ""
            case _:
                result = status(EXECUTED)
                data["rowtype"] = [column.as_json() for column in result.columns]
                data["rowset"] = result.rowset()
        data["total"] = data["returned"] = len(data["rowset"])
        return as_answer(reply)


@dataclass(frozen=True)
class AnotherRotator(Fault):
    """Somebody else rotates a token just before or just after the request has its effect; it is answered as usual.

    Nothing comes between the two. The answer is a 400 if the script is wrong: no such token, or Snowflake would refuse
    this rotation.
    """

    word: ClassVar[str] = "another_rotator"
    account: str
    user: str
    token: str
    overlap_hours: int | None = None  # None: Snowflake's default
    when: str = "before"  # or "after"
    created_by: str = "ANOTHER_ROTATOR"

    def __post_init__(self) -> None:
        if self.when not in {"before", "after"}:
            raise ValueError(f"when is before or after, not {self.when!r}")

    def play(self, exchange: Exchange) -> Answer:
        """Rotate and answer, in the order that was asked for."""
        state = cast(snowflake.Exchange, exchange).state
        try:
            with state.lock:
                if self.when == "before":
                    self._rotate(state)
                answer = exchange.answer()
                if self.when == "after":
                    self._rotate(state)
                return answer
        except (LookupError, SnowflakeError) as error:
            return as_answer({"error": f"{self.word} could not rotate: {error}"}, 400)

    def _rotate(self, state: SnowflakeState) -> None:
        account = state.accounts.get(self.account)
        user = account.find_user(self.user) if account else None
        token = user.token(self.token) if user else None
        if user is None or token is None:
            raise LookupError(f"account {self.account} has no user {self.user} with a token {self.token}")
        rotate_token(state, user, token, self.overlap_hours, created_by=self.created_by)


LANGUAGE: dict[str, type[Fault]] = {
    kind.word: kind
    for kind in (
        AnotherRotator,
        EmptyBody,
        HalfBody,
        HtmlPage,
        Pass,
        RawAnswer,
        Redirect,
        Refusal,
        RefusalAfter,
        ResetAfter,
        ResetBefore,
        SessionLost,
        Silence,
        Slow,
        Unwell,
        UnwellAfter,
        WithoutSecret,
    )
}


def fault_from_json(said: Mapping[str, Any]) -> Fault:
    """The fault that `{"fault": word, ...fields}` means."""
    fields = dict(said)
    word = fields.pop("fault", None)
    kind = LANGUAGE.get(str(word))
    if kind is None:
        raise ValueError(f"unknown fault {word!r}; known are {', '.join(LANGUAGE)}")
    unknown = fields.keys() - {field.name for field in dataclasses.fields(kind)}
    if unknown:
        raise ValueError(f"{word}: unknown {sorted(unknown)}")
    return kind(**fields)
