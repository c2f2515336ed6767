"""Who sees the pages in Airflow: whoever has signed in and may read the runs, and nobody else."""

from __future__ import annotations

import re

import pytest

from credential_rotation.pages.app import app
from credential_rotation.run_folder import RunFolder
from tests.builders import target
from tests.credential_rotation.fleet.story import RENEWAL, ROTATION, SITE, Story
from tests.credential_rotation.fleet.test_fleet import updated
from tests.credential_rotation.pages.airflow_around import AirflowAround, Visitor
from tests.credential_rotation.pages.seen_page import SeenPage

RUN = f"dag_id={ROTATION}&run_id=run-1"
CONNECTION = f"site={SITE}&content_id=item-00001&connection_id=connection-00001"
PAGES = {
    "/": "/",
    "/api/fleet": "/api/fleet",
    "/run": f"/run?{RUN}",
    "/api/run": f"/api/run?{RUN}",
    "/report.csv": f"/report.csv?{RUN}",
    "/connection": f"/connection?{CONNECTION}",
    "/api/connection": f"/api/connection?{CONNECTION}",
    "/static/{name}": "/static/fleet.js",
}


def write_table(reports: str) -> None:
    """The ``report.csv`` of the first run."""
    RunFolder(ROTATION, "run-1", reports).write_text("report.csv", "content_name,outcome\nOrders,updated\n")


@pytest.fixture(autouse=True)
def _one_run(story: Story) -> None:
    story.rotate(updated(target()))
    write_table(story.reports)


def test_each_route_is_tried_here() -> None:
    assert {route.path for route in app.routes} == set(PAGES)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
class TestEachRoute:
    """The same for all of them."""

    def test_without_a_login_it_is_401(self, airflow: AirflowAround, path: str) -> None:
        assert airflow.stranger().get(path).status_code == 401

    def test_with_a_forged_login_it_is_refused(self, airflow: AirflowAround, path: str) -> None:
        stranger = airflow.stranger()
        stranger.client.cookies.set("_token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInJvbGUiOiJBRE1JTiJ9.")
        assert stranger.get(path).status_code in (401, 403)

    def test_without_the_right_it_is_403(self, airflow: AirflowAround, path: str) -> None:
        assert airflow.visitor(role=None).get(path).status_code == 403

    def test_who_may_read_the_runs_sees_it(self, visitor: Visitor, path: str) -> None:
        assert visitor.get(path).status_code == 200

    def test_a_bearer_token_does_as_well(self, airflow: AirflowAround, path: str) -> None:
        token = airflow.visitor().client.cookies["_token"]
        program = airflow.stranger()
        program.client.headers["Authorization"] = f"Bearer {token}"
        assert program.get(path).status_code == 200

    @pytest.mark.parametrize("kind", ["stranger", "without_right", "reader"])
    def test_nothing_else_may_be_loaded_by_it_or_kept_of_it(self, airflow: AirflowAround, path: str, kind: str) -> None:
        by_kind = {"stranger": airflow.stranger, "without_right": lambda: airflow.visitor(None)}
        headers = by_kind.get(kind, airflow.visitor)().get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'self'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"

    def test_no_other_method_does_anything(self, visitor: Visitor, path: str) -> None:
        assert visitor.client.post("/credential-rotation" + path).status_code == 405


class TestOneDagAlone:
    """An auth manager may let somebody read one DAG and not the other."""

    def test_a_run_of_a_dag_that_one_may_not_read_is_403(self, airflow: AirflowAround, story: Story) -> None:
        story.renew()
        person = airflow.visitor(name=ROTATION)
        assert person.get(f"/run?{RUN}").status_code == 200
        assert person.get(f"/run?dag_id={RENEWAL}&run_id=renewal-2").status_code == 403
        assert person.get(f"/api/run?dag_id={RENEWAL}&run_id=renewal-2").status_code == 403
        assert person.get(f"/report.csv?dag_id={RENEWAL}&run_id=renewal-2").status_code == 403

    def test_to_name_two_dags_helps_nobody(self, airflow: AirflowAround, story: Story) -> None:
        story.renew()
        person = airflow.visitor(name=ROTATION)
        for query in (f"dag_id={RENEWAL}&dag_id={ROTATION}", f"dag_id={ROTATION}&dag_id={RENEWAL}"):
            assert "ETL_USER" not in person.get(f"/api/run?{query}&run_id=renewal-2").text

    def test_who_may_not_read_the_renewal_sees_nothing_of_it(self, airflow: AirflowAround, story: Story) -> None:
        story.renew(days_left=2, reason="Snowflake refuses the administrator.")
        everything, some = airflow.visitor(), airflow.visitor(name=ROTATION)
        for told in (RENEWAL, "renewal-2", "Snowflake refuses the administrator.", "RenewalFailed", "TABLEAU"):
            assert told in everything.get("/").text + everything.get("/api/fleet").text
        for told in ("renewal-2", "Snowflake refuses the administrator.", "RenewalFailed", '"TABLEAU"', "Expires"):
            assert told not in some.get("/").text + some.get("/api/fleet").text
        seen = some.sees("/").text
        assert f"When it expires is for those who may read runs of {RENEWAL}" in seen
        assert "All is well with 1 Snowflake user" in seen
        assert "1 on the current token" in seen

    def test_who_may_not_read_the_rotation_sees_nothing(self, airflow: AirflowAround) -> None:
        assert airflow.visitor(name=RENEWAL).get("/").status_code == 403


def test_nobody_who_may_not_trigger_is_offered_to(airflow: AirflowAround) -> None:
    def buttons(role: str) -> list[bool]:
        tags = airflow.visitor(role).sees("/").tags
        return ["disabled" in attributes for tag, attributes in tags if "data-trigger" in attributes]

    assert buttons("VIEWER") == [True, True]
    assert buttons("USER") == [False, False]
    assert "You may look at the DAG, but not trigger it." in airflow.visitor("VIEWER").sees("/").text
    assert "You may look at the DAG" not in airflow.visitor("USER").sees("/").text


def test_a_stranger_is_told_where_to_sign_in_and_comes_back(airflow: AirflowAround) -> None:
    answer = airflow.stranger().get(f"/run?{RUN}")
    seen = SeenPage(answer.text)
    assert "Sign in to Airflow first" in seen.text
    [link] = [attributes["href"] for tag, attributes in seen.tags if tag == "a" and attributes["href"] != "#main"]
    assert link == (
        "/credential-rotation/../api/v2/auth/login?next=%2Fcredential-rotation%2Frun%3F"
        "dag_id%3Drotate_snowflake_pat_in_tableau%26run_id%3Drun-1"
    )
    assert not re.search(r'(src|href)="?static', answer.text)
