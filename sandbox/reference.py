"""`python -m sandbox reference`: writes docs/reference.md out of the code that it describes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from credential_rotation import fingerprint, retry_policy, run_folder, settings
from credential_rotation.dag_params import renewal_params, rotation_params
from credential_rotation.hooks.snowflake import SnowflakeDriverMissing
from credential_rotation.renewal import decision, step, tokens
from credential_rotation.retry_policy import RotationRetryPolicy
from credential_rotation.rotation import credentials, outcomes, selection, snowflake_words, wrong_input
from credential_rotation.tableau import errors
from credential_rotation.token_stores import kept

PAGE = Path(__file__).parent.parent / "docs" / "reference.md"

_HEAD = """# Reference

<!-- Made by `make reference` out of the code that it describes; a test fails when it is not what that makes. -->

Every param, setting, outcome, reason and error, in the words of the code. How to set them is in
[Tableau](tableau.md), [Snowflake](snowflake.md) and the pages on deployment; what to do when something fails in
[When it fails](when-it-fails.md).
"""

_PARAMS = """A run takes its params from the form of *Trigger*, or as JSON (`conf`). An unknown one is refused, with the
nearest known name. No param holds a secret."""

_SETTINGS = """Environment variables, all optional, read when Airflow parses the DAG files and when a task begins. Every
Airflow process needs the same ones. A number or switch that can't be used is an import error of the DAG, which names
it; a store or notifier that can't be used is told by the run."""

_EXCLUDED = """A connection is a target when none of these holds; else the first that does, in this order, is its
reason."""

_REFUSALS = """What Snowflake says when it refuses a sign-in is read, in Tableau's notes on a job as well, and followed
by what to check."""

_ERRORS = """What a task does when it fails by an error as a whole. A failure of one connection or item fails that one
only, and the others go on."""

# Not of Tableau: where each is defined, in the order in which a run may meet them.
OTHER_ERRORS: tuple[type[Exception], ...] = (
    settings.UnusableEnvironment,
    wrong_input.UnusableParams,
    credentials.UnusableCredential,
    selection.SelectionError,
    run_folder.FilesNotShared,
    fingerprint.NoFingerprints,
    kept.StoreUnusable,
    SnowflakeDriverMissing,
    snowflake_words.SnowflakeRefused,
    snowflake_words.SnowflakeUnreachable,
    tokens.UnexpectedAnswer,
    tokens.SecretLost,
    step.RenewalFailed,
    retry_policy.ConnectionsUnfinished,
    retry_policy.ConnectionsFailed,
    retry_policy.RunIsRed,
)
_WHAT_A_TASK_DOES = {"fail": "fails at once", "retry": "is tried again", "default": "is tried again"}


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page."""
    argparse.ArgumentParser(prog="python -m sandbox reference", description="Write docs/reference.md.").parse_args(argv)
    PAGE.write_text(reference(), encoding="utf-8")
    print(f"Written: {PAGE}")
    return 0


def reference() -> str:
    """The whole page."""
    sections = [
        _HEAD,
        _section("Params of rotate_snowflake_pat_in_tableau", _PARAMS, _params(rotation_params())),
        _section("Params of renew_snowflake_pat", "", _params(renewal_params())),
        _section("Settings", _SETTINGS, _settings()),
        _section("Outcomes", "Every connection that was looked at has exactly one.", _outcomes()),
        _section("Reasons for excluded", _EXCLUDED, _exclusions()),
        _section("Proofs", "How it was shown that an update took effect: [Proofs](proof.md).", _proofs()),
        _section("How a token stands", "The `decision` in the report of a renewal.", _states()),
        _section("Refusals of Snowflake", _REFUSALS, _refusals()),
        _section("Errors", _ERRORS, _errors()),
    ]
    return "\n".join(sections)


def tableau_errors() -> list[type[errors.TableauError]]:
    """Every error of Tableau that is raised, in the order of the tree."""
    found = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.TableauError)]
    return [each for each in found if each not in (errors.TableauError, errors.TableauUnwell)]


def _section(title: str, introduction: str, table: str) -> str:
    return f"## {title}\n\n" + (f"{introduction}\n\n" if introduction else "") + table


def _params(params: Mapping[str, Any]) -> str:
    rows = (
        (
            f"`{name}`",
            str(param.schema.get("title")),
            _takes(param.schema),
            _shown(param.value),
            str(param.schema.get("description_md")),
        )
        for name, param in params.items()
    )
    return _table(("param", "in the form", "takes", "default", "meaning"), rows)


def _takes(schema: Mapping[str, Any]) -> str:
    """What a JSON schema allows, in words."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if enum := schema.get("enum"):
        return ", ".join(f"`{value}`" for value in enum)
    if kinds == ["array"]:
        enum = schema["items"].get("enum")
        return f"any of {', '.join(f'`{value}`' for value in enum)}" if enum else "a list of texts"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "yes or no"}
    taken = " or ".join(words[kind] for kind in kinds if kind != "null")
    least = schema.get("minimum")
    return f"{taken}, at least {least}" if least is not None else taken


def _settings() -> str:
    defaults = settings.Settings.from_environment({})
    rows = (
        (
            f"`{settings.PREFIX}{each.name.upper()}`",
            each.metadata["takes"],
            each.metadata.get("default") or _shown(getattr(defaults, each.name)),
            each.metadata["means"],
        )
        for each in fields(settings.Settings)
    )
    return _table(("setting", "takes", "default", "meaning"), rows)


def _outcomes() -> str:
    green = {*outcomes.GREEN, outcomes.Outcome.EXCLUDED}
    rows = (
        (f"`{outcome}`", outcomes.OUTCOME_MEANS[outcome], _yes(outcome in green, outcome))
        for outcome in outcomes.Outcome
    )
    return _table(("outcome", "meaning", "run is green"), rows)


def _yes(green: bool, outcome: outcomes.Outcome) -> str:
    if outcome is outcomes.Outcome.ROLLED_BACK:
        return "no, unless the run was to roll back"
    return "yes" if green else "no"


def _exclusions() -> str:
    rows = (
        (f"`{reason}`", outcomes.EXCLUSION_MEANS[reason], outcomes.EXCLUSION_ADVICE[reason])
        for reason in outcomes.Exclusion
    )
    return _table(("reason", "the connection", "what to do"), rows)


def _proofs() -> str:
    return _table(("proof", "what was seen"), ((f"`{proof}`", outcomes.PROOF_MEANS[proof]) for proof in outcomes.Proof))


def _states() -> str:
    return _table(("decision", "meaning"), ((f"`{state}`", decision.STATE_MEANS[state]) for state in decision.State))


def _refusals() -> str:
    rows = ((f"`{refusal}`", snowflake_words.advice(refusal)) for refusal in snowflake_words.Refusal)
    return _table(("refusal", "what to check"), rows)


def _errors() -> str:
    rows = (
        (f"`{kind.__name__}`", _first_sentence(kind), _what_a_task_does(kind))
        for kind in (*tableau_errors(), *OTHER_ERRORS)
    )
    return _table(("error", "what it is", "the task"), rows)


def _first_sentence(kind: type[Exception]) -> str:
    return " ".join((kind.__doc__ or "").partition("\n\n")[0].replace("``", "`").split())


def _what_a_task_does(kind: type[Exception]) -> str:
    if kind is settings.UnusableEnvironment:
        return "is not there: an import error"
    action = RotationRetryPolicy().evaluate(kind("..."), 1, 4).action
    return _WHAT_A_TASK_DOES[action.value]


def _shown(value: Any) -> str:
    """A default, as a person would write it."""
    if value is None:
        return "empty"
    if isinstance(value, tuple):
        value = ",".join(value)
    if isinstance(value, list):
        value = "[" + ", ".join(f'"{each}"' for each in value) + "]"
    if isinstance(value, bool):
        value = str(value).lower()
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(_lines(head, rows)) + "\n"


def _lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _line(head)
    yield "|" + "---|" * len(head)
    yield from map(_line, rows)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
