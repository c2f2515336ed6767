"""The https server: threads, keep-alive, and the wire faults that only a server can produce."""

from __future__ import annotations

import os
import socket
import struct
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qsl, urlsplit

from sandbox.listener import Listener
from sandbox.snowflake import control
from sandbox.snowflake.call import BadRequest, Call
from sandbox.snowflake.certificates import Authority, make_authority
from sandbox.snowflake.exchange import Exchange, as_answer
from sandbox.snowflake.state import SnowflakeState
from sandbox.tableau.answers import Answer
from sandbox.tableau.fault_scripts import Faults
from sandbox.tableau.request_log import LoggedRequest, RequestLog

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ServerStopped(Exception):
    """The server went down while a request waited."""


class SnowflakeServer:
    """A Snowflake on a port of this machine: `with SnowflakeServer(state) as server: ... server.url`.

    :param folder: where its certificates go (`ca.pem` is for the clients); a temporary one when nothing is said.
    :param tls: False for plain http, which the connector speaks with `protocol="http"` and Airflow's hook cannot.
    """

    def __init__(
        self,
        state: SnowflakeState | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        folder: Path | None = None,
        tls: bool = True,
    ) -> None:
        self.state = state or SnowflakeState()
        self.host = host
        self.port = port
        self.requests = RequestLog()
        self.stopping = threading.Event()
        self._temporary = tempfile.TemporaryDirectory(prefix="sandbox-snowflake-") if tls and folder is None else None
        place = folder or (Path(self._temporary.name) if self._temporary else None)
        self.authority: Authority | None = make_authority(place) if tls and place is not None else None
        self._tls = self.authority.context() if self.authority else None
        self._listener: Listener | None = None

    @property
    def url(self) -> str:
        """Where it listens, such as https://127.0.0.1:43211."""
        return f"{'https' if self.authority else 'http'}://{self.host}:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The certificate of its authority, which clients have to trust."""
        if self.authority is None:
            raise ValueError("this server speaks plain http")
        return self.authority.ca_file

    @property
    def environment(self) -> dict[str, str]:
        """What the environment of a process needs to hold, for its drivers to trust this server and not to dawdle."""
        trust = self.authority.environment() if self.authority else {}
        # the driver looks for a cloud platform around it at each connect, up to 5 s long
        return {**trust, "SNOWFLAKE_DISABLE_PLATFORM_DETECTION": "true"}

    @property
    def faults(self) -> Faults:
        """The scripted faults, which the state keeps."""
        return self.state.faults

    def start(self) -> SnowflakeServer:
        """Listen, on the port of before if there was one."""
        self.stopping.clear()
        self._listener = Listener((self.host, self.port), _Handler, self, self._tls)
        self.port = self._listener.server_address[1]
        serve = self._listener.serve_forever
        threading.Thread(target=serve, args=(0.02,), name=f"snowflake-{self.port}", daemon=True).start()
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
        if self._temporary is not None:
            self._temporary.cleanup()

    def wait(self, seconds: float) -> None:
        """Let time pass for a request; if the server stops meanwhile, nothing becomes of the request."""
        if seconds > 0 and self.stopping.wait(seconds):
            raise ServerStopped

    def answer(self, call: Call, entry: LoggedRequest) -> Answer:
        """Answer a request, and note what it was."""
        exchange = Exchange(self.state, call, self.wait)
        try:
            entry.operation, entry.parameters = call.operation, call.parameters
        except BadRequest as error:
            return as_answer({"error": str(error)}, 400)
        fault = self.faults.take(call.operation, call.parameters) if call.operation else None
        entry.fault = fault.word if fault else None
        try:
            answer = exchange.run(fault)
        except ServerStopped:
            return Answer(cut="reset")
        if exchange.replayed:
            entry.parameters = {**entry.parameters, "replayed": "yes"}
        entry.code = exchange.code
        return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Snowflake"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024

    @property
    def snowflake(self) -> SnowflakeServer:
        """The server that this request came to."""
        return cast(SnowflakeServer, cast(Listener, self.server).owner)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the request log is kept elsewhere."""

    def handle_method(self) -> None:
        """Read the request, answer it, and note both."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        if parts.path.startswith(control.PREFIX):
            self._send(control.answer(self.snowflake, self.command, parts, body, self.client_address[0]))
            return
        call = Call(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.casefold(): value for name, value in self.headers.items()},
            body,
        )
        entry = LoggedRequest(
            number=0,
            time=self.snowflake.state.clock.now(),
            method=call.method,
            path=call.path,
            query=call.query,
            operation=None,
            parameters={},
            session=call.token,
            body=body,
            headers=call.headers,
        )
        self.snowflake.requests.start(entry)
        started = time.perf_counter()
        try:
            answer = self.snowflake.answer(call, entry)
            entry.status = answer.status if answer.cut not in {"reset", "close"} else None
        finally:
            entry.seconds = time.perf_counter() - started
            self.snowflake.requests.end()
        self._send(answer)

    do_GET = do_POST = do_PUT = do_DELETE = handle_method  # noqa: N815 - the base class's names

    def _send(self, answer: Answer) -> None:
        if answer.cut == "reset":
            # closing the file descriptor under the socket with no linger makes the kernel send RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            os.close(self.connection.detach())
        if answer.cut in {"reset", "close"}:
            self.close_connection = True
            return
        body = answer.body or b""
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        if answer.cut == "half":
            self.close_connection = True
            body = body[: len(body) // 2]
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
