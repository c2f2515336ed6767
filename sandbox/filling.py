"""A few runs for the page to show: what comes of a renewal when not all goes well, and how it is mended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sandbox import stage
from sandbox.playground import Playground
from sandbox.snowflake import SnowflakeState
from sandbox.snowflake.believable import NETWORK_POLICY, TOKEN_NAME
from sandbox.tableau import SandboxCredential, Site, TableauCode, Throttle
from sandbox.tableau.connections import snowflake_connection
from sandbox.tableau.state import Latency

LIVES = ((90, 3), (30, 2), (15, 11))
"""Days that the tokens of the first, second, ... user live, and how many of them are left; seven and less are due."""

ON_A_GOOD_DAY = Latency(read_seconds=0.02, write_seconds=0.15)
"""How quick Tableau is then, so that the timings of a run have something to show."""

AIRFLOW_ALONE = "AIRFLOW_ALONE"
PER_TASK = 10


@dataclass(frozen=True)
class Filled:
    """The ids of the runs, in the order in which they began."""

    looked: str
    renewed: str
    failed: str
    mended: str
    looked_again: str


def fill(play: Playground, follow: Callable[[str, str], object], say: Callable[[str], None]) -> Filled:
    """Let it all happen; takes about a minute and a half.

    :param follow: waits for the end of a run, by the ids of its DAG and its own
    """
    api, site = play.airflow.api, play.tableau.state.site
    everyone = list(site.credentials.values())
    first, second = everyone[:2]
    _vary_lives(play.snowflake.state, site)
    play.tableau.state.latency = ON_A_GOOD_DAY
    api.unpause(stage.DAG_ID)
    api.unpause(stage.RENEWAL_DAG_ID)

    def rotate(**params: object) -> str:
        run_id = api.trigger(stage.DAG_ID, stage.conf(everyone, connections_per_task=PER_TASK, **params))
        follow(stage.DAG_ID, run_id)
        return run_id

    say("A dry run: what would be done?")
    looked = rotate(dry_run=True)

    say(f"The tokens of {first.login} and {second.login} expire in days. Renewing them in Snowflake ...")
    _shut_tableau_out(play, second)
    _let_no_workbook_be_edited(play, first)
    renewed = api.trigger(stage.RENEWAL_DAG_ID, {})
    follow(stage.RENEWAL_DAG_ID, renewed)

    say(f"The asset starts the rotation. Snowflake does not let Tableau in as {second.login}: that run fails ...")
    failed = play.started_by_the_asset(besides=[looked])
    follow(stage.DAG_ID, failed)

    say("That is mended, and the rotation runs again, for all. Tableau is busy ...")
    _let_tableau_in(play, second)
    play.tableau.faults.clear()
    play.tableau.faults.script("query_connections", Throttle("1"), times=3)
    play.tableau.faults.script("update_connection", Throttle("2"), times=4)
    mended = rotate()

    say(f"Somebody publishes with the old token of {first.login}. A dry run finds what is left ...")
    _publish_with_the_old_token(play, first)
    return Filled(looked, renewed, failed, mended, rotate(dry_run=True))


def _vary_lives(snowflake: SnowflakeState, site: Site) -> None:
    """Let the tokens of the users expire at different times."""
    now = snowflake.clock.now()
    for credential, (days, left) in zip(site.credentials.values(), LIVES, strict=False):
        token = snowflake.accounts[credential.account].user(credential.login).token(TOKEN_NAME)
        if token is not None:
            token.days_to_expiry = days
            token.expires_at = now + timedelta(days=left)
            token.created_on = token.expires_at - timedelta(days=days)


def _shut_tableau_out(play: Playground, credential: SandboxCredential) -> None:
    state = play.snowflake.state
    account = state.accounts[credential.account]
    account.add_network_policy(AIRFLOW_ALONE, [state.client_addresses["airflow"]])
    account.user(credential.login).network_policy = AIRFLOW_ALONE


def _let_tableau_in(play: Playground, credential: SandboxCredential) -> None:
    play.snowflake.state.accounts[credential.account].user(credential.login).network_policy = NETWORK_POLICY


def _let_no_workbook_be_edited(play: Playground, credential: SandboxCredential) -> None:
    """One of them: the first that this user has, which is no canary, for extracts are preferred."""
    target = next(
        target
        for target in play.tableau.state.site.expected_targets()
        if (target.credential, target.content_type) == (credential.name, "workbook")
    )
    refusal = TableauCode("400039", "The connection is not editable.")
    play.tableau.faults.script("update_connection", refusal, {"connection_id": target.connection_id})


def _publish_with_the_old_token(play: Playground, credential: SandboxCredential) -> None:
    site = play.tableau.state.site
    for name in ("Orders of the new shop", "Returns of the new shop"):
        connection = snowflake_connection(
            credential.login,
            credential.secret,
            f"{credential.account}.snowflakecomputing.com",
            target_of=credential.name,
        )
        site.add_datasource(name, project=site.projects[0].name, owner=site.users[-1].name, connections=[connection])
