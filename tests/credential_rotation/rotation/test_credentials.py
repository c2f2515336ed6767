"""Reading a Snowflake credential: what it is for, and what can be wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import BaseHook

from credential_rotation.rotation import credentials
from credential_rotation.rotation.credentials import UnusableCredential
from tests.builders import snowflake_airflow_connection, snowflake_credential

SECRET = "pat-that-nobody-may-read"


def test_a_credential_is_for_the_addresses_of_its_account() -> None:
    credential = snowflake_credential(account="acme-prod")
    assert credential.is_for_account("https://ACME-prod.snowflakecomputing.com.:443/")
    assert credential.is_for_account("acme-prod.privatelink.snowflakecomputing.com")
    assert not credential.is_for_account("acme-test.snowflakecomputing.com")


def test_a_credential_is_for_its_login_whatever_the_case() -> None:
    credential = snowflake_credential(login=" Etl_User ")
    assert credential.login == "Etl_User"
    assert credential.is_for_user("ETL_USER")
    assert credential.is_for_user(" etl_user ")
    assert not credential.is_for_user("ETL_USER_2")
    assert not credential.is_for_user("ETL")


def test_tableau_usernames_are_replaced_too_and_the_login_always_is() -> None:
    credential = snowflake_credential(tableau_usernames=["Jane.Doe@acme.example", " straße "])
    assert credential.is_for_user("jane.doe@ACME.example")
    assert credential.is_for_user("STRASSE")
    assert credential.is_for_user("ETL_USER")


def test_server_addresses_are_further_addresses_of_the_account() -> None:
    credential = snowflake_credential(server_addresses=["https://XY12345.eu-central-1.snowflakecomputing.com/"])
    assert credential.is_for_account("xy12345.eu-central-1.snowflakecomputing.com:443")
    assert credential.is_for_account("acme-prod.snowflakecomputing.com")


def test_an_alias_of_ones_own_domain_can_be_a_server_address() -> None:
    credential = snowflake_credential(account="", server_addresses=["snowflake.acme.internal"])
    assert credential.is_for_account("SNOWFLAKE.acme.internal")


def test_a_host_of_snowflake_is_an_address_with_its_privatelink_form() -> None:
    credential = snowflake_credential(account="", host="acme-prod.snowflakecomputing.com")
    assert credential.is_for_account("acme-prod.privatelink.snowflakecomputing.com")


def test_a_host_that_is_no_address_of_snowflake_is_only_where_snowflake_is_reached() -> None:
    credential = snowflake_credential(host="proxy.acme.internal")
    assert not credential.is_for_account("proxy.acme.internal")


def test_a_region_belongs_to_a_locator() -> None:
    credential = snowflake_credential(account="xy12345", region="eu-central-1")
    assert credential.is_for_account("xy12345.eu-central-1.snowflakecomputing.com")


def test_a_token_is_kept_byte_for_byte() -> None:
    token = " \"&<>'\\ ü🚀 "
    assert snowflake_credential(token=token).token == token


def test_a_token_is_not_in_the_text_of_a_credential() -> None:
    assert SECRET not in repr(snowflake_credential(token=SECRET))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"login": None}, "login is empty"),
        ({"login": "  "}, "login is empty"),
        ({"password": None}, "password is empty"),
        ({"password": ""}, "password is empty"),
        ({"password": SECRET + "\x00"}, "U+0000"),
        ({"password": SECRET + "\x1b[0m"}, "U+001B"),
        ({"extra": None}, "neither 'account' nor"),
        ({"extra": {}}, "neither 'account' nor"),
        ({"extra": {"account": "  "}}, "neither 'account' nor"),
        ({"extra": {"host": "proxy.acme.internal"}}, "neither 'account' nor"),
        ({"extra": "{not json"}, "extra is no JSON object"),
        ({"extra": '["account"]'}, "extra is no JSON object"),
        ({"extra": {"account": 4711}}, "extra 'account' must be a text"),
        ({"extra": {"account": "a", "previous_username": ["jane"]}}, "extra 'previous_username' must be a text"),
        ({"extra": {"account": "a", "region": ["eu"]}}, "extra 'region' must be a text"),
        ({"extra": {"account": "a", "host": {}, "x": 1, "tableau_usernames": "jane"}}, "must be a list of texts"),
        ({"extra": {"account": "a", "tableau_usernames": ["jane", 7]}}, "'tableau_usernames' must be a list of texts"),
        ({"extra": {"account": "a", "tableau_usernames": [" "]}}, "'tableau_usernames' must be a list of texts"),
        ({"extra": {"account": "a", "server_addresses": "b"}}, "'server_addresses' must be a list of texts"),
        ({"extra": {"account": "a", "server_addresses": [""]}}, "'server_addresses' must be a list of texts"),
    ],
)
def test_a_complaint_names_the_connection_and_the_field_and_no_secret(fields: dict[str, Any], complaint: str) -> None:
    conn = snowflake_airflow_connection("snowflake_etl", **{"password": SECRET, **fields})
    with pytest.raises(UnusableCredential) as raised:
        credentials.from_airflow_connection(conn)
    assert complaint in str(raised.value)
    assert "'snowflake_etl'" in str(raised.value)
    assert SECRET not in str(raised.value)


def test_the_secret_before_is_kept_from_sight_as_well() -> None:
    credential = snowflake_credential(previous_password="the-old-secret")
    assert "the-old-secret" in credential.secrets
    assert "the-old-secret" not in repr(credential)


def test_what_a_newer_version_may_put_into_the_extra_does_no_harm() -> None:
    credential = snowflake_credential(previous_password="old", token_name="T", role="R", warehouse="W", port=443)
    assert credential.is_for_account("acme-prod.snowflakecomputing.com")


@pytest.mark.parametrize("extra", [{}, {"previous_username": ""}, {"previous_username": " "}])
def test_the_secret_before_is_of_the_login_where_nobody_says_else(extra: dict[str, Any]) -> None:
    credential = snowflake_credential(login=" Etl_User ", previous_password="old", **extra)
    assert (credential.token_username, credential.previous_username) == ("Etl_User", "Etl_User")
    assert credential.knows_secret_of("ETL_USER")
    assert not credential.knows_secret_of("jane")


def test_the_secret_before_may_be_of_another_user() -> None:
    credential = snowflake_credential(previous_password="old", previous_username=" Jane ")
    assert (credential.token_username, credential.previous_username) == ("ETL_USER", "Jane")
    assert credential.knows_secret_of("JANE")
    assert not credential.knows_secret_of("ETL_USER")


def test_of_a_secret_that_is_not_known_nobody_is_the_user() -> None:
    assert not snowflake_credential(previous_username="jane").knows_secret_of("jane")


def test_turned_round_the_secrets_change_places_with_their_users() -> None:
    credential = snowflake_credential(token="new", previous_password="old", previous_username="jane")
    back = credential.reversed()
    assert (back.token, back.token_username, back.previous, back.previous_username) == (
        "old",
        "jane",
        "new",
        "ETL_USER",
    )
    assert (back.login, back.usernames) == (credential.login, credential.usernames)
    assert back.knows_secret_of("etl_user")
    assert back.reversed() == credential


AWS = {"login": "AKIAEXAMPLE", "password": SECRET, "extra": {"region_name": "eu-west-1", "account": "acme-prod"}}
# What another type allows it: people say so on purpose, and no other package gives the name a meaning.
ALLOWED: list[dict[str, Any]] = [{"credential_rotation": True}, {"credential_rotation": "true"}]
NOT_ALLOWED: list[dict[str, Any]] = [
    {},
    {"credential_rotation": False},
    {"credential_rotation": None},
    {"credential_rotation": "false"},
    {"credential_rotation": ["true"]},
    {"credential_rotation": {}},
]


@pytest.mark.parametrize("conn_type", ["aws", "http", "generic", "tableau", "postgres", "snowflake_x", "", None])
@pytest.mark.parametrize("extra", NOT_ALLOWED)
def test_a_connection_of_another_type_is_no_credential(conn_type: str | None, extra: dict[str, Any]) -> None:
    fields = AWS | {"conn_type": conn_type, "extra": AWS["extra"] | extra}
    with pytest.raises(UnusableCredential) as raised:
        credentials.from_airflow_connection(snowflake_airflow_connection("aws_default", **fields))
    told = str(raised.value)
    assert "'aws_default'" in told
    assert f"its type is '{conn_type}'" in told if conn_type else "it has no type" in told
    assert "extra 'credential_rotation'" in told
    assert SECRET not in told


@pytest.mark.parametrize("conn_type", ["generic", "http", "", None])
@pytest.mark.parametrize("extra", ALLOWED)
def test_a_connection_of_another_type_is_one_where_it_says_so(conn_type: str | None, extra: dict[str, Any]) -> None:
    fields = AWS | {"conn_type": conn_type, "extra": AWS["extra"] | extra}
    assert credentials.from_airflow_connection(snowflake_airflow_connection(**fields)).login == "AKIAEXAMPLE"


@pytest.mark.parametrize("conn_type", ["snowflake", "Snowflake"])
def test_the_type_is_told_whatever_its_case(conn_type: str) -> None:
    assert credentials.from_airflow_connection(snowflake_airflow_connection(conn_type=conn_type)).login == "ETL_USER"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"conn_type": "snowflake", "login": "ETL_USER", "password": "x", "extra": {"account": "acme-prod"}}),
        json.dumps({"login": "ETL_USER", "password": "x", "extra": {"account": "a", "credential_rotation": True}}),
        "snowflake://ETL_USER:x@/?account=acme-prod",
        "generic://ETL_USER:x@/?account=acme-prod&credential_rotation=true",
    ],
)
def test_a_connection_of_the_environment_says_its_type_or_that_it_is_meant(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_PAT", text)
    assert credentials.from_airflow_connection(BaseHook.get_connection("snowflake_pat")).login == "ETL_USER"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"login": "ETL_USER", "password": "x", "extra": {"account": "acme-prod"}}),
        "generic://ETL_USER:x@/?account=acme-prod",
        "aws://ETL_USER:x@/?account=acme-prod",
    ],
)
def test_a_connection_of_the_environment_without_the_type_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_PAT", text)
    with pytest.raises(UnusableCredential, match="type"):
        credentials.from_airflow_connection(BaseHook.get_connection("snowflake_pat"))
