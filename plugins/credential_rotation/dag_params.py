"""The trigger form of ``rotate_snowflake_pat_in_tableau``: names, defaults, JSON schema and help, in one place."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from credential_rotation.renewal.decision import Wishes
from credential_rotation.settings import Settings
from credential_rotation.tableau.content import ContentType

_WHO = "Who and where"
_NARROW = "Narrow the run"
_PROOF = "Try and prove"
_PACE = "Pace and limits"
_WHEN = "When and how"


def rotation_params(settings: Settings | None = None) -> dict[str, Param]:
    """The params, in the order of the form.

    :param settings: say which connections a run is about that nobody has told
    """
    settings = settings or Settings.from_environment({})
    return {
        "tableau_conn_ids": _connections(
            list(settings.tableau_conn_ids), "Tableau connections", _WHO, "Airflow connections, one per Tableau site."
        ),
        "snowflake_conn_ids": _connections(
            list(settings.snowflake_conn_ids),
            "Snowflake connections",
            _WHO,
            "Airflow connections, one per Snowflake user; the password is its current programmatic access token.",
        ),
        "content_types": Param(
            [str(kind) for kind in ContentType],
            type="array",
            title="Content types",
            section=_NARROW,
            description_md="Where to look.",
            examples=[str(kind) for kind in ContentType],
            values_display={str(kind): kind.words.capitalize() + "s" for kind in ContentType},
            items={"type": "string", "enum": [str(kind) for kind in ContentType]},
        ),
        "projects": _names([], "Projects", _NARROW, "Only content of these projects, by name. Empty: all."),
        "exclude_projects": _names([], "Projects to leave out", _NARROW, "No content of these projects, by name."),
        "owners": _names([], "Owners", _NARROW, "Only content of these owners, by user name. Empty: all."),
        "tags": _names([], "Tags", _NARROW, "Only content with one of these tags. Empty: all."),
        "content_name": _text(
            "Content name", _NARROW, "Only content whose name matches; `*` and `?` are wildcards, case does not matter."
        ),
        "ids": _names(
            [], "LUIDs", _NARROW, "Only these content items or connections, by LUID. One that is not there is an error."
        ),
        "dry_run": _switch("Dry run", _PROOF, "Find, filter and report; write nothing to Tableau."),
        "validate_on": _text(
            "Validate on", _PROOF, "LUID of the content or connection that is updated first. Empty: one is chosen."
        ),
        "canary_proof": _choice(
            "connects",
            "Proof of the first",
            _PROOF,
            "What the first of each credential must show. `connects`: Tableau gets at data with the new token, by a "
            "refresh, a query or a view; where it offers none, Airflow signs in to Snowflake with it. `saved`: it is "
            "there when read back.",
        ),
        "proof": _choice(
            "saved",
            "Proof of the others",
            _PROOF,
            "What each of the others must show. `connects` refreshes every extract and asks every live source for "
            "data.",
        ),
        "require_approval": _switch(
            "Ask a person", _PROOF, "After the first of each credential, wait until a person approves the rest."
        ),
        "force": _switch("Update all again", _PROOF, "Update also what is known to hold the current token."),
        "roll_back": _switch(
            "Roll back",
            _PROOF,
            "Put the previous secret (`previous_password`, or what a renewal replaced) back wherever runs embedded the "
            "current one.",
        ),
        "roll_back_run": _text(
            "Run to roll back",
            _PROOF,
            "The run id of one run, to take back that one alone. Empty: all that embedded the current token.",
        ),
        "embed_where_prompting": _switch(
            "Also where people are asked",
            _PROOF,
            "Also write to connections whose author wants people to be asked for the password.",
        ),
        "max_failures": Param(
            "10%",
            type=["integer", "string"],
            title="Most failures",
            section=_PACE,
            description_md="Past this many failures, start no new updates: a number (`3`) or a share (`10%`).",
        ),
        "connections_per_task": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Connections in one task",
            section=_PACE,
            description_md="Empty: one, or with more than a hundred targets as many as keep the number of tasks small.",
        ),
        "max_requests_per_minute": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Most requests in a minute",
            section=_PACE,
            description_md="A ceiling for the whole run, for sites with a quota. Empty: none.",
        ),
    }


def renewal_params(settings: Settings | None = None) -> dict[str, Param]:
    """The params of ``renew_snowflake_pat``, in the order of the form."""
    settings = settings or Settings.from_environment({})
    return {
        "snowflake_conn_ids": _connections(
            list(settings.snowflake_conn_ids),
            "Snowflake connections",
            _WHO,
            "Airflow connections, one per Snowflake user whose token is renewed.",
        ),
        "admin_conn_id": Param(
            "snowflake_admin",
            type="string",
            minLength=1,
            title="Administrator",
            section=_WHO,
            description_md="The Airflow connection that signs in to Snowflake by key pair, and may rotate.",
        ),
        "renew_before_days": Param(
            Wishes.renew_before_days,
            type="number",
            minimum=0,
            title="Renew before (days)",
            section=_WHEN,
            description_md="Renew tokens that expire within so many days.",
        ),
        "overlap_hours": Param(
            Wishes.overlap_hours,
            type="integer",
            minimum=0,
            title="Overlap (hours)",
            section=_WHEN,
            description_md="How long the previous secret works on, in which all of Tableau must get the new one.",
        ),
        "dry_run": _switch("Dry run", _WHEN, "Look and report; rotate nothing."),
        "force": _switch(
            "Renew though not due",
            _WHEN,
            "Renew at once, also where that is refused otherwise: shortly before expiry, or after a lost rotation.",
        ),
        "remove_rotated": _switch(
            "Remove rotated tokens",
            _WHEN,
            "Before a renewal, remove rotated tokens of users whose connections in Tableau all hold the current one, "
            "as far as is known.",
        ),
    }


def _connections(default: list[str], title: str, section: str, help_text: str) -> Param:
    """Ids of Airflow connections; files are named after them, so none may look like a path."""
    return _names(default, title, section, help_text, pattern=r"^[^/\\]*[^/\\.][^/\\]*$")


def _names(default: list[str], title: str, section: str, help_text: str, **more: str) -> Param:
    return Param(
        default,
        type="array",
        items={"type": "string", "minLength": 1, **more},
        title=title,
        section=section,
        description_md=help_text,
    )


def _text(title: str, section: str, help_text: str) -> Param:
    return Param(None, type=["null", "string"], title=title, section=section, description_md=help_text)


def _switch(title: str, section: str, help_text: str) -> Param:
    return Param(False, type="boolean", title=title, section=section, description_md=help_text)


def _choice(default: str, title: str, section: str, help_text: str) -> Param:
    return Param(
        default, type="string", enum=["connects", "saved"], title=title, section=section, description_md=help_text
    )


def defaults() -> dict[str, Any]:
    """The default of each param."""
    return {name: param.value for name, param in rotation_params().items()}
