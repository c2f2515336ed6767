"""Whatever way an address is written, it is the same account; whatever it looks like, another is another."""

from __future__ import annotations

import pytest

from credential_rotation.rotation import addresses


@pytest.mark.parametrize(
    "written",
    [
        "acme-prod.snowflakecomputing.com",
        "ACME-Prod.SnowflakeComputing.com",
        "acme-prod.snowflakecomputing.com.",
        "acme-prod.snowflakecomputing.com:443",
        "acme-prod.snowflakecomputing.com.:443",
        "https://acme-prod.snowflakecomputing.com",
        "HTTPS://acme-prod.snowflakecomputing.com:443/",
        "  acme-prod.snowflakecomputing.com\t",
        "acme_prod.snowflakecomputing.com",
        "acme-prod.privatelink.snowflakecomputing.com",
        "https://ACME_PROD.privatelink.snowflakecomputing.com.:443/",
    ],
)
def test_every_way_to_write_an_address_means_the_account(written: str) -> None:
    assert addresses.normalized(written) in addresses.of_account("acme-prod")


@pytest.mark.parametrize(
    "other",
    [
        "acme-prod2.snowflakecomputing.com",
        "acme.snowflakecomputing.com",
        "prod.snowflakecomputing.com",
        "xacme-prod.snowflakecomputing.com",
        "acme-prod.eu-central-1.snowflakecomputing.com",
        "acme-prod.snowflakecomputing.com.attacker.example",
        "acme-prod.snowflakecomputing.cn",
        "attacker.example/acme-prod.snowflakecomputing.com",
        "attacker.example:443/.snowflakecomputing.com",
        "acme-prod",
        "",
    ],
)
def test_an_address_of_somebody_else_is_not_taken_for_the_account(other: str) -> None:
    assert addresses.normalized(other) not in addresses.of_account("acme-prod")


@pytest.mark.parametrize(
    ("account", "region", "address"),
    [
        ("xy12345", "", "xy12345.snowflakecomputing.com"),
        ("xy12345", "eu-central-1", "xy12345.eu-central-1.snowflakecomputing.com"),
        ("xy12345", "eu-central-1", "xy12345.eu-central-1.privatelink.snowflakecomputing.com"),
        ("xy12345", "West-Europe.Azure", "xy12345.west-europe.azure.snowflakecomputing.com"),
        ("xy12345.eu-central-1", "", "xy12345.eu-central-1.snowflakecomputing.com"),
        ("XY12345.us-east-2.aws", "", "xy12345.us-east-2.aws.privatelink.snowflakecomputing.com"),
        ("acme_org-prod_eu", "", "acme-org-prod-eu.snowflakecomputing.com"),
        ("acme-prod.privatelink", "", "acme-prod.snowflakecomputing.com"),
        ("acme-prod.privatelink", "", "acme-prod.privatelink.snowflakecomputing.com"),
        ("acme-prod.snowflakecomputing.com", "", "acme-prod.snowflakecomputing.com"),
        ("https://acme-prod.snowflakecomputing.com/", "", "acme-prod.privatelink.snowflakecomputing.com"),
        ("acme-prod.privatelink.snowflakecomputing.com", "", "acme-prod.snowflakecomputing.com"),
        ("acme-prod.snowflakecomputing.cn", "", "acme-prod.snowflakecomputing.cn"),
        ("acme-prod.snowflakecomputing.cn", "", "acme-prod.privatelink.snowflakecomputing.cn"),
    ],
)
def test_an_account_identifier_has_this_address(account: str, region: str, address: str) -> None:
    assert address in addresses.of_account(account, region)


def test_an_account_in_china_is_not_that_of_the_same_name_elsewhere() -> None:
    china = addresses.of_account("acme-prod.snowflakecomputing.cn")
    assert china.isdisjoint(addresses.of_account("acme-prod"))


def test_a_region_is_not_added_to_an_account_that_has_one() -> None:
    assert addresses.of_account("xy12345.eu-central-1", "us-east-1") == addresses.of_account("xy12345.eu-central-1")


@pytest.mark.parametrize(
    ("address", "is_snowflake"),
    [
        ("acme-prod.snowflakecomputing.com", True),
        ("HTTPS://ACME-PROD.SNOWFLAKECOMPUTING.COM.:443/", True),
        ("acme.snowflakecomputing.cn", True),
        ("snowflakecomputing.com", False),
        ("notsnowflakecomputing.com", False),
        ("acme-prod.snowflakecomputing.com.attacker.example", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_what_counts_as_an_address_of_snowflake(address: str, is_snowflake: bool) -> None:
    assert addresses.is_snowflake(address) is is_snowflake


@pytest.mark.parametrize(
    "address",
    [
        "acme-prod.snowflakecomputing.com:x@evil.example",
        "evil.example://acme-prod.snowflakecomputing.com",
        "acme-prod.snowflakecomputing.com/@evil.example",
        "acme-prod.snowflakecomputing.com:443;proxyhost=evil.example",
        "acme-prod.snowflakecomputing.com,evil.example",
        "evil.example/acme-prod.snowflakecomputing.com",
        "acme-prod.snowflakecomputing.com evil.example",
        "",
    ],
)
def test_what_is_more_than_an_address_is_none(address: str) -> None:
    assert addresses.normalized(address) == ""
    assert not addresses.is_snowflake(address)
