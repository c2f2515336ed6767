"""Whole runs of the renewal, and the rotation in Tableau that follows."""

from __future__ import annotations

import json

from airflow._shared.secrets_masker import redact

from sandbox import stage
from tests.dags.renewal_stage import RENEWAL, USERS, Stage, in_variables, said
from tests.dags.small_tableau import ETL


def test_a_dry_run_says_what_is_due_and_rotates_nothing(staged: Stage) -> None:
    run = staged.renew(dry_run=True)
    assert run.state == "success"
    assert [user["outcome"] for user in run.report["users"]] == ["planned", "planned"]
    assert [user["decision"] for user in run.report["users"]] == ["due", "due"]
    assert staged.snowflake.requests.count("rotate_token") == 0


def test_what_expires_soon_is_renewed_and_tried(staged: Stage) -> None:
    run = staged.renew()
    assert run.state == "success"
    assert [user["outcome"] for user in run.report["users"]] == ["renewed", "renewed"]
    assert staged.snowflake.requests.count("rotate_token") == 2
    for credential in USERS:
        assert staged.in_force(credential.login).secret != credential.secret
    assert run.states("publish") == ["success"]


@in_variables
def test_whoever_follows_is_told_which_tokens_are_new_and_no_secret(staged: Stage) -> None:
    run = staged.renew()
    [event] = staged.airflow.events(run)
    users = {user["snowflake_conn_id"]: user for user in run.report["users"]}
    assert event == {
        "asset": "snowflake_pat",
        "snowflake_conn_ids": list(users),
        "renewed": [
            {
                "snowflake_conn_id": conn_id,
                "user": credential.login,
                "pat_name": staged.in_force(credential.login).name,
                "expires_at": users[conn_id]["expires_at"],
            }
            for conn_id, credential in zip(users, USERS, strict=True)
        ],
    }
    # As Airflow's API and UI show it.
    assert redact(event) == event
    assert not [name for name, secret in staged.rotate.secrets.items() if secret in json.dumps(event)]


def test_the_rotation_that_follows_embeds_the_renewed_tokens(staged: Stage) -> None:
    staged.renew()
    run = staged.rotate(staged.tableau, staged.connections(), environment=staged.environment, connections_per_task=5)
    assert run.state == "success"
    site = staged.tableau.state.site
    for credential in USERS:
        held = {site.connection(target.connection_id).password for target in site.expected_targets(credential.name)}
        assert held == {staged.in_force(credential.login).secret}


def test_what_is_renewed_is_not_due_any_more_and_nothing_is_published(staged: Stage) -> None:
    staged.renew()
    run = staged.renew()
    assert run.state == "success"
    assert staged.snowflake.requests.count("rotate_token") == 2
    assert {user["outcome"] for user in run.report["users"]} == {"nothing_to_do"}
    assert run.states("publish") == ["skipped"]


@in_variables
def test_a_token_that_no_rotation_has_brought_to_tableau_is_told_again_and_makes_the_run_red(staged: Stage) -> None:
    staged.renew()
    staged.snowflake.state.advance(hours=3)  # and the rotation was paused, say
    staged.rotate(
        staged.tableau,
        staged.connections(),
        environment=staged.environment,
        connections_per_task=5,
        snowflake_conn_ids=["snowflake_etl"],
    )
    run = staged.renew()
    assert (run.state, run.states("publish")) == ("failed", ["success"])
    assert "The token of 'snowflake_bi'" in run.told
    assert "is not everywhere in Tableau yet" in run.told
    assert "snowflake_etl" not in run.told
    [note] = run.report["notes"]
    assert "snowflake_bi: " in note
    assert "connections may still hold the token that ends at" in note or "Connections in Tableau" in note


@in_variables
def test_a_narrowed_rotation_has_not_brought_the_token_everywhere(staged: Stage) -> None:
    staged.renew()
    staged.snowflake.state.advance(hours=3)
    connections, environment = staged.connections(), staged.environment
    for params in ({"content_types": ["datasource"]}, {"projects": ["Default"]}):
        run = staged.rotate(
            staged.tableau, connections, environment=environment, connections_per_task=5, force=True, **params
        )
        assert run.state == "success"
    assert "snowflake_etl" in staged.renew().told


@in_variables
def test_after_a_roll_back_the_renewed_token_is_told_again(staged: Stage) -> None:
    staged.renew()
    connections, environment = staged.connections(), staged.environment
    staged.rotate(staged.tableau, connections, environment=environment, connections_per_task=5)
    back = staged.rotate(staged.tableau, connections, environment=environment, connections_per_task=5, roll_back=True)
    assert back.state == "success"
    staged.snowflake.state.advance(hours=3)
    run = staged.renew()
    assert (run.state, run.states("publish")) == ("failed", ["success"])


@in_variables
def test_two_connections_for_one_token_are_one_clear_error(staged: Stage) -> None:
    connections = staged.connections()
    connections["snowflake_etl_too"] = connections["snowflake_etl"]
    conf = {"snowflake_conn_ids": ["snowflake_etl", "snowflake_etl_too"]}
    run = staged.airflow.run(conf, connections, environment=staged.environment, dag=RENEWAL)
    assert run.state == "failed"
    assert "are the same token of the Snowflake user ETL_USER" in said(run)
    assert staged.snowflake.requests.count("login") == 0


@in_variables
def test_a_token_that_lives_no_longer_than_it_is_renewed_before_is_a_problem(staged: Stage) -> None:
    run = staged.renew(renew_before_days=90)
    assert run.state == "failed"
    assert "is due already" in run.told


@in_variables
def test_fifteen_tokens_are_a_problem_until_the_rotated_ones_that_nothing_embeds_may_be_removed(staged: Stage) -> None:
    state, login = staged.snowflake.state, ETL.login
    user = state.accounts["acme-prod"].user(login)
    staged.renew(snowflake_conn_ids=["snowflake_etl"])
    staged.rotate(staged.tableau, staged.connections(), environment=staged.environment, connections_per_task=5)
    for number in range(13):
        old = state.add_token(user, f"TABLEAU_ROTATED_17442390490{number:02}", role="TABLEAU_READER", days_to_expiry=30)
        old.rotated_to = "TABLEAU"
    assert len(user.tokens) == 15
    full = staged.renew(snowflake_conn_ids=["snowflake_etl"], force=True)
    assert full.state == "failed"
    assert [each["decision"] for each in full.report["users"]] == ["no_free_slot"]
    run = staged.renew(snowflake_conn_ids=["snowflake_etl"], force=True, remove_rotated=True)
    assert run.state == "success"
    assert [each["outcome"] for each in run.report["users"]] == ["renewed"]
    assert len(user.tokens) == 2  # the one in force, and the one before it


@in_variables
def test_rotated_tokens_stay_where_it_is_not_known_what_tableau_embeds(staged: Stage) -> None:
    staged.renew(snowflake_conn_ids=["snowflake_etl"])
    staged.renew(snowflake_conn_ids=["snowflake_etl"], force=True, remove_rotated=True)
    assert staged.snowflake.requests.count("remove_token") == 0


@in_variables
def test_an_account_of_another_administrator_is_one_clear_error(staged: Stage) -> None:
    connections = staged.connections()
    extra = connections["snowflake_admin"]["extra"]
    assert isinstance(extra, dict)
    extra["account"] = "acme-emea"
    run = staged.airflow.run(stage.conf(USERS), connections, environment=staged.environment, dag=RENEWAL)
    assert run.state == "failed"
    assert "is for another Snowflake account than 'snowflake_admin'" in said(run)
    assert staged.snowflake.requests.count("login") == 0


@in_variables
def test_a_snowflake_that_refuses_the_administrator_is_told_in_its_own_words(staged: Stage) -> None:
    staged.snowflake.state.accounts["acme-prod"].user("TOKEN_ROTATION").disabled = True
    run = staged.renew()
    assert run.state == "failed"
    assert all("disabled" in user["reason"] for user in run.report["users"])
    assert staged.snowflake.requests.count("rotate_token") == 0


@in_variables
def test_an_administrator_in_trouble_does_not_keep_other_accounts_from_their_renewal(staged: Stage) -> None:
    connections = staged.connections()
    other = dict(connections["snowflake_admin"])
    extra = connections["snowflake_bi"]["extra"]
    assert isinstance(extra, dict)
    extra["admin_conn_id"] = "snowflake_admin_too"
    connections["snowflake_admin_too"] = other | {"login": "NOBODY"}
    run = staged.airflow.run(stage.conf(USERS), connections, environment=staged.environment, dag=RENEWAL)
    assert run.state == "failed"
    outcomes = {user["snowflake_conn_id"]: user["outcome"] for user in run.report["users"]}
    assert outcomes == {"snowflake_etl": "renewed", "snowflake_bi": "failed"}
    assert run.states("publish") == ["success"]
