"""Names in statements."""

from __future__ import annotations

import pytest

from credential_rotation.renewal.identifiers import identifier, quoted


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("TABLEAU_ETL", "TABLEAU_ETL"),
        ("tableau_etl", "tableau_etl"),
        ("_x$1", "_x$1"),
        ("1st", '"1st"'),
        ("svc-etl@acme.example", '"svc-etl@acme.example"'),
        ("", '""'),
        ('a"b', '"a""b"'),
        ('x"; DROP USER "y', '"x""; DROP USER ""y"'),
        ("two\nlines", '"two\nlines"'),
        ("ends\n", '"ends\n"'),
        ("Ärger", '"Ärger"'),
    ],
)
def test_a_name_is_written_so_that_snowflake_reads_that_name(name: str, written: str) -> None:
    assert identifier(name) == written


@pytest.mark.parametrize("name", ["tableau_etl", "TABLEAU_ETL", 'a"b', ""])
def test_a_name_that_is_quoted_keeps_its_case(name: str) -> None:
    assert quoted(name)[1:-1].replace('""', '"') == name
