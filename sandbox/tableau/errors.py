"""Every error that this Tableau answers by itself, in one place: code, summary, detail."""

from __future__ import annotations

from sandbox.tableau.answers import Answer, Element

SUMMARIES = {
    "400": "Bad Request",
    "401": "Unauthorized Access",
    "403": "Forbidden",
    "404": "Resource Not Found",
    "405": "Method Not Allowed",
    "408": "Request Timeout",
    "409": "Resource Conflict",
    "411": "Length Required",
    "429": "Too Many Requests",
    "500": "Internal Server Error",
    "503": "Service Unavailable",
}


class TableauError(Exception):
    """An answer that is an error; the first three digits of the code are the HTTP status."""

    def __init__(self, code: str, detail: str, *, summary: str | None = None, status: int | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.status = status or int(code[:3])
        self.summary = summary or SUMMARIES.get(code[:3], "Error")

    def answer(self, headers: dict[str, str] | None = None) -> Answer:
        """The error as an answer."""
        error = Element(
            "error",
            {"code": self.code},
            [Element("summary", text=self.summary), Element("detail", text=self.detail)],
        )
        return Answer(self.status, [error], headers=headers or {})


def bad_request(detail: str) -> TableauError:
    """400000: the request is malformed, or says what the schema does not know."""
    return TableauError("400000", detail)


def no_credentials() -> TableauError:
    """401000: no X-Tableau-Auth (KB 001498381)."""
    return TableauError("401000", "No authentication credentials were provided.")


def sign_in_refused(login_error: int | None = None) -> TableauError:
    """401001: user, password, PAT, token or site is wrong; Tableau does not say which."""
    suffix = f" (errorCode={login_error})" if login_error else ""
    return TableauError("401001", f"Error signing in to Tableau Server{suffix}", summary="Signin Error")


def session_over() -> TableauError:
    """401002: the session ended, expired, was killed or never was (TSC #717, #830)."""
    return TableauError("401002", "Invalid authentication credentials were provided.")


def forbidden(detail: str = "This user does not have permission to perform this action.") -> TableauError:
    """403004: no right to do this to this item."""
    return TableauError("403004", detail)


def not_found(what: str, luid: str) -> TableauError:
    """404: deleted meanwhile, or never there. Which last digits belong to which type is from Tableau's reference."""
    code = {
        "datasource": "404004",
        "workbook": "404006",
        "flow": "404031",
        "virtual_connection": "404062",
        "connection": "404026",
        "view": "404011",
        "job": "404016",
    }.get(what, "404000")
    return TableauError(code, f"The {what} '{luid}' could not be found.")


def not_in_this_version(version: str) -> TableauError:
    """404003: no such endpoint in this API version (TSC #106)."""
    return TableauError("404003", f"The requested endpoint does not exist in API version {version}.")


def throttled(retry_after: str | None) -> Answer:
    """429000, with Retry-After (seconds or an HTTP date) or without."""
    error = TableauError("429000", "Too many requests. Please try again later.")
    return error.answer({} if retry_after is None else {"Retry-After": retry_after})
