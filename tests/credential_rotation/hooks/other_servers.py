"""Servers that are not Tableau: a proxy, and a place where nothing should ever be sent."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Received:
    """What came to a server."""

    port: int = 0
    targets: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the server is."""
        return f"http://127.0.0.1:{self.port}"

    def note(self, request: BaseHTTPRequestHandler) -> None:
        self.targets.append(request.path)
        self.headers.append({name.casefold(): value for name, value in request.headers.items()})


@contextmanager
def elsewhere() -> Iterator[Received]:
    """A server that answers 200 to everything, and notes it."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            received.note(self)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<tsResponse/>")

        do_GET = do_POST = do_PUT = answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with _serving(Handler, received):
        yield received


@contextmanager
def proxy_to(port: int, *, status: int | None = None) -> Iterator[Received]:
    """An http proxy by which every host name leads to one port of this machine; with a status it refuses everything."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def forward(self) -> None:
            received.note(self)
            if status is not None:
                self.send_response(status)
                self.end_headers()
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            headers = {name: value for name, value in self.headers.items() if not name.lower().startswith("proxy-")}
            upstream.request(self.command, f"{parts.path}?{parts.query}", body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            upstream.close()

        do_GET = do_POST = do_PUT = do_CONNECT = forward  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with _serving(Handler, received):
        yield received


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler], received: Received) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    received.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
