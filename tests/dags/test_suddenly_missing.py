"""What earlier runs updated and this one does not find: a few are noted, more than that make the run red."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from sandbox import stage
from sandbox.tableau import TableauCode, TableauServer, TableauState, build_site, snowflake_connection
from tests.dags.airflow_under_test import Run
from tests.dags.rotations import Rotations, holds_today, written
from tests.dags.small_tableau import BI, ETL, embedding, small_tableau

Serve = Callable[[TableauState], TableauServer]
NO = TableauCode("403004", "Forbidden.")


def arrived(rotate: Rotations) -> list[str]:
    """The credentials of which it is told that the token is everywhere."""
    return sorted(path.stem for path in (rotate.airflow.home / "credential_rotation" / "arrivals").glob("*.json"))


@pytest.fixture
def site_of_many(rotate: Rotations, serve: Serve) -> TableauServer:
    """Sixteen targets of one user, all of them updated."""
    state = small_tableau(ETL)
    for number in range(13):
        state.site.add_datasource(f"more {number}", connections=[embedding(ETL)])
    tableau = serve(state)
    assert rotate(tableau, connections_per_task=10).state == "success"
    rotate.airflow.forget_arrivals()
    state.clock.advance(minutes=5)
    return tableau


def omit(tableau: TableauServer, *names: str) -> None:
    """No answer shows these any more."""
    for content in tableau.state.site.contents:
        for connection in content.connections:
            connection.omits = frozenset(names)


class TestVirtualConnections:
    """Where they may not be listed, nobody knows whether there are any."""

    def test_such_a_run_is_not_whole_and_says_so(self, rotate: Rotations, serve: Serve) -> None:
        tableau = serve(small_tableau(ETL))
        rotate.airflow.forget_arrivals()
        tableau.faults.script("list_virtual_connections", NO)
        run = rotate(tableau, connections_per_task=5)
        assert run.state == "success"
        [said] = run.report["not_looked_at"]
        assert "no virtual connections were looked at" in said
        assert arrived(rotate) == []

    def test_where_earlier_runs_updated_some_it_is_red(self, rotate: Rotations, serve: Serve) -> None:
        tableau = serve(build_site(data_sources=6, workbooks=0, flows=0, virtual_connections=3))
        assert rotate(tableau, connections_per_task=5, canary_proof="saved").state == "success"
        tableau.faults.script("list_virtual_connections", NO)
        run = rotate(tableau, connections_per_task=5)
        assert run.state == "failed"
        assert "connections in content that this run could not list: virtual connections" in run.told

    def test_where_the_airflow_connection_says_that_there_are_none_the_run_is_whole(
        self, rotate: Rotations, serve: Serve
    ) -> None:
        tableau = serve(small_tableau(ETL))
        rotate.airflow.forget_arrivals()
        connections: dict[str, Any] = stage.airflow_connections(tableau.port, tableau.state.site)
        connections["tableau_default"]["extra"]["without"] = ["virtual_connection"]
        run = rotate(tableau, connections, connections_per_task=5)
        assert (run.state, run.report["not_looked_at"]) == ("success", [])
        assert tableau.requests.count("list_virtual_connections") == 0
        assert arrived(rotate) == ["snowflake_etl"]


class TestVanished:
    """Targets of earlier runs that are none now."""

    @staticmethod
    def assert_red(run: Run, rotate: Rotations, why: str) -> None:
        assert run.state == "failed"
        assert why in run.told
        assert "If that is right, run once with force." in run.told
        assert arrived(rotate) == []

    def test_a_few_that_were_deleted_are_noted_once(self, rotate: Rotations, site_of_many: TableauServer) -> None:
        site = site_of_many.state.site
        for content in site.contents[:3]:
            site.remove(content)
        run = rotate(site_of_many, connections_per_task=10)
        assert run.state == "success"
        noted = "3 of the 16 connections that earlier runs updated are not targets now: 3 not listed any more"
        assert any(noted in note for note in run.report["notes"])
        assert not any("earlier runs" in note for note in rotate(site_of_many).report["notes"])

    def test_a_list_that_is_suddenly_empty_is_red_until_a_person_says_that_it_is_right(
        self, rotate: Rotations, site_of_many: TableauServer
    ) -> None:
        site = site_of_many.state.site
        for content in [content for content in site.contents if content.content_type == "datasource"]:
            site.remove(content)
        for _ in range(2):
            self.assert_red(rotate(site_of_many), rotate, "15 not listed any more")
        assert rotate(site_of_many, force=True, canary_proof="saved").state == "success"
        assert rotate(site_of_many).state == "success"

    def test_nothing_at_all_is_red(self, rotate: Rotations, serve: Serve) -> None:
        state = small_tableau(ETL)
        tableau = serve(state)
        assert rotate(tableau, connections_per_task=5).state == "success"
        rotate.airflow.forget_arrivals()
        state.site.contents.clear()
        self.assert_red(rotate(tableau), rotate, "3 not listed any more")

    @pytest.mark.parametrize(
        ("names", "why"),
        [({"userName"}, "16 no_username"), ({"serverAddress"}, "16 no_server_address")],
        ids=str,
    )
    def test_an_attribute_that_no_answer_shows_any_more_is_red(
        self, rotate: Rotations, site_of_many: TableauServer, names: Iterable[str], why: str
    ) -> None:
        omit(site_of_many, *names)
        self.assert_red(rotate(site_of_many), rotate, why)
        omit(site_of_many)
        assert rotate(site_of_many).report["summary"]["unchanged"] == 16

    def test_one_without_an_attribute_is_red_as_well(self, rotate: Rotations, site_of_many: TableauServer) -> None:
        site_of_many.state.site.contents[0].connections[0].omits = frozenset({"userName"})
        self.assert_red(rotate(site_of_many), rotate, "1 no_username")

    def test_a_wrong_account_is_red(self, rotate: Rotations, site_of_many: TableauServer) -> None:
        connections: dict[str, Any] = stage.airflow_connections(site_of_many.port, site_of_many.state.site)
        connections["snowflake_etl"]["extra"]["account"] = "acme-test"
        environment = {"CREDENTIAL_ROTATION_SNOWFLAKE_CHECK": "off"}
        self.assert_red(rotate(site_of_many, connections, environment=environment), rotate, "16 other_account")

    def test_a_run_that_was_narrowed_misses_nothing(self, rotate: Rotations, site_of_many: TableauServer) -> None:
        for params in ({"content_types": ["workbook"]}, {"content_name": "more*"}, {"projects": ["no such"]}):
            run = rotate(site_of_many, **params)
            assert run.state == "success"
            assert not any("earlier runs" in note for note in run.report["notes"])


class TestProvedAgain:
    """What was only saved is proved where that is asked for, and not written again."""

    @pytest.fixture
    def saved(self, rotate: Rotations, serve: Serve) -> TableauServer:
        tableau = serve(small_tableau(ETL, neighbours=False))
        assert rotate(tableau, connections_per_task=5, canary_proof="saved").state == "success"
        tableau.requests.clear()
        return tableau

    def test_each_is_proved(self, rotate: Rotations, saved: TableauServer) -> None:
        run = rotate(saved, connections_per_task=5, proof="connects")
        assert run.state == "success"
        assert sorted((row["outcome"], row["proof"]) for row in run.report["connections"]) == [
            ("unchanged", "query"), ("unchanged", "query"), ("unchanged", "view_data"),
        ]  # fmt: skip
        assert saved.requests.count("update_connection") == 0
        saved.requests.clear()
        assert rotate(saved, proof="connects").report["summary"]["unchanged"] == 3
        assert written(saved) == []

    def test_one_of_each_user_is_proved_where_only_canaries_must_connect(
        self, rotate: Rotations, saved: TableauServer
    ) -> None:
        run = rotate(saved)
        assert sorted(row["proof"] for row in run.report["connections"]) == ["query", "saved", "saved"]
        assert saved.requests.count("update_connection") == 0
        saved.requests.clear()
        assert rotate(saved).state == "success"
        assert saved.requests.count("query_datasource") == 0

    @pytest.mark.parametrize("params", [{}, {"proof": "connects"}], ids=str)
    def test_what_does_not_connect_is_red_and_is_written_by_the_next_run(
        self, rotate: Rotations, saved: TableauServer, params: dict[str, Any]
    ) -> None:
        environment = {"CREDENTIAL_ROTATION_SNOWFLAKE_CHECK": "off"}
        secrets = saved.state.accounts.accounts[ETL.account].user(ETL.login).secrets
        secrets.discard(ETL.new_secret)
        run = rotate(saved, environment=environment, **params)
        assert run.state == "failed"
        assert "Programmatic access token is invalid" in run.rows("failed")[0]["reason"]
        assert saved.requests.count("update_connection") == 0
        assert set(holds_today(saved).values()) == {True}
        secrets.add(ETL.new_secret)
        run = rotate(saved, environment=environment, **params)
        assert (run.state, run.report["summary"]["updated"]) == ("success", 1)

    def test_where_nothing_can_show_it_that_is_no_failure_since_nothing_was_written(
        self, rotate: Rotations, serve: Serve
    ) -> None:
        tableau = serve(small_tableau())
        state = tableau.state
        state.site.credentials["etl"] = ETL
        state.accounts.accounts[ETL.account].add_user(ETL.login, [ETL.new_secret])
        state.site.add_flow("a flow", connections=[embedding(ETL)])
        assert rotate(tableau, canary_proof="saved").state == "success"
        run = rotate(tableau)
        assert (run.state, run.report["summary"]["unchanged"]) == ("success", 1)

    def test_a_dry_run_proves_nothing(self, rotate: Rotations, saved: TableauServer) -> None:
        run = rotate(saved, dry_run=True, proof="connects")
        assert run.report["summary"]["unchanged"] == 3
        assert written(saved) == []


def test_a_new_neighbour_does_not_hide_what_is_only_to_be_proved(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL, BI, neighbours=False))
    site = tableau.state.site
    assert rotate(tableau, connections_per_task=5, canary_proof="saved").state == "success"
    site.add_datasource("new", connections=[snowflake_connection(ETL.login, ETL.secret, target_of="etl")])
    run = rotate(tableau, connections_per_task=5, proof="connects")
    assert run.state == "success"
    assert {row["proof"] for row in run.report["connections"]} == {"query", "view_data"}
    assert [row["content_name"] for row in run.rows("updated")] == ["new"]
    assert [row["content_name"] for row in run.report["connections"] if row["canary"]].count("new") == 1
