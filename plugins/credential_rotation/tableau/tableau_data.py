"""Requests that make Tableau connect to the database with the credential that content embeds.

Tableau has no "test connection" endpoint. A refresh of an extract, a query of a published data source and the data of a
view are what it offers instead: each signs in to the database, unless a cache or an extract answers.
https://help.tableau.com/current/api/rest_api/en-us/REST/rest_api_ref.htm (jobs, views)
https://help.tableau.com/current/api/vizql-data-service/en-us/index.html
"""

from __future__ import annotations

import json
import logging
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol
from urllib.parse import quote
from xml.etree.ElementTree import Element

from credential_rotation.tableau import tsxml
from credential_rotation.tableau.content import ENDPOINTS, Content
from credential_rotation.tableau.errors import (
    AlreadyQueued,
    AnswerTooLarge,
    BadAnswer,
    NotAllowed,
    NotFound,
    RedirectRefused,
    RequestRefused,
    SessionEnded,
    SignInRefused,
    TableauError,
)
from credential_rotation.tableau.success import (
    CANCEL_JOB,
    DATA_SOURCE,
    JOB,
    JOBS,
    METADATA,
    QUERY,
    REFRESH,
    VIEW_DATA,
    VIEWS,
    Success,
    listing,
)

log = logging.getLogger(__name__)

_VIZQL = "/api/v1/vizql-data-service"
_ALREADY_QUEUED, _SESSION_ENDED = "409093", "401002"
_SUCCEEDED, _CANCELLED = ("0", "3"), "2"  # tableauserverclient knows a 3, "Completed"
_PENDING = "Pending"
_UNFINISHED = (_PENDING, "InProgress")
_YEAR_1000, _YEAR_1900 = date(1000, 1, 1).toordinal(), date(1900, 1, 1).toordinal()
_MOST_VIEWS = 2
# As young as a cached answer can be asked to be.
YOUNGEST_CACHE_SECONDS = 60.0


class NoDataHere(Exception):
    """This content, site or licence has no such way to its data; nothing is said about the credential."""


@dataclass(frozen=True)
class Job:
    """An extract refresh. ``notes`` are Tableau's words on how it ended; ``created_at`` is by Tableau's clock."""

    id: str
    started: bool
    ended: bool
    succeeded: bool = False
    cancelled: bool = False
    notes: str = ""
    created_at: str = ""


class SignedIn(Protocol):
    """Sends requests of a signed-in user: the hook, to this module."""

    def call(self, method: str, endpoint: str, body: bytes | None = None, success: Success = ...) -> Element:
        """Send a request to an endpoint of the site."""

    def fetch(self, method: str, endpoint: str, success: Success, body: bytes | None = None, *, once: bool) -> bytes:
        """Send a request whose answer is no XML; its body."""

    def redacted(self, text: str) -> str:
        """A text of Tableau's without the secrets that it may quote."""


class TableauData:
    """The data of one site's content, through one signed-in session."""

    def __init__(self, api: SignedIn) -> None:
        self._api = api

    def refresh(self, content: Content) -> str:
        """Start an extract refresh; the LUID of its job.

        :raises AlreadyQueued: when there is one already
        :raises NoDataHere: when Tableau will not refresh it: it has no extract, or the user may not
        """
        path = f"{ENDPOINTS[content.type].path}/{content.id}/refresh"
        try:
            root = self._api.call("POST", path, tsxml.request(), REFRESH)
        except RequestRefused as error:
            if error.code == _ALREADY_QUEUED:
                raise AlreadyQueued(str(error), status=error.status, code=error.code) from None
            raise NoDataHere(str(error)) from None
        except NotAllowed as error:
            raise NoDataHere(str(error)) from None
        luid = next(root.iter("job")).get("id")
        if not luid:
            raise BadAnswer(f"POST {path}: the answer names no job.")
        return luid

    def job(self, job_id: str) -> Job:
        """How far a refresh is. It has ended when it says when; a finish code alone may be there before.

        :raises NotFound: when there is no such job
        :raises NoDataHere: when the user may not look at jobs
        """
        try:
            root = self._api.call("GET", f"jobs/{job_id}", success=JOB)
        except NotAllowed as error:
            raise NoDataHere(str(error)) from None
        job = next(root.iter("job"))
        code = job.get("finishCode", "")
        ended = bool(job.get("completedAt"))
        return Job(
            id=job_id,
            started=bool(job.get("startedAt")),
            ended=ended,
            succeeded=ended and code in _SUCCEEDED,
            cancelled=ended and code == _CANCELLED,
            notes=self._api.redacted(_notes(job)),
            created_at=job.get("createdAt", ""),
        )

    def unfinished_refreshes(self, content: Content) -> list[Job]:
        """The refreshes of an item that wait or run.

        Lists of jobs tell the name of the content only, so each that fits is looked at.
        """
        found: dict[str, Job] = {}
        for status in _UNFINISHED:  # as tableauserverclient and tableau-mcp have it, status can only be compared
            path = f"jobs?filter=jobType:eq:refresh_extracts,status:eq:{status}&pageSize=1000&pageNumber=1"
            root = self._api.call("GET", path, success=JOBS)
            for listed in root.iter("backgroundJob"):
                luid = listed.get("id")
                if luid and listed.get("title") in (None, "", content.name) and luid not in found:
                    # As the list said, before a look at the job itself: what had not started reads what is there now.
                    found |= self._if_of(content, luid, started=status != _PENDING)
        return list(found.values())

    def cancel(self, job_id: str) -> None:
        """Cancel a refresh."""
        self._api.call("PUT", f"jobs/{job_id}", success=CANCEL_JOB)

    def query_one_row(self, content: Content) -> None:
        """Ask a published data source for one row, with what it embeds: no credential is in the request.

        The query is one that nobody asked before, so that no cache can answer it.

        :raises NoDataHere: when the site has no VizQL Data Service, or the data source can't be asked through it
        :raises RequestRefused: when the query is refused, for the reason that its text says
        """
        asked = {"datasource": {"datasourceLuid": content.id}}
        # Whether it is there: of a 404 of the other service, nobody could tell.
        self._api.call("GET", f"datasources/{content.id}", success=DATA_SOURCE)
        try:
            query = _new_query(self._metadata(asked))
            self._ask("query-datasource", asked | {"query": query, "options": {"rowLimit": 1}}, QUERY)
        except (NotAllowed, NotFound) as error:
            raise NoDataHere(str(error)) from None
        except RequestRefused as error:
            if (error.code or "").startswith(_QUERY_NOT_UNDERSTOOD):
                raise NoDataHere(str(error)) from None
            raise

    def view_data(self, content: Content) -> None:
        """Ask for the data of a view of a workbook, at most a minute old.

        :raises NoDataHere: when it has no view whose data may be asked for
        """
        root = self._api.call("GET", f"workbooks/{content.id}/views", success=VIEWS)
        views = [luid for view in root.iter("view") if (luid := view.get("id"))]
        why = "it has no view"
        for view in views[:_MOST_VIEWS]:
            try:
                minutes = round(YOUNGEST_CACHE_SECONDS / 60)
                answer = self._ask_database("GET", f"views/{view}/data?maxAge={minutes}", VIEW_DATA)
            except (NotAllowed, NotFound) as error:
                why = str(error)
            except AnswerTooLarge:
                return  # More of it than is read: so there is data.
            else:
                if answer.strip():
                    return
                # A dashboard of texts and pictures, say: nobody had to ask the database.
                why = "no view of it has data"
        raise NoDataHere(why)

    def _metadata(self, asked: dict[str, Any]) -> Any:
        try:
            return self._ask("read-metadata", asked, METADATA)
        except AnswerTooLarge as error:
            raise NoDataHere(str(error)) from None
        except BadAnswer as error:
            # An older Tableau Server has no such service; what answers then is whatever stands before it.
            if error.status == 404:
                raise NoDataHere(str(error)) from None
            raise

    def _ask(self, what: str, question: dict[str, Any], success: Success) -> Any:
        return json.loads(self._ask_database("POST", f"{_VIZQL}/{what}", success, json.dumps(question).encode()))

    def _ask_database(self, method: str, endpoint: str, success: Success, body: bytes | None = None) -> bytes:
        """Send a request for which Tableau signs in to the database; once, and again only if the session had ended.

        A 401 may be the database's. Asked again and again, that would lock a user there.
        """
        try:
            return self._api.fetch(method, endpoint, success, body, once=True)
        except SessionEnded as error:
            if error.code != _SESSION_ENDED:
                raise _not_the_session(error) from None
        except (SignInRefused, RedirectRefused) as error:
            raise _not_the_session(error) from None
        # Renews the session.
        self._api.call("GET", "datasources?pageSize=1&pageNumber=1", success=listing("datasources"))
        try:
            return self._api.fetch(method, endpoint, success, body, once=True)
        except (SessionEnded, SignInRefused, RedirectRefused) as error:
            raise _not_the_session(error) from None

    def _if_of(self, content: Content, job_id: str, *, started: bool) -> dict[str, Job]:
        job = next(self._api.call("GET", f"jobs/{quote(job_id)}", success=JOB).iter("job"))
        of = job.find(f"extractRefreshJob/{ENDPOINTS[content.type].element}")
        if of is None or of.get("id") != content.id:
            return {}
        return {job_id: Job(job_id, started=started, ended=False, created_at=job.get("createdAt", ""))}


def _not_the_session(error: TableauError) -> Exception:
    """What a 401 or a redirect means where the session is good: what the database said, or that nobody is there."""
    if error.code is None:
        return NoDataHere(str(error))
    return RequestRefused(str(error), status=error.status, code=error.code)


_QUERY_NOT_UNDERSTOOD = ("4008", "404")


def _new_query(metadata: Any) -> dict[str, Any]:
    """A query of one field that nobody asked before; of a text rather than a number or date.

    Shapes of filters: https://help.tableau.com/current/api/vizql-data-service/en-us/docs/vds_create_queries.html
    """
    fields = metadata.get("data") if isinstance(metadata, dict) else None
    columns = [
        each for each in fields or () if isinstance(each, dict) and each.get("fieldCaption") and _is_column(each)
    ]
    for kinds, narrow in _FILTERS.items():
        for column in columns:
            if column.get("dataType") in kinds:
                field = {"fieldCaption": str(column["fieldCaption"])}
                return {"fields": [field], "filters": [{"field": field} | narrow()]}
    raise NoDataHere("it has no field that could be asked for")


# Each lets everything through, or as good as everything, and is hardly ever the same.
_FILTERS: dict[tuple[str, ...], Callable[[], dict[str, Any]]] = {
    ("STRING",): lambda: {"filterType": "SET", "values": [uuid.uuid4().hex], "exclude": True},
    ("INTEGER", "REAL"): lambda: {
        "filterType": "QUANTITATIVE_NUMERICAL",
        "quantitativeFilterType": "MIN",
        "min": -random.randint(10**14, 10**15),
    },
    ("DATE", "DATETIME"): lambda: {
        "filterType": "QUANTITATIVE_DATE",
        "quantitativeFilterType": "MIN",
        "minDate": date.fromordinal(random.randint(_YEAR_1000, _YEAR_1900)).isoformat(),
    },
}


def _is_column(field: dict[str, Any]) -> bool:
    """Not a calculation, which may well compute without the database."""
    return not field.get("formula") and field.get("columnClass", "COLUMN") == "COLUMN"


def _notes(job: Element) -> str:
    said = [job.findtext("extractRefreshJob/notes"), job.findtext("statusNotes")]
    said += [note.get("text") or note.text for note in job.iterfind("statusNotes/statusNote")]
    said += [note.get("text") or note.text for note in job.iterfind("extractRefreshJob/statusNotes/statusNote")]
    return " ".join(text.strip() for text in said if text and text.strip())
