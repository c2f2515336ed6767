"""The docs: whether what they link to, name and quote is there."""

from __future__ import annotations

import ast
import itertools
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from credential_rotation.rotation.outcomes import Proof
from credential_rotation.settings import PREFIX, Settings
from credential_rotation.tableau.settings import DEFAULT_SCOPES
from sandbox import reference
from sandbox.__main__ import COMMANDS

REPOSITORY = Path(__file__).parent.parent
DOCS = REPOSITORY / "docs"
LIBRARY = REPOSITORY / "plugins" / "credential_rotation"
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]

LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)|<(https?:[^>\s]+)>")
FENCE = re.compile(r"^( *)(```+)(\w*)\n(.*?)^ *\2 *$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
HTTPS = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(/[^\s`]*)?", re.IGNORECASE)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """Without blocks of code."""
    return FENCE.sub("", text_of(page))


def blocks_of(page: Path, language: str) -> list[str]:
    return [found[4] for found in FENCE.finditer(text_of(page)) if found[3] == language]


def code_in(page: Path) -> list[str]:
    """What is written as code, in the lines and in blocks."""
    return [found[2] for found in CODE.finditer(prose_of(page))] + [found[4] for found in FENCE.finditer(text_of(page))]


def links_of(page: Path) -> list[str]:
    prose = CODE.sub("", prose_of(page))
    # Inside [`code`](...), too.
    return [found[1] or found[2] for found in LINK.finditer(prose)]


def headings_of(page: Path) -> list[str]:
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in HEADING.findall(prose_of(page)))
    return [re.sub(r"[`*]", "", heading) for heading in plain]


def github_anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def generator_anchor(heading: str) -> str:
    """As Python-Markdown's `toc` makes it."""
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


@every_page
def test_each_link_leads_somewhere(page: Path) -> None:
    for link in links_of(page):
        if link.startswith("http"):
            assert HTTPS.fullmatch(link) or "//localhost" in link, f"{link} is no https address"
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        if page.parent == DOCS:
            assert target.parent == DOCS, f"{link} leads out of docs/, where the site ends"
        if anchor:
            of_github = [github_anchor(heading) for heading in headings_of(target)]
            of_site = [generator_anchor(heading) for heading in headings_of(target)]
            assert of_github.count(anchor) == 1, f"{link}: GitHub knows {of_github}"
            assert of_site.count(anchor) == 1, f"{link}: the site knows {of_site}"


def test_each_picture_is_on_a_page() -> None:
    linked = {Path(link).name for page in PAGES for link in links_of(page)}
    assert {picture.name for picture in DOCS.iterdir() if picture.suffix in (".png", ".svg")} <= linked


def test_each_page_is_in_the_navigation() -> None:
    config = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = list(_leaves(config["nav"]))
    assert sorted(listed) == sorted(page.name for page in DOCS.glob("*.md"))


def _leaves(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for each in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from _leaves(each)


def test_the_reference_is_what_the_code_makes_it() -> None:
    assert text_of(reference.PAGE) == reference.reference(), "make reference"


@every_page
def test_each_file_that_is_named_is_there(page: Path) -> None:
    top = {path.name for path in REPOSITORY.iterdir()} - {"site"}
    for named in code_in(page):
        if not re.fullmatch(r"[\w.*/-]+", named):
            continue
        places = (REPOSITORY, LIBRARY, REPOSITORY / "tests")
        if named.split("/")[0] in top or named.endswith((".py", ".sql", ".lock")):
            assert any(list(place.glob(named.rstrip("/"))) for place in places), f"there is no {named}"


@every_page
def test_each_command_that_is_named_is_there(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for code in code_in(page):
        for target in re.findall(r"\bmake(?: [A-Z_]+=\S+)* ([a-z][a-z-]*)", code):
            assert target in targets, f"there is no make {target}"
        for command in re.findall(r"python -m sandbox ([a-z]+)", code):
            assert command in COMMANDS, f"there is no python -m sandbox {command}"


@every_page
def test_each_setting_that_is_named_is_there(page: Path) -> None:
    known = {PREFIX + field.name.upper() for field in fields(Settings)}
    assert set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", text_of(page))) <= known


@every_page
def test_each_example_can_be_read(page: Path) -> None:
    for block in blocks_of(page, "json"):
        json.loads(block)
    for block in blocks_of(page, "yaml"):
        yaml.safe_load(block)


def test_the_values_for_helm_name_settings_and_connections_that_there_are() -> None:
    values = yaml.safe_load((DOCS / "helm-values.yaml").read_text(encoding="utf-8"))
    assert {each["name"] for each in values["env"]} <= {PREFIX + field.name.upper() for field in fields(Settings)}
    defaults = Settings.from_environment({})
    wanted = {f"AIRFLOW_CONN_{name.upper()}" for name in (*defaults.tableau_conn_ids, *defaults.snowflake_conn_ids)}
    assert {each["envName"] for each in values["secret"]} == wanted
    assert f"apache-airflow~={values['airflowVersion']}" in text_of(REPOSITORY / "requirements.txt")


def test_what_each_error_means_is_said() -> None:
    said = text_of(DOCS / "when-it-fails.md")
    kinds = [*reference.tableau_errors(), *reference.OTHER_ERRORS]
    assert [kind.__name__ for kind in kinds if f"`{kind.__name__}`" not in said] == []


def test_each_message_that_is_quoted_is_one_of_the_code() -> None:
    rows = [row.split("|")[1] for row in text_of(DOCS / "when-it-fails.md").splitlines() if row.startswith("| ")]
    quoted = [found[2] for row in rows for found in CODE.finditer(row)]
    assert len(quoted) > 60
    messages = _texts_of_the_code()
    for message in quoted:
        # The number is what Tableau, or a clock, fills in.
        for part in filter(None, (part.strip(" '(),;:0123456789") for part in message.split("..."))):
            assert part in NOT_OURS or any(part in text for text in messages), f"nothing says {part!r}"


# The words of Airflow, Snowflake and Tableau.
NOT_OURS = ("scheduled", "queued", "Incoming request with IP", "is not allowed", "not editable / not allowed", "gone")


def _texts_of_the_code() -> list[str]:
    """Every text in the library and the plugin; and, as they become one, those that are handed over together."""
    found = []
    for path in LIBRARY.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found += _texts(node)
            if isinstance(node, ast.Call):
                found.append(" ".join(text for each in node.args for text in _texts(each)[:1]))
    return found


def _texts(node: ast.AST) -> list[str]:
    """What a literal can come to; what is filled in is left out."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.IfExp):
        return _texts(node.body) + _texts(node.orelse)
    if isinstance(node, ast.FormattedValue):
        return _texts(node.value)
    if isinstance(node, ast.JoinedStr):
        pieces = [_texts(each) or ["\0"] for each in node.values]
        return ["".join(each) for each in itertools.product(*pieces)]
    return []


def test_each_field_of_a_connection_is_described() -> None:
    reads = {
        "tableau.md": (LIBRARY / "tableau" / "settings.py", r"""(?:extra\.get|self\.text|reader\.text)\("(\w+)\""""),
        "snowflake.md": (
            LIBRARY / "rotation" / "credentials.py",
            r"""_(?:text|texts|secret)\(conn, extra, "(\w+)"|"(\w+)"(?=, "token_name"|, "admin_conn_id"|\)\n    \))""",
        ),
    }
    for page, (code, pattern) in reads.items():
        keys = {key for found in re.findall(pattern, code.read_text(encoding="utf-8")) for key in _each(found) if key}
        assert len(keys) > 6
        assert {key for key in keys if f"`{key}`" not in text_of(DOCS / page)} == set(), page


def _each(found: str | tuple[str, ...]) -> tuple[str, ...]:
    return (found,) if isinstance(found, str) else found


def test_each_scope_of_a_connected_app_is_described() -> None:
    assert [scope for scope in DEFAULT_SCOPES if f"`{scope}`" not in text_of(DOCS / "tableau.md")] == []


def test_each_proof_is_described() -> None:
    assert [proof for proof in Proof if f"`{proof}`" not in text_of(DOCS / "proof.md")] == []
