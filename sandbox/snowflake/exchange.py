"""From a request to an answer: fault, replay, endpoint, in that order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sandbox.snowflake import endpoints
from sandbox.snowflake.call import BadRequest, Call
from sandbox.snowflake.errors import SnowflakeError
from sandbox.snowflake.state import SnowflakeState
from sandbox.tableau.answers import Answer
from sandbox.tableau.faults import Fault

JSON_TYPE = "application/json"
Reply = dict[str, Any]


def success(data: dict[str, Any] | None) -> Reply:
    """The envelope of what worked."""
    return {"data": data, "code": None, "message": None, "success": True}


def failure(error: SnowflakeError, *, sql: bool = False) -> Reply:
    """The envelope of what did not: for SQL the data repeats the code."""
    data = {"errorCode": error.code, "sqlState": error.sql_state, "queryId": ""} if sql else error.data
    return {"data": data, "code": error.code, "message": error.message, "success": False, "headers": None}


def as_answer(reply: Reply, status: int = 200) -> Answer:
    """A reply on its way out."""
    return Answer(status, body=json.dumps(reply).encode(), content_type=JSON_TYPE)


class Exchange:
    """A request, as faults and the server drive it (see `sandbox.tableau.faults.Exchange`)."""

    def __init__(self, state: SnowflakeState, call: Call, wait: Callable[[float], None]) -> None:
        self.state = state
        self.call = call
        self.wait = wait
        self.replayed = False
        self.code: str | None = None  # the refusal's

    def run(self, fault: Fault | None) -> Answer:
        """Answer, with the fault if there is one; refusals become answers."""
        return self.answer() if fault is None else fault.play(self)

    def answer(self) -> Answer:
        """Let the endpoint work."""
        try:
            with self.state.lock:
                reply = self._reply()
            self.code = reply["code"]
            return as_answer(reply)
        except BadRequest as error:
            return as_answer({"error": str(error)}, 400)
        except endpoints.NoSuchAccount as error:
            return as_answer({"error": "no such account"}, error.status)

    def _reply(self) -> Reply:
        operation = self.call.operation
        if operation is None:
            return {"data": None, "code": "404", "message": f"no endpoint {self.call.path}", "success": False}
        try:
            if operation in endpoints.HANDLERS:
                return success(endpoints.HANDLERS[operation](self.state, self.call))
            return self._query()
        except SnowflakeError as error:
            return failure(error)

    def _query(self) -> Reply:
        """The first answer again if the request comes again: what a lost answer leaves behind is not done twice."""
        session = self.state.sessions.use(self.call.token)
        known = session.answers.get(self.call.request_id)
        if known is not None and self.state.behaviour.replay_requests:
            self.replayed = True
            return known
        try:
            reply = success(endpoints.query(self.state, self.call))
        except SnowflakeError as error:
            reply = failure(error, sql=True)
        session.answers[self.call.request_id] = reply
        return reply

    def end_session(self) -> None:
        """Let the session's hour be over just before."""
        if self.call.token is not None:
            self.state.sessions.expire(self.call.token)

    def flip_format(self) -> None:
        """There is only one format here."""
