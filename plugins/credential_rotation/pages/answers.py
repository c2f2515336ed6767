"""What the api-server answers with: a page or JSON, and the same headers on both, on errors as well."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteHTTPException

from credential_rotation.pages.environment import inlined, template

log = logging.getLogger(__name__)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)
# In Airflow, the page is in a frame of the same origin.
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


def page(name: str, **values: Any) -> Response:
    """A page of a template."""
    return text(template(name).render(values), "text/html")


def text(content: str | bytes, media_type: str) -> Response:
    """Anything else."""
    return Response(content if isinstance(content, bytes) else as_bytes(content), 200, _HEADERS, media_type)


def streamed(pieces: Iterator[bytes], media_type: str) -> Response:
    """What is too large to be in memory as a whole."""
    return StreamingResponse(pieces, 200, _HEADERS, media_type)


def as_bytes(content: str) -> bytes:
    """Text out of a JSON file may hold halves of characters, which can't be sent."""
    return content.encode("utf-8", "replace")


def data(values: Any, status: int = 200) -> Response:
    """JSON."""
    return Response(json.dumps(values), status, _HEADERS, "application/json")


class NoSuchThing(HTTPException):
    """What was asked for does not exist, or no such thing can; the text says so to people."""

    def __init__(self, told: str) -> None:
        super().__init__(404, told)


class Busy(HTTPException):
    """Others are served, and have been for a while."""

    def __init__(self) -> None:
        super().__init__(503, headers={"Retry-After": "20"})


class Route(APIRoute):
    """A route whose errors show nothing of the code: the log has the rest."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Each request passes through this."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except (StarletteHTTPException, RequestValidationError):
                raise
            except Exception:
                log.exception("The page %s failed.", request.url.path)
                return _error(request, HTTPStatus.INTERNAL_SERVER_ERROR, "")

        return answered


async def refused(request: Request, refusal: Exception) -> Response:
    """The answer to a request that a route, or FastAPI before it, refuses."""
    if not isinstance(refusal, StarletteHTTPException):
        return _error(request, HTTPStatus.BAD_REQUEST, "")
    told = str(refusal.detail) if isinstance(refusal, NoSuchThing) else ""
    answer = _error(request, HTTPStatus(refusal.status_code), told)
    if isinstance(refusal, Busy):
        answer.headers.update(refusal.headers or {})
    return answer


# Title and text; the third kind of error is anything else.
_WORDS: dict[HTTPStatus, tuple[str, str]] = {
    HTTPStatus.UNAUTHORIZED: ("Sign in to Airflow first", "Nobody is signed in, or the session has ended."),
    HTTPStatus.FORBIDDEN: (
        "Not allowed",
        "This page is for those who may read the runs of the DAG that it shows. Ask whoever runs this Airflow.",
    ),
    HTTPStatus.NOT_FOUND: ("Nothing here", "There is no such page."),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "Others come first",
        "Reports of large sites are being read just now. Reload this page in a moment.",
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        "That did not work",
        "The reports could not be read or shown. The log of Airflow's api-server says why.",
    ),
}


def _error(request: Request, status: HTTPStatus, told: str) -> Response:
    title, usual = _WORDS.get(status, ("That did not work", f"{status.phrase}."))
    said = told or usual
    # Where we are: [api] base_url's path, and our own. What does not exist may be at any depth below it.
    root = request.scope.get("root_path", "") + "/"
    if request.scope["path"].removeprefix(root).startswith("api/"):
        return data({"detail": said}, status.value)
    # One file: who may not see the page may not have its style either.
    made = inlined()
    shown = template("error.html").render(
        inlined=made, title=title, said=said, root=root, sign_in=_sign_in(request, root) if status == 401 else None
    )
    headers = _HEADERS | {"Content-Security-Policy": f"{made.policy}; frame-ancestors 'self'"}
    return Response(shown, status.value, headers, "text/html")


def _sign_in(request: Request, root: str) -> str:
    """Airflow's login, which leads back here."""
    here = request.scope["path"] + (f"?{request.url.query}" if request.url.query else "")
    return f"{root}../api/v2/auth/login?next={quote(here, safe='')}"
