"""The drawing of plans, and the checks: each must be able to fail."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import requests

from sandbox.chaos import checks, refusals
from sandbox.chaos.elsewhere import Elsewhere
from sandbox.chaos.menu import Scripted
from sandbox.chaos.plan import Event, Plan, Refusal, draw_plans
from sandbox.chaos.round import Filler, in_order, make_state
from sandbox.chaos.secrets import Secrets
from sandbox.chaos.world import World
from sandbox.snowflake.believable import KeyPair, make_key_pair, snowflake_behind
from sandbox.tableau import HtmlPage, Redirect, ServerError, Silence, TableauServer, Throttle
from sandbox.tableau.connections import Connection
from sandbox.tableau.fault_scripts import Consumed
from sandbox.tableau.faults import LANGUAGE
from sandbox.tableau.request_log import LoggedRequest
from sandbox.tableau.routes import OPERATIONS

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
PLAN = Plan(1, 7, faults=(), events=())


# -- plans -------------------------------------------------------------------------------------------------------------


def test_a_seed_draws_the_same_plans_each_time() -> None:
    assert draw_plans(12, 7) == draw_plans(12, 7)
    assert draw_plans(12, 7) != draw_plans(12, 8)


def test_fewer_rounds_are_the_first_of_many() -> None:
    assert draw_plans(30, 7)[:3] == draw_plans(3, 7)


def test_every_kind_of_fault_event_and_refusal_comes() -> None:
    plans = draw_plans(30, 7)
    refused = {plan.refusal for plan in plans} - {None}
    assert {fault.word for plan in plans for each in plan.faults for fault in each.faults} == set(LANGUAGE)
    assert {each.event for plan in plans for each in plan.events} == set(Event)
    assert refused == set(Refusal)


def test_faults_are_scripted_on_operations_that_there_are() -> None:
    plans = draw_plans(60, 7)
    scripted = {each.operation for plan in plans for each in plan.faults}
    assert scripted <= OPERATIONS
    assert {"query_connections", "update_connection", "sign_in", "refresh", "query_datasource"} <= scripted


def test_no_fault_of_a_plan_is_final() -> None:
    for plan in draw_plans(200, 7):
        for each in plan.faults:
            assert len(each.faults) <= 2
            assert not [fault for fault in each.faults if isinstance(fault, Redirect) and fault.location]


def test_nothing_is_killed_where_a_run_must_be_red() -> None:
    for plan in draw_plans(60, 7):
        assert plan.refusal is None or plan.may_be_red == []


def test_faults_of_an_operation_come_in_their_order() -> None:
    unwell, page = ServerError(), HtmlPage()
    order = in_order([Scripted("list_flows", (page,), after=3), Scripted("list_flows", (unwell, unwell), after=1)])
    assert order == {"list_flows": [Filler(), unwell, unwell, page]}


# -- checks ------------------------------------------------------------------------------------------------------------


@dataclass
class Played:
    """A run as it should be, to be spoilt."""

    tableau: TableauServer
    world: World
    log: list[LoggedRequest] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)

    def targets(self) -> list[Connection]:
        return [connection for _, connection in self.world.site.connections() if connection.target_of]

    def other(self) -> Connection:
        return next(each for _, each in self.world.site.connections() if each.target_of is None)

    def row(self, key: str) -> dict[str, Any]:
        return next(row for row in self.report["connections"] if row["connection_id"] == key)

    def ask(self, operation: str, **parameters: str) -> LoggedRequest:
        number = len(self.log) + 1
        path = "/".join([operation, *parameters.values()])
        entry = LoggedRequest(number, NOON + timedelta(seconds=number), "GET", path, {}, operation, parameters)
        entry.status = 200
        self.log.append(entry)
        return entry

    def write(self, connection: Connection) -> LoggedRequest:
        credential = self.world.site.credentials[str(connection.target_of)]
        connection.username, connection.password = credential.login, credential.new_secret
        connection.writes.append({})
        return self.ask("update_connection", connection_id=connection.id)

    def prove(self, connection: Connection) -> None:
        self.ask("query_datasource", content_id=self.world.content_of[connection.id])

    def tell(self) -> None:
        self.report = {"state": "success", "problems": [], "connections": [], "summary": {}}
        for content, connection in self.world.site.connections():
            outcome = "updated" if connection.target_of else "excluded"
            told = {"connection_id": connection.id, "content_id": content.id, "content_name": content.name}
            self.report["connections"].append(told | {"outcome": outcome, "reason": connection.why or None})

    def wrong(self, state: str = "success", *, may_be_red: bool = False) -> list[str]:
        reasons = ["a kill"] if may_be_red else []
        return checks.look_at_first_run(self.world, state, self.report, reasons)

    def wrong_in_second(self, written: set[str]) -> list[str]:
        left = checks.left_to_do(self.world, self.report)
        for row in self.report["connections"]:
            if row["outcome"] == "updated" and row["connection_id"] not in written:
                row["outcome"] = "unchanged"
        return checks.look_at_second_run(self.world, "success", self.report, left, written)


@pytest.fixture(scope="module")
def key() -> KeyPair:
    return make_key_pair()


@pytest.fixture
def played(key: KeyPair) -> Played:
    tableau = TableauServer(make_state(PLAN))
    snowflake_behind(tableau.state, key, with_next=True)
    run = Played(tableau, World(tableau))
    proved = set()
    for connection in sorted(run.targets(), key=lambda each: not run.world.has_data(each.id)):
        run.write(connection)
        if connection.target_of not in proved:
            run.prove(connection)
            proved.add(connection.target_of)
    run.tell()
    return run


def test_nothing_is_wrong_with_a_run_as_it_should_be(played: Played) -> None:
    assert len(played.targets()) > 15
    assert played.wrong() == []
    assert checks.look_at_order(played.world, played.log) == []
    assert played.wrong_in_second(set()) == []


def test_a_red_run_needs_a_reason(played: Played) -> None:
    played.report["state"] = "failed"
    assert played.wrong("failed", may_be_red=True) == []
    assert played.wrong("failed") == ["the first run is failed, and nothing that happened is a reason"]


def test_a_run_and_its_report_agree(played: Played) -> None:
    assert played.wrong("failed", may_be_red=True) == ["the first run is failed, its report says success"]


def test_a_green_run_has_a_report(played: Played) -> None:
    wrong = checks.look_at_first_run(played.world, "success", None, [])
    assert wrong == ["the first run is green, but without a report"]


def test_what_is_no_target_is_not_touched(played: Played) -> None:
    played.other().writes.append({})
    (wrong,) = played.wrong()
    assert "is not to be touched" in wrong


def test_a_target_that_holds_the_old_secret_is_seen(played: Played) -> None:
    target = played.targets()[-1]
    target.password = played.world.before[target.id].password
    wrong = played.wrong()
    assert f"the first report says 'updated' of {target.id}, which does not hold its token" in wrong
    assert any(text.startswith("the first run is green, but ") for text in wrong)
    assert any("still holds the old secret" in text for text in played.wrong_in_second(set()))


def test_a_third_secret_is_seen_even_where_a_run_may_be_red(played: Played) -> None:
    played.targets()[0].password = "something else"
    assert any("holds a third secret" in text for text in played.wrong(may_be_red=True))


def test_an_address_that_changed_is_seen(played: Played) -> None:
    played.targets()[0].server_address = "elsewhere.snowflakecomputing.com"
    assert any("leads elsewhere" in text for text in played.wrong())


@pytest.mark.parametrize("outcome", ["unchanged", "gone", "excluded", "not_attempted"])
def test_a_wrong_outcome_is_seen(played: Played, outcome: str) -> None:
    key = played.targets()[2].id
    played.row(key)["outcome"] = outcome
    assert any(f"{outcome!r} of {key}" in text for text in played.wrong(may_be_red=True))


def test_a_wrong_reason_is_seen(played: Played) -> None:
    row = played.row(played.other().id)
    row["reason"] = "other_reason"
    assert any("for other_reason" in text for text in played.wrong())


def test_exactly_one_outcome_for_each(played: Played) -> None:
    rows = played.report["connections"]
    rows.append(dict(rows[0]))
    assert played.wrong() == [f"the report tells of {rows[0]['connection_id']} 2 times"]
    missing = rows.pop(1)["connection_id"]
    assert any("does not tell of" in text and missing in text for text in played.wrong())


def test_a_summary_that_counts_otherwise_is_seen(played: Played) -> None:
    rows = played.report["connections"]
    updated = len(played.targets())
    played.report["summary"] = {"targets": 1, "updated": updated, "excluded": {"oauth": len(rows) - updated}}
    assert played.wrong() == []
    played.report["summary"]["updated"] = updated - 1
    assert played.wrong() == [f"the first report counts {updated - 1} updated, its rows are {updated}"]


def test_more_requests_at_a_time_than_there_may_be_are_seen() -> None:
    silence = Consumed("update_connection", Silence(), {})
    assert checks.look_at_load(16, []) == []
    assert checks.look_at_load(17, []) == ["17 requests at a time"]
    assert checks.look_at_load(17, [silence]) == []


def test_a_report_names_nothing_that_never_was(played: Played) -> None:
    played.report["connections"].append({"connection_id": "nobody", "outcome": "updated"})
    assert played.wrong() == ["the report names nobody, which never was there"]


def test_a_green_report_holds_nothing_that_failed(played: Played) -> None:
    key = played.targets()[1].id
    played.row(key)["outcome"] = "failed"
    assert played.wrong() == [f"the first run is green, but its report says failed of {key}"]


def test_a_second_canary_is_seen(played: Played) -> None:
    first, second = _two_of_one_credential(played)
    played.log.clear()
    played.write(first)
    played.write(second)
    played.prove(first)
    (wrong,) = checks.look_at_order(played.world, played.log)
    assert wrong.endswith(f"{second.id} was written to before {first.id} was proved")


def test_where_tableau_has_no_data_a_sign_in_to_snowflake_will_do(played: Played) -> None:
    targets = [each for each in played.targets() if each.target_of == "bi"]
    first = next(each for each in targets if not played.world.has_data(each.id))
    second = next(each for each in targets if each is not first)
    played.log.clear()
    played.write(first)
    played.write(second).time = played.world.state.clock.now() + timedelta(seconds=1)
    (wrong,) = checks.look_at_order(played.world, played.log)
    assert wrong.endswith(f"{second.id} was written to before {first.id} was proved")
    credential = played.world.site.credentials["bi"]
    signed_in = played.world.state.snowflake.sign_in(
        address=f"{credential.account}.snowflakecomputing.com",
        user=credential.login,
        secret=credential.new_secret,
        client="airflow",
    )
    assert signed_in.ok
    assert checks.look_at_order(played.world, played.log) == []


def test_another_takes_the_place_of_a_canary_that_is_deleted(played: Played) -> None:
    first, second = _two_of_one_credential(played)
    played.log.clear()
    played.ask("update_connection", connection_id=first.id).status = 404
    played.write(second)
    assert checks.look_at_order(played.world, played.log) != []
    played.world.removed.add(played.world.content_of[first.id])
    assert checks.look_at_order(played.world, played.log) == []


def test_a_second_run_writes_only_what_was_left(played: Played) -> None:
    key = played.targets()[0].id
    assert f"the second run wrote to {key}, with which nothing was left to do" in played.wrong_in_second({key})
    played.row(key)["outcome"] = "failed"
    assert key in {
        c.id
        for c in played.targets()
        if played.world.content_of[c.id] in checks.left_to_do(played.world, played.report)
    }


def test_who_comes_back_too_early_is_seen(played: Played) -> None:
    entry = played.ask("list_flows", content_type="flow")
    entry.fault, entry.status = "throttle", 429
    consumed = [Consumed("list_flows", Throttle("3"), {"content_type": "flow"})]
    again = played.ask("list_flows", content_type="flow")
    again.time = entry.time + timedelta(seconds=2)
    (wrong,) = checks.look_at_waits(played.log, consumed)
    assert "after it was told to wait 3 s" in wrong
    again.time = entry.time + timedelta(seconds=3)
    assert checks.look_at_waits(played.log, consumed) == []


def _two_of_one_credential(played: Played) -> tuple[Connection, Connection]:
    targets = [each for each in played.targets() if each.target_of == "bi" and played.world.has_data(each.id)]
    return targets[0], targets[1]


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", [Refusal.NOT_EDITABLE, Refusal.NOT_ALLOWED])
def test_a_run_is_red_for_what_is_refused_and_nothing_else(played: Played, refusal: Refusal) -> None:
    refused = refusals.choose(Plan(1, 7, (), (), refusal=refusal), played.tableau.state)
    assert refused is not None
    assert "the first run is not red" in refusals.look(played.world, refusal, refused, played.report, [])[0]
    played.report["state"] = "failed"
    for key in refused.connection_ids:
        played.row(key).update(outcome="failed", reason=f"it is {refused.words}")
    assert refusals.look(played.world, refusal, refused, played.report, []) == []
    other = next(each.id for each in played.targets() if each.id not in refused.connection_ids)
    played.row(other).update(outcome="failed", reason="something else")
    assert refusals.look(played.world, refusal, refused, played.report, []) != []


def test_a_redirect_that_is_not_told_is_seen(played: Played) -> None:
    played.report["state"] = "failed"
    consumed = [Consumed("update_connection", Redirect("http://127.0.0.1:9/"), {})]
    look = refusals.look(played.world, Refusal.ELSEWHERE_IN_UPDATE, None, played.report, consumed)
    assert look == ["the first report does not say that Tableau redirects"]
    played.report["problems"] = ["http://127.0.0.1:8 redirects to http://127.0.0.1:9."]
    assert refusals.look(played.world, Refusal.ELSEWHERE_IN_UPDATE, None, played.report, consumed) == []
    assert refusals.look(played.world, Refusal.ELSEWHERE_IN_LIST, None, played.report, consumed) != []


def test_who_comes_elsewhere_is_noted() -> None:
    with Elsewhere() as elsewhere:
        with pytest.raises(requests.ConnectionError):
            requests.get(elsewhere.url, timeout=5)
        assert elsewhere.requests == ["GET / HTTP/1.1"]


# -- what people do ----------------------------------------------------------------------------------------------------


@pytest.fixture
def world() -> World:
    return World(TableauServer(make_state(PLAN)))


def test_what_people_do_is_known_and_no_fault_of_a_run(world: World) -> None:
    for number, event in enumerate([Event.REMOVE, Event.RENAME, Event.REPUBLISH, Event.REPUBLISH_NEW_IDS] * 3):
        assert world.do(event, Random(number))
    assert world.do(Event.PUBLISH, Random(1)) == "Brand new 1"
    assert len(world.removed) == 3
    assert {connection.id for _, connection in world.site.connections()} <= set(world.before)
    report = {"state": "failed", "problems": ["Nothing was written."], "connections": [], "summary": {}}
    assert checks.look_at_first_run(world, "failed", report, ["a kill"]) == []
    assert len(checks.look_at_first_run(world, "success", report | {"state": "success"}, [])) > 10


def test_sessions_end(world: World) -> None:
    state = world.state
    session = state.sessions.start(state.site, state.site.users[0])
    assert world.do(Event.SESSIONS_END, Random(1)) == "1 ended"
    assert world.do(Event.SESSIONS_END, Random(1)) is None
    session = state.sessions.start(state.site, state.site.users[0])
    world.do(Event.CLOCK, Random(1))
    assert state.sessions.use(session.token, state.session_idle_minutes) is None


def test_spared_items_are_left_alone() -> None:
    tableau = TableauServer(make_state(PLAN))
    world = World(tableau, spared=frozenset(content.id for content in tableau.state.site.contents))
    assert world.do(Event.REMOVE, Random(1)) is None
    assert world.do(Event.RENAME, Random(1)) is None


def test_an_item_that_was_just_updated_is_not_published_again(world: World) -> None:
    tableau, contents = TableauServer(world.state), world.site.contents
    item = next(each for each in contents if len(each.connections) == 1 and each.connections[0].target_of)
    world = World(tableau, spared=frozenset(each.id for each in contents if each is not item))
    entry = LoggedRequest(1, world.state.clock.now(), "PUT", "", {}, "update_connection", {"content_id": item.id})
    tableau.requests.start(entry)
    assert world.do(Event.REPUBLISH, Random(1)) is None
    world.state.clock.advance(seconds=10)
    assert world.do(Event.REPUBLISH, Random(1))


def test_a_secret_that_can_be_read_is_seen(played: Played, tmp_path: Path) -> None:
    secrets = Secrets()
    secrets.learn(played.tableau)
    credential = played.world.site.credentials["etl"]
    (tmp_path / "task.log").write_text(json.dumps({"event": f"embedding {credential.new_secret}"}))
    assert secrets.look(tmp_path, new=True) == ["A SECRET CAN BE READ: new token of etl (plain) in task.log"]
    assert secrets.look(tmp_path, new=False) == ["A SECRET CAN BE READ: new token of etl (plain) in task.log"]
