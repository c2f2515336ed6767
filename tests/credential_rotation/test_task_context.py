"""What a task learns from Airflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException
from airflow.sdk.execution_time.comms import PutVariable

from credential_rotation import running_task, task_context
from credential_rotation.fingerprint import NoFingerprints
from credential_rotation.hooks.tableau import TableauHook
from credential_rotation.rotation.credentials import UnusableCredential
from credential_rotation.rotation.wrong_input import UnusableParams
from credential_rotation.tableau.errors import NotAllowed
from credential_rotation.task_context import ThisTask, check_connections, credential
from credential_rotation.token_stores.kept import KeptToken
from tests.builders import DEFAULTS, rotation_params
from tests.credential_rotation.supervising import Supervisor
from tests.credential_rotation.token_keeping import MemoryTokenStore

TOKEN = "pat-that-nobody-may-read"
TABLEAU = {"conn_type": "tableau", "host": "tableau.acme.example", "login": "rotation", "password": "tableau-secret"}
SNOWFLAKE = {"conn_type": "snowflake", "login": "ETL_USER", "password": TOKEN, "extra": {"account": "acme-prod"}}

Define = Callable[..., None]
Start = Callable[..., ThisTask]


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Define:
    """Defines an Airflow connection."""

    def define(conn_id: str, usual: dict[str, Any], **changes: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(usual | changes))

    define("tableau_default", TABLEAU)
    define("snowflake_pat", SNOWFLAKE)
    return define


@dataclass
class _Instance:
    task_id: str = "update_connections"
    dag_id: str = "rotate_snowflake_pat_in_tableau"
    run_id: str = "manual__1"
    map_index: int | None = -1
    try_number: int = 1


@dataclass
class _DagRun:
    conf: dict[str, Any]
    start_date: datetime | None = None


@dataclass
class _Event:
    extra: dict[str, Any] | None
    source_dag_id: str | None = "renew_snowflake_pat"


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts a task of a run."""

    def start(
        conf: dict[str, Any] | None = None,
        started: datetime | None = None,
        events: dict[str, list[_Event]] | None = None,
        **instance: Any,
    ) -> ThisTask:
        context = {
            "ti": _Instance(**instance),
            "dag_run": _DagRun(conf or {}, started),
            "params": DEFAULTS | (conf or {}),
            "triggering_asset_events": events or {},
        }
        for module in (running_task, task_context):
            monkeypatch.setattr(module, "get_current_context", lambda: context)
        return ThisTask()

    return start


class TestConnections:
    """Wrong connections are found before anything is asked of Tableau."""

    def test_right_ones_are_no_problem(self, define: Define) -> None:
        check_connections(rotation_params(), MemoryTokenStore())

    def test_a_credential_is_that_of_its_connection(self, define: Define) -> None:
        found = credential("snowflake_pat", MemoryTokenStore())
        assert (found.login, found.token) == ("ETL_USER", TOKEN)

    def test_a_token_that_was_renewed_counts_before_that_of_the_connection(self, define: Define) -> None:
        store = MemoryTokenStore()
        store.adopt("snowflake_pat", KeptToken(TOKEN, "TABLEAU", is_renewed=False))
        assert credential("snowflake_pat", store).secrets == [TOKEN]
        store.keep_pending("snowflake_pat", KeptToken("not-tried-yet", "TABLEAU"))
        assert credential("snowflake_pat", store).secrets == [TOKEN]
        store.promote("snowflake_pat")
        assert credential("snowflake_pat", store).secrets == ["not-tried-yet", TOKEN]

    def test_one_that_does_not_exist_is_named(self, define: Define) -> None:
        with pytest.raises(UnusableCredential, match="no Airflow connection 'snowflake_typo'"):
            credential("snowflake_typo", MemoryTokenStore())

    def test_all_problems_are_told_at_once_and_no_secret(self, define: Define) -> None:
        define("tableau_default", TABLEAU, host="")
        define("snowflake_bi", SNOWFLAKE, login="", password=TOKEN)
        params = rotation_params(
            tableau_conn_ids=["tableau_default", "tableau_typo"],
            snowflake_conn_ids=["snowflake_pat", "snowflake_bi", "snowflake_typo"],
        )
        with pytest.raises(UnusableParams) as raised:
            check_connections(params, MemoryTokenStore())
        told = str(raised.value)
        for words in (
            "'tableau_default': host is empty",
            "tableau_conn_ids: there is no Airflow connection 'tableau_typo'",
            "'snowflake_bi': login is empty",
            "snowflake_conn_ids: there is no Airflow connection 'snowflake_typo'",
        ):
            assert words in told
        assert TOKEN not in told
        assert "tableau-secret" not in told

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"host": "TABLEAU.acme.example"},
            {"host": "https://tableau.acme.example/", "login": "somebody.else"},
            {"extra": {"auth": "pat"}},
        ],
    )
    def test_two_for_the_same_site_are_refused(self, define: Define, changes: dict[str, Any]) -> None:
        define("tableau_too", TABLEAU, **changes)
        with pytest.raises(UnusableParams, match="'tableau_default' and 'tableau_too' lead to the same Tableau site"):
            check_connections(rotation_params(tableau_conn_ids=["tableau_default", "tableau_too"]), MemoryTokenStore())

    def test_two_sites_with_one_tableau_pat_would_end_each_other_s_sessions(self, define: Define) -> None:
        define("tableau_default", TABLEAU, extra={"auth": "pat", "site": "one"})
        define("tableau_too", TABLEAU, extra={"auth": "pat", "site": "two"})
        with pytest.raises(UnusableParams, match="with the same Tableau PAT"):
            check_connections(rotation_params(tableau_conn_ids=["tableau_default", "tableau_too"]), MemoryTokenStore())

    @pytest.mark.parametrize("extra", [{"auth": "password", "site": "two"}, {"auth": "pat", "site": "two"}])
    def test_two_sites_with_sign_ins_of_their_own_are_fine(self, define: Define, extra: dict[str, str]) -> None:
        define("tableau_default", TABLEAU, extra={"auth": extra["auth"], "site": "one"})
        login = "another PAT" if extra["auth"] == "pat" else TABLEAU["login"]
        define("tableau_too", TABLEAU, login=login, extra=extra)
        check_connections(rotation_params(tableau_conn_ids=["tableau_default", "tableau_too"]), MemoryTokenStore())


class TestTask:
    """The task that runs."""

    def test_params_are_those_of_the_run(self, start: Start) -> None:
        assert start({"dry_run": True}).params.dry_run

    def test_a_run_that_the_renewal_started_is_about_what_was_renewed(self, start: Start) -> None:
        renewed = [_Event({"snowflake_conn_ids": ["etl", "bi"]}), _Event({"snowflake_conn_ids": ["bi"]}), _Event({})]
        assert start(events={"snowflake_pat": renewed}).params.snowflake_conn_ids == ["etl", "bi"]
        for nothing in (
            {},
            {"snowflake_pat": [_Event(None)]},
            {"snowflake_pat": [_Event({"snowflake_conn_ids": "x"})]},
        ):
            assert start(events=nothing).params.snowflake_conn_ids == ["snowflake_pat"]

    def test_an_unknown_key_is_refused_and_yet_it_is_known_whether_the_run_was_dry(self, start: Start) -> None:
        task = start({"dry_run": True, "dryrun": True})
        with pytest.raises(UnusableParams):
            _ = task.params
        assert task.dry_run

    @pytest.mark.parametrize(("map_index", "name"), [(-1, "discover"), (None, "discover"), (0, "discover-0")])
    def test_mapped_tasks_have_names_of_their_own(self, start: Start, map_index: int | None, name: str) -> None:
        assert start(task_id="discover", map_index=map_index).name == name

    def test_the_run_is_named_among_all_runs(self, start: Start) -> None:
        assert start().run == "rotate_snowflake_pat_in_tableau/manual__1"

    def test_the_seconds_are_those_since_the_run_started(self, start: Start) -> None:
        assert 60 <= start(started=datetime.now(UTC) - timedelta(minutes=1)).seconds < 70
        assert start(started=None).seconds == 0

    def test_what_goes_wrong_reaches_the_report_until_it_is_mended(self, start: Start) -> None:
        with pytest.raises(NotAllowed), start(task_id="discover", map_index=1).telling_problems():
            raise NotAllowed("Tableau answered 403.")
        assert start(task_id="report").problems() == ["discover-1: Tableau answered 403."]
        with start(task_id="discover", map_index=1, try_number=2).telling_problems():
            pass
        assert start(task_id="report").problems() == []

    def test_of_an_error_that_is_not_ours_only_the_kind_is_told_for_its_text_may_hold_anything(
        self, start: Start
    ) -> None:
        with pytest.raises(KeyError), start(task_id="discover").telling_problems():
            raise KeyError(TOKEN)
        assert start(task_id="report").problems() == ["discover: KeyError"]

    def test_what_all_tasks_asked_of_tableau_is_added_up_over_their_tries(
        self, start: Start, define: Define, waits: list[float]
    ) -> None:
        define("tableau_default", TABLEAU, host="127.0.0.1:1", schema="http")

        def ask(times: int, **instance: Any) -> None:
            task = start(task_id="validate_one", **instance)
            for _ in range(times):
                with suppress(NotAllowed), task.tableau("tableau_default", in_flight=1, sharers=1) as hook:
                    hook.traffic.count(requests=3, throttled=1)
                    raise NotAllowed("However it ends.")

        ask(1, map_index=0)
        ask(1, map_index=0, try_number=2)
        ask(2, map_index=1)
        assert start(task_id="report").traffic().counts() == {"requests": 12, "sign_ins": 0, "throttled": 4}

    def test_a_file_that_an_earlier_version_left_is_counted(self, start: Start) -> None:
        start().folder.write("work/traffic/discover-1.json", {"requests": 12, "sign_ins": 1, "throttled": 2})
        assert start(task_id="report").traffic().counts() == {"requests": 12, "sign_ins": 1, "throttled": 2}

    @pytest.mark.parametrize(
        "odd",
        [
            ["no object"],
            {"requests": "many"},
            {"requests": 1, "by_second": {"noon": [1, 0]}},
            {"requests": 1, "by_second": {"1000": 3}},
            {"requests": 1, "slowest": [{"what": "read", "seconds": "long"}]},
            {"requests": 1, "slowest": {"what": "read"}},
        ],
    )
    def test_a_file_that_is_not_understood_is_left_out_and_every_other_is_counted(
        self, start: Start, caplog: pytest.LogCaptureFixture, odd: Any
    ) -> None:
        folder = start().folder
        folder.write("work/traffic/discover-1.json", odd)
        folder.write("work/traffic/validate_one-1.json", {"requests": 12, "sign_ins": 1, "throttled": 2})
        found = start(task_id="report").traffic()
        assert found.counts() == {"requests": 12, "sign_ins": 1, "throttled": 2}
        assert (found.by_second, found.slowest) == ({}, [])
        assert "work/traffic/discover-1.json" in caplog.text

    def test_the_report_says_what_was_asked_beyond_the_defaults(self, start: Start) -> None:
        assert start().changed_params == {}
        assert start({"dry_run": True, "projects": ["Sales"], "proof": "saved"}).changed_params == {
            "dry_run": True,
            "projects": ["Sales"],
        }

    def test_of_a_run_that_the_renewal_started_it_says_whose_tokens_were_renewed(self, start: Start) -> None:
        task = start(events={"snowflake_pat": [_Event({"snowflake_conn_ids": ["etl"]})]})
        assert task.changed_params == {"snowflake_conn_ids": ["etl"]}

    def test_a_run_is_not_about_what_others_name_beyond_the_environment(
        self, start: Start, define: Define, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CREDENTIAL_ROTATION_SNOWFLAKE_CONN_IDS", "etl,bi")
        named = [_Event({"snowflake_conn_ids": ["bi", "aws_default"]}, None)]
        task = start(events={"snowflake_pat": named})
        assert task.params.snowflake_conn_ids == ["bi"]
        assert "'aws_default'" in str(task.named_by_events.problem)

    def test_a_run_of_which_nothing_is_left_does_not_do_the_usual_instead(self, start: Start, define: Define) -> None:
        task = start(events={"snowflake_pat": [_Event({"snowflake_conn_ids": ["aws_default"]}, "another_dag")]})
        with pytest.raises(UnusableParams, match="An asset event names 'aws_default'"):
            _ = task.params
        assert task.changed_params == {"snowflake_conn_ids": ["aws_default"]}

    def test_what_is_no_param_is_not_repeated_for_it_may_be_anything(self, start: Start) -> None:
        assert start({"password": TOKEN, "dry_run": True}).changed_params == {"dry_run": True}

    def test_a_task_that_made_way_for_a_proof_keeps_what_it_asked_before(
        self, start: Start, define: Define, waits: list[float]
    ) -> None:
        """It begins again as the same try."""
        define("tableau_default", TABLEAU, host="127.0.0.1:1", schema="http")
        for _ in range(3):
            task = start(task_id="validate_one", map_index=0, try_number=1)
            with suppress(AirflowRescheduleException), task.tableau("tableau_default", in_flight=1, sharers=1) as hook:
                hook.traffic.count(requests=2)
                raise AirflowRescheduleException(datetime.now(UTC))
        assert start(task_id="report").traffic().requests == 6

    def test_a_problem_that_can_not_be_left_for_the_report_is_still_the_one_that_is_raised(
        self, start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "a file").touch()
        monkeypatch.setenv("CREDENTIAL_ROTATION_REPORTS", str(tmp_path / "a file" / "reports"))
        task = start(task_id="check_params")
        with pytest.raises(UnusableParams, match="Reports can't be written to"), task.telling_problems():
            task.check_folder()

    def test_a_key_that_can_not_be_had_reaches_the_report_in_words(self, start: Start, supervisor: Supervisor) -> None:
        supervisor.fails = (PutVariable,)
        task = start(task_id="filter_connections")
        with pytest.raises(NoFingerprints), task.telling_problems():
            _ = task.fingerprints
        [told] = start(task_id="report").problems()
        assert "can't be written (API_SERVER_ERROR)" in told

    def test_fingerprints_are_those_of_this_airflow(self, start: Start, supervisor: Supervisor) -> None:
        assert start().fingerprints == start().fingerprints

    def test_a_roll_back_embeds_the_secret_before(self, start: Start, define: Define, supervisor: Supervisor) -> None:
        define("snowflake_pat", SNOWFLAKE, extra={"account": "acme-prod", "previous_password": "the-one-before"})
        assert start().credential("snowflake_pat").secrets == [TOKEN, "the-one-before"]
        turned = start({"roll_back": True}).credential("snowflake_pat")
        assert (turned.token, turned.previous) == ("the-one-before", TOKEN)

    def test_a_roll_back_without_a_secret_to_put_back_is_refused(
        self, start: Start, define: Define, supervisor: Supervisor
    ) -> None:
        with pytest.raises(UnusableCredential, match="previous_password") as raised:
            start({"roll_back": True}).credential("snowflake_pat")
        assert TOKEN not in str(raised.value)
        with pytest.raises(UnusableParams, match="previous_password"):
            check_connections(rotation_params(roll_back=True), MemoryTokenStore())

    @pytest.mark.parametrize(("sharers", "per_minute"), [(1, 60.0), (8, 7.5)])
    def test_parallel_tasks_share_the_quota(
        self, start: Start, define: Define, monkeypatch: pytest.MonkeyPatch, sharers: int, per_minute: float
    ) -> None:
        quotas: list[float | None] = []

        class Noting(TableauHook):
            def __init__(self, *arguments: Any, requests_per_minute: float | None = None, **options: Any) -> None:
                quotas.append(requests_per_minute)
                super().__init__(*arguments, requests_per_minute=requests_per_minute, **options)

        monkeypatch.setattr(task_context, "TableauHook", Noting)
        with start({"max_requests_per_minute": 60}).tableau("tableau_default", in_flight=1, sharers=sharers):
            pass
        assert quotas == [per_minute]
