"""From a received request to an answer: route, fault, session, endpoint, in that order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from sandbox.tableau import routes, vizql_endpoints
from sandbox.tableau.answers import Answer
from sandbox.tableau.call import Call
from sandbox.tableau.errors import TableauError, bad_request, not_in_this_version, throttled
from sandbox.tableau.faults import Fault
from sandbox.tableau.state import TableauState


class RateLimit:
    """429 above so many requests in a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: deque[float] = deque()

    def refuses(self, per_second: float | None) -> bool:
        """Whether one request more is too many; those refused do not count."""
        if per_second is None:
            return False
        now = time.monotonic()
        with self._lock:
            while self._recent and now - self._recent[0] > 1:
                self._recent.popleft()
            if len(self._recent) >= per_second:
                return True
            self._recent.append(now)
            return False


class Exchange:
    """A routed request, as faults and the server drive it (see `faults.Exchange`)."""

    def __init__(self, call: Call, route: routes.Route, wait: Callable[[float], None]) -> None:
        self.call = call
        self.route = route
        self.wait = wait

    def run(self, fault: Fault | None) -> Answer:
        """Answer, with the fault if there is one; errors become answers."""
        return self.in_own_form(self.answer() if fault is None else fault.play(self))

    def answer(self) -> Answer:
        """Check what any endpoint would check, then let it work."""
        state = self.call.state
        self.wait(state.latency.read_seconds if self.call.method == "GET" else state.latency.write_seconds)
        try:
            with state.lock:
                self._check_version()
                if self.route.needs_session:
                    self.call.open_session()
                self._check_query()
                return self.route.endpoint(self.call)
        except TableauError as error:
            return error.answer()

    def in_own_form(self, answer: Answer) -> Answer:
        """The answer, with an error in the form of the service that was asked."""
        return vizql_endpoints.with_own_error(self.call, answer) if self.route.vizql else answer

    def end_session(self) -> None:
        """End the session that the request uses."""
        if self.call.token is not None:
            self.call.state.sessions.end(self.call.token)

    def flip_format(self) -> None:
        """Answer in the other format."""
        accept = "application/xml" if self.call.wants_json else "application/json"
        self.call = replace(self.call, headers=self.call.headers | {"accept": accept})

    def _check_version(self) -> None:
        if self.route.any_version:
            return
        asked = routes.version_tuple(self.call.version)
        newest = routes.version_tuple(self.call.state.rest_api_version) or ()
        if asked is None or asked > newest or asked < self.route.since:
            raise not_in_this_version(self.call.version)

    def _check_query(self) -> None:
        self.call.unknown_query[:] = [
            name
            for name in self.call.query
            if name not in self.route.query and not (name.startswith("vf_") and self.route.operation == "view_data")
        ]
        if self.call.unknown_query and self.call.state.strict_queries:
            raise bad_request(f"Unknown query parameter '{self.call.unknown_query[0]}' (this sandbox is strict).")


def find_exchange(call: Call, wait: Callable[[float], None], *, below_api: bool) -> Exchange:
    """The exchange for a call below /api/<version>/; TableauError when no endpoint is there."""
    found = routes.find(call.method, call.path) if below_api else set()
    if isinstance(found, set):
        if found:
            raise TableauError(
                "405000", f"The method {call.method} is not allowed; allowed: {', '.join(sorted(found))}."
            )
        raise TableauError("404000", "The requested resource does not exist.")
    route, parameters = found
    call.operation, call.parameters = route.operation, parameters
    if route.vizql:
        call.parameters = parameters | vizql_endpoints.named_in_body(call.body)
    return Exchange(call, route, wait)


def limited(state: TableauState, limit: RateLimit) -> Answer | None:
    """A 429 if the rate is above the limit."""
    return throttled(state.latency.retry_after) if limit.refuses(state.latency.rate_limit) else None
