"""An answer takes no more memory than the largest of Tableau's, whatever it holds, and however it is compressed."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import pytest

from credential_rotation.tableau import success, tsxml
from credential_rotation.tableau.content import ContentType
from credential_rotation.tableau.errors import AnswerTooLarge, BadAnswer, RequestRefused, ServerFault, TableauError
from credential_rotation.tableau.tableau_data import NoDataHere
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.tableau import Fault, Site, TableauServer
from sandbox.tableau.answers import Answer
from sandbox.tableau.faults import Exchange
from tests.credential_rotation.hooks.connecting import Connect
from tests.credential_rotation.tableau.operations import DATABASE, EVERY_OPERATION, LISTS, Operations

MIB = 1024 * 1024
TYPES = {"read_metadata": "application/json", "query_datasource": "application/json", "view_data": "text/csv"}


@dataclass(frozen=True)
class Packed(Fault):
    """An answer of so many bytes, as they are on the wire."""

    word: ClassVar[str] = "packed"
    body: bytes = b""
    encoding: str = "gzip"
    status: int = 200
    content_type: str = "application/xml"

    def play(self, exchange: Exchange) -> Answer:
        headers = {"Content-Encoding": self.encoding} if self.encoding else {}
        return Answer(self.status, body=self.body, headers=headers, content_type=self.content_type)


@cache
def bomb(mebibytes: int, beginning: bytes = b"<tsResponse>", filling: bytes = b" ") -> bytes:
    """So much of something, in a thousandth of the room."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    parts = [packing.compress(beginning), *(packing.compress(filling * MIB) for _ in range(mebibytes))]
    return b"".join([*parts, packing.flush()])


@contextmanager
def growing_by_at_most(mebibytes: float) -> Iterator[None]:
    """Watches what this process takes, the server included, whose answers are small."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < mebibytes * MIB
    finally:
        tracemalloc.stop()


def test_a_bomb_is_small_before_it_goes_off() -> None:
    assert len(bomb(300)) < 309_000
    assert len(gzip.decompress(bomb(1))) == MIB + len(b"<tsResponse>")


@pytest.mark.parametrize("operation", [each for each in EVERY_OPERATION if each not in DATABASE])
def test_a_bomb_is_read_up_to_the_limit_once_and_the_error_says_what_it_is(
    do: Operations, server: TableauServer, operation: str
) -> None:
    limit = 64 if operation in (*LISTS, "list_jobs") else 8
    server.faults.script(operation, Packed(bomb(300)), times=99)
    expected = BadAnswer if operation == "server_info" else AnswerTooLarge
    with growing_by_at_most(1.5 * limit + 8), pytest.raises(expected) as raised:
        do(operation)
    assert server.requests.count(operation) == 1
    if operation != "server_info":  # that one tells which setting makes it needless
        said = str(raised.value)
        assert said.startswith(("GET /api/", "PUT /api/", "POST /api/"))
        assert f"more than {limit} MiB when decompressed, which is the limit" in said
        assert "find out what answers in its place" in said


@pytest.mark.parametrize("status", [300, 302, 401, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("operation", ["sign_in", "list_flows", "update_connection", "view_data", "query_datasource"])
def test_a_bomb_in_a_refusal_is_not_read_and_its_status_counts(
    do: Operations, server: TableauServer, operation: str, status: int
) -> None:
    server.faults.script(operation, Packed(bomb(300), status=status), times=99)
    with growing_by_at_most(10), pytest.raises((TableauError, NoDataHere)) as raised:
        do(operation)
    assert not isinstance(raised.value, AnswerTooLarge)


@pytest.mark.parametrize("operation", ["read_metadata", "query_datasource"])
def test_a_bomb_in_json_is_not_read_to_its_end(do: Operations, server: TableauServer, operation: str) -> None:
    packed = bomb(300, b'{"data": [', b"{},")
    server.faults.script(operation, Packed(packed, content_type=TYPES[operation]), times=99)
    with growing_by_at_most(16), pytest.raises((AnswerTooLarge, NoDataHere), match="more than 4 MiB"):
        do(operation)
    assert server.requests.count(operation) == 1


def test_more_data_of_a_view_than_is_read_is_data(do: Operations, server: TableauServer) -> None:
    server.faults.script("view_data", Packed(bomb(300, b"Region\r\n", b"N\r\n"), content_type="text/csv"))
    with growing_by_at_most(10):
        do("view_data")
    assert server.faults.left() == 0


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_what_is_large_without_any_compression_is_not_read_either(
    do: Operations, server: TableauServer, encoding: str
) -> None:
    server.faults.script("update_connection", Packed(b" " * 20 * MIB, encoding), times=99)
    with growing_by_at_most(20), pytest.raises(AnswerTooLarge):
        do("update_connection")


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "compress", "gzip, gzip", "gzip, identity", "x"])
def test_a_compression_that_was_not_asked_for_is_not_undone(
    do: Operations, server: TableauServer, encoding: str
) -> None:
    server.faults.script("list_flows", Packed(gzip.compress(bomb(10)), encoding), times=99)
    with growing_by_at_most(8), pytest.raises(BadAnswer, match="compressed in a way that was not asked for"):
        do("list_flows")
    assert {request.headers["accept-encoding"] for request in server.requests} == {"gzip"}


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(gzip.compress(b"<tsResponse><flows/></tsResponse>")[:-9], id="cut short"),
        pytest.param(b"<tsResponse><flows/></tsResponse>", id="not compressed"),
        pytest.param(gzip.compress(b"<tsResponse>" * 999)[:40] + b"\0" * 99, id="broken"),
    ],
)
def test_gzip_that_can_not_be_undone_is_a_bad_answer(do: Operations, server: TableauServer, packed: bytes) -> None:
    server.faults.script("list_flows", Packed(packed), times=99)
    with pytest.raises(BadAnswer, match="broke off"):
        do("list_flows")


@pytest.mark.parametrize(("operation", "status"), [("sign_out", 204), ("sign_out", 200), ("cancel_job", 200)])
def test_nothing_may_be_called_compressed(do: Operations, server: TableauServer, operation: str, status: int) -> None:
    server.faults.script(operation, Packed(b"", status=status))
    do(operation)
    assert server.requests.count(operation) == 1


@pytest.mark.parametrize("encoding", ["gzip", "br", "x"])
@pytest.mark.parametrize(("status", "kind"), [(304, BadAnswer), (400, RequestRefused), (500, ServerFault)])
def test_the_status_of_a_refusal_counts_however_it_is_compressed(
    do: Operations, server: TableauServer, status: int, kind: type[TableauError], encoding: str
) -> None:
    packed = b"" if status == 304 else gzip.compress(b"<tsResponse/>")
    server.faults.script("update_connection", Packed(packed, encoding, status), times=99)
    with pytest.raises(kind, match=f"Tableau answered {status} to PUT"):
        do("update_connection")


# XML takes more memory as a tree than as bytes.


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<tsResponse>" + b"<a/>" * 15 * MIB + b"</tsResponse>", id="elements"),
        pytest.param(b"<tsResponse>" + b"<a b=''/>" * 6 * MIB + b"</tsResponse>", id="attributes"),
        pytest.param(b"<tsResponse " + b" ".join(b"a%d=''" % n for n in range(3 * MIB)) + b"/>", id="one element"),
    ],
)
def test_a_tree_of_more_parts_than_tableau_s_is_not_built(body: bytes) -> None:
    with growing_by_at_most(1), pytest.raises(BadAnswer, match="more elements and attributes"):
        tsxml.parse(body, "application/xml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "cp037"])
def test_entities_do_not_grow(encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding}"?>'
    rest = f'<!DOCTYPE t [<!ENTITY e "{"<a/>" * 1000}">]><tsResponse>{"&e;" * 100_000}</tsResponse>'
    # The declaration is read before its encoding is known.
    head = declared.encode("ascii" if encoding == "cp037" else encoding)
    with growing_by_at_most(8), pytest.raises(BadAnswer):
        tsxml.parse(head + rest.encode(encoding), "application/xml")


def test_elements_may_be_in_one_another_to_any_depth() -> None:
    depth = 100_000
    root = tsxml.parse(b"<tsResponse>" + b"<a>" * depth + b"</a>" * depth + b"</tsResponse>", "application/xml")
    assert sum(1 for _ in root.iter()) == depth + 1


# What Tableau itself sends fits.


def large_item(number: int) -> str:
    name = f"{number:06}" + "漢" * 249
    description = "説明文" * 1333
    tags = "".join(f'<tag label="{n:03}{"札" * 37}"/>' for n in range(100))
    return (
        f'<datasource id="{number:036}" name="{name}" contentUrl="{name}" description="{description}" size="12" '
        f'webpageUrl="https://tableau.example/#/site/acme/datasources/{number}" certificationNote="{"x" * 500}">'
        f'<project id="{number:036}" name="{name}"/><owner id="{number:036}"/><tags>{tags}</tags></datasource>'
    )


@pytest.mark.parametrize("encoding", ["gzip", ""])
def test_a_full_page_of_items_with_long_names_fits_with_room(
    connect: Connect, server: TableauServer, encoding: str
) -> None:
    items = "".join(large_item(number) for number in range(1000))
    pagination = '<pagination pageNumber="1" pageSize="1000" totalAvailable="1000"/>'
    body = f"<tsResponse>{pagination}<datasources>{items}</datasources></tsResponse>".encode()
    assert len(body) < success.listing("datasources").most / 2
    assert body.count(b"<") + body.count(b"=") < tsxml._MOST_PARTS / 2
    packed = gzip.compress(body, 1) if encoding else body
    server.faults.script("list_datasources", Packed(packed, encoding))
    assert len(TableauSite(connect()).content(ContentType.DATASOURCE)) == 1000


def test_what_is_as_large_as_the_limit_is_read_and_a_byte_more_is_not(do: Operations, server: TableauServer) -> None:
    answer = b"<tsResponse/>"
    full = answer + b" " * (8 * MIB - len(answer))
    server.faults.script("update_connection", [Packed(gzip.compress(full)), Packed(gzip.compress(full + b" "))])
    do("update_connection")
    with pytest.raises(AnswerTooLarge):
        do("update_connection")


def test_after_an_answer_that_was_not_read_to_its_end_others_are_read(
    connect: Connect, server: TableauServer, site: Site
) -> None:
    site.add_flow("A")
    hook = connect()
    server.faults.script("list_flows", [Packed(bomb(70)), Packed(bomb(300), status=404)])
    with pytest.raises(AnswerTooLarge):
        TableauSite(hook).content(ContentType.FLOW)
    assert [each.name for each in TableauSite(hook).content(ContentType.FLOW)] == ["A"]
    assert server.faults.left() == 0
