"""Whole runs in which Tableau does or does not connect with the new token: what is touched, put back, and said.

The truth about a secret lives in the sandbox's Snowflake accounts; Tableau and Airflow both ask there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sandbox import stage
from sandbox.snowflake import SnowflakeServer, make_key_pair, snowflake_behind
from sandbox.tableau import (
    Content,
    JobOutcome,
    SandboxCredential,
    ServerError,
    SessionLost,
    TableauServer,
    TableauState,
)
from tests.dags.rotations import Rotations, holds_today
from tests.dags.small_tableau import BI, ETL, MARKETING, canary_of, embedding, small_tableau

USERS = (ETL, BI, MARKETING)
Serve = Callable[[TableauState], TableauServer]


def refuse_new_token(state: TableauState, *credentials: SandboxCredential) -> None:
    """Snowflake has never heard of what the Airflow connections hold."""
    for credential in credentials:
        state.accounts.accounts[credential.account].user(credential.login).secrets.discard(credential.new_secret)


def touched(state: TableauState) -> dict[str, int]:
    """How often each connection was written to, those apart that never were."""
    return {
        f"{content.name}": len(connection.writes)
        for content in state.site.contents
        for connection in content.connections
        if connection.writes
    }


def embedded(state: TableauState, credential: SandboxCredential) -> set[str]:
    """The secrets that the targets of a credential embed."""
    targets = state.site.expected_targets(credential.name)
    return {state.site.connection(target.connection_id).password for target in targets}


def without_previous(connections: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Airflow connections that do not know the secret before this one."""
    for values in connections.values():
        extra = values["extra"]
        assert isinstance(extra, dict)
        extra.pop("previous_password", None)
    return connections


def test_a_token_that_does_not_connect_touches_one_connection_of_each_credential_and_is_put_back(
    rotate: Rotations, tableau: TableauServer
) -> None:
    state = tableau.state
    refuse_new_token(state, *USERS)
    run = rotate(tableau)
    assert (run.state, run.report["state"]) == ("failed", "failed")
    assert touched(state) == {canary_of(state.site, credential).name: 2 for credential in USERS}
    for credential in USERS:
        assert embedded(state, credential) == {credential.secret}
        canary = next(
            row for row in run.rows("rolled_back") if row["snowflake_conn_id"] == f"snowflake_{credential.name}"
        )
        assert canary["canary"]
        assert canary["proof"] == "query"
        assert "Programmatic access token is invalid" in canary["reason"]
        assert "put back and connects" in canary["reason"]
    assert run.report["summary"]["rolled_back"] == 3
    assert run.report["summary"]["not_attempted"] == 6
    assert run.states("validate_one") == ["failed"] * 3


def test_where_the_secret_before_is_not_known_the_report_shouts(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL))
    refuse_new_token(tableau.state, ETL)
    connections = without_previous(stage.airflow_connections(tableau.port, tableau.state.site))
    run = rotate(tableau, connections)
    canary = canary_of(tableau.state.site, ETL)
    assert run.state == "failed"
    [failed] = run.rows("failed")
    assert (
        f"{canary.project.name} › {canary.name}".upper() + " NOW HOLDS A TOKEN THAT DID NOT CONNECT" in failed["reason"]
    )
    assert "previous_password" in failed["reason"]
    assert touched(tableau.state) == {canary.name: 1}


def test_with_one_bad_credential_of_three_the_other_two_are_rotated_fully(
    rotate: Rotations, tableau: TableauServer
) -> None:
    refuse_new_token(tableau.state, BI)
    run = rotate(tableau, connections_per_task=2)
    assert run.state == "failed"
    assert set(holds_today(tableau, ETL, MARKETING).values()) == {True}
    assert embedded(tableau.state, BI) == {BI.secret}
    assert touched(tableau.state)[canary_of(tableau.state.site, BI).name] == 2
    assert len(run.rows("updated")) == 6
    assert len(run.rows("rolled_back")) == 1


@pytest.fixture
def snowflake(tableau: TableauServer) -> Iterator[SnowflakeServer]:
    """A Snowflake that Tableau and Airflow sign in to, from different addresses."""
    with SnowflakeServer(snowflake_behind(tableau.state, make_key_pair(), with_next=True)) as server:
        yield server


def checking(snowflake: SnowflakeServer) -> dict[str, str]:
    """The settings with which a run signs in to Snowflake itself."""
    return snowflake.environment | {"CREDENTIAL_ROTATION_SNOWFLAKE_CHECK": "on"}


def reaching(tableau: TableauServer, snowflake: SnowflakeServer) -> dict[str, dict[str, object]]:
    """Airflow connections that say where Snowflake is."""
    connections = stage.airflow_connections(tableau.port, tableau.state.site)
    for values in connections.values():
        extra = values["extra"]
        assert isinstance(extra, dict)
        if "account" in extra:
            extra |= {"host": "127.0.0.1", "port": snowflake.port}
    return connections


def test_each_credential_signs_in_to_snowflake_before_anything_is_written(
    rotate: Rotations, tableau: TableauServer, snowflake: SnowflakeServer
) -> None:
    run = rotate(tableau, reaching(tableau, snowflake), environment=checking(snowflake))
    assert run.state == "success"
    assert set(holds_today(tableau).values()) == {True}
    mine = [event for event in snowflake.state.accounts["acme-prod"].logins if event.client == "airflow"]
    assert sorted(event.user_name for event in mine) == sorted(credential.login for credential in USERS)
    assert {event.is_success for event in mine} == {True}


def test_a_token_that_snowflake_refuses_costs_nothing(
    rotate: Rotations, tableau: TableauServer, snowflake: SnowflakeServer
) -> None:
    account = snowflake.state.accounts["acme-prod"]
    token = next(token for token in account.user(BI.login).tokens if token.secret == BI.new_secret)
    account.user(BI.login).tokens.remove(token)
    run = rotate(tableau, reaching(tableau, snowflake), environment=checking(snowflake))
    assert run.state == "failed"
    assert set(holds_today(tableau, ETL, MARKETING).values()) == {True}
    assert [name for name in touched(tableau.state) if name.startswith("bi")] == []
    of_bi = [row for row in run.rows() if row["snowflake_conn_id"] == "snowflake_bi"]
    assert {row["outcome"] for row in of_bi} == {"not_attempted"}
    assert all("Programmatic access token is invalid" in row["reason"] for row in of_bi)
    refused = [event for event in account.logins if event.user_name == BI.login and not event.is_success]
    assert len(refused) == 1  # five lock a user


def test_a_network_policy_that_blocks_tableau_alone_is_found_by_the_canary(
    rotate: Rotations, tableau: TableauServer, snowflake: SnowflakeServer
) -> None:
    account = snowflake.state.accounts["acme-prod"]
    account.add_network_policy("AIRFLOW_ONLY", [snowflake.state.client_addresses["airflow"]])
    account.user(ETL.login).network_policy = "AIRFLOW_ONLY"
    run = rotate(tableau, reaching(tableau, snowflake), environment=checking(snowflake))
    assert run.state == "failed"
    assert set(holds_today(tableau, BI, MARKETING).values()) == {True}
    assert embedded(tableau.state, ETL) == {ETL.secret}
    assert {name: writes for name, writes in touched(tableau.state).items() if name.startswith("etl")} == {
        canary_of(tableau.state.site, ETL).name: 2
    }
    [failed] = [row for row in run.rows("failed") if row["snowflake_conn_id"] == "snowflake_etl"]
    assert "not allowed to access Snowflake" in failed["reason"]
    # The old secret is blocked as well: that is said, and not passed off as a success.
    assert "DOES NOT CONNECT EITHER" in failed["reason"]


KINDS = ["extract data source", "live data source", "extract workbook", "live workbook", "flow", "virtual connection"]
PROOFS = dict(
    zip(KINDS, ["refresh_job", "query", "refresh_job", "view_data", "snowflake_login", "snowflake_login"], strict=True)
)


def of_kind(state: TableauState, kind: str) -> Content:
    site = state.site
    connections = [embedding(ETL)]
    make = {
        "extract data source": lambda: site.add_datasource(kind, connections=connections, has_extracts=True),
        "live data source": lambda: site.add_datasource(kind, connections=connections),
        "extract workbook": lambda: site.add_workbook(kind, connections=connections, has_extracts=True),
        "live workbook": lambda: site.add_workbook(kind, connections=connections),
        "flow": lambda: site.add_flow(kind, connections=connections),
        "virtual connection": lambda: site.add_virtual_connection(kind, connections=connections),
    }
    return make[kind]()


def only(kind: str) -> tuple[TableauState, Content]:
    state = small_tableau()
    state.site.credentials["etl"] = ETL
    state.accounts.accounts["acme-prod"].add_user(ETL.login, [ETL.secret, ETL.new_secret])
    return state, of_kind(state, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_content_is_proved_by_its_own_means(rotate: Rotations, serve: Serve, kind: str) -> None:
    state, content = only(kind)
    tableau = serve(state)
    with SnowflakeServer(snowflake_behind(state, make_key_pair(), with_next=True)) as snowflake:
        run = rotate(tableau, reaching(tableau, snowflake), environment=checking(snowflake))
    assert run.state == "success"
    [row] = run.rows("updated")
    assert (row["content_id"], row["proof"], row["canary"]) == (content.id, PROOFS[kind], True)
    assert state.credentials_seen_in_queries == 0


@pytest.mark.parametrize("kind", KINDS[:4])
def test_each_kind_of_content_that_does_not_connect_is_put_back_and_proved(
    rotate: Rotations, serve: Serve, kind: str
) -> None:
    state, content = only(kind)
    refuse_new_token(state, ETL)
    run = rotate(serve(state))
    assert run.state == "failed"
    [row] = run.rows("rolled_back")
    assert (row["content_id"], row["proof"]) == (content.id, PROOFS[kind])
    assert "Programmatic access token is invalid" in row["reason"]
    assert content.connections[0].password == ETL.secret


@pytest.mark.parametrize("kind", KINDS[4:])
def test_what_can_not_be_proved_in_tableau_is_refused_by_snowflake_itself(
    rotate: Rotations, serve: Serve, kind: str
) -> None:
    state, content = only(kind)
    tableau = serve(state)
    with SnowflakeServer(snowflake_behind(state, make_key_pair())) as snowflake:  # without the new token
        run = rotate(tableau, reaching(tableau, snowflake), environment=checking(snowflake))
    assert run.state == "failed"
    [row] = run.rows("not_attempted")
    assert "Programmatic access token is invalid" in row["reason"]
    assert touched(state) == {}
    assert content.connections[0].password == ETL.secret


def test_what_nothing_can_prove_is_not_touched(rotate: Rotations, serve: Serve) -> None:
    state, _ = only("flow")
    run = rotate(serve(state))
    assert run.state == "failed"
    [row] = run.rows("not_attempted")
    assert "CREDENTIAL_ROTATION_SNOWFLAKE_CHECK" in row["reason"]
    assert touched(state) == {}


@pytest.mark.parametrize("outcome", [JobOutcome.FAILS, JobOutcome.CANCELLED, JobOutcome.NEVER_ENDS])
def test_a_refresh_that_does_not_end_well_fails_the_canary(
    rotate: Rotations, serve: Serve, outcome: JobOutcome
) -> None:
    state, content = only("extract data source")
    content.job_outcome = outcome
    tableau = serve(state)
    run = rotate(tableau, environment={"CREDENTIAL_ROTATION_PROOF_MINUTES": "0.05"})
    assert run.state == "failed"
    [row] = run.rows("failed")
    words = {
        JobOutcome.FAILS: "java.lang.RuntimeException: the refresh failed.",
        JobOutcome.CANCELLED: "cancelled",
        JobOutcome.NEVER_ENDS: "did not end within 0.05 minutes",
    }
    assert words[outcome] in row["reason"]
    assert content.connections[0].password == ETL.secret  # put back, though that does not refresh either
    assert "DOES NOT CONNECT EITHER" in row["reason"]
    assert len([job for job in state.jobs.values() if job.completed_at is None]) == 0


def test_polls_that_meet_faults_do_not_submit_a_second_refresh(rotate: Rotations, serve: Serve) -> None:
    state, _ = only("extract data source")
    tableau = serve(state)
    tableau.faults.script("get_job", [ServerError(500)] * 5 + [SessionLost()])
    run = rotate(tableau)
    assert run.state == "success"
    assert tableau.faults.left() == 0
    assert tableau.requests.count("refresh") == 1
    assert run.rows("updated")[0]["proof"] == "refresh_job"
