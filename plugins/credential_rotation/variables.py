"""Airflow Variables, read so that "not there" means that."""

from __future__ import annotations

from airflow.sdk import Variable


class VariableTrouble(RuntimeError):
    """A Variable can't be read or written just now; what the matter is, without what is in it."""


def read_variable(name: str) -> str | None:
    """The text of a Variable; None only when there is no such one.

    ``Variable.get`` tells an API server that stumbles as "not there".

    :raises VariableTrouble: when it can't be read
    """
    try:
        text: str | None = Variable.get(name, default=None)
        is_unread = text is None and name in list(Variable.keys(prefix=name))
    except Exception as problem:  # noqa: BLE001 - whatever a secrets backend raises
        raise VariableTrouble(f"can't be read ({_kind_of(problem)})") from None
    if is_unread:
        raise VariableTrouble("is there, but can't be read")
    return text


def write_variable(name: str, text: str, description: str) -> None:
    """Write a Variable.

    :raises VariableTrouble: when that fails
    """
    try:
        Variable.set(name, text, description=description)
    except Exception as problem:  # noqa: BLE001 - whatever Airflow raises
        raise VariableTrouble(f"can't be written ({_kind_of(problem)})") from None


def _kind_of(problem: Exception) -> str:
    """What kind of problem it is; its text may hold anything."""
    error = getattr(problem, "error", None)
    return str(getattr(getattr(error, "error", None), "value", type(problem).__name__))
