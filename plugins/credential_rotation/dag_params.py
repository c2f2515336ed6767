"""The trigger form of ``rotate_snowflake_pat_in_tableau``: names, defaults, JSON schema and help, in one place."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from credential_rotation.tableau.content import ContentType

_WHO = "Who and where"
_NARROW = "Narrow the run"
_PROOF = "Try and prove"
_PACE = "Pace and limits"


def rotation_params() -> dict[str, Param]:
    """The params, in the order of the form."""
    return {
        "tableau_conn_ids": _names(
            ["tableau_default"], "Tableau connections", _WHO, "Airflow connections, one per Tableau site."
        ),
        "snowflake_conn_ids": _names(
            ["snowflake_pat"],
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
            "Put the secret before this one back (`previous_password`) into every connection that a run updated.",
        ),
        "roll_back_run": _text(
            "Run to roll back", _PROOF, "The run id of that run. Empty: the latest that updated anything."
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


def _names(default: list[str], title: str, section: str, help_text: str) -> Param:
    return Param(
        default,
        type="array",
        items={"type": "string", "minLength": 1},
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
