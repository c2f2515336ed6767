"""The HTTP server: threads, keep-alive, and the wire faults that only a server can produce."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.listener import Listener
from sandbox.tableau import control, dispatch
from sandbox.tableau.answers import JSON_TYPE, XML_TYPE, Answer, as_json, as_xml
from sandbox.tableau.call import Call
from sandbox.tableau.errors import TableauError
from sandbox.tableau.fault_scripts import Faults
from sandbox.tableau.request_log import LoggedRequest, RequestLog
from sandbox.tableau.routes import version_tuple
from sandbox.tableau.state import TableauState

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ServerStopped(Exception):
    """The server went down while a request waited."""


class TableauServer:
    """A Tableau on a port of this machine: `with TableauServer(state) as server: ... server.url`."""

    def __init__(
        self,
        state: TableauState | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.state = state or TableauState()
        self.tls = tls
        self.host = host
        self.port = port
        self.requests = RequestLog()
        self.rate_limit = dispatch.RateLimit()
        self.stopping = threading.Event()
        self._listener: Listener | None = None

    @property
    def url(self) -> str:
        """Where it listens, such as http://127.0.0.1:43211."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    @property
    def faults(self) -> Faults:
        """The scripted faults, which the state keeps."""
        return self.state.faults

    def start(self) -> TableauServer:
        """Listen, on the port of before if there was one."""
        self.stopping.clear()
        self._listener = Listener((self.host, self.port), _Handler, self, self.tls)
        self.port = self._listener.server_address[1]
        serve = self._listener.serve_forever
        threading.Thread(target=serve, args=(0.02,), name=f"tableau-{self.port}", daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop listening and drop every open connection, as a server does that goes down."""
        self.stopping.set()
        if self._listener is not None:
            self._listener.shutdown()
            self._listener.server_close()
            self._listener.drop_connections()
            self._listener = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait(self, seconds: float) -> None:
        """Let time pass for a request; if the server stops meanwhile, nothing becomes of the request."""
        if seconds > 0 and self.stopping.wait(seconds):
            raise ServerStopped


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Tableau"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024

    @property
    def tableau(self) -> TableauServer:
        """The server that this request came to."""
        return cast(TableauServer, cast(Listener, self.server).owner)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the request log is kept elsewhere."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """What the Date header says: the time of the sandbox, wherever a test has moved it, by a gateway's clock."""
        state = self.tableau.state
        now = state.clock.now().timestamp() + state.gateway_minutes_ahead * 60
        return super().date_time_string(now if timestamp is None else timestamp)

    def handle_method(self) -> None:
        """Read the request, answer it, and note both."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        headers = {name.casefold(): value for name, value in self.headers.items()}
        if parts.path.startswith(control.PREFIX):
            self._send(control.answer(self.tableau, self.command, parts, body, self.client_address[0]), "", json=True)
            return
        call = Call(
            state=self.tableau.state,
            method=self.command,
            path=unquote(parts.path),
            version="",
            operation="",
            parameters={},
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers=headers,
            body=body,
            base_url=f"{'https' if self.tableau.tls else 'http'}://{headers.get('host', '')}",
        )
        entry = LoggedRequest(
            number=0,
            time=self.tableau.state.clock.now(),
            method=call.method,
            path=call.path,
            query=call.query,
            operation=None,
            parameters={},
            session=call.token,
            body=body,
            headers=headers,
        )
        self.tableau.requests.start(entry)
        started = time.perf_counter()
        try:
            answer, wants_json = self._answer(call, entry)
        except ServerStopped:
            answer, wants_json = Answer(cut="reset"), False
        finally:
            entry.seconds = time.perf_counter() - started
            self.tableau.requests.end()
        self._send(answer, call.version, json=wants_json)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_method  # noqa: N815 - the base class's names

    def _answer(self, call: Call, entry: LoggedRequest) -> tuple[Answer, bool]:
        tableau = self.tableau
        answer = dispatch.limited(tableau.state, tableau.rate_limit)
        prefix, _, rest = call.path.lstrip("/").partition("/")
        call.version, _, call.path = rest.partition("/")
        try:
            exchange = dispatch.find_exchange(call, tableau.wait, below_api=prefix == "api")
        except TableauError as error:
            answer = answer or error.answer()
        else:
            entry.operation = call.operation
            entry.parameters = call.parameters
            if answer is None:
                fault = tableau.faults.take(call.operation, call.parameters)
                entry.fault = fault.word if fault else None
                answer = exchange.run(fault)
            else:
                answer = exchange.in_own_form(answer)
            call = exchange.call
            entry.unknown_query = call.unknown_query
        entry.status = answer.status if answer.cut not in {"reset", "close"} else None
        if answer.elements and answer.elements[0].name == "error":
            entry.code = str(answer.elements[0].attributes["code"])
        return answer, call.wants_json

    def _schema_version(self, asked: str) -> str:
        return asked if version_tuple(asked) else self.tableau.state.rest_api_version

    def _send(self, answer: Answer, version: str, *, json: bool) -> None:
        if answer.cut == "reset":
            # closing the file descriptor under the socket with no linger makes the kernel send RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            os.close(self.connection.detach())
        if answer.cut in {"reset", "close"}:
            self.close_connection = True
            return
        body, content_type = answer.body, answer.content_type
        if body is None:
            body = as_json(answer.elements) if json else as_xml(answer.elements, self._schema_version(version))
            content_type = JSON_TYPE if json else XML_TYPE
        self.send_response(answer.status, _phrase(answer.status))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status < 200 or answer.status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            body = b""  # these never have one: the client would take it for the next answer
        else:
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
        if answer.cut == "half":
            self.close_connection = True
            body = body[: len(body) // 2]
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
