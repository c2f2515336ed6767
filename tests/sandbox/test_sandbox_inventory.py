"""The believable site: seeded, full of traps, and true about its own targets."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from sandbox.snowflake_accounts import host_of
from sandbox.tableau import Auth, ContentType, Site, build_site, make_large_site
from sandbox.tableau.data_access import failure_of


@pytest.fixture(scope="module")
def site() -> Site:
    return build_site().site


def test_the_same_seed_gives_the_same_site_and_another_seed_another() -> None:
    def picture(seed: int) -> list[tuple[str, str]]:
        return [(content.name, each.id) for content, each in build_site(seed=seed).site.connections()]

    assert picture(7) == picture(7)
    assert picture(7) != picture(8)


def test_it_is_as_large_as_asked_for(site: Site) -> None:
    sizes = {kind: len(site.of_type(kind)) for kind in ContentType}
    assert sizes == {"datasource": 80, "workbook": 50, "flow": 12, "virtual_connection": 3}
    small = build_site(data_sources=3, workbooks=2, flows=1, virtual_connections=0).site
    assert len(small.contents) == 6


def test_every_luid_is_there_once(site: Site) -> None:
    luids = [content.id for content in site.contents] + [each.id for _, each in site.connections()]
    assert len(luids) == len(set(luids))


def test_each_connection_is_a_target_or_says_why_not(site: Site) -> None:
    for _, connection in site.connections():
        assert (connection.target_of is None) == bool(connection.why)
    assert set(Counter(site.expected_exclusions().values())) == {
        "published_data_source",
        "oauth",
        "key_pair",
        "other_sign_in",
        "not_snowflake",
        "other_user",
        "other_account",
        "password_not_embedded",
    }


def test_targets_are_of_every_credential_and_every_type(site: Site) -> None:
    targets = site.expected_targets()
    assert {target.credential for target in targets} == set(site.credentials) == {"etl", "bi", "marketing"}
    assert {target.content_type for target in targets} == {kind.value for kind in ContentType}
    assert len(targets) > 80
    assert len(site.expected_targets("etl")) == sum(target.credential == "etl" for target in targets)


def test_every_target_embeds_a_secret_of_its_credentials_account_and_users(site: Site) -> None:
    for target in site.expected_targets():
        credential, connection = site.credentials[target.credential], site.connection(target.connection_id)
        users = {name.casefold() for name in (credential.login, *credential.tableau_usernames)}
        addresses = {
            f"{credential.account}.snowflakecomputing.com",
            f"{credential.account}.privatelink.snowflakecomputing.com",
            *credential.server_addresses,
        }
        assert connection.auth is Auth.USERNAME_PASSWORD
        assert connection.username.casefold() in users
        assert host_of(connection.server_address) in addresses
        assert connection.embedded


@pytest.mark.parametrize(
    "trap",
    [
        pytest.param(lambda each: each.type in {"hyper", "dataengine"} and each.target_of, id="hyper is a target"),
        pytest.param(lambda each: each.type == "dataengine" and not each.server_address, id="extract of nothing"),
        pytest.param(lambda each: each.managed_keychain and not each.authentication_type, id="OAuth by keychain"),
        pytest.param(lambda each: each.auth is Auth.OTHER and each.authentication_type, id="another way to sign in"),
        pytest.param(lambda each: each.target_of and "embedPassword" in each.omits, id="does not say embedPassword"),
        pytest.param(lambda each: each.target_of and each.server_address.endswith("."), id="trailing dot"),
        pytest.param(lambda each: each.target_of and each.server_address.endswith(":443"), id="port in the address"),
        pytest.param(lambda each: each.target_of and each.server_address.isupper(), id="address in capitals"),
        pytest.param(lambda each: each.target_of and "privatelink" in each.server_address, id="privatelink"),
        pytest.param(lambda each: each.target_of and each.server_address.startswith("xy12345."), id="old locator"),
        pytest.param(lambda each: each.target_of == "etl" and each.username.islower(), id="user in lower case"),
        pytest.param(lambda each: each.target_of and "jane" in each.username, id="a person's password"),
        pytest.param(lambda each: each.type == "postgres", id="another database"),
        pytest.param(lambda each: each.server_address.endswith(".attacker.example"), id="address that looks like ours"),
        pytest.param(lambda each: each.type == "tableau-server-site", id="a flow's link"),
    ],
)
def test_it_has_this_trap(site: Site, trap: object) -> None:
    assert callable(trap)
    assert any(trap(each) for _, each in site.connections())


def test_it_has_several_connections_in_one_item_and_extracts_listed_as_such(site: Site) -> None:
    assert any(sum(bool(each.target_of) for each in content.connections) > 1 for content in site.contents)
    listed = {content.type for content in site.of_type(ContentType.DATASOURCE) if content.connections[0].target_of}
    assert listed >= {"snowflake", "hyper", "dataengine"}


def test_its_names_break_what_does_not_escape(site: Site) -> None:
    names = "".join(content.name for content in site.contents)
    assert all(character in names for character in "&<>\"',🚀売=;*?[")


def test_the_old_and_the_new_secret_sign_in_everywhere() -> None:
    state = build_site()
    site = state.site
    for target in site.expected_targets():
        connection = site.connection(target.connection_id)
        content = replace(site.content(target.content_id), connections=[connection])
        assert failure_of(state, content) is None
        credential = site.credentials[target.credential]
        connection.username, connection.password = credential.login, credential.new_secret
        assert failure_of(state, content) is None
        connection.password = "anything else"
        assert failure_of(state, content) is not None


def test_a_large_site_is_cheap() -> None:
    site = make_large_site(8000).site
    assert len(site.contents) == 8000
    assert len(site.expected_targets("etl")) == 2000
