"""Jinja templates with everything escaped, and the policy for a page that is one file."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from credential_rotation.pages import wording

_HERE = Path(__file__).parent
STATIC = _HERE / "static"


@dataclass(frozen=True)
class Inlined:
    """What a page that is one file holds in itself, and the policy that lets this and nothing else be used.

    :param early: the script that runs before anything is shown
    :param late: those that run when the page is there
    """

    style: Markup
    early: Markup
    late: tuple[Markup, ...]

    @property
    def policy(self) -> str:
        """For ``Content-Security-Policy``."""
        scripts = " ".join(_hash(script) for script in (self.early, *self.late))
        return (
            f"default-src 'none'; script-src {scripts}; style-src {_hash(self.style)}; img-src data:; "
            "base-uri 'none'; form-action 'none'"
        )


def template(name: str) -> Template:
    """A template. ``inlined`` in its context makes one file of the page; else it links ``static/...``."""
    return _environment().get_template(name)


@cache
def inlined() -> Inlined:
    """The style and the scripts of the report."""
    return Inlined(_text("style.css"), _text("theme.js"), (_text("times.js"), _text("table.js")))


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": wording.number,
        "duration": wording.duration,
        "moment": wording.moment,
        "with_code": wording.with_code,
    }
    made.globals |= {"inlined": None, "static": "static"}
    return made


def _text(name: str) -> Markup:
    # Our own files, and the only text that is not escaped.
    return Markup((STATIC / name).read_text(encoding="utf-8"))  # noqa: S704


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
