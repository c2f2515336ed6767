"""Requests that make Tableau connect to the database, against the sandbox; and everything that can go wrong there."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from credential_rotation.rotation.snowflake_words import Refusal, refusal_in
from credential_rotation.tableau.content import Content, ContentType
from credential_rotation.tableau.errors import (
    AlreadyQueued,
    BadAnswer,
    NotAllowed,
    NotFound,
    RedirectRefused,
    RequestRefused,
    ServerFault,
    TableauError,
    TableauUnwell,
    Throttled,
    Unreachable,
)
from credential_rotation.tableau.tableau_data import NoDataHere, TableauData
from credential_rotation.tableau.transport import QUICK_TRIES
from sandbox import tableau as sandbox
from sandbox.tableau import (
    EmptyBody,
    Fault,
    HalfBody,
    HtmlPage,
    JobOutcome,
    RawAnswer,
    Redirect,
    ResetAfter,
    ResetBefore,
    ServerError,
    SessionLost,
    Silence,
    Site,
    TableauCode,
    TableauServer,
    TableauState,
    Throttle,
    snowflake_connection,
)
from sandbox.tableau.answers import Answer
from sandbox.tableau.faults import Exchange
from tests.credential_rotation.hooks.connecting import Connect
from tests.credential_rotation.hooks.other_servers import elsewhere
from tests.credential_rotation.hooks.session_stores import MemoryStore
from tests.credential_rotation.hooks.telling import all_that_is_told_by

GOOD, BAD = "token-of-today/+==", "token-of-last-year"
JSON, CSV, XML = "application/json", "text/csv", "application/xml"
# Of those that may make Tableau sign in to the database. Five refused sign-ins lock a Snowflake user.
DATABASE = ("read_metadata", "query_datasource", "view_data")


def seen(content: sandbox.Content) -> Content:
    """The item as a list of content shows it."""
    return Content(ContentType(content.content_type.value), content.id, content.name)


@pytest.fixture
def site(state: TableauState, site: Site) -> Site:
    state.accounts.add_account("acme-prod").add_user("ETL_USER", [GOOD])
    return site


@pytest.fixture
def extract(site: Site) -> sandbox.Content:
    return site.add_datasource("Extract", connections=[snowflake_connection("ETL_USER", GOOD)], has_extracts=True)


@pytest.fixture
def live(site: Site) -> sandbox.Content:
    return site.add_datasource("Live", connections=[snowflake_connection("ETL_USER", GOOD)])


@pytest.fixture
def workbook(site: Site) -> sandbox.Content:
    return site.add_workbook(
        "Overview", connections=[snowflake_connection("ETL_USER", GOOD)], views=("Sheet 1", "Sheet 2")
    )


@pytest.fixture
def data(connect: Connect, site: Site, server: TableauServer) -> TableauData:
    hook = connect(timeout=0.3)
    hook.version()
    hook.keep_secret(GOOD)
    server.requests.clear()
    return TableauData(hook)


class TestRefresh:
    """Refreshes and their jobs."""

    def test_one_is_started_and_its_job_can_be_looked_at_until_it_has_ended(
        self, data: TableauData, state: TableauState, extract: sandbox.Content
    ) -> None:
        state.job_polls = 3
        luid = data.refresh(seen(extract))
        assert list(state.jobs) == [luid]
        jobs = [data.job(luid) for _ in range(3)]
        assert [(job.id, job.started, job.ended, job.succeeded, job.cancelled) for job in jobs] == [
            (luid, True, False, False, False),
            (luid, True, False, False, False),
            (luid, True, True, True, False),
        ]

    @pytest.mark.parametrize(("code", "succeeded"), [(0, True), (1, False), (2, False), (3, True)])
    def test_how_a_job_has_ended_is_told_by_its_code(
        self, data: TableauData, server: TableauServer, code: int, *, succeeded: bool
    ) -> None:
        ended = f"<job id='j' finishCode='{code}' startedAt='2026-11-24T04:00:00Z' completedAt='2026-11-24T04:01:00Z'/>"
        server.faults.script("get_job", RawAnswer(200, f"<tsResponse>{ended}</tsResponse>", XML))
        job = data.job("j")
        assert (job.ended, job.succeeded, job.cancelled) == (True, succeeded, code == 2)

    @pytest.mark.parametrize("code", [0, 3])
    def test_a_code_without_a_time_says_nothing_yet(self, data: TableauData, server: TableauServer, code: int) -> None:
        going_on = f"<job id='j' finishCode='{code}' startedAt='2026-11-24T04:00:00Z'/>"
        server.faults.script("get_job", RawAnswer(200, f"<tsResponse>{going_on}</tsResponse>", XML))
        job = data.job("j")
        assert (job.ended, job.succeeded) == (False, False)

    def test_a_workbook_is_refreshed_as_well(self, data: TableauData, state: TableauState, site: Site) -> None:
        workbook = site.add_workbook(connections=[snowflake_connection("ETL_USER", GOOD)], has_extracts=True)
        assert state.jobs[data.refresh(seen(workbook))].content is workbook

    def test_one_that_waits_has_not_started(
        self, data: TableauData, state: TableauState, extract: sandbox.Content
    ) -> None:
        state.job_queue_seconds = 60
        job = data.job(data.refresh(seen(extract)))
        assert (job.started, job.ended) == (False, False)

    @pytest.mark.parametrize("code", [None, 0, -1, 1, 2])
    def test_a_finish_code_alone_is_no_end(
        self, data: TableauData, state: TableauState, extract: sandbox.Content, code: int | None
    ) -> None:
        state.unfinished_finish_code, extract.job_outcome = code, JobOutcome.NEVER_ENDS
        luid = data.refresh(seen(extract))
        for _ in range(3):
            job = data.job(luid)
            assert (job.ended, job.succeeded, job.cancelled) == (False, False, False)

    def test_one_whose_token_is_refused_says_why(self, data: TableauData, extract: sandbox.Content) -> None:
        extract.connections[0].password = BAD
        luid = data.refresh(seen(extract))
        data.job(luid)
        job = data.job(luid)
        assert (job.ended, job.succeeded, job.cancelled) == (True, False, False)
        assert refusal_in(job.notes) in Refusal

    def test_what_a_job_notes_is_told_without_secrets(
        self, data: TableauData, state: TableauState, extract: sandbox.Content
    ) -> None:
        luid = data.refresh(seen(extract))
        state.jobs[luid].notes = f"  Cannot connect with PWD={GOOD}; as ETL_USER\n"
        assert data.job(luid).notes == "Cannot connect with PWD=***; as ETL_USER"

    @pytest.mark.parametrize(
        "inner",
        [
            "<extractRefreshJob><notes>why</notes></extractRefreshJob>",
            "<statusNotes><statusNote type='x' value='1' text='why'/></statusNotes>",
            "<statusNotes>why</statusNotes>",
            "<extractRefreshJob><statusNotes><statusNote>why</statusNote></statusNotes></extractRefreshJob>",
        ],
    )
    def test_the_reason_is_found_wherever_tableau_writes_it(
        self, data: TableauData, server: TableauServer, inner: str
    ) -> None:
        job = f"<job id='j' finishCode='1' completedAt='2026-11-24T04:00:00Z'>{inner}</job>"
        server.faults.script("get_job", RawAnswer(200, f"<tsResponse>{job}</tsResponse>", XML))
        assert data.job("j").notes == "why"

    def test_one_that_is_queued_already_is_told_apart(
        self, data: TableauData, state: TableauState, extract: sandbox.Content
    ) -> None:
        state.queue_job(extract, queue_seconds=60)
        with pytest.raises(AlreadyQueued, match="code 409093") as raised:
            data.refresh(seen(extract))
        assert raised.value.code == "409093"
        assert len(state.jobs) == 1

    def test_live_content_has_nothing_to_refresh(self, data: TableauData, live: sandbox.Content) -> None:
        with pytest.raises(NoDataHere, match="no extract to refresh"):
            data.refresh(seen(live))

    def test_who_may_not_refresh_is_told_nothing_of_the_credential(
        self, data: TableauData, extract: sandbox.Content
    ) -> None:
        extract.denied_to.add(sandbox.ADMIN_USER)
        with pytest.raises(NoDataHere, match="code 403"):
            data.refresh(seen(extract))

    def test_content_that_is_gone_is_not_found(self, data: TableauData, site: Site, extract: sandbox.Content) -> None:
        site.remove(extract)
        with pytest.raises(NotFound):
            data.refresh(seen(extract))

    def test_a_job_that_is_gone_is_not_found(self, data: TableauData) -> None:
        with pytest.raises(NotFound):
            data.job("no-such-job")

    def test_who_may_not_look_at_jobs_is_told_nothing_of_the_credential(
        self, data: TableauData, server: TableauServer
    ) -> None:
        server.faults.script("get_job", TableauCode("403004", "no"))
        with pytest.raises(NoDataHere, match="code 403004"):
            data.job("j")

    @pytest.mark.parametrize("body", ["<tsResponse/>", "<tsResponse><job mode='Asynchronous'/></tsResponse>"])
    def test_an_answer_that_names_no_job_is_a_bad_answer(
        self, data: TableauData, server: TableauServer, extract: sandbox.Content, body: str
    ) -> None:
        server.faults.script("refresh", RawAnswer(202, body, XML), times=9)
        with pytest.raises(BadAnswer, match=r"names no job|lacks what Tableau answers to that \(job\)"):
            data.refresh(seen(extract))

    def test_one_whose_answer_got_lost_is_there_already_when_it_is_asked_for_again(
        self, data: TableauData, server: TableauServer, state: TableauState, extract: sandbox.Content
    ) -> None:
        server.faults.script("refresh", ResetAfter())
        with pytest.raises(AlreadyQueued):
            data.refresh(seen(extract))
        (job,) = data.unfinished_refreshes(seen(extract))
        assert [job.id] == list(state.jobs)


class TestUnfinishedRefreshes:
    """The jobs of an item that wait or run, among those of others."""

    def test_there_are_none_at_first_and_none_that_ended(
        self, data: TableauData, state: TableauState, extract: sandbox.Content
    ) -> None:
        assert data.unfinished_refreshes(seen(extract)) == []
        luid = data.refresh(seen(extract))
        for _ in range(state.job_polls):
            data.job(luid)
        assert data.unfinished_refreshes(seen(extract)) == []

    def test_pending_and_running_ones_are_told_apart(
        self, data: TableauData, state: TableauState, extract: sandbox.Content
    ) -> None:
        state.job_polls = 99
        pending = state.queue_job(extract, queue_seconds=60)
        running = state.queue_job(extract, started=True)
        found = {job.id: job for job in data.unfinished_refreshes(seen(extract))}
        assert {luid: job.started for luid, job in found.items()} == {pending.id: False, running.id: True}
        assert {job.ended for job in found.values()} == {False}
        created = {job.id: f"{job.created_at:%Y-%m-%dT%H:%M:%SZ}" for job in (pending, running)}
        assert {luid: job.created_at for luid, job in found.items()} == created

    def test_one_that_starts_while_it_is_looked_at_counts_as_pending_since_it_reads_what_is_embedded_now(
        self, data: TableauData, state: TableauState, server: TableauServer, extract: sandbox.Content
    ) -> None:
        state.job_polls = 99
        job = state.queue_job(extract, queue_seconds=60)
        server.faults.script("get_job", _Then(lambda: state.clock.advance(minutes=2)))
        assert [(each.id, each.started) for each in data.unfinished_refreshes(seen(extract))] == [(job.id, False)]
        assert job.started_at is not None

    def test_jobs_of_other_items_are_not_its_own_even_where_they_have_its_name(
        self, data: TableauData, state: TableauState, site: Site, extract: sandbox.Content
    ) -> None:
        connections = [snowflake_connection("ETL_USER", GOOD)]
        namesake = site.add_datasource(extract.name, project="Else", connections=connections, has_extracts=True)
        workbook = site.add_workbook(extract.name, connections=connections, has_extracts=True)
        other = site.add_datasource("Other", connections=connections, has_extracts=True)
        jobs = {each.id: state.queue_job(each, queue_seconds=60) for each in (namesake, workbook, other, extract)}
        for item in (extract, namesake, workbook):
            assert [job.id for job in data.unfinished_refreshes(seen(item))] == [jobs[item.id].id]

    def test_only_those_that_may_be_its_own_are_looked_at(
        self, data: TableauData, state: TableauState, server: TableauServer, site: Site, extract: sandbox.Content
    ) -> None:
        for number in range(5):
            state.queue_job(
                site.add_datasource(
                    f"{number}", connections=[snowflake_connection("ETL_USER", GOOD)], has_extracts=True
                ),
                queue_seconds=60,
            )
        job = state.queue_job(extract, queue_seconds=60)
        data.unfinished_refreshes(seen(extract))
        assert server.requests.counts() == {"list_jobs": 2, "get_job": 1}
        assert server.requests.count("get_job", job_id=job.id) == 1

    def test_jobs_of_another_site_are_not_seen(
        self, connect: Connect, data: TableauData, state: TableauState, extract: sandbox.Content
    ) -> None:
        beta = state.add_site("beta")
        namesake = beta.add_datasource(extract.name, has_extracts=True)
        ours, theirs = state.queue_job(extract, queue_seconds=60), state.queue_job(namesake, queue_seconds=60)
        assert [job.id for job in data.unfinished_refreshes(seen(extract))] == [ours.id]
        there = TableauData(connect(site="beta", store=MemoryStore()))
        assert [job.id for job in there.unfinished_refreshes(seen(namesake))] == [theirs.id]

    def test_a_list_without_titles_is_looked_through(
        self, data: TableauData, state: TableauState, server: TableauServer, extract: sandbox.Content
    ) -> None:
        job = state.queue_job(extract, queue_seconds=60)
        listed = f"<tsResponse><backgroundJobs><backgroundJob id='{job.id}'/></backgroundJobs></tsResponse>"
        server.faults.script("list_jobs", RawAnswer(200, listed, XML))
        assert [each.id for each in data.unfinished_refreshes(seen(extract))] == [job.id]

    def test_who_is_no_administrator_is_told_so(
        self, connect: Connect, state: TableauState, site: Site, extract: sandbox.Content
    ) -> None:
        state.add_sign_in(site, "creator", "creator-password")
        ordinary = TableauData(connect(login="creator", password="creator-password"))
        with pytest.raises(NotAllowed):
            ordinary.unfinished_refreshes(seen(extract))


class TestCancel:
    """A refresh that takes too long."""

    def test_it_is_cancelled_and_says_so(
        self, data: TableauData, state: TableauState, extract: sandbox.Content
    ) -> None:
        extract.job_outcome = JobOutcome.NEVER_ENDS
        luid = data.refresh(seen(extract))
        data.job(luid)
        data.cancel(luid)
        job = data.job(luid)
        assert (job.ended, job.succeeded, job.cancelled) == (True, False, True)

    def test_one_that_is_gone_is_not_found(self, data: TableauData) -> None:
        with pytest.raises(NotFound):
            data.cancel("no-such-job")


def sent(server: TableauServer, operation: str) -> list[Any]:
    """The bodies that were sent."""
    return [json.loads(request.body) for request in server.requests.all(operation)]


def fields(*found: dict[str, Any]) -> RawAnswer:
    """What VizQL Data Service says of a data source."""
    return RawAnswer(200, json.dumps({"data": list(found)}), JSON)


def field(caption: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"fieldName": caption, "fieldCaption": caption, "dataType": kind, "logicalTableId": "orders", **more}


class TestQuery:
    """One row of a published data source."""

    def test_it_signs_in_with_what_is_embedded(
        self, data: TableauData, state: TableauState, server: TableauServer, live: sandbox.Content
    ) -> None:
        data.query_one_row(seen(live))
        assert [request.operation for request in server.requests] == [
            "get_datasource", "read_metadata", "query_datasource",
        ]  # fmt: skip
        assert server.requests.count("query_datasource", content_id=live.id) == 1
        assert state.credentials_seen_in_queries == 0

    def test_no_request_holds_a_credential_or_anything_else_that_is_not_asked_for(
        self, data: TableauData, server: TableauServer, live: sandbox.Content
    ) -> None:
        data.query_one_row(seen(live))
        (metadata,), (query,) = sent(server, "read_metadata"), sent(server, "query_datasource")
        assert metadata == {"datasource": {"datasourceLuid": live.id}}
        assert query.keys() == {"datasource", "query", "options"}
        assert query["datasource"] == {"datasourceLuid": live.id}
        assert query["options"] == {"rowLimit": 1}
        assert all("connection" not in request.body.decode().lower() for request in server.requests)
        (look,) = server.requests.all("get_datasource")
        assert look.body == b""
        asked = [request for request in server.requests if request is not look]
        assert all(request.headers["accept"] == request.headers["content-type"] == JSON for request in asked)

    @pytest.mark.parametrize("kind", ["STRING", "INTEGER", "REAL", "DATE", "DATETIME"])
    def test_no_two_queries_are_the_same_so_that_no_cache_can_answer(
        self, data: TableauData, server: TableauServer, live: sandbox.Content, kind: str
    ) -> None:
        server.faults.script("read_metadata", fields(field("Region", kind)), times=5)
        for _ in range(5):
            data.query_one_row(seen(live))
        filters = [body["query"]["filters"] for body in sent(server, "query_datasource")]
        assert len({json.dumps(each) for each in filters}) == 5
        assert all(len(each) == 1 and each[0]["field"] == {"fieldCaption": "Region"} for each in filters)

    def test_each_filter_lets_through_what_there_is(
        self, data: TableauData, server: TableauServer, live: sandbox.Content
    ) -> None:
        for kind in ("STRING", "INTEGER", "DATE"):
            server.faults.script("read_metadata", fields(field("Region", kind)))
            data.query_one_row(seen(live))
        (text,), (number,), (day,) = (body["query"]["filters"] for body in sent(server, "query_datasource"))
        assert (text["filterType"], text["exclude"], len(text["values"])) == ("SET", True, 1)
        assert (number["filterType"], number["quantitativeFilterType"]) == ("QUANTITATIVE_NUMERICAL", "MIN")
        assert number["min"] <= -(10**14)
        assert (day["filterType"], day["quantitativeFilterType"]) == ("QUANTITATIVE_DATE", "MIN")
        assert "1000-01-01" <= day["minDate"] <= "1900-01-01"

    def test_a_text_is_asked_for_before_a_number_and_never_a_calculation(
        self, data: TableauData, server: TableauServer, live: sandbox.Content
    ) -> None:
        answer = fields(
            field("Profit", "STRING", formula="'a'"),
            field("Group", "STRING", columnClass="GROUP"),
            field("Amount", "INTEGER"),
            field("Region", "STRING", columnClass="COLUMN"),
        )
        server.faults.script("read_metadata", answer)
        data.query_one_row(seen(live))
        (body,) = sent(server, "query_datasource")
        assert body["query"]["fields"] == [{"fieldCaption": "Region"}]

    @pytest.mark.parametrize(
        "answer",
        [
            fields(),
            fields(field("Profit", "STRING", formula="'a'"), field("Margin", "REAL", formula="1")),
            fields(field("", "STRING")),
            fields(field("Place", "SPATIAL"), field("Is new", "BOOLEAN")),
            RawAnswer(200, "{}", JSON),
            RawAnswer(200, '{"data": null}', JSON),
            RawAnswer(200, '{"data": ["Region"]}', JSON),
            RawAnswer(200, "[]", JSON),
        ],
    )
    def test_without_a_column_there_is_nothing_to_ask_for(
        self, data: TableauData, server: TableauServer, live: sandbox.Content, answer: Fault
    ) -> None:
        server.faults.script("read_metadata", answer)
        with pytest.raises(NoDataHere, match="no field that could be asked for"):
            data.query_one_row(seen(live))
        assert server.requests.count("query_datasource") == 0

    def test_a_site_without_the_service_has_no_such_way(
        self, data: TableauData, state: TableauState, live: sandbox.Content
    ) -> None:
        state.vizql_enabled = False
        with pytest.raises(NoDataHere, match=r"code 403157 .*Feature disabled"):
            data.query_one_row(seen(live))

    @pytest.mark.parametrize("answer", [HtmlPage(404), RawAnswer(404, "", "text/plain")])
    def test_a_server_that_is_older_than_the_service_has_no_such_way(
        self, data: TableauData, server: TableauServer, live: sandbox.Content, answer: Fault
    ) -> None:
        server.faults.script("read_metadata", answer)
        with pytest.raises(NoDataHere, match="404"):
            data.query_one_row(seen(live))

    def test_a_data_source_that_may_not_be_queried_has_no_such_way(
        self, data: TableauData, live: sandbox.Content
    ) -> None:
        live.can_be_queried = False
        with pytest.raises(NoDataHere, match="code 403800"):
            data.query_one_row(seen(live))

    @pytest.mark.parametrize("code", ["400800", "400803", "404934"])
    def test_a_query_that_is_not_understood_says_nothing_of_the_credential(
        self, data: TableauData, server: TableauServer, live: sandbox.Content, code: str
    ) -> None:
        server.faults.script("query_datasource", TableauCode(code, "Validation failed."))
        with pytest.raises(NoDataHere, match=f"code {code}"):
            data.query_one_row(seen(live))

    @pytest.mark.parametrize(
        ("failure", "kind"),
        [
            ((500, "500000"), ServerFault),
            ((401, "401001"), RequestRefused),
            ((400, "400000"), RequestRefused),
            ((409, "409000"), RequestRefused),
        ],
    )
    def test_a_token_that_the_database_refuses_is_told_in_its_words_and_asked_for_once(
        self,
        data: TableauData,
        server: TableauServer,
        live: sandbox.Content,
        failure: tuple[int, str],
        kind: type[TableauError],
    ) -> None:
        live.connections[0].password, server.state.query_failure = BAD, failure
        with pytest.raises(kind) as raised:
            data.query_one_row(seen(live))
        assert type(raised.value) is kind
        assert refusal_in(str(raised.value)) in Refusal
        assert server.requests.counts() == {"get_datasource": 1, "read_metadata": 1, "query_datasource": 1}

    def test_a_secret_that_is_quoted_is_not_passed_on(
        self, data: TableauData, server: TableauServer, live: sandbox.Content
    ) -> None:
        server.faults.script("query_datasource", TableauCode("500000", f"[Snowflake] UID=ETL_USER;PWD={GOOD};"))
        with pytest.raises(ServerFault, match=r"PWD=\*\*\*;") as raised:
            data.query_one_row(seen(live))
        assert GOOD not in all_that_is_told_by(raised.value)


class TestViewData:
    """The data of a workbook's views."""

    def test_it_signs_in_with_what_is_embedded(
        self, data: TableauData, server: TableauServer, workbook: sandbox.Content
    ) -> None:
        data.view_data(seen(workbook))
        (request,) = server.requests.all("view_data")
        assert request.query == {"maxAge": "1"}
        assert request.headers["accept"] == CSV
        assert workbook.views[0].fetched_at is not None

    def test_what_is_older_than_a_minute_is_fetched_anew(
        self, data: TableauData, state: TableauState, workbook: sandbox.Content
    ) -> None:
        data.view_data(seen(workbook))
        workbook.connections[0].password = BAD
        state.clock.advance(seconds=61)
        with pytest.raises(ServerFault) as raised:
            data.view_data(seen(workbook))
        assert refusal_in(str(raised.value)) in Refusal

    def test_a_workbook_without_views_has_no_such_way(self, data: TableauData, site: Site) -> None:
        with pytest.raises(NoDataHere, match="it has no view"):
            data.view_data(seen(site.add_workbook("Empty", views=())))

    @pytest.mark.parametrize("code", ["403004", "404011"])
    def test_where_one_view_is_hidden_another_will_do(
        self, data: TableauData, server: TableauServer, workbook: sandbox.Content, code: str
    ) -> None:
        first, second = workbook.views
        server.faults.script("view_data", TableauCode(code, "no"), where={"view_id": first.id})
        data.view_data(seen(workbook))
        assert [request.parameters["view_id"] for request in server.requests.all("view_data")] == [first.id, second.id]
        assert server.faults.left() == 0

    def test_where_all_are_hidden_there_is_no_such_way(
        self, data: TableauData, server: TableauServer, workbook: sandbox.Content
    ) -> None:
        server.faults.script("view_data", TableauCode("403004", "no"), times=2)
        with pytest.raises(NoDataHere, match="code 403004"):
            data.view_data(seen(workbook))

    def test_no_more_than_two_views_are_asked_for_their_data(
        self, data: TableauData, server: TableauServer, site: Site
    ) -> None:
        connections = [snowflake_connection("ETL_USER", GOOD)]
        workbook = site.add_workbook("Many", connections=connections, views=tuple(f"Sheet {n}" for n in range(9)))
        server.faults.script("view_data", RawAnswer(200, "\r\n", CSV), times=99)
        with pytest.raises(NoDataHere, match="no view of it has data"):
            data.view_data(seen(workbook))
        asked = [request.parameters["view_id"] for request in server.requests.all("view_data")]
        assert asked == [view.id for view in workbook.views[:2]]

    def test_a_view_without_data_says_nothing_and_another_is_asked_for_it(
        self, data: TableauData, server: TableauServer, workbook: sandbox.Content
    ) -> None:
        server.faults.script("view_data", RawAnswer(200, "\r\n", CSV))
        data.view_data(seen(workbook))
        assert server.requests.count("view_data") == 2
        server.faults.script("view_data", [EmptyBody(), RawAnswer(200, "\r\n", CSV)])
        workbook.views[0].fetched_at = None
        with pytest.raises(NoDataHere, match="no view of it has data"):
            data.view_data(seen(workbook))

    @pytest.mark.parametrize("failure", [(500, "500000"), (400, "400000")])
    def test_a_token_that_the_database_refuses_is_not_tried_on_the_next_view(
        self,
        data: TableauData,
        state: TableauState,
        server: TableauServer,
        workbook: sandbox.Content,
        failure: tuple[int, str],
    ) -> None:
        workbook.connections[0].password, state.view_failure = BAD, failure
        with pytest.raises((ServerFault, RequestRefused)):
            data.view_data(seen(workbook))
        assert server.requests.count("view_data") == 1

    def test_content_that_is_gone_is_not_found(self, data: TableauData, site: Site, workbook: sandbox.Content) -> None:
        site.remove(workbook)
        with pytest.raises(NotFound):
            data.view_data(seen(workbook))


# Everything that can go wrong on the way


@dataclass(frozen=True)
class _Then(Fault):
    """Something happens just before the request."""

    word: ClassVar[str] = "then"
    happens: Callable[[], object] = lambda: None

    def play(self, exchange: Exchange) -> Answer:
        self.happens()
        return exchange.answer()


@dataclass(frozen=True)
class _CutShort(Fault):
    """The answer ends in its midst, as its length says it should."""

    word: ClassVar[str] = "cut_short"

    def play(self, exchange: Exchange) -> Answer:
        answer = exchange.answer()
        assert answer.body is not None
        return dataclasses.replace(answer, body=answer.body[: len(answer.body) // 2])


Ask = Callable[[str], None]


@pytest.fixture
def ask(
    data: TableauData,
    server: TableauServer,
    extract: sandbox.Content,
    live: sandbox.Content,
    workbook: sandbox.Content,
) -> Ask:
    """Asks what takes this request."""

    def ask(operation: str) -> None:
        {
            "refresh": lambda: data.refresh(seen(extract)),
            "get_job": lambda: data.job(server.state.queue_job(extract).id),
            "list_jobs": lambda: data.unfinished_refreshes(seen(extract)),
            "cancel_job": lambda: data.cancel(server.state.queue_job(extract).id),
            "list_views": lambda: data.view_data(seen(workbook)),
            "view_data": lambda: data.view_data(seen(workbook)),
            "read_metadata": lambda: data.query_one_row(seen(live)),
            "query_datasource": lambda: data.query_one_row(seen(live)),
        }[operation]()

    return ask


OPERATIONS = ("refresh", "get_job", "list_jobs", "cancel_job", "list_views", *DATABASE)
UNWELL: dict[str, tuple[Fault, type[TableauUnwell]]] = {
    "500": (ServerError(500), ServerFault),
    "503": (ServerError(503), ServerFault),
    "an HTML page with 503": (HtmlPage(503), ServerFault),
    "an HTML page with 200": (HtmlPage(200), BadAnswer),
    "an HTML page with 403": (HtmlPage(403), BadAnswer),
    "a reset before": (ResetBefore(), Unreachable),
    "silence": (Silence(0.6), Unreachable),
    "another type": (RawAnswer(200, "Region\r\nNorth\r\n", "text/plain"), BadAnswer),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", UNWELL)
def test_what_may_pass_is_tried_quickly_unless_the_database_may_refuse_it(
    ask: Ask, server: TableauServer, operation: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    fault, kind = UNWELL[name]
    caplog.set_level(logging.DEBUG)
    server.faults.script(operation, fault, times=99)
    with pytest.raises(kind) as raised:
        ask(operation)
    assert type(raised.value) is kind
    assert server.requests.count(operation) == (1 if operation in DATABASE else QUICK_TRIES)
    assert not any(secret in all_that_is_told_by(raised.value) + caplog.text for secret in secrets(server))


def secrets(server: TableauServer) -> list[str]:
    return [GOOD, sandbox.ADMIN_PASSWORD, *server.state.sessions.tokens()]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_fault_that_passes_is_got_over_where_the_database_is_not_asked(
    ask: Ask, server: TableauServer, operation: str
) -> None:
    server.faults.script(operation, ServerError(500))
    if operation in DATABASE:
        with pytest.raises(ServerFault):
            ask(operation)
    else:
        ask(operation)
        assert server.requests.count(operation) >= 2
    assert server.faults.left() == 0


@pytest.mark.parametrize("operation", DATABASE)
@pytest.mark.parametrize("fault", [HalfBody(), ResetAfter(), Silence(0.05, then="close")])
def test_an_answer_that_breaks_off_is_not_asked_for_again_since_the_database_may_have_been_asked(
    ask: Ask, server: TableauServer, operation: str, fault: Fault
) -> None:
    server.faults.script(operation, fault, times=99)
    with pytest.raises((BadAnswer, Unreachable)):
        ask(operation)
    assert server.requests.count(operation) == 1


@pytest.mark.parametrize("operation", ["read_metadata", "query_datasource"])
@pytest.mark.parametrize(
    "fault",
    [
        _CutShort(),
        EmptyBody(),
        RawAnswer(200, "OK", JSON),
        RawAnswer(200, '{"data": [', JSON),
        RawAnswer(200, '{"data": []}', XML),
        RawAnswer(200, '{"data": []}', ""),
        RawAnswer(200, "Region\r\n", CSV),
    ],
)
def test_what_is_no_json_is_a_bad_answer(ask: Ask, server: TableauServer, operation: str, fault: Fault) -> None:
    server.faults.script(operation, fault, times=99)
    with pytest.raises(BadAnswer, match=r"no JSON|instead of application/json"):
        ask(operation)
    assert server.requests.count(operation) == 1


@pytest.mark.parametrize(
    "fault", [RawAnswer(200, "", XML), RawAnswer(200, "<html/>", "text/html"), RawAnswer(200, "{}", JSON)]
)
def test_what_is_no_csv_is_a_bad_answer(ask: Ask, server: TableauServer, fault: Fault) -> None:
    server.faults.script("view_data", fault, times=99)
    with pytest.raises(BadAnswer, match="instead of text/csv"):
        ask("view_data")
    assert server.requests.count("view_data") == 1


@pytest.mark.parametrize("operation", DATABASE)
@pytest.mark.parametrize("told", ["0", "7", "3600", None])
def test_a_429_is_handed_on_with_the_time_that_it_asks_for(
    ask: Ask, server: TableauServer, operation: str, told: str | None
) -> None:
    server.faults.script(operation, Throttle(told), times=99)
    with pytest.raises(Throttled) as raised:
        ask(operation)
    assert raised.value.retry_after == (None if told is None else float(told))
    assert server.requests.count(operation) == 1


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_long_429_is_handed_on_at_once(ask: Ask, server: TableauServer, operation: str) -> None:
    server.faults.script(operation, Throttle("3600"), times=99)
    with pytest.raises(Throttled) as raised:
        ask(operation)
    assert raised.value.retry_after == 3600
    assert server.requests.count(operation) == 1


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_session_that_ends_in_the_midst_is_renewed(ask: Ask, server: TableauServer, operation: str) -> None:
    before = server.requests.count("sign_in")
    server.faults.script(operation, SessionLost())
    ask(operation)
    assert server.requests.count("sign_in") == before + 1
    assert server.requests.all(operation)[0].code == "401002"
    assert server.requests.all(operation)[1].status in (200, 202)


@pytest.mark.parametrize("operation", DATABASE)
@pytest.mark.parametrize(("code", "asked"), [("401000", 1), ("401001", 1), ("401002", 2)])
def test_a_401_where_the_database_is_asked_is_what_that_said_and_nobody_signs_in_again_for_it(
    ask: Ask, server: TableauServer, operation: str, code: str, asked: int
) -> None:
    """401002 may be the session's own, so that it is seen to: once, since five refused sign-ins lock a user."""
    before = server.requests.count("sign_in")
    server.faults.script(operation, TableauCode(code, "Programmatic access token is invalid."), times=99)
    with pytest.raises(RequestRefused, match="Programmatic access token is invalid") as raised:
        ask(operation)
    assert type(raised.value) is RequestRefused
    assert (raised.value.status, raised.value.code) == (401, code)
    assert server.requests.count("sign_in") == before
    assert server.requests.count(operation) == asked


@pytest.mark.parametrize("operation", DATABASE)
@pytest.mark.parametrize("answer", [RawAnswer(401, "", JSON), HtmlPage(401)])
def test_a_401_that_is_not_in_tableau_s_words_says_nothing_of_the_credential(
    ask: Ask, server: TableauServer, operation: str, answer: Fault
) -> None:
    before = server.requests.count("sign_in")
    server.faults.script(operation, answer, times=99)
    with pytest.raises(NoDataHere, match="401"):
        ask(operation)
    assert server.requests.count("sign_in") == before
    assert server.requests.count(operation) == 1


def test_a_session_that_ended_before_a_query_is_renewed_by_the_look_at_the_data_source(
    data: TableauData, server: TableauServer, live: sandbox.Content
) -> None:
    server.faults.script("get_datasource", SessionLost())
    data.query_one_row(seen(live))
    assert server.requests.count("sign_in") == 1
    assert [server.requests.count(each) for each in ("get_datasource", "read_metadata", "query_datasource")] == [
        2,
        1,
        1,
    ]


def test_a_data_source_that_is_gone_is_not_found_and_is_not_asked_for(
    data: TableauData, server: TableauServer, site: Site, live: sandbox.Content
) -> None:
    site.remove(live)
    with pytest.raises(NotFound):
        data.query_one_row(seen(live))
    assert server.requests.counts() == {"get_datasource": 1}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_redirect_to_another_origin_is_refused_and_nothing_is_sent_there(
    ask: Ask, server: TableauServer, operation: str, status: int
) -> None:
    with elsewhere() as stranger:
        server.faults.script(operation, Redirect(f"{stranger.url}/api/v1/", status), times=99)
        # A Tableau whose data is elsewhere has none for us: there may be another way to prove an update.
        with pytest.raises(NoDataHere if operation in DATABASE else RedirectRefused, match="Nothing was sent there"):
            ask(operation)
        assert stranger.targets == []
    assert server.requests.count(operation) == 1
