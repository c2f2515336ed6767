"""Which faults Tableau may have where, so that quick tries and the retries of tasks overcome them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from sandbox.chaos.servers import TIMEOUT_SECONDS
from sandbox.tableau import (
    EmptyBody,
    Fault,
    HalfBody,
    HtmlPage,
    OtherFormat,
    Pass,
    RawAnswer,
    Redirect,
    ResetAfter,
    ResetBefore,
    ServerError,
    SessionLost,
    Silence,
    Slow,
    TableauCode,
    Throttle,
)

LISTS = ("list_datasources", "list_workbooks", "list_flows", "list_virtual_connections", "list_users")
AN_AGE = TIMEOUT_SECONDS + 1.0
HTTP_DATE = "date"
"""A Throttle with this says a date, which is known only when the round is played."""

ANYWHERE = (*LISTS, "query_connections", "update_connection", "server_info", "sign_in", "refresh", "get_job")

# A query is sent once more if Tableau is unwell, and no more: each may count as a sign-in that Snowflake refuses.
ONCE = ("query_datasource", "view_data")
WHERE: dict[str, tuple[str, ...]] = {
    "throttle": (*ANYWHERE, *ONCE, "list_jobs", "sign_out"),
    "server_error": (*ANYWHERE, *ONCE, "sign_out"),
    "html": (*ANYWHERE, "sign_out"),
    "code": (*LISTS, "query_connections", "update_connection", "get_job"),
    "reset_before": (*ANYWHERE, *ONCE),
    "reset_after": ANYWHERE,
    "half_body": ANYWHERE,
    "empty_body": ANYWHERE,
    "silence": ANYWHERE,
    "redirect": (*LISTS, "query_connections", "update_connection", "get_job"),
    "other_format": ANYWHERE,
    "raw": ANYWHERE,
    "session_lost": (*LISTS, "query_connections", "update_connection", "refresh", "get_job", "query_datasource"),
    "latency": (*ANYWHERE, *ONCE, "list_jobs", "sign_out"),
    "pass": ANYWHERE,
    # Data sources and workbooks are on every site: that their list is not found is an error.
    "not_found": ("list_flows", "list_virtual_connections", "query_connections", "update_connection"),
}
"""The operations that each kind of fault may hit; most requests are made of the first ones."""

MOST_OF_ONE_KIND = {"session_lost": 2, "redirect": 3, "not_found": 2}
MOST_AT_ONE_OPERATION = {
    "sign_in": 2,
    "server_info": 2,
    "sign_out": 2,
    "refresh": 2,
    "get_job": 3,
    **dict.fromkeys(ONCE, 1),
}
MOST_ELSEWHERE = 5


@dataclass(frozen=True)
class Scripted:
    """Faults that the next requests of an operation are to meet, after some that go through."""

    operation: str
    faults: tuple[Fault, ...]
    after: int = 0
    where: tuple[tuple[str, str], ...] = ()


@dataclass
class Menu:
    """Deals out faults, each kind once before any comes again, and never more than can be overcome."""

    random: Random
    _left: list[str] = field(default_factory=list)

    def draw(self, number: int) -> tuple[Scripted, ...]:
        """Faults for a round."""
        drawn: list[Scripted] = []
        kinds: Counter[str] = Counter()
        places: Counter[str] = Counter()
        while sum(places.values()) < number:
            kind = self._next_kind()
            free = [each for each in WHERE[kind] if places[each] < MOST_AT_ONE_OPERATION.get(each, MOST_ELSEWHERE)]
            if not free or kinds[kind] >= MOST_OF_ONE_KIND.get(kind, number):
                continue
            operation = self._operation(free)
            faults = tuple(make_fault(kind, operation, self.random) for _ in range(self._times(kind, operation)))
            kinds[kind] += len(faults)
            places[operation] += len(faults)
            drawn.append(Scripted(operation, faults, after=self._after(operation)))
        return tuple(drawn)

    def _next_kind(self) -> str:
        if not self._left:
            self._left = sorted(WHERE)
            self.random.shuffle(self._left)
        return self._left.pop()

    def _operation(self, free: list[str]) -> str:
        # Half of all where most requests are, which is also where most can be lost.
        often = [each for each in free if each in {"query_connections", "update_connection"}]
        return self.random.choice(often if often and self.random.random() < 0.5 else free)

    def _times(self, kind: str, operation: str) -> int:
        may_repeat = kind not in {"session_lost", "throttle", "silence", "not_found"}
        return (
            2
            if may_repeat and operation in {"query_connections", "update_connection"} and self.random.random() < 0.3
            else 1
        )

    def _after(self, operation: str) -> int:
        return self.random.randint(0, {"query_connections": 40, "update_connection": 15}.get(operation, 0))


def make_fault(kind: str, operation: str, random: Random) -> Fault:
    """A fault of a kind that this operation overcomes."""
    made: dict[str, list[Fault]] = {
        "throttle": [Throttle(None), Throttle("1"), Throttle("3"), Throttle("21"), Throttle(HTTP_DATE)],
        "server_error": [ServerError(500), ServerError(502), ServerError(503, retry_after="1"), ServerError(504)],
        "html": [HtmlPage(503), HtmlPage(502), HtmlPage(200), HtmlPage(404)],
        "code": [
            TableauCode("400033"),
            TableauCode("400039", "There was a problem updating the connection."),
            TableauCode("401002", "Invalid authentication credentials were provided."),
            TableauCode("408000", "The request timed out."),
        ],
        "reset_before": [ResetBefore()],
        "reset_after": [ResetAfter()],
        "half_body": [HalfBody()],
        "empty_body": [EmptyBody()],
        "silence": [Silence(1.0), Silence(AN_AGE), Silence(1.0, then="close"), Silence(AN_AGE, then="close")],
        # To itself, in a way that keeps the method.
        "redirect": [Redirect(location="", status=307), Redirect(location="", status=308)],
        "other_format": [OtherFormat()],
        # None of these can be taken for an answer: a Tableau that lies well is believed.
        "raw": [
            RawAnswer(200, '{"pagination": {"pageNumb'),
            RawAnswer(200, "OK", "text/plain"),
            RawAnswer(200, "<html><body>Maintenance</body></html>", "text/html"),
            RawAnswer(500, "Traceback (most recent call last):", "text/plain"),
            RawAnswer(304, "", "application/xml"),
            RawAnswer(200, "", "application/xml"),
        ],
        "session_lost": [SessionLost()],
        "not_found": [TableauCode("404000", "Not found.")],
        "latency": [Slow(0.5), Slow(2.0)],
        "pass": [Pass()],
    }
    choices = made[kind]
    if operation in ONCE:  # whatever is slower than an answer counts as unwell
        choices = [each for each in choices if not isinstance(each, TableauCode)]
    return random.choice(choices)
