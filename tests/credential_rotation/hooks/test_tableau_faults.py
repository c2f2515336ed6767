"""Everything that can go wrong on the way: quick tries, then one typed error that tells no secret."""

from __future__ import annotations

import base64
import dataclasses
import json
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import ClassVar
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

import pytest
from jinja2.utils import htmlsafe_json_dumps

from credential_rotation.hooks.tableau import TableauHook
from credential_rotation.tableau.content import ContentType
from credential_rotation.tableau.errors import (
    BadAnswer,
    EditRefused,
    EmptyAnswer,
    NotAllowed,
    NotFound,
    RandomRefusal,
    RequestRefused,
    ServerFault,
    SessionKeepsEnding,
    TableauError,
    TableauUnwell,
    Throttled,
    Unreachable,
)
from credential_rotation.tableau.success import METADATA, VIEW_DATA
from credential_rotation.tableau.tableau_site import TableauSite
from credential_rotation.tableau.transport import LONGEST_WAIT, QUICK_TRIES, retry_after_seconds
from sandbox.tableau import (
    Content,
    EmptyBody,
    Fault,
    HalfBody,
    HtmlPage,
    OtherFormat,
    RawAnswer,
    Redirect,
    ResetAfter,
    ResetBefore,
    ServerError,
    SessionLost,
    Silence,
    Site,
    TableauCode,
    TableauServer,
    Throttle,
    snowflake_connection,
)
from sandbox.tableau.answers import Answer
from sandbox.tableau.faults import Exchange
from tests.credential_rotation.hooks.connecting import SIGN_INS, Connect
from tests.credential_rotation.hooks.telling import all_that_is_told_by

SECRET = "new \"secret\" <&> of 'Snowflake' /+ä"
XML, JSON = "application/xml", "application/json"


@dataclass(frozen=True)
class Bytes(Fault):
    """A 200 with these bytes."""

    word: ClassVar[str] = "bytes"
    body: bytes = b""

    def play(self, exchange: Exchange) -> Answer:
        return Answer(200, body=self.body, content_type=XML)


@dataclass(frozen=True)
class CutShort(Fault):
    """The answer's XML ends in its midst, as the length says it should."""

    word: ClassVar[str] = "cut_short"

    def play(self, exchange: Exchange) -> Answer:
        answer = exchange.answer()
        return dataclasses.replace(
            answer, body=b'<tsResponse xmlns="http://tableau.com/api"><connections><connection id="'
        )


UNWELL: dict[str, tuple[Fault, type[TableauError], str]] = {
    "500": (ServerError(500), ServerFault, "Tableau answered 500, code 500000"),
    "502": (ServerError(502), ServerFault, "Tableau answered 502"),
    "503": (ServerError(503), ServerFault, "Tableau answered 503"),
    "504": (ServerError(504), ServerFault, "Tableau answered 504"),
    "408": (TableauCode("408000", "timeout"), ServerFault, "Tableau answered 408"),
    "an HTML page with 503": (HtmlPage(503), ServerFault, r"Tableau answered 503 to GET .*/connections\.$"),
    "an HTML page with 200": (HtmlPage(200), BadAnswer, "the answer is an HTML page"),
    "a reset before": (ResetBefore(), Unreachable, "no answer from"),
    "a reset after": (ResetAfter(), Unreachable, "no answer from"),
    "half a body": (HalfBody(), BadAnswer, "broke off"),
    "silence": (Silence(0.4), Unreachable, "did not answer within 0.2 s"),
    "silence, then the end": (Silence(0.05, then="close"), Unreachable, "no answer from"),
    "JSON": (OtherFormat(), BadAnswer, "the answer is JSON, but XML was asked for"),
    "JSON that calls itself XML": (RawAnswer(200, '{"a": 1}', XML), BadAnswer, "the answer is JSON"),
    "nothing": (EmptyBody(), EmptyAnswer, "the answer is empty"),
    "blanks": (RawAnswer(200, " \n ", XML), EmptyAnswer, "the answer is empty"),
    "XML cut short": (CutShort(), BadAnswer, "it may be cut short"),
    "another XML": (RawAnswer(200, "<rss><channel/></rss>", XML), BadAnswer, "XML, but not a tsResponse"),
    "XHTML": (RawAnswer(200, "<?xml version='1.0'?><html/>", XML), BadAnswer, "XML, but not a tsResponse"),
    "plain text": (RawAnswer(200, "OK", XML), BadAnswer, "can't be read as XML"),
    "undeclared latin-1": (Bytes(b'<tsResponse a="\xe4"/>'), BadAnswer, "can't be read as XML"),
    "an unknown encoding": (
        Bytes(b"<?xml version='1.0' encoding='x-y'?><tsResponse/>"),
        BadAnswer,
        "encoding is not known",
    ),
    "429 without a word": (Throttle(None), Throttled, "asks to slow down"),
    "429 that says at once": (Throttle("0"), Throttled, "asks to slow down"),
    "400033": (TableauCode("400033"), RandomRefusal, "code 400033"),
    "400039 with no reason": (TableauCode("400039", "There was a problem."), RandomRefusal, "code 400039"),
}

REFUSED: dict[str, tuple[Fault, type[TableauError], str]] = {
    "400": (TableauCode("400000", "bad"), RequestRefused, "code 400000"),
    "400039 not editable": (
        TableauCode("400039", "The connection is not editable (errorCode=60004)."),
        EditRefused,
        "not editable",
    ),
    "400039 not allowed": (TableauCode("400039", "Authentication update is not allowed."), EditRefused, "not allowed"),
    "403": (TableauCode("403004", "no"), NotAllowed, "code 403004"),
    "404": (TableauCode("404004", "gone"), NotFound, "code 404004 to .*: Resource Not Found: gone"),
    "405": (TableauCode("405000", "no"), RequestRefused, "405"),
    "409": (TableauCode("409093", "queued"), RequestRefused, "code 409093"),
    "JSON's error": (
        RawAnswer(400, json.dumps({"error": {"code": "400006", "detail": "no page"}})),
        RequestRefused,
        "code 400006 to .*: no page",
    ),
    "JSON of another kind": (RawAnswer(400, "[]"), RequestRefused, "Tableau answered 400 to"),
}


@pytest.fixture
def orders(site: Site) -> Content:
    return site.add_datasource("Orders", connections=[snowflake_connection("ETL", "old-secret")])


@pytest.fixture
def hook(connect: Connect, server: TableauServer, orders: Content) -> TableauHook:
    """Signed in, and about to read the connections of `orders`."""
    hook = connect(timeout=0.2)
    hook.version()
    hook.keep_secret(SECRET)
    server.requests.clear()
    return hook


def read(hook: TableauHook, orders: Content) -> None:
    root = hook.call("GET", f"datasources/{orders.id}/connections")
    assert root is not None
    assert [each.get("id") for each in root.iter("connection")] == [each.id for each in orders.connections]


def failure(hook: TableauHook, orders: Content) -> TableauError:
    with pytest.raises(TableauError) as caught:
        read(hook, orders)
    return caught.value


@pytest.mark.parametrize("name", list(UNWELL))
def test_one_fault_is_got_over(hook: TableauHook, server: TableauServer, orders: Content, name: str) -> None:
    server.faults.script("query_connections", UNWELL[name][0])
    read(hook, orders)
    assert len(server.faults.consumed) == 1
    assert server.requests.count("query_connections") == 2


@pytest.mark.parametrize("name", list(UNWELL))
def test_a_fault_that_stays_is_one_typed_error_that_a_later_try_may_mend(
    hook: TableauHook, server: TableauServer, orders: Content, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    fault, kind, words = UNWELL[name]
    caplog.set_level(logging.DEBUG)
    server.faults.script("query_connections", fault, times=99)
    error = failure(hook, orders)
    assert type(error) is kind
    assert isinstance(error, TableauUnwell)
    assert server.requests.count("query_connections") == QUICK_TRIES
    with pytest.raises(kind, match=words):
        raise error
    assert hides_all_secrets(all_that_is_told_by(error), server)
    assert hides_all_secrets(caplog.text, server)


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_refusal_is_asked_once(hook: TableauHook, server: TableauServer, orders: Content, name: str) -> None:
    fault, kind, words = REFUSED[name]
    server.faults.script("query_connections", fault, times=99)
    error = failure(hook, orders)
    assert type(error) is kind
    assert not isinstance(error, TableauUnwell)
    assert server.requests.count("query_connections") == 1
    with pytest.raises(kind, match=words):
        raise error
    assert hides_all_secrets(all_that_is_told_by(error), server)


def hides_all_secrets(text: str, server: TableauServer) -> bool:
    secrets = [*server.state.sessions.tokens(), SIGN_INS["password"]["password"], SECRET]
    return not any(secret in text for secret in secrets)


def test_an_error_holds_tableaus_status_code_summary_and_detail(
    hook: TableauHook, server: TableauServer, orders: Content
) -> None:
    server.faults.script("query_connections", TableauCode("403004", "You may not."))
    error = failure(hook, orders)
    assert (error.status, error.code, error.summary, error.detail) == (403, "403004", "Forbidden", "You may not.")
    path = f"/api/3.26/sites/{server.state.site.id}/datasources/{orders.id}/connections"
    assert str(error) == f"Tableau answered 403, code 403004 to GET {path}: Forbidden: You may not."


def test_declared_latin_1_is_read(hook: TableauHook, server: TableauServer, orders: Content) -> None:
    declared = "<?xml version='1.0' encoding='ISO-8859-1'?><tsResponse><connection id='1' userName='ä'/></tsResponse>"
    server.faults.script("query_connections", Bytes(declared.encode("latin-1")))
    root = hook.call("GET", f"datasources/{orders.id}/connections")
    assert root is not None
    assert [each.get("userName") for each in root.iter("connection")] == ["ä"]


def test_an_entity_bomb_does_not_go_off(hook: TableauHook, server: TableauServer, orders: Content) -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE b [<!ENTITY e0 "boom">{levels}]><tsResponse>&e9;</tsResponse>'
    server.faults.script("query_connections", RawAnswer(200, bomb, XML), times=99)
    assert isinstance(failure(hook, orders), BadAnswer)


def test_an_external_entity_is_not_fetched(hook: TableauHook, server: TableauServer, orders: Content) -> None:
    entity = f'<!ENTITY x SYSTEM "{server.url}/api/2.4/serverinfo">'
    body = f"<!DOCTYPE t [{entity}]><tsResponse>&x;</tsResponse>"
    server.faults.script("query_connections", RawAnswer(200, body, XML), times=99)
    assert isinstance(failure(hook, orders), BadAnswer)
    assert server.requests.count("server_info") == 0


# 429


def test_a_short_wait_is_waited_for(hook: TableauHook, server: TableauServer, orders: Content) -> None:
    server.faults.script("query_connections", Throttle("1"))
    started = time.monotonic()
    read(hook, orders)
    assert 1.0 <= time.monotonic() - started < 4
    assert hook.traffic.throttled == 1


def test_a_wait_until_a_date_is_waited_for(
    hook: TableauHook, server: TableauServer, orders: Content, waits: list[float]
) -> None:
    server.faults.script("query_connections", Throttle(format_datetime(datetime.now(UTC) + timedelta(seconds=2))))
    started = time.monotonic()
    read(hook, orders)
    assert 0.5 <= time.monotonic() - started < 5
    assert waits[0] <= 2.5


def test_a_date_that_is_past_is_no_wait(hook: TableauHook, server: TableauServer, orders: Content) -> None:
    server.faults.script("query_connections", Throttle("Wed, 21 Oct 2015 07:28:00 GMT"))
    started = time.monotonic()
    read(hook, orders)
    assert time.monotonic() - started < 1


def test_where_429_does_not_say_how_long_each_wait_is_longer(
    hook: TableauHook, server: TableauServer, orders: Content, waits: list[float]
) -> None:
    server.faults.script("query_connections", Throttle(None), times=99)
    error = failure(hook, orders)
    assert isinstance(error, Throttled)
    assert error.retry_after is None
    assert [int(wait) for wait in waits[:3]] == [1, 3, 10]
    assert hook.traffic.throttled == QUICK_TRIES


@pytest.mark.parametrize("told", ["21", "3600", "999999"])
def test_a_long_wait_is_left_to_the_task_at_once(
    hook: TableauHook, server: TableauServer, orders: Content, told: str, waits: list[float]
) -> None:
    server.faults.script("query_connections", Throttle(told), times=99)
    started = time.monotonic()
    error = failure(hook, orders)
    assert isinstance(error, Throttled)
    assert (error.status, error.retry_after) == (429, float(told))
    assert server.requests.count("query_connections") == 1
    assert time.monotonic() - started < 2
    read_by_others_is_not_held_up = time.monotonic()
    hook.call("GET", "flows")
    assert time.monotonic() - read_by_others_is_not_held_up < 2
    assert waits == []


def test_retry_after_is_a_number_a_date_or_nothing() -> None:
    assert retry_after_seconds("7") == 7
    assert retry_after_seconds(" 7 ") == 7
    assert retry_after_seconds("0") == 0
    soon = retry_after_seconds(format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True))
    assert soon is not None
    assert 95 < soon <= 100
    assert retry_after_seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    for nonsense in (None, "", "soon", "-7", "1e3", "Wed, 99 Oct 2026 07:28:00 GMT"):
        assert retry_after_seconds(nonsense) is None
    assert LONGEST_WAIT < 60


def test_waits_between_tries_grow_and_differ(
    hook: TableauHook, server: TableauServer, orders: Content, waits: list[float]
) -> None:
    server.faults.script("query_connections", ServerError(), times=99)
    failure(hook, orders)
    first = waits[:3]
    waits.clear()
    failure(hook, orders)
    assert first != waits[:3]
    assert all(0.5 * 2**n <= wait <= 1.0 * 2**n for n, wait in enumerate(first))


# Secrets in Tableau's words


@pytest.mark.parametrize(
    "quoted",
    [
        pytest.param(SECRET, id="plain"),
        pytest.param(escape(SECRET), id="escaped as XML text"),
        pytest.param(quoteattr(SECRET)[1:-1], id="escaped as an attribute"),
        pytest.param(escape(SECRET, {'"': "&quot;"}), id="escaped as we send it"),
        pytest.param(escape(SECRET, {'"': "&quot;", "'": "&#39;"}), id="escaped as Java does"),
        pytest.param(quote(SECRET, safe=""), id="URL-encoded"),
        pytest.param(json.dumps(SECRET)[1:-1], id="in JSON"),
        pytest.param(str(htmlsafe_json_dumps(SECRET))[1:-1], id="in JSON in HTML"),
        pytest.param(
            quote(SECRET, safe="").replace("%3C", "%3c").replace("%3E", "%3e"), id="URL-encoded in small letters"
        ),
        pytest.param("".join(f"&#{ord(char)};" for char in SECRET), id="as numbers"),
        pytest.param(escape(escape(SECRET)), id="escaped twice"),
        pytest.param(quote(json.dumps(SECRET)[1:-1], safe=""), id="in JSON in a URL"),
        pytest.param(base64.b64encode(f"ETL:{SECRET}".encode()).decode(), id="in base64"),
        pytest.param(quote(base64.b64encode(escape(SECRET).encode()).decode(), safe="="), id="escaped, in base64"),
    ],
)
@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a_secret_that_tableau_quotes_is_not_passed_on(
    hook: TableauHook, server: TableauServer, orders: Content, quoted: str, status: int
) -> None:
    detail = f"Payload is not valid: password={quoted} for ETL"
    server.faults.script("update_connection", TableauCode(f"{status}001", detail), times=99)
    site = TableauSite(hook)
    (content,) = site.content(ContentType.DATASOURCE)
    with pytest.raises(TableauError) as caught:
        site.embed(content, site.connections(content)[0], "ETL", SECRET)
    assert caught.value.detail == "Payload is not valid: password=*** for ETL"
    told = all_that_is_told_by(caught.value)
    assert quoted not in told
    assert "Snowflake" not in told


def test_a_secret_is_redacted_before_a_long_detail_is_shortened(
    hook: TableauHook, server: TableauServer, orders: Content
) -> None:
    detail = "x" * 990 + SECRET
    server.faults.script("query_connections", TableauCode("400000", detail))
    error = failure(hook, orders)
    assert SECRET[:8] not in str(error)
    assert len(str(error)) < 1300


def test_a_session_token_that_tableau_quotes_is_not_passed_on(
    hook: TableauHook, server: TableauServer, orders: Content
) -> None:
    (token,) = server.state.sessions.tokens()
    server.faults.script("query_connections", TableauCode("403001", f"Token {token} may not"))
    error = failure(hook, orders)
    assert token not in all_that_is_told_by(error)
    assert "Token *** may not" in str(error)


@pytest.mark.parametrize("token", ["eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl", "e" * 300])
def test_a_secret_is_not_passed_on_where_no_words_are_expected(
    hook: TableauHook, server: TableauServer, orders: Content, token: str
) -> None:
    """In the path of a redirect, its host, the type of an answer, the name of an element or an entity."""
    hook.keep_secret(token)
    path = f"datasources/{orders.id}/connections"
    answers: list[Fault] = [
        Redirect(f"/relogin/{token}/x", 302),
        Redirect(f"https://{token}.example/", 302),
        Redirect(f"http://127.0.0.1:{token}/", 307),
        Redirect(f"/relogin/{quote(f'{token[:-1]}%{ord(token[-1]):02x}')}", 303),
        RawAnswer(200, f"<{token}/>", XML),
        RawAnswer(200, f"<tsResponse>&{token};</tsResponse>", XML),
        RawAnswer(200, f"<?xml version='1.0' encoding='{token}'?><tsResponse/>", XML),
        RawAnswer(200, f"<tsResponse>{token}", XML),
        RawAnswer(200, "x", f"{token}/json"),
        RawAnswer(400, f'{{"error": {{"code": "{token}", "detail": {{"was": "{token}"}}}}}}'),
    ]
    for answer in answers:
        server.faults.script("update_connection", answer, times=99)
        with pytest.raises(TableauError) as caught:
            hook.call("PUT", f"{path}/{orders.connections[0].id}", b"<tsRequest/>")
        told = all_that_is_told_by(caught.value).lower()
        assert token[:30].lower() not in told
        server.faults.clear()
    for answer in (RawAnswer(200, "x", f"{token}/x"), RawAnswer(200, f'["{token}"', JSON), RawAnswer(200, token, JSON)):
        server.faults.script("simple_request", answer, times=99)
        with pytest.raises(TableauError) as caught:
            hook.fetch("GET", "/api/v1/vizql-data-service/simple-request", METADATA)
        assert token[:30].lower() not in all_that_is_told_by(caught.value).lower()
        server.faults.clear()


def test_a_password_that_tableau_quotes_at_sign_in_is_not_passed_on(connect: Connect, server: TableauServer) -> None:
    password = SIGN_INS["password"]["password"]
    server.faults.script("sign_in", TableauCode("401001", f"no user with {password}"))
    with pytest.raises(TableauError) as caught:
        connect().version()
    assert password not in all_that_is_told_by(caught.value)
    assert "no user with ***" in str(caught.value)


# An update that was cut off may have had its effect


@pytest.mark.parametrize("fault", [ResetAfter(), HalfBody(), Silence(0.4), ServerError(), EmptyBody(), Throttle("0")])
def test_an_update_may_be_sent_twice(hook: TableauHook, server: TableauServer, orders: Content, fault: Fault) -> None:
    site = TableauSite(hook)
    (content,) = site.content(ContentType.DATASOURCE)
    (connection,) = site.connections(content)
    server.faults.script("update_connection", fault)
    site.embed(content, connection, "SVC", SECRET)
    held = orders.connections[0]
    assert (held.username, held.password, held.embedded) == ("SVC", SECRET, True)
    assert len({tuple(write.items()) for write in held.writes}) == 1


# Sessions


def test_a_lost_session_is_renewed_and_the_request_sent_again(
    hook: TableauHook, server: TableauServer, orders: Content
) -> None:
    server.faults.script("query_connections", SessionLost())
    read(hook, orders)
    assert server.requests.counts() == {"query_connections": 2, "sign_in": 1, "server_info": 1}


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        ("pat", "Somebody else signs in with the same Tableau PAT"),
        ("password", "Something ends them"),
        ("jwt", "Tableau says the same where extra 'scopes' lacks what a request needs"),
    ],
)
def test_a_session_that_keeps_ending_is_explained(
    connect: Connect, server: TableauServer, auth: str, words: str
) -> None:
    server.faults.script("list_flows", SessionLost(), times=99)
    with pytest.raises(SessionKeepsEnding, match=rf"{words}.* a sign-in of its own") as caught:
        connect(auth).call("GET", "flows")
    assert "'tableau_default'" in str(caught.value)
    assert server.requests.count("list_flows") == 7
    assert server.requests.count("sign_in") == 7


def test_someone_elses_sign_in_with_the_same_tableau_pat_costs_one_more(
    connect: Connect, server: TableauServer
) -> None:
    hook = connect("pat")
    hook.call("GET", "flows")
    server.state.sessions.start(server.state.site, server.state.site.users[0], hook.settings.login)
    hook.call("GET", "flows")
    assert server.requests.count("sign_in") == 2


def test_an_idle_session_is_renewed(connect: Connect, server: TableauServer) -> None:
    hook = connect("pat")
    hook.call("GET", "flows")
    server.state.clock.advance(minutes=121)
    hook.call("GET", "flows")
    assert server.requests.count("sign_in") == 2


def test_the_page_of_a_gateway_does_not_say_that_an_item_is_gone(
    hook: TableauHook, server: TableauServer, orders: Content
) -> None:
    server.faults.script("query_connections", HtmlPage(404), times=QUICK_TRIES)
    [found] = TableauSite(hook).content(ContentType.DATASOURCE)
    with pytest.raises(BadAnswer, match="Tableau answered 404"):
        TableauSite(hook).connections(found)
    assert server.faults.left() == 0


# What is sent once, whatever happens


@pytest.mark.parametrize(
    "fault",
    [TableauCode("401002", "no"), TableauCode("401001", "no"), ServerError(500), ResetAfter(), Throttle("1")],
)
@pytest.mark.parametrize("where", ["another service", "below the site"])
def test_what_is_to_be_sent_once_is_sent_once_renews_no_session_and_spoils_none(
    hook: TableauHook, server: TableauServer, site: Site, fault: Fault, where: str
) -> None:
    view = site.add_workbook("Overview").views[0]
    operation, endpoint, success = {
        "another service": ("simple_request", "/api/v1/vizql-data-service/simple-request", METADATA),
        "below the site": ("view_data", f"views/{view.id}/data", VIEW_DATA),
    }[where]
    hook.version()
    server.requests.clear()
    server.faults.script(operation, [fault, RawAnswer(200, "7", success.media)])
    with pytest.raises(TableauError):
        hook.fetch("GET", endpoint, success, once=True)
    assert server.requests.counts() == {operation: 1}
    # It was not Tableau's session that had ended.
    assert hook.fetch("GET", endpoint, success, once=True) == b"7"
    assert server.requests.counts() == {operation: 2}


def test_a_401_of_what_may_be_sent_again_renews_the_session(
    hook: TableauHook, server: TableauServer, orders: Content
) -> None:
    read(hook, orders)
    server.requests.clear()
    server.faults.script("simple_request", SessionLost())
    hook.fetch("GET", "/api/v1/vizql-data-service/simple-request", METADATA)
    assert [server.requests.count(operation) for operation in ("simple_request", "sign_in")] == [2, 1]
