"""Tableau and Snowflake agree: what signs in to the one is what the other can use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.snowflake import (
    ADMIN_USER,
    NETWORK_POLICY,
    TOKEN_NAME,
    RemoteTruth,
    SnowflakeServer,
    SnowflakeState,
    UserType,
    snowflake_behind,
)
from sandbox.tableau import TableauState, build_site
from sandbox.tableau.data_access import failure_of
from tests.sandbox_snowflake.small_account import KEYS


@pytest.fixture(scope="module")
def tableau() -> TableauState:
    return build_site(seed=7, data_sources=20, workbooks=10)


@pytest.fixture
def snowflake(tableau: TableauState) -> Iterator[SnowflakeState]:
    known = tableau.snowflake
    yield snowflake_behind(tableau, KEYS, days_left=3)
    tableau.snowflake = known


def failures(tableau: TableauState) -> list[str]:
    """Why the targets of one credential cannot fetch data."""
    targets = [each for each in tableau.expected_targets("bi") if each.content_type == "datasource"]
    found = (failure_of(tableau, tableau.site.content(target.content_id)) for target in targets)
    return [failure for failure in found if failure]


def test_the_embedded_tokens_work_until_they_expire(tableau: TableauState, snowflake: SnowflakeState) -> None:
    assert failures(tableau) == []
    snowflake.advance(days=4)  # one clock for both
    assert failures(tableau)
    assert all("Programmatic access token is expired. (code 394401)" in failure for failure in failures(tableau))


def test_a_policy_that_does_not_know_tableau_shuts_it_out(tableau: TableauState, snowflake: SnowflakeState) -> None:
    for account in snowflake.accounts.values():
        account.add_network_policy(NETWORK_POLICY, [snowflake.client_addresses["airflow"]])
    assert all("198.51.100.20 is not allowed" in failure for failure in failures(tableau))


def test_a_policy_that_knows_tableau_alone_shuts_airflow_out(tableau: TableauState, snowflake: SnowflakeState) -> None:
    for account in snowflake.accounts.values():
        account.add_network_policy(NETWORK_POLICY, [snowflake.client_addresses["tableau"]])
    assert failures(tableau) == []
    bi = tableau.site.credentials["bi"]
    address = f"{bi.account}.snowflakecomputing.com"
    answer = snowflake.sign_in(address=address, user=bi.login, secret=bi.secret, client="airflow")
    assert (answer.ok, answer.code) == (False, "390422")


def test_what_the_accounts_knew_was_taken_over(tableau: TableauState, snowflake: SnowflakeState) -> None:
    for credential in tableau.site.credentials.values():
        account = snowflake.accounts[credential.account]
        assert account.user(credential.login).type is UserType.SERVICE
        assert account.user(credential.login).token(TOKEN_NAME) is not None
        assert account.user(ADMIN_USER).public_keys == [KEYS.public]
        for person in credential.tableau_usernames:
            assert account.user(person).type is UserType.PERSON
    locator = "xy12345.eu-central-1.snowflakecomputing.com"
    assert snowflake.account_at(f"https://{locator}:443/") is snowflake.accounts["acme-prod"]
    assert not snowflake.sign_in(address="nowhere.example", user="X", secret="x", client="tableau").ok


def test_a_tableau_in_another_process_can_ask_too(tableau: TableauState, snowflake: SnowflakeState) -> None:
    credential = tableau.site.credentials["bi"]
    with SnowflakeServer(snowflake) as server:
        truth = RemoteTruth(server.url, server.ca_file)
        address = f"{credential.account}.snowflakecomputing.com"
        asked = {"address": address, "user": credential.login, "client": "tableau"}
        assert truth.sign_in(secret=credential.secret, **asked).ok
        assert truth.sign_in(secret="wrong", **asked) == snowflake.sign_in(secret="wrong", **asked)
