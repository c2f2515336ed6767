"""Which connections are targets, and why the others are none."""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest

from credential_rotation.rotation.filters import Filters
from credential_rotation.rotation.inventory import Item
from credential_rotation.rotation.outcomes import Exclusion, Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.selection import SelectionError, SiteInventory, select
from credential_rotation.tableau.content import Connection
from tests.builders import ADDRESS, connection, content, inventory, item, snowflake_credential

ELSEWHERE = "partner.snowflakecomputing.com"
_BY_SIGN_IN = (Exclusion.OAUTH, Exclusion.KEY_PAIR, Exclusion.OTHER_SIGN_IN)


def _select(*sites: SiteInventory, filters: Filters | None = None, **options: Any) -> list[ConnectionRecord]:
    return select(sites, [snowflake_credential()], filters or Filters(), **options)


def _reason(one: Connection, **options: Any) -> str | None:
    [record] = _select(inventory(item(one)), **options)
    assert (record.reason is None) == record.is_target
    return record.reason


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"type": "Snowflake"},
        {"type": "hyper"},
        {"type": "dataengine"},
        {"embed_password": None},
        {"username": "etl_user"},
        {"server_address": "https://ACME-PROD.snowflakecomputing.com.:443/"},
        {"server_address": "acme_prod.privatelink.snowflakecomputing.com"},
        {"server_port": "443"},
    ],
)
def test_it_is_a_target(fields: dict[str, Any]) -> None:
    assert _reason(connection(**fields)) is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "sqlproxy"}, Exclusion.PUBLISHED_DATA_SOURCE),
        ({"type": "tableau-server-site"}, Exclusion.PUBLISHED_DATA_SOURCE),
        ({"type": "postgres"}, Exclusion.NOT_SNOWFLAKE),
        ({"type": "", "server_address": "db.example.com"}, Exclusion.NOT_SNOWFLAKE),
        ({"type": "hyper", "server_address": ""}, Exclusion.NOT_SNOWFLAKE),
        ({"type": "dataengine", "server_address": "localhost"}, Exclusion.NOT_SNOWFLAKE),
        ({"authentication_type": "oauth"}, Exclusion.OAUTH),
        ({"authentication_type": "auth-oauth-OAuth"}, Exclusion.OAUTH),
        ({"oauth_keychain": True}, Exclusion.OAUTH),
        ({"authentication_type": "auth-keypair"}, Exclusion.KEY_PAIR),
        ({"authentication_type": "snowflake-key-pair-jwt"}, Exclusion.KEY_PAIR),
        ({"authentication_type": "Key Pair"}, Exclusion.KEY_PAIR),
        ({"authentication_type": "Okta"}, Exclusion.OTHER_SIGN_IN),
        ({"authentication_type": "Okta", "server_address": ELSEWHERE}, Exclusion.OTHER_SIGN_IN),
        ({"server_address": ""}, Exclusion.NO_SERVER_ADDRESS),
        ({"server_address": ELSEWHERE}, Exclusion.OTHER_ACCOUNT),
        ({"server_address": f"{ADDRESS}.attacker.example"}, Exclusion.OTHER_ACCOUNT),
        ({"username": ""}, Exclusion.NO_USERNAME),
        ({"username": "ETL_USER_2"}, Exclusion.OTHER_USER),
        ({"embed_password": False}, Exclusion.PASSWORD_NOT_EMBEDDED),
    ],
)
def test_it_is_no_target_and_the_reason_is_told(fields: dict[str, Any], reason: Exclusion) -> None:
    assert _reason(connection(**fields)) == reason


@pytest.mark.parametrize("words", [("username", "password"), ("auth", "user", "pass"), ("username", "and", "password")])
def test_user_and_password_is_known_whatever_its_case_and_separators(words: tuple[str, ...]) -> None:
    cases: list[Callable[[str], str]] = [str.lower, str.upper, str.title]
    for between, change in itertools.product(["-", " ", "_", "+", ".", "/", ""], cases):
        assert _reason(connection(authentication_type=change(between.join(words)))) is None


@pytest.mark.parametrize("nothing", ["", " ", "\t\n"])
def test_a_way_to_sign_in_that_is_not_told_is_user_and_password(nothing: str) -> None:
    assert _reason(connection(authentication_type=nothing)) is None


@pytest.mark.parametrize(
    "word",
    [
        "AD Service Principal",
        "snowflake-saml-idp",
        "workload-identity",
        "Okta",
        "external-browser",
        "auth-none",
        "auth-user",
        "auth-pass",
        "auth-integrated",
        "username",
        "password",
        "username-password-mfa",
        "not username-password",
        "username-password2",
        "usernamе-password",  # with a Cyrillic letter
        "-",
        "?",
        "1",
        "パスワード",
    ],
)
def test_a_way_to_sign_in_that_is_not_known_is_left_alone_and_named(word: str) -> None:
    [record] = _select(inventory(item(connection(authentication_type=word))))
    assert (record.outcome, record.reason) == (Outcome.EXCLUDED, Exclusion.OTHER_SIGN_IN)
    assert (record.authentication_type, record.is_target) == (word, False)


def test_any_word_but_those_of_user_and_password_is_left_alone() -> None:
    random = Random("ways to sign in")
    for _ in range(500):
        word = "".join(random.choices(string.ascii_letters + "-_ 0123456789", k=random.randint(2, 20))).strip()
        if any(letter.isalnum() for letter in word):
            assert _reason(connection(authentication_type=word)) in _BY_SIGN_IN, word


def test_of_several_reasons_the_first_in_the_list_is_told() -> None:
    """The enum's order is the order in which reasons apply: each step takes the present one away."""
    fields: dict[str, Any] = {
        "type": "sqlproxy",
        "authentication_type": "oauth, keypair",
        "server_address": "",
        "username": "",
        "embed_password": False,
    }
    repaired = [
        {"type": "postgres"},
        {"type": "snowflake"},
        {"authentication_type": "keypair"},
        {"authentication_type": "Okta"},
        {"authentication_type": ""},
        {"server_address": ELSEWHERE},
        {"server_address": ADDRESS},
        {"username": "SOMEBODY"},
        {"username": "ETL_USER"},
        {"embed_password": True},
    ]
    told = [_reason(connection(**fields), filters=Filters(projects=["Nowhere"]))]
    for repair in repaired:
        fields |= repair
        told.append(_reason(connection(**fields), filters=Filters(projects=["Nowhere"])))
    assert told == list(Exclusion)


def test_where_people_are_asked_is_a_target_when_that_is_asked_for() -> None:
    assert _reason(connection(embed_password=False), embed_where_prompting=True) is None


def test_a_target_says_whose_it_is_and_where() -> None:
    [record] = _select(inventory(item(connection("c7", server_port="443"), name="Orders", owner="ann")))
    assert record.snowflake_conn_id == "snowflake_pat"
    assert (record.site, record.tableau_conn_id, record.content_name, record.owner) == (
        "acme",
        "tableau_default",
        "Orders",
        "ann",
    )
    assert (record.connection_id, record.server_address, record.server_port) == ("c7", ADDRESS, "443")
    assert record.outcome is None


def test_every_connection_of_an_item_is_looked_at_on_its_own() -> None:
    records = _select(inventory(item(connection("c1"), connection("c2", type="postgres"), connection("c3"))))
    assert [(record.connection_id, record.is_target) for record in records] == [
        ("c1", True),
        ("c2", False),
        ("c3", True),
    ]


def test_two_credentials_for_two_users_of_an_account_share_it_out() -> None:
    etl, bi = snowflake_credential("snowflake_etl"), snowflake_credential("snowflake_bi", login="BI_USER")
    site = inventory(item(connection("c1"), connection("c2", username="bi_user")))
    records = select([site], [etl, bi], Filters())
    assert [record.snowflake_conn_id for record in records] == ["snowflake_etl", "snowflake_bi"]


def test_the_same_user_of_two_accounts_is_two_users() -> None:
    here, there = snowflake_credential("here"), snowflake_credential("there", account="partner")
    site = inventory(item(connection("c1"), connection("c2", server_address=ELSEWHERE)))
    assert [record.snowflake_conn_id for record in select([site], [here, there], Filters())] == ["here", "there"]


def _in_conflict(*more: Connection, filters: Filters | None = None) -> Sequence[ConnectionRecord]:
    one = snowflake_credential("snowflake_etl")
    other = snowflake_credential("snowflake_bi", login="BI_USER", tableau_usernames=["etl_user"])
    return select([inventory(item(connection(), *more))], [one, other], filters or Filters())


def test_two_credentials_for_one_target_are_an_error_that_names_them_and_it() -> None:
    with pytest.raises(SelectionError) as raised:
        _in_conflict()
    assert "Sales › Orders (user ETL_USER): snowflake_bi, snowflake_etl" in str(raised.value)


def test_many_conflicts_are_counted_and_not_all_listed() -> None:
    with pytest.raises(SelectionError, match=r"and 2 more$"):
        _in_conflict(*(connection(f"c{number}") for number in range(2, 13)))


def test_a_conflict_over_what_is_filtered_out_is_none() -> None:
    [record] = _in_conflict(filters=Filters(projects=["Nowhere"]))
    assert record.reason == Exclusion.FILTERED_OUT


def test_an_item_that_can_not_be_read_is_a_failure_without_a_connection() -> None:
    [record] = _select(inventory(Item(content(), unreadable="its connections can't be read: 403")))
    assert (record.outcome, record.connection_id) == (Outcome.FAILED, None)
    assert record.reason == "its connections can't be read: 403"


def test_an_item_that_can_not_be_read_but_was_not_asked_for_is_filtered_out() -> None:
    [record] = _select(inventory(Item(content(), unreadable="403")), filters=Filters(projects=["Nowhere"]))
    assert (record.outcome, record.reason) == (Outcome.EXCLUDED, Exclusion.FILTERED_OUT)


def test_an_item_that_vanished_is_gone() -> None:
    [record] = _select(inventory(Item(content(), gone=True)))
    assert (record.outcome, record.is_target) == (Outcome.GONE, False)


def test_an_item_without_connections_needs_no_line() -> None:
    assert _select(inventory(item())) == []


def test_an_unknown_id_is_an_error_with_the_one_that_was_meant() -> None:
    known = "0f9a3c44-77b1-4a0e-9d53-1d3c5b7e9f11"
    typed = known[:-2] + "12"
    with pytest.raises(SelectionError) as raised:
        _select(inventory(item(connection(), id=known)), filters=Filters(ids=[typed]))
    assert f"no content and no connection has {typed}" in str(raised.value)
    assert f"did you mean {known}" in str(raised.value)


def test_an_unknown_id_that_is_near_nothing_is_an_error_without_a_guess() -> None:
    with pytest.raises(SelectionError, match="ids") as raised:
        _select(inventory(item(connection())), filters=Filters(ids=["ffffffff-0000-1111-2222-333333333333"]))
    assert "did you mean" not in str(raised.value)


def test_an_id_narrows_to_a_connection_or_to_all_of_an_item_whatever_the_case() -> None:
    site = inventory(item(connection("c1"), connection("c2"), id="AB-1"), item(connection("c3"), name="Other"))
    only_c2 = _select(site, filters=Filters(ids=["C2"]))
    assert [record.connection_id for record in only_c2 if record.is_target] == ["c2"]
    only_item = _select(site, filters=Filters(ids=["ab-1"]))
    assert [record.connection_id for record in only_item if record.is_target] == ["c1", "c2"]


def test_an_id_for_which_there_is_no_credential_is_an_error_that_says_whose() -> None:
    site = inventory(item(connection("c1", username="SOMEBODY")))
    with pytest.raises(SelectionError, match=r"no credential .* Sales › Orders: SOMEBODY at acme-prod"):
        _select(site, filters=Filters(ids=["c1"]))


def test_an_id_of_an_item_of_which_one_connection_is_a_target_is_fine() -> None:
    site = inventory(item(connection("c1"), connection("c2", username="SOMEBODY")))
    records = _select(site, filters=Filters(ids=["id of Orders"]))
    assert [record.is_target for record in records] == [True, False]


def test_one_site_through_two_airflow_connections_is_an_error() -> None:
    one, other = inventory(item(connection())), inventory(item(connection()), conn_id="tableau_too")
    with pytest.raises(SelectionError, match="'tableau_default' and 'tableau_too' lead to the same Tableau site"):
        _select(one, other)


def test_two_sites_are_selected_from_together() -> None:
    one, other = inventory(item(connection("c1"))), inventory(item(connection("c2"), id="x"), conn_id="tableau_too")
    assert [record.tableau_conn_id for record in _select(one, other)] == ["tableau_default", "tableau_too"]


def test_a_record_knows_how_many_connections_its_item_has_those_that_are_no_targets_among_them() -> None:
    link = connection("link", type="sqlproxy", server_address="localhost", username="")
    linked = item(connection("c1"), link, connection("c2", type="postgres"), id="linked")
    records = _select(inventory(linked, item(connection("c3"), id="single")))
    assert [(each.connection_id, each.connections_in_item) for each in records if each.is_target] == [
        ("c1", 3),
        ("c3", 1),
    ]
    assert records[0].content.connection_count == 3
