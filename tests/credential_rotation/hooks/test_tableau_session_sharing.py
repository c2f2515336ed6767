"""One session for many threads, processes and hosts, though the same Tableau PAT ends it with each sign-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from credential_rotation.hooks.tableau import TableauHook
from credential_rotation.tableau import refusals, session_sharing
from credential_rotation.tableau.errors import SignInRefused, Unreachable
from credential_rotation.tableau.session import TableauSession
from credential_rotation.tableau.session_sharing import host_lock_file
from sandbox.tableau import (
    TABLEAU_PAT_SECRET,
    Fault,
    Pass,
    ResetBefore,
    SessionLost,
    TableauCode,
    TableauServer,
    TableauState,
)
from tests.credential_rotation.hooks.connecting import Connect, airflow_connection
from tests.credential_rotation.hooks.session_stores import MemoryStore

REPOSITORY = Path(__file__).resolve().parents[3]
# Twice while they work, the session is ended under everybody's hands.
KILLED_TWICE: list[Fault] = [*[Pass()] * 20, SessionLost(), *[Pass()] * 40, SessionLost()]


def works(hook: TableauHook) -> bool:
    return hook.call("GET", "flows") is not None


def test_many_threads_share_a_session_that_is_killed_twice(
    connect: Connect, server: TableauServer, state: TableauState
) -> None:
    server.faults.script("list_flows", KILLED_TWICE)
    hook = connect("pat")
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda _: works(hook), range(200)))
    assert server.faults.left() == 0
    # Three, or two where the second kill met a request that still carried the session of before the first.
    assert state.sessions.started in (2, 3)
    assert hook.traffic.sign_ins == state.sessions.started


def test_many_processes_share_a_session_that_is_killed_twice(
    server: TableauServer, state: TableauState, tmp_path: Path
) -> None:
    server.faults.script("list_flows", KILLED_TWICE)
    environment = {
        **os.environ,
        "AIRFLOW_CONN_TABLEAU_DEFAULT": json.dumps(airflow_connection(server.url, "pat")),
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "plugins"), str(REPOSITORY)]),
    }
    script = ["-m", "tests.credential_rotation.hooks.sharing_processes"]
    finished = subprocess.run(  # noqa: S603
        [sys.executable, *script, str(tmp_path / "session"), "4", "4", "40"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[-1] == "40 40 40 40"
    assert server.faults.left() == 0
    assert state.sessions.started in (2, 3)


def test_hosts_that_can_not_lock_each_other_out_come_to_terms(
    connect: Connect, server: TableauServer, state: TableauState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_sharing, "_HOST_JITTER_SECONDS", 0.4)
    monkeypatch.setattr("credential_rotation.hooks.tableau.host_lock_file", lambda *_: None)
    hosts = [connect("pat") for _ in range(3)]
    server.faults.script("list_flows", KILLED_TWICE)
    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(lambda number: works(hosts[number % 3]), range(120)))
    assert server.faults.left() == 0
    assert 2 <= state.sessions.started <= 12


def test_a_second_hook_takes_the_session_that_is_there(
    connect: Connect, server: TableauServer, state: TableauState
) -> None:
    for _ in range(3):
        assert works(connect("pat"))
    assert state.sessions.started == 1
    assert server.requests.counts() == {"server_info": 1, "sign_in": 1, "list_flows": 3}


def test_who_finds_the_session_ended_takes_the_one_that_another_signed_in_to(
    connect: Connect, state: TableauState
) -> None:
    first, second = connect("pat"), connect("pat")
    assert works(first)
    assert works(second)
    state.sessions.end_all()
    assert works(first)
    assert works(second)
    assert state.sessions.started == 2
    assert second.traffic.sign_ins == 0


def test_a_sign_in_that_failed_is_not_stored_and_is_tried_anew(
    connect: Connect, server: TableauServer, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = connect("pat")
    server.faults.script("sign_in", [*[ResetBefore()] * 4, TableauCode("401001")])
    with pytest.raises(Unreachable):
        works(hook)
    with pytest.raises(SignInRefused):
        works(hook)
    assert store.written == []
    monkeypatch.setattr(refusals, "_REMEMBERED_SECONDS", 0.0)
    assert works(hook)


def test_a_refused_sign_in_is_not_tried_again_by_another_process_at_once(
    connect: Connect, server: TableauServer
) -> None:
    server.faults.script("sign_in", TableauCode("401001"))
    with pytest.raises(SignInRefused):
        works(connect("pat"))
    with pytest.raises(SignInRefused, match=r"401001.*tried again after 60 s"):
        works(connect("pat"))  # a hook of its own, as in another process: it knows only the file
    assert server.requests.count("sign_in") == 1


def test_a_refusal_is_one_of_that_secret(connect: Connect, server: TableauServer) -> None:
    with pytest.raises(SignInRefused):
        works(connect("pat", password="wrong"))
    assert works(connect("pat"))


def test_parallel_threads_that_are_refused_are_all_told_so(connect: Connect, server: TableauServer) -> None:
    hook = connect("pat", password="wrong")

    def refused(_: int) -> bool:
        with pytest.raises(SignInRefused):
            works(hook)
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(refused, range(4)))


# What is stored


def test_what_is_stored_is_sealed(connect: Connect, state: TableauState, store: MemoryStore) -> None:
    assert works(connect("pat"))
    (token,) = state.sessions.tokens()
    (text,) = store.written
    for secret in (token, *token.split("|"), TABLEAU_PAT_SECRET, state.site.id):
        assert secret not in text


def test_the_same_session_is_stored_as_another_text_each_time(
    connect: Connect, state: TableauState, store: MemoryStore
) -> None:
    works(connect("pat"))
    state.sessions.end_all()
    works(connect("pat"))
    assert len({text.partition(".")[0] for text in store.written}) == 2


def test_a_changed_secret_makes_the_stored_session_void(
    connect: Connect, state: TableauState, store: MemoryStore
) -> None:
    assert works(connect("pat"))
    state.pats[0].secret = "a-new-tableau-pat-secret"
    assert works(connect("pat", password="a-new-tableau-pat-secret"))
    assert state.sessions.started == 2


@pytest.mark.parametrize("change", [{"site": "other"}, {"login": "someone.else"}])
def test_a_session_of_another_site_or_user_is_not_taken(
    connect: Connect, state: TableauState, change: dict[str, str]
) -> None:
    state.add_site("other")
    state.add_sign_in(state.site, "someone.else", "tableau-password")
    assert works(connect())
    assert works(connect(**change))
    assert state.sessions.started == 2


@pytest.mark.parametrize(
    "broken",
    ["", ".", "nonsense", "bm9uc2Vuc2U=.bm9uc2Vuc2U=", "....", "ä.ö", "null", "\0", "{}", "AAAA" * 6 + ".gAAAAA"],
)
def test_a_store_that_holds_nonsense_is_as_good_as_empty(
    connect: Connect, state: TableauState, store: MemoryStore, broken: str
) -> None:
    store.text = broken
    assert works(connect("pat"))
    assert works(connect("pat"))
    assert state.sessions.started == 1


def test_a_sealed_text_that_was_cut_or_changed_is_as_good_as_none(
    connect: Connect, state: TableauState, store: MemoryStore
) -> None:
    works(connect("pat"))
    text = store.written[0]
    for broken in (text[:-10], text[10:], text.replace(".", ""), text[:-2] + "AA", text + text):
        store.text = broken
        assert works(connect("pat"))
    assert state.sessions.started == 6


# Signing out


def test_a_run_ends_its_own_session_and_forgets_it(
    connect: Connect, server: TableauServer, state: TableauState, store: MemoryStore
) -> None:
    works(connect("pat", run="this run"))
    assert connect("pat", run="this run").sign_out()
    assert len(state.sessions) == 0
    assert store.text is None
    assert server.requests.count("sign_out", status=204) == 1


@pytest.mark.parametrize("run", ["another run", ""])
def test_somebody_elses_session_is_left_alone(
    connect: Connect, server: TableauServer, state: TableauState, store: MemoryStore, run: str
) -> None:
    works(connect("pat", run="this run"))
    other = connect("pat", run=run)
    assert works(other)
    assert not other.sign_out()
    assert len(state.sessions) == 1
    assert store.text is not None
    assert server.requests.count("sign_out") == 0


def test_a_session_that_nobody_names_is_nobodys_to_end(connect: Connect, state: TableauState) -> None:
    hook = connect("pat")
    works(hook)
    assert not hook.sign_out()
    assert len(state.sessions) == 1


def test_a_session_that_another_run_renewed_is_that_runs(connect: Connect, state: TableauState) -> None:
    ours, theirs = connect("pat", run="ours"), connect("pat", run="theirs")
    works(ours)
    works(theirs)
    state.sessions.end_all()
    works(theirs)
    assert not ours.sign_out()
    assert works(ours)
    assert state.sessions.started == 2
    assert theirs.sign_out()


def test_signing_out_where_nothing_is_stored_asks_nothing(connect: Connect, server: TableauServer) -> None:
    assert not connect("pat", run="this run").sign_out()
    assert len(server.requests) == 0


def test_signing_out_of_a_session_that_is_over_is_no_error(
    connect: Connect, state: TableauState, store: MemoryStore
) -> None:
    hook = connect("pat", run="this run")
    works(hook)
    state.sessions.end_all()
    assert not hook.sign_out()
    assert store.text is None
    assert state.sessions.started == 1


def test_after_signing_out_a_hook_signs_in_again(connect: Connect, state: TableauState) -> None:
    hook = connect("pat", run="this run")
    works(hook)
    assert hook.sign_out()
    assert works(hook)
    assert state.sessions.started == 2


def test_signing_out_twice_ends_one_session(connect: Connect, server: TableauServer) -> None:
    hook = connect("pat", run="this run")
    works(hook)
    assert [hook.sign_out(), hook.sign_out()] == [True, False]
    assert server.requests.count("sign_out") == 1


def test_a_session_that_took_the_place_of_a_forgotten_one_stays(
    connect: Connect, state: TableauState, store: MemoryStore
) -> None:
    hook = connect("pat", run="this run")
    before = hook._sharing.current()
    state.sessions.end_all()
    works(connect("pat", run="another run"))
    hook._sharing.forget(before)
    assert store.text == store.written[-1]
    assert works(hook)
    assert state.sessions.started == 2


# The lock


def test_a_lock_has_a_file_of_its_own_that_tells_nothing(tmp_path: Path) -> None:
    one, other = (host_lock_file(tmp_path / "locks", name) for name in ("https://bi|pat|me", "https://bi|pat|you"))
    assert one is not None
    assert other is not None
    assert one != other
    assert "pat" not in one.name


def test_where_there_is_no_place_for_a_lock_it_works_without(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "a file"))
    assert works(connect("pat"))
    assert "can't wait for one another" in caplog.text


def test_a_lock_file_that_may_not_be_opened_is_gone_without(connect: Connect, tmp_path: Path) -> None:
    hook = connect("pat")
    lock = hook._sharing._lock_file
    assert lock is not None
    lock.mkdir()  # stands for a file of another user's: nobody can open it for writing
    assert works(hook)


def test_a_session_does_not_show_its_token_when_printed() -> None:
    assert "the-token" not in repr(TableauSession("the-token", "s", "u", "3.26", "a run"))
