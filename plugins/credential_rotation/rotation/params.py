"""What a person may ask of a run: names, defaults, and their check. The DAG makes its form of these."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from credential_rotation.rotation.budget import FailureBudget
from credential_rotation.rotation.filters import Filters
from credential_rotation.rotation.wrong_input import UnusableParams
from credential_rotation.tableau.content import ContentType


@dataclass(frozen=True)
class RotationParams:
    """The params of ``rotate_snowflake_pat_in_tableau``; see its form, or docs/reference.md."""

    tableau_conn_ids: list[str]
    snowflake_conn_ids: list[str]
    content_types: list[ContentType]
    projects: list[str]
    exclude_projects: list[str]
    owners: list[str]
    tags: list[str]
    content_name: str | None
    ids: list[str]
    dry_run: bool
    validate_on: str | None
    canary_proof: str
    proof: str
    require_approval: bool
    force: bool
    embed_where_prompting: bool
    max_failures: int | str
    connections_per_task: int | None
    max_requests_per_minute: int | None
    roll_back: bool
    roll_back_run: str | None

    @property
    def filters(self) -> Filters:
        """What narrows the run."""
        return Filters(
            projects=self.projects,
            exclude_projects=self.exclude_projects,
            owners=self.owners,
            tags=self.tags,
            content_name=self.content_name,
            ids=self.ids,
        )

    @property
    def is_whole(self) -> bool:
        """Whether the run is about all connections of its sites that embed one of its credentials."""
        return not self.filters.narrow and set(self.content_types) == set(ContentType)

    @property
    def budget(self) -> FailureBudget:
        """How many failures are too many."""
        return FailureBudget.parse(self.max_failures)

    @classmethod
    def parse(cls, params: Mapping[str, Any], conf: Mapping[str, Any] | None = None) -> RotationParams:
        """Read what Airflow validated against the form, and what it lets through.

        :param params: the params of the run
        :param conf: the conf of the run: Airflow takes unknown keys in silence
        :raises UnusableParams: saying which, and what was perhaps meant
        """
        known = [field.name for field in fields(cls)]
        refuse_unknown(conf or {}, known)
        refuse_ignored(conf or {}, params)
        values = {name: params[name] for name in known}
        try:
            values["content_types"] = [ContentType(value) for value in values["content_types"]]
        except ValueError as error:
            raise UnusableParams(f"content_types: {error}") from None
        for name in ("content_types", "tableau_conn_ids", "snowflake_conn_ids"):
            if not values[name]:
                raise UnusableParams(f"{name} is empty; name at least one.")
        for name in ("content_name", "validate_on", "roll_back_run"):
            values[name] = (values[name] or "").strip() or None
        for name, value in values.items():
            if isinstance(value, list):
                if name != "content_types":
                    values[name] = stripped(name, value)
                refuse_repeated(name, values[name])
        parsed = cls(**values)
        if parsed.roll_back_run and not parsed.roll_back:
            raise UnusableParams("roll_back_run names a run, but roll_back is off.")
        _ = parsed.budget
        return parsed


def refuse_unknown(conf: Mapping[str, Any], known: Iterable[str]) -> None:
    """Airflow takes unknown keys in silence; a misspelt dry_run would write."""
    unknown = sorted(set(conf) - set(known))
    if not unknown:
        return
    hints = []
    for name in unknown:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hints.append(f"'{name}'" + (f" (did you mean '{near[0]}'?)" if near else ""))
    raise UnusableParams(f"Unknown param {', '.join(hints)}. Known are: {', '.join(sorted(known))}.")


def stripped(name: str, values: list[str]) -> list[str]:
    """Names without blanks around them."""
    stripped = [each.strip() for each in values]
    if not all(stripped):
        raise UnusableParams(f"{name} holds an empty name.")
    return stripped


def refuse_ignored(conf: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    """With ``[core] dag_run_conf_overrides_params`` off, Airflow ignores what was asked for: a dry run would write."""
    ignored = sorted(name for name, value in conf.items() if params.get(name) != value)
    if ignored:
        raise UnusableParams(
            f"Airflow ignores {', '.join(ignored)}: set [core] dag_run_conf_overrides_params to True, or give no conf."
        )


def refuse_repeated(name: str, values: list[str]) -> None:
    """One that is named twice is a mistake."""
    twice = sorted({str(value) for value in values if values.count(value) > 1})
    if twice:
        raise UnusableParams(f"{name} names {', '.join(twice)} twice.")
