"""What both DAGs do and say when something goes wrong between Snowflake, Airflow and other people."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import stage
from sandbox.snowflake import AnotherRotator, RefusalAfter, make_key_pair, rotate_token
from sandbox.tableau import ServerError
from tests.dags.renewal_stage import RENEWAL, USERS, Stage, in_variables, said
from tests.dags.small_tableau import ETL


class TestTableauIsNeverDarkInSilence:
    """Seen from outside: both DAGs were green, or red with the wrong words, and then every connection went dark."""

    pytestmark = in_variables

    @staticmethod
    def _another(when: str, **changes: Any) -> AnotherRotator:
        return AnotherRotator("acme-prod", ETL.login, "TABLEAU", when=when, **changes)

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_somebody_else_rotates_in_the_same_moment(self, staged: Stage, when: str) -> None:
        staged.snowflake.faults.script("rotate_token", self._another(when))
        run = staged.renew(snowflake_conn_ids=["snowflake_etl"])
        assert run.state == ("failed" if when == "after" else "success")
        assert ("Somebody else rotates the token TABLEAU of ETL_USER" in said(run)) is (when == "after")
        assert run.states("publish") == ["success"]
        assert staged.rotate_in_tableau(snowflake_conn_ids=["snowflake_etl"]).state == "success"
        staged.snowflake.state.advance(hours=73)
        assert not [name for name in staged.dark if "etl" in name.lower()]

    def test_a_rotation_by_hand_before_the_first_renewal_is_red_at_the_next_look(self, staged: Stage) -> None:
        assert staged.renew(renew_before_days=1).state == "success"
        staged.snowflake.state.advance(hours=1)
        user = staged.snowflake.state.accounts["acme-prod"].user(ETL.login)
        former = rotate_token(staged.snowflake.state, user, staged.in_force(ETL.login), 24).name
        run = staged.renew(renew_before_days=1)
        assert run.state == "failed"
        assert former in said(run)
        assert staged.rotate_in_tableau().state == "success"
        staged.snowflake.state.advance(hours=25)
        assert staged.dark == []
        assert staged.renew(renew_before_days=1).state == "success"

    def test_what_tableau_embeds_is_refused_though_nothing_is_due(self, staged: Stage) -> None:
        assert staged.renew(renew_before_days=1).state == "success"
        staged.snowflake.state.accounts["acme-prod"].user(ETL.login).roles.clear()
        run = staged.renew(renew_before_days=1)
        assert run.state == "failed"
        [etl, bi] = run.report["users"]
        assert (etl["outcome"], etl["decision"], bi["outcome"]) == ("failed", "refused", "nothing_to_do")
        assert "It last signed in at" in etl["reason"]

    def test_where_airflow_alone_is_refused_nothing_is_rotated(self, staged: Stage) -> None:
        state = staged.snowflake.state
        account = state.accounts["acme-prod"]
        account.add_network_policy("TABLEAU_ALONE", [state.client_addresses["tableau"]])
        account.user(ETL.login).network_policy = "TABLEAU_ALONE"
        run = staged.renew(snowflake_conn_ids=["snowflake_etl"])
        assert run.state == "failed"
        assert "Tableau need not be affected yet" in said(run)
        assert staged.snowflake.requests.count("rotate_token") == 0

    def test_an_error_that_hides_a_rotation_is_seen_through_in_the_same_run(self, staged: Stage) -> None:
        staged.snowflake.faults.script("rotate_token", RefusalAfter("000603", "SQL execution internal error"))
        run = staged.renew(snowflake_conn_ids=["snowflake_etl"])
        assert run.state == "success"
        assert staged.snowflake.requests.count("rotate_token") == 2
        assert staged.rotate_in_tableau().state == "success"

    def test_a_secret_that_is_lost_twice_is_red_and_says_until_when(self, staged: Stage) -> None:
        lost = RefusalAfter("000603", "SQL execution internal error")
        staged.snowflake.faults.script("rotate_token", [lost] * 2)
        run = staged.renew(snowflake_conn_ids=["snowflake_etl"])
        assert run.state == "failed"
        [user] = run.report["users"]
        assert user["days_left"] <= 3.0
        ends_at = min(token.expires_at for token in self._formers(staged))
        assert f"{ends_at:%Y-%m-%d %H:%M} UTC" in " ".join(run.report["notes"])
        assert staged.renew(snowflake_conn_ids=["snowflake_etl"]).state == "success"

    @staticmethod
    def _formers(staged: Stage) -> list[Any]:
        return [token for token in staged.tokens(ETL.login) if token.rotated_to]

    def test_a_connection_that_can_not_be_used_fails_alone(self, staged: Stage) -> None:
        connections = staged.connections()
        connections["snowflake_bi"]["password"] = ""
        conf = {"snowflake_conn_ids": ["snowflake_bi", "snowflake_etl", "snowflake_gone"]}
        run = staged.airflow.run(conf, connections, environment=staged.environment, dag=RENEWAL)
        assert run.state == "failed"
        outcomes = {user["snowflake_conn_id"]: user["outcome"] for user in run.report["users"]}
        assert outcomes == {"snowflake_bi": "failed", "snowflake_etl": "renewed", "snowflake_gone": "failed"}
        assert run.states("publish") == ["success"]

    def test_a_password_that_was_taken_out_after_a_renewal_is_no_fault_for_either_dag(self, staged: Stage) -> None:
        staged.renew()
        connections = staged.connections()
        for conn_id in ("snowflake_etl", "snowflake_bi"):
            del connections[conn_id]["password"]
        run = staged.airflow.run(stage.conf(USERS), connections, environment=staged.environment, dag=RENEWAL)
        assert run.state == "success"
        rotated = staged.rotate(staged.tableau, connections, environment=staged.environment, connections_per_task=5)
        assert rotated.state == "success"
        assert staged.dark == []

    def test_without_a_fernet_key_nothing_is_rotated(self, staged: Stage) -> None:
        environment = staged.environment | {"AIRFLOW__CORE__FERNET_KEY": ""}
        run = staged.airflow.run(stage.conf(USERS), staged.connections(), environment=environment, dag=RENEWAL)
        assert run.state == "failed"
        assert "This Airflow has no Fernet key" in said(run)
        assert staged.snowflake.requests.count("rotate_token") == 0

    def test_where_airflow_would_log_what_is_kept_nothing_is_rotated(self, staged: Stage) -> None:
        environment = staged.environment | {"AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}
        run = staged.airflow.run(stage.conf(USERS), staged.connections(), environment=environment, dag=RENEWAL)
        assert run.state == "failed"
        assert "writes each Variable that a task sets into the log" in said(run)
        assert staged.snowflake.requests.count("rotate_token") == 0

    def test_with_another_fernet_key_nothing_is_rotated(self, staged: Stage) -> None:
        staged.renew()
        staged.airflow.encrypt_with_another_key()
        run = staged.renew(force=True)
        assert run.state == "failed"
        assert "is there, but can't be read" in said(run) or "holds something else" in said(run)
        assert staged.snowflake.requests.count("rotate_token") == 2

    def test_an_administrator_s_key_that_is_refused_is_told_and_nothing_is_rotated(self, staged: Stage) -> None:
        staged.keys = make_key_pair()
        run = staged.renew()
        assert run.state == "failed"
        assert "RSA_PUBLIC_KEY must match the private key" in said(run)
        assert staged.snowflake.requests.count("rotate_token") == 0

    def test_a_rotation_that_fails_says_until_when_its_connections_work(self, staged: Stage) -> None:
        staged.renew()
        staged.tableau.faults.script("update_connection", [ServerError(500)] * 400)
        run = staged.rotate_in_tableau(max_failures=0)
        staged.tableau.faults.clear()
        assert run.state == "failed"
        assert any("connections may still hold the token that ends at" in note for note in run.report["notes"])


class TestARotationThatWritesNothing:
    """It must not be green, or tell of an arrival, for having found nothing to do."""

    pytestmark = in_variables

    def test_a_token_that_died_since_it_was_embedded_is_red(self, staged: Stage) -> None:
        staged.renew()
        assert staged.rotate_in_tableau().state == "success"
        writes = staged.tableau.requests.count("update_connection")
        staged.in_force(ETL.login).disabled = True
        run = staged.rotate_in_tableau()
        assert run.state == "failed"
        assert "connections embed the token of 'snowflake_etl', and Snowflake does not let ETL_USER in" in run.told
        assert staged.tableau.requests.count("update_connection") == writes

    def test_an_account_of_which_nothing_is_found_has_not_arrived(self, staged: Stage) -> None:
        staged.renew()
        connections = staged.connections()
        extra = connections["snowflake_etl"]["extra"]
        assert isinstance(extra, dict)
        extra["account"] = "acme-prdo"
        staged.rotate(staged.tableau, connections, environment=staged.environment, connections_per_task=5)
        arrivals = staged.airflow.home / "credential_rotation" / "arrivals"
        assert [path.name for path in arrivals.iterdir()] == ["snowflake_bi.json"]
