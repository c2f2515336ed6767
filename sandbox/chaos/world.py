"""A Tableau that people go on working in, and what each connection of it held before a run or since they changed it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from random import Random

from sandbox.chaos.plan import Event
from sandbox.snowflake import SnowflakeState
from sandbox.snowflake.believable import NEXT_TOKEN_NAME
from sandbox.tableau import Content, ContentType, TableauServer, snowflake_connection
from sandbox.verdict import take_snapshot

# An item that was changed so shortly after it was updated can't be told from one that was not: an update changes the
# time of its item, too. People are slower.
SETTLED_SECONDS = 7.0


class World:
    """What people do in a Tableau during a run.

    :param spared: the LUIDs of items that nobody touches
    """

    def __init__(self, tableau: TableauServer, spared: frozenset[str] = frozenset()) -> None:
        self.state = tableau.state
        self.site = tableau.state.site
        self.before = take_snapshot(self.site)
        # Also of those that are not there any more.
        self.credential_of = {target.connection_id: target.credential for target in self.site.expected_targets()}
        self.content_of = {connection.id: content.id for content, connection in self.site.connections()}
        # Only an item with one connection shows by its data that this one connects.
        self._with_data = {c.connections[0].id for c in self.site.contents if _shows_its_data(c)}
        self.removed: set[str] = set()  # LUIDs of items
        self.replaced: set[str] = set()  # LUIDs of connections that publishing again took away
        self.published: set[str] = set()  # and of those that came during the run
        self.republished: set[str] = set()  # and of those that kept theirs
        self.changed: set[str] = set()  # LUIDs of items
        self._requests = tableau.requests
        self._spared = spared
        self._new = 0

    def do(self, event: Event, random: Random) -> str | None:
        """Let something happen; to what it did, or None where it can't happen now."""
        doings: dict[Event, Callable[[Random], str | None]] = {
            Event.REMOVE: self._remove,
            Event.RENAME: self._rename,
            Event.REPUBLISH: self._republish,
            Event.REPUBLISH_NEW_IDS: self._republish_with_new_ids,
            Event.PUBLISH: self._publish,
            Event.SESSIONS_END: self._end_sessions,
            Event.CLOCK: self._advance_clock,
        }
        with self.state.lock:
            return doings[event](random)

    def has_data(self, connection_id: str) -> bool:
        """Whether Tableau can be asked for data with what this connection embeds."""
        return connection_id in self._with_data

    def was_tried_in_snowflake(self, name: str, before: datetime) -> bool:
        """Whether somebody signed in with the new token of a credential, from Airflow."""
        credential, snowflake = self.site.credentials[name], self.state.snowflake
        if not isinstance(snowflake, SnowflakeState):
            return False
        logins = snowflake.accounts[credential.account].logins
        mine = [each for each in logins if (each.user_name or "").casefold() == credential.login.casefold()]
        return any(
            each.is_success
            and each.token_name == NEXT_TOKEN_NAME
            and each.client == "airflow"
            and each.event_timestamp < before
            for each in mine
        )

    def _remove(self, random: Random) -> str | None:
        content = self._any(random, lambda each: bool(_credentials_of(each)))
        if content is None:
            return None
        self.site.remove(content)
        self.removed.add(content.id)
        return content.name

    def _rename(self, random: Random) -> str | None:
        content = self._any(random, lambda _: True)
        if content is None:
            return None
        content.name = f"{content.name}, renamed"
        self._note_change(content)
        return content.name

    def _republish(self, random: Random) -> str | None:
        content = self._any(random, lambda each: len(each.connections) == 1 and self._is_settled(each))
        if content is None:
            return None
        self._publish_again(content, new_ids=False)
        self.republished |= {connection.id for connection in content.connections}
        return content.name

    def _republish_with_new_ids(self, random: Random) -> str | None:
        content = self._any(random, lambda _: True)
        if content is None:
            return None
        self.replaced |= {connection.id for connection in content.connections}
        self._publish_again(content, new_ids=True)
        self.published |= {connection.id for connection in content.connections}
        return content.name

    def _publish_again(self, content: Content, *, new_ids: bool) -> None:
        (credential,) = _credentials_of(content)
        self.site.republish(content, self.site.credentials[credential].secret, new_ids=new_ids)
        self._know(content)
        self._note_change(content)

    def _publish(self, random: Random) -> str:
        credential = self.site.credentials[random.choice(sorted(self.site.credentials))]
        connection = snowflake_connection(
            credential.login,
            credential.secret,
            f"{credential.account}.snowflakecomputing.com",
            target_of=credential.name,
        )
        self._new += 1
        add = random.choice((self.site.add_datasource, self.site.add_workbook, self.site.add_flow))
        content = add(f"Brand new {self._new}", connections=[connection])
        self._know(content)
        self._note_change(content)
        self.published.add(connection.id)
        return content.name

    def _end_sessions(self, random: Random) -> str | None:  # noqa: ARG002 - as the others
        return f"{self.state.sessions.end_all()} ended" if len(self.state.sessions) else None

    def _advance_clock(self, random: Random) -> str:  # noqa: ARG002 - as the others
        minutes = self.state.session_idle_minutes + 1
        self.state.clock.advance(minutes=minutes)
        return f"{minutes:.0f} minutes"

    def _any(self, random: Random, fits: Callable[[Content], bool]) -> Content | None:
        """An item with targets of one credential and nothing else; one that nobody spares."""
        contents = [
            each
            for each in self.site.contents
            if each.id not in self._spared and len(_credentials_of(each)) == 1 and fits(each)
        ]
        return random.choice(contents) if contents else None

    def _is_settled(self, content: Content) -> bool:
        """Whether nobody is just about to update it, or has lately."""
        updates = self._requests.all("update_connection", content_id=content.id)
        now = self.state.clock.now()
        return all((now - entry.time).total_seconds() > SETTLED_SECONDS for entry in updates)

    def _know(self, content: Content) -> None:
        snapshot = take_snapshot(self.site)
        for connection in content.connections:
            self.before[connection.id] = snapshot[connection.id]
            self.content_of[connection.id] = content.id
            if _shows_its_data(content):
                self._with_data.add(connection.id)
            if connection.target_of:
                self.credential_of[connection.id] = connection.target_of

    def _note_change(self, content: Content) -> None:
        content.updated_at = self.state.clock.now()
        self.changed.add(content.id)


def _shows_its_data(content: Content) -> bool:
    return len(content.connections) == 1 and content.content_type in {ContentType.DATASOURCE, ContentType.WORKBOOK}


def _credentials_of(content: Content) -> set[str]:
    """The credentials of an item in which each connection is a target; else none."""
    names = {connection.target_of for connection in content.connections}
    return {name for name in names if name} if None not in names else set()
