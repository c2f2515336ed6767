"""What signs in to Snowflake, and in which words it does not."""

from __future__ import annotations

import pytest

from sandbox.snowflake_accounts import SnowflakeAccounts, SnowflakeUser


@pytest.fixture
def accounts() -> SnowflakeAccounts:
    accounts = SnowflakeAccounts()
    accounts.add_account("acme-prod", "xy12345.eu-central-1.snowflakecomputing.com").add_user("ETL", ["good"])
    return accounts


@pytest.fixture
def user(accounts: SnowflakeAccounts) -> SnowflakeUser:
    return accounts.accounts["acme-prod"].user("etl")


def _code(accounts: SnowflakeAccounts, secret: str = "good", user: str = "etl", client: str = "tableau") -> str:
    return accounts.sign_in(
        address="acme-prod.snowflakecomputing.com", user=user, secret=secret, client=client
    ).code  # fmt: skip


@pytest.mark.parametrize(
    "address",
    [
        "acme-prod.snowflakecomputing.com",
        "ACME-PROD.snowflakecomputing.com.",
        "https://acme-prod.snowflakecomputing.com:443/",
        "acme-prod.privatelink.snowflakecomputing.com",
        "xy12345.eu-central-1.snowflakecomputing.com",
    ],
)
def test_an_account_answers_at_all_its_addresses(accounts: SnowflakeAccounts, address: str) -> None:
    assert accounts.sign_in(address=address, user="Etl", secret="good", client="tableau").ok


def test_snowflake_has_words_for_each_refusal(accounts: SnowflakeAccounts, user: SnowflakeUser) -> None:
    user.expired.add("once-good")
    assert _code(accounts, "never-good") == "394400"
    assert _code(accounts, "once-good") == "394401"
    assert _code(accounts, user="nobody") == "390100"
    user.network_blocked_for.add("tableau")
    assert _code(accounts) == "390422"
    assert _code(accounts, client="airflow") == ""
    user.disabled = True
    assert _code(accounts, client="airflow") == "390101"


def test_it_remembers_who_tried(accounts: SnowflakeAccounts, user: SnowflakeUser) -> None:
    _code(accounts, "bad")
    _code(accounts)
    assert user.sign_ins == [("tableau", "bad", False), ("tableau", "good", True)]
