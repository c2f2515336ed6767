"""Which Snowflake connections a run is about that asset events have started."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

RENEWAL = "renew_snowflake_pat"


@dataclass(frozen=True)
class NamedByEvents:
    """The Airflow connections that the events name: those that are followed, and those that are not."""

    followed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def all(self) -> list[str]:
        """What the run is about: what is followed or, where that is nothing, what was asked for."""
        return list(self.followed or self.refused)

    @property
    def problem(self) -> str | None:
        """What is wrong with them."""
        if not self.refused:
            return None
        return (
            f"An asset event names {', '.join(map(repr, self.refused))} as Snowflake connections. It is not followed "
            f"there, because it is not from {RENEWAL} and CREDENTIAL_ROTATION_SNOWFLAKE_CONN_IDS does not name them. "
            "Name them in that setting, or trigger this DAG with them as snowflake_conn_ids."
        )


def named_by_events(context: Context, known: Collection[str]) -> NamedByEvents:
    """What the asset events that started a run name; nothing where none did.

    Whoever may create asset events need not be allowed to trigger this DAG, let alone to choose its params. Airflow
    notes which DAG an event is from, and notes none for one that was created by its API or UI.

    :param known: the connections that a run is about by default; events from elsewhere may name no others
    """
    events = [event for each in (context.get("triggering_asset_events") or {}).values() for event in each]
    named = [(conn_id, event.source_dag_id) for event in events for conn_id in _named(event.extra)]
    followed = dict.fromkeys(conn_id for conn_id, source in named if source == RENEWAL or conn_id in known)
    refused = dict.fromkeys(conn_id for conn_id, _ in named if conn_id not in followed)
    return NamedByEvents(tuple(followed), tuple(refused))


def _named(extra: Mapping[str, Any] | None) -> list[str]:
    named = (extra or {}).get("snowflake_conn_ids")
    return [str(conn_id) for conn_id in named] if isinstance(named, list) else []
