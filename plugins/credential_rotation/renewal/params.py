"""What a person may ask of a renewal: names and their check. The DAG makes its form of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from credential_rotation.renewal.decision import Wishes
from credential_rotation.rotation.params import refuse_ignored, refuse_repeated, refuse_unknown, stripped
from credential_rotation.rotation.wrong_input import UnusableParams

# What Snowflake allows a token to live at most.
_MOST_DAYS = 365


@dataclass(frozen=True)
class RenewalParams:
    """The params of ``renew_snowflake_pat``; see its form, or docs/reference.md."""

    snowflake_conn_ids: list[str]
    admin_conn_id: str
    renew_before_days: float
    overlap_hours: int
    dry_run: bool
    force: bool
    remove_rotated: bool

    @property
    def wishes(self) -> Wishes:
        """What is asked for each token."""
        return Wishes(self.renew_before_days, self.overlap_hours, self.force)

    @classmethod
    def parse(cls, params: Mapping[str, Any], conf: Mapping[str, Any] | None = None) -> RenewalParams:
        """Read what Airflow validated against the form, and what it lets through.

        :raises UnusableParams: saying which, and what was perhaps meant
        """
        known = [field.name for field in fields(cls)]
        refuse_unknown(conf or {}, known)
        refuse_ignored(conf or {}, params)
        values = {name: params[name] for name in known}
        values["snowflake_conn_ids"] = stripped("snowflake_conn_ids", values["snowflake_conn_ids"])
        if not values["snowflake_conn_ids"]:
            raise UnusableParams("snowflake_conn_ids is empty; name at least one.")
        refuse_repeated("snowflake_conn_ids", values["snowflake_conn_ids"])
        values["admin_conn_id"] = str(values["admin_conn_id"]).strip()
        if values["admin_conn_id"] in values["snowflake_conn_ids"]:
            raise UnusableParams(
                f"admin_conn_id: '{values['admin_conn_id']}' is one of snowflake_conn_ids, too; a token can't rotate "
                "itself. Name a connection that signs in by key pair."
            )
        if not 0 <= values["renew_before_days"] <= _MOST_DAYS:
            raise UnusableParams(f"renew_before_days must be a number of days up to {_MOST_DAYS}.")
        return cls(**values)
