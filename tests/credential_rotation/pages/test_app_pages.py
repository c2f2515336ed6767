"""What the pages in Airflow say."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urljoin

import pytest

from credential_rotation.pages import app as pages
from credential_rotation.rotation.outcomes import Exclusion, Outcome
from credential_rotation.run_folder import RunFolder
from tests.builders import target, targets
from tests.credential_rotation.fleet.story import RENEWAL, ROTATION, SITE, Story
from tests.credential_rotation.fleet.test_fleet import came_to, excluded, updated
from tests.credential_rotation.pages.airflow_around import AirflowAround, Visitor
from tests.credential_rotation.pages.seen_page import SeenPage
from tests.credential_rotation.pages.test_app_access import PAGES

HOSTILE = "<img src=x onerror=alert(1)>"


def run_page(run_id: str, dag_id: str = ROTATION) -> str:
    return f"/run?dag_id={quote(dag_id)}&run_id={quote(run_id)}"


class TestFleet:
    """How all users stand."""

    def test_before_the_first_run_it_says_what_to_do(self, airflow: AirflowAround, story: Story) -> None:
        seen = airflow.visitor("USER").sees("/")
        assert "No run yet" in seen.text
        [button] = [attributes for _, attributes in seen.tags if "data-trigger" in attributes]
        assert "data-dry-run" in button
        assert button["data-conf"] == "{}"

    def test_all_is_well(self, visitor: Visitor, story: Story) -> None:
        story.rotate(updated(*targets(3)))
        seen = visitor.sees("/")
        assert "All is well with 1 Snowflake user" in seen.text
        assert "Ready AllCurrent" in seen.text
        assert "3 on the current token" in seen.text

    def test_it_counts_what_is_not_as_it_should_be(self, visitor: Visitor, story: Story) -> None:
        some = [*updated(*targets(2)), *came_to(Outcome.FAILED, target(3), reason="Tableau answered 403")]
        story.rotate([*some, excluded(4, Exclusion.PASSWORD_NOT_EMBEDDED)])
        text = visitor.sees("/").text
        assert "2 on the current token" in text
        assert "1 failed" in text
        assert "on an old one" not in text
        assert "1 excluded" in text
        assert "asks people for the password" in text
        assert "1 Snowflake user needs a look" in text

    def test_a_renewed_token_is_nowhere_yet(self, visitor: Visitor, story: Story) -> None:
        story.rotate(updated(*targets(2)))
        story.renew(token="fingerprint-2", days_left=5000)
        text = visitor.sees("/").text
        assert "The new token of 1 Snowflake user is not everywhere" in text
        assert "0 on the current token" in text
        assert "2 on an old one, or not known" in text

    def test_a_dead_token_is_worse_than_anything(self, visitor: Visitor, story: Story) -> None:
        story.rotate(came_to(Outcome.FAILED, target(), reason="no"))
        story.renew(days_left=-1)
        seen = visitor.sees("/")
        assert "The token of 1 Snowflake user has expired" in seen.text
        assert seen.text.index("Expiring") < seen.text.index("Degraded")

    def test_why_the_latest_run_failed_is_said_once_above_and_once_in_its_row(
        self, visitor: Visitor, story: Story
    ) -> None:
        story.rotate(updated(target()))
        story.rotate([], problems=["tableau_default: Tableau refuses the sign-in (401001)."], is_whole=False)
        seen = visitor.sees("/")
        assert seen.text.count("Tableau refuses the sign-in (401001).") == 2
        assert "The latest rotation failed" in seen.text

    def test_a_reason_that_goes_on_and_on_is_cut_short(self, visitor: Visitor, story: Story) -> None:
        story.rotate([], problems=["word " * 500], is_whole=False)
        assert "word …" in visitor.sees("/").text

    def test_a_failure_that_was_mended_is_only_in_its_row(self, visitor: Visitor, story: Story) -> None:
        story.rotate([], problems=["Tableau is down."], is_whole=False)
        story.rotate(updated(target()))
        assert visitor.sees("/").text.count("Tableau is down.") == 1

    def test_runs_begin_with_the_newest_and_lead_to_their_reports(self, visitor: Visitor, story: Story) -> None:
        for _ in range(3):
            story.rotate(updated(target()))
        seen = visitor.sees("/")
        rows = [attributes["data-run"] for tag, attributes in seen.tags if tag == "tr" and "data-run" in attributes]
        assert rows == ["run-3", "run-2", "run-1"]
        links = [attributes["href"] for tag, attributes in seen.tags if tag == "a"]
        assert f"run?dag_id={ROTATION}&run_id=run-2" in links

    def test_the_script_knows_dags_and_states_by_the_page(self, visitor: Visitor, story: Story) -> None:
        [values] = [attributes for _, attributes in visitor.sees("/").tags if "data-known" in attributes]
        known = json.loads(values["data-known"] or "")
        assert known["names"] == {ROTATION: "Rotation", RENEWAL: "Renewal"}
        assert (known["rotation"], known["renewal"]) == (ROTATION, RENEWAL)
        assert known["looks"]["running"] == {"symbol": "◐", "words": "running", "tone": "plan"}
        written_out = [ROTATION, RENEWAL, *(look["symbol"] for look in known["looks"].values())]
        script = visitor.get("/static/fleet.js").text
        assert not [told for told in written_out if told in script]

    def test_what_needs_a_person_comes_first(self, visitor: Visitor, story: Story) -> None:
        both = [target(1, snowflake_conn_id="a_good"), target(2, snowflake_conn_id="z_bad")]
        records = [*updated(both[0]), *came_to(Outcome.FAILED, both[1], reason="no")]
        story.rotate(records, conn_ids=["a_good", "z_bad"])
        text = visitor.sees("/").text
        assert text.index("z_bad") < text.index("a_good")

    def test_a_token_shows_when_it_ends_and_from_when_it_is_renewed(self, visitor: Visitor, story: Story) -> None:
        story.rotate(updated(target()))
        story.renew(days_left=5000)
        seen = visitor.sees("/")
        [bar] = [attributes for tag, attributes in seen.tags if tag == "svg" and attributes.get("role") == "img"]
        assert "renewed in the last 7 days" in str(bar["aria-label"])
        assert "Due for renewal in" in seen.text

    def test_buttons_are_for_that_user_and_site(self, airflow: AirflowAround, story: Story) -> None:
        story.rotate(updated(target()))
        seen = airflow.visitor("USER").sees("/")
        confs = [json.loads(each["data-conf"] or "") for _, each in seen.tags if "data-trigger" in each]
        wanted = {"snowflake_conn_ids": ["snowflake_pat"], "tableau_conn_ids": ["tableau_default"]}
        assert confs == [wanted, wanted | {"force": True}]

    def test_programs_read_the_same(self, visitor: Visitor, story: Story) -> None:
        story.rotate(updated(*targets(2)))
        fleet = visitor.reads("/api/fleet")
        assert fleet["rows"][0]["current"] == 2
        assert fleet["rows"][0]["conditions"][0]["kind"] == "Ready"


class TestRun:
    """One run."""

    def test_it_is_the_report(self, visitor: Visitor, story: Story) -> None:
        run_id = story.rotate([*updated(*targets(2)), *came_to(Outcome.FAILED, target(3), reason="no")])
        seen = visitor.sees(run_page(run_id))
        assert "1 of 3 targets is not done" in seen.text
        assert len(seen.rows) == 3

    def test_it_holds_no_script_and_no_style_of_its_own(self, visitor: Visitor, story: Story) -> None:
        seen = visitor.sees(run_page(story.rotate(updated(target()))))
        assert {(tag, kind) for tag, kind, _ in seen.inline} == {("script", "application/json")}
        assert not [attributes for _, attributes in seen.tags if "style" in attributes]

    def test_programs_read_the_file(self, visitor: Visitor, story: Story) -> None:
        run_id = story.rotate(updated(target()))
        assert visitor.reads(f"/api{run_page(run_id)}")["connections"][0]["outcome"] == "updated"

    def test_however_many_connections_it_has(self, visitor: Visitor, story: Story) -> None:
        run_id = story.rotate(updated(*targets(1001)))
        names = [row["content_name"] for row in visitor.reads(f"/api{run_page(run_id)}")["connections"]]
        assert names == [f"Orders {number}" for number in range(1, 1002)]
        assert len(visitor.sees(run_page(run_id)).rows) == 1001

    @pytest.mark.parametrize("run_id", ["nov::2", ".", "..", "a/b", "a+b:~c.d-e", "a\n", "<b>", "x" * 250])
    def test_whatever_its_id_its_files_are_its_own(self, visitor: Visitor, story: Story, run_id: str) -> None:
        story.rotate(updated(target(1)), run_id="nov::1")
        story.rotate(updated(*targets(2)), run_id=run_id)
        asked = f"dag_id={ROTATION}&run_id={quote(run_id, safe='')}"
        assert len(visitor.sees(f"/run?{asked}").rows) == 2
        assert visitor.reads(f"/api/run?{asked}")["run_id"] == run_id
        RunFolder(ROTATION, run_id, story.reports).write_text("report.csv", "its own")
        assert visitor.get(f"/report.csv?{asked}").text == "its own"
        assert {f"run?{asked}"} <= {href.replace("/", "%2F") for href in self._links(visitor)}

    @pytest.mark.parametrize("run_id", ["..", "../../ledger", "a\0", "unknown", "<b>"])
    def test_of_a_run_without_a_report_that_is_said(self, visitor: Visitor, story: Story, run_id: str) -> None:
        story.rotate(updated(target(1)))
        RunFolder(ROTATION, "unlike it", story.reports).write_text("../../ledger/report.json", "{}")
        assert "This run has left no report yet" in visitor.sees(f"/run?dag_id={ROTATION}&run_id={quote(run_id)}").text

    @staticmethod
    def _links(visitor: Visitor) -> list[str]:
        return [attributes["href"] or "" for _, attributes in visitor.sees("/").tags if "href" in attributes]

    def test_a_run_of_the_renewal(self, visitor: Visitor, story: Story) -> None:
        user = {"snowflake_conn_id": "snowflake_pat", "user": HOSTILE, "outcome": "failed", "reason": HOSTILE}
        report = {"run_id": "r1", "state": "failed", "problems": [HOSTILE], "users": [user, {"outcome": "odd"}]}
        RunFolder(RENEWAL, "r1", story.reports).write("report.json", report)
        seen = visitor.sees(run_page("r1", RENEWAL))
        assert "1 of 2 tokens needs a look" in seen.text
        assert seen.text.count(HOSTILE) == 3

    def test_a_report_of_an_earlier_version_is_shown(self, visitor: Visitor, story: Story, tmp_path: Path) -> None:
        row = {"content_name": "Orders", "outcome": "updated", "snowflake_conn_id": "s", "connection_id": "c"}
        report = {"run_id": "old", "dry_run": False, "state": "success", "connections": [row]}
        file = tmp_path / "reports" / ROTATION / "old" / "report.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(report, indent=2))
        seen = visitor.sees(run_page("old"))
        assert [row["content_name"] for row in seen.rows] == ["Orders"]

    @pytest.mark.parametrize("text", ["", "null", "[]", '{"a', "\x00"])
    def test_a_file_that_is_no_report_is_as_good_as_none(
        self, visitor: Visitor, story: Story, tmp_path: Path, text: str
    ) -> None:
        file = tmp_path / "reports" / ROTATION / "odd" / "report.json"
        file.parent.mkdir(parents=True)
        file.write_text(text)
        assert "This run has left no report yet" in visitor.sees(run_page("odd")).text

    def test_one_that_is_under_way_has_none_yet(self, visitor: Visitor, story: Story) -> None:
        assert "This run has left no report yet" in visitor.sees(run_page("manual__2026-11-24T10:00:00+00:00")).text

    def test_a_report_that_was_written_again_is_shown_again(self, visitor: Visitor, story: Story) -> None:
        run_id = story.rotate(came_to(Outcome.FAILED, target(), reason="no"))
        assert "1 of 1 target is not done" in visitor.sees(run_page(run_id)).text
        story.rotate(updated(target()), run_id=run_id)
        assert "The connection embeds the current token" in visitor.sees(run_page(run_id)).text

    def test_the_tab_on_a_run_of_another_dag_says_what_it_is_for(self, visitor: Visitor, story: Story) -> None:
        seen = visitor.sees(run_page("scheduled__2026-11-24T00:00:00+00:00", "etl.daily"))
        assert "Nothing about this DAG" in seen.text
        assert ROTATION in seen.text


class TestConnection:
    """One connection."""

    def test_what_runs_did_about_it(self, visitor: Visitor, story: Story) -> None:
        story.rotate(came_to(Outcome.FAILED, target(), reason="Tableau answered 403"))
        story.rotate(updated(target()))
        seen = visitor.sees(PAGES["/connection"])
        assert "Embeds the token in force" in seen.text
        assert seen.text.index("updated") < seen.text.index("Tableau answered 403")
        assert [each["outcome"] for each in visitor.reads(PAGES["/api/connection"])["events"]] == ["updated", "failed"]

    def test_one_that_is_known_to_hold_an_old_token(self, visitor: Visitor, story: Story) -> None:
        story.rotate(updated(target()))
        story.renew(token="fingerprint-2")
        assert "Embeds an old token" in visitor.sees(PAGES["/connection"]).text

    def test_its_address_in_tableau_leads_there_only_when_it_is_one(self, visitor: Visitor, story: Story) -> None:
        for address, leads in (("https://tableau.acme.example/#/x", True), ("javascript:alert(1)", False)):
            story.rotate(updated(target(content_url=address)))
            links = [attributes.get("href") for _, attributes in visitor.sees(PAGES["/connection"]).tags]
            assert (address in links) is leads


class TestNothingThere:
    """What does not exist, and what nobody should ask for."""

    @pytest.mark.parametrize(
        "path",
        [
            "/nope",
            "/a/b/c",
            "/static/nope.js",
            "/static/..%2Fapp.py",
            "/static/%2e%2e%2fapp.py",
            "/static/__init__.py",
            "/run",
            "/run?dag_id=&run_id=",
            f"/api/run?dag_id={ROTATION}&run_id=unknown",
            f"/run?dag_id={ROTATION}&run_id=",
            f"/run?dag_id={ROTATION}&run_id={'x' * 251}",
            f"/api/run?dag_id={ROTATION}&run_id=..",
            f"/api/run?dag_id={ROTATION}&run_id=%2e%2e%2f%2e%2e%2fledger",
            f"/report.csv?dag_id={ROTATION}&run_id=a%00",
            f"/run?dag_id=..%2F{ROTATION}&run_id=run-1",
            "/run?dag_id=..&run_id=run-1",
            "/connection",
            "/connection?site=..&content_id=a&connection_id=b",
            f"/connection?site={SITE}&content_id=../a&connection_id=b",
            f"/connection?site={SITE}&content_id=unknown&connection_id=unknown",
            "/connection?site=https://other.example|acme&content_id=item-00001&connection_id=connection-00001",
            "/api/connection?site=x&content_id=a&connection_id=b",
        ],
    )
    def test_is_a_kind_404(self, visitor: Visitor, story: Story, path: str) -> None:
        story.rotate(updated(target()))
        answer = visitor.get(path)
        assert answer.status_code == 404
        assert answer.headers["Cache-Control"] == "no-store"
        if path.startswith("/api/"):
            assert set(answer.json()) == {"detail"}
            return
        seen = SeenPage(answer.text)
        assert "Nothing here" in seen.text
        back = next(attributes["href"] for tag, attributes in seen.tags if tag == "a" and attributes["href"] != "#main")
        assert (
            urljoin(f"http://host/credential-rotation{path.split('?', maxsplit=1)[0]}", back)
            == "http://host/credential-rotation/"
        )

    def test_a_failure_shows_nothing_of_the_code_and_is_in_the_log(
        self, visitor: Visitor, story: Story, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError("s3://user:hunter2@bucket is gone")

        monkeypatch.setattr(pages, "read_fleet", fail)
        with caplog.at_level(logging.ERROR):
            for path in ("/", "/api/fleet"):
                answer = visitor.get(path)
                assert answer.status_code == 500
                assert "could not be read" in answer.text
                assert "hunter2" not in answer.text
                assert "Traceback" not in answer.text
                assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
        assert "is gone" in caplog.text


def test_a_name_with_markup_is_text_everywhere(visitor: Visitor, story: Story) -> None:
    fields = {"content_name": HOSTILE, "project": HOSTILE, "owner": HOSTILE, "username": HOSTILE, "site": HOSTILE}
    hostile = [target(1, **fields), target(2, **fields)]
    story.rotate(
        [*updated(hostile[0]), *came_to(Outcome.FAILED, hostile[1], reason=HOSTILE)], problems=[HOSTILE, "</script>"]
    )
    for path in ("/", PAGES["/run"], PAGES["/connection"]):
        seen = visitor.sees(path)
        assert not [tag for tag, attributes in seen.tags if tag == "img" or "onerror" in attributes]
        assert "<img" not in seen.html
        assert HOSTILE in seen.text or HOSTILE in json.dumps(seen.rows)


def test_half_a_character_is_no_failure(visitor: Visitor, story: Story, tmp_path: Path) -> None:
    row = {"content_name": "\ud83d half", "outcome": "updated", "snowflake_conn_id": "s", "connection_id": "c"}
    for dag_id, report in ((ROTATION, {"connections": [row]}), (RENEWAL, {"problems": ["\ud83d half"]})):
        file = tmp_path / "reports" / dag_id / "odd" / "report.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"state": "failed"} | report))
        assert "half" in visitor.sees(run_page("odd", dag_id)).html
        assert visitor.get(f"/api{run_page('odd', dag_id)}").status_code == 200


def test_no_fingerprint_of_a_token_is_shown(visitor: Visitor, story: Story) -> None:
    story.rotate([*updated(*targets(2)), *came_to(Outcome.FAILED, target(3), reason="no")])
    story.renew(token="fingerprint-2")
    story.rotate(updated(*targets(3)), run_id="run-1")
    for path in PAGES.values():
        assert "fingerprint" not in visitor.get(path).text


def test_below_a_base_path_all_links_stay_there(airflow_database: None, story: Story) -> None:
    story.rotate(updated(target()))
    airflow = AirflowAround("/airflow")
    visitor = airflow.visitor("USER")
    for path in ("/", PAGES["/run"], PAGES["/connection"], run_page("none"), run_page("x", "other")):
        here = f"http://airflow.acme.example/airflow/credential-rotation{path}"
        for tag, attributes in visitor.sees(path).tags:
            for name in ("href", "src"):
                address = attributes.get(name)
                if address and not address.startswith("data:"):
                    assert urljoin(here, address).startswith("http://airflow.acme.example/airflow/"), (tag, address)
                    if "/static/" in address:
                        assert visitor.client.get(urljoin(here, address)).status_code == 200
    stranger = airflow.stranger().get("/")
    assert quote("/airflow/credential-rotation/", safe="") in stranger.text


def test_each_file_that_a_page_links_is_there(visitor: Visitor, story: Story) -> None:
    story.rotate(updated(target()))
    for path in ("/", PAGES["/run"], PAGES["/connection"], run_page("none")):
        for _, attributes in visitor.sees(path).tags:
            address = attributes.get("src") or attributes.get("href") or ""
            if address.startswith("static/"):
                answer = visitor.get(f"/{address}")
                assert answer.status_code == 200
                kind = "text/css" if address.endswith(".css") else "text/javascript"
                assert answer.headers["Content-Type"].startswith(kind)


def test_a_run_that_put_a_secret_back_is_told_of_as_such(visitor: Visitor, story: Story) -> None:
    back = [replace(each, reason=None) for each in came_to(Outcome.ROLLED_BACK, target())]
    run_id = story.rotate(back)
    assert visitor.get(run_page(run_id)).status_code == 200
