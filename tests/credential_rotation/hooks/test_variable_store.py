"""The Airflow Variable that holds the session.

Airflow itself is not here: a stand-in for the supervisor holds Variables, and these tests look at what it is sent. That
a real Airflow takes it is seen by the tests that run the DAG.
"""

from __future__ import annotations

from airflow.sdk.execution_time.comms import PutVariable
from airflow.sdk.log import redact

from credential_rotation.hooks.variable_store import VariableStore
from sandbox.tableau import TableauState
from tests.credential_rotation.hooks.connecting import Connect
from tests.credential_rotation.supervising import Supervisor

KEY = "credential_rotation_session_token_tableau_default"


def test_there_is_nothing_at_first(supervisor: Supervisor) -> None:
    assert VariableStore("tableau_default").read() is None


def test_what_is_written_can_be_read_until_it_is_deleted(supervisor: Supervisor) -> None:
    store = VariableStore("tableau_default")
    store.write("sealed")
    assert supervisor.variables == {KEY: "sealed"}
    assert VariableStore("tableau_default").read() == "sealed"
    assert VariableStore("another").read() is None
    store.delete()
    assert supervisor.variables == {}
    assert store.read() is None


def test_a_person_who_finds_the_variable_is_told_what_it_is(supervisor: Supervisor) -> None:
    VariableStore("tableau_default").write("sealed")
    (put,) = [message for message in supervisor.sent if isinstance(message, PutVariable)]
    assert "Safe to delete" in (put.description or "")


def test_airflow_masks_the_value_by_the_name_of_the_variable(supervisor: Supervisor) -> None:
    VariableStore("tableau_default").write("sealed")
    assert redact({KEY: "anything"}) == {KEY: "***"}


def test_the_hook_keeps_its_session_there(connect: Connect, supervisor: Supervisor, state: TableauState) -> None:
    hooks = [connect("pat", store=VariableStore("tableau_default"), run="a run") for _ in range(2)]
    assert [hook.call("GET", "flows") is not None for hook in hooks] == [True, True]
    assert state.sessions.started == 1
    (token,) = state.sessions.tokens()
    assert token not in str(supervisor.variables)
    assert hooks[1].sign_out()
    assert supervisor.variables == {}
