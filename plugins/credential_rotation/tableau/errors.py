"""Every way in which talking to Tableau can fail.

TableauError
├── TableauUnwell               a later try may well work
│   ├── Unreachable             refused, reset, timed out
│   ├── ServerFault             5xx
│   ├── BadAnswer               HTML, cut short, in the other format, or without what the operation answers
│   │   ├── EmptyAnswer         2xx, and nothing where something must be
│   │   └── AnswerTooLarge      more than is ever read of an answer
│   ├── Throttled               429; `retry_after` says how long to wait
│   ├── RandomRefusal           400033 and its like: known to come and go
│   ├── ListKeptChanging        a list could not be read whole
│   └── NotSaved                an update was accepted, yet reading again shows something else
├── SessionEnded                401002: the session is over (renewed by the hook, seldom seen outside it)
├── SessionKeepsEnding          ... again and again: somebody else uses the same Tableau PAT
├── SignInRefused               401001: wrong user, password, Tableau PAT, Connected App or site
├── NotAllowed                  403
├── NotFound                    404
├── RequestRefused              any other 4xx
│   ├── EditRefused             400039: Tableau will never let this connection be edited this way
│   └── AlreadyQueued           409093: a refresh of this content waits or runs already
├── RedirectRefused             a redirect that must not be followed
├── TableauTooOld               its REST API lacks what we need (404003: the endpoint is not in this version)
├── NotTrusted                  its certificate
└── UnusableSetting             the Airflow connection says something that can't be used

No text of these holds a secret: the hook redacts Tableau's words before it raises.
"""

from __future__ import annotations


class TableauError(Exception):
    """What went wrong, in words for the person who reads the task log.

    :param message: the whole sentence
    :param status: the HTTP status, where there was an answer
    :param code: Tableau's own code, such as ``401002``
    :param summary: Tableau's summary
    :param detail: Tableau's detail
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        summary: str | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.summary = summary
        self.detail = detail


class TableauUnwell(TableauError):
    """Tableau, or the way to it, is unwell: trying later may well work."""


class Unreachable(TableauUnwell):
    """The connection was refused, reset, or timed out."""


class ServerFault(TableauUnwell):
    """Tableau answered 5xx."""


class BadAnswer(TableauUnwell):
    """The answer is not one of Tableau's REST API, or lacks what Tableau answers to this operation."""


class EmptyAnswer(BadAnswer):
    """The answer is a success by its status, and empty: nobody says that anything was done."""


class AnswerTooLarge(BadAnswer):
    """The answer has more bytes than Tableau's largest. Nothing of it is used."""


class Throttled(TableauUnwell):
    """Tableau answered 429.

    :param retry_after: seconds to wait, as Tableau said; None where it did not say
    """

    retry_after: float | None = None


class RandomRefusal(TableauUnwell):
    """A refusal that is known to come and go (server-client-python #1305, #1716)."""


class ListKeptChanging(TableauUnwell):
    """A list changed at every attempt to read it whole."""


class NotSaved(TableauUnwell):
    """Tableau accepted an update, but reading it again shows something else (server-client-python #190, #453)."""


class SessionEnded(TableauError):
    """The session is no longer valid: expired, signed out, or ended by another sign-in with the same Tableau PAT."""


class SessionKeepsEnding(TableauError):
    """Each new session ended at once."""


class SignInRefused(TableauError):
    """Tableau refused the sign-in. Never tried again: accounts get locked."""


class NotAllowed(TableauError):
    """Tableau answered 403."""


class NotFound(TableauError):
    """Tableau answered 404."""


class RequestRefused(TableauError):
    """Tableau answered some other 4xx."""


class AlreadyQueued(RequestRefused):
    """An extract refresh of this content waits or runs already."""


class EditRefused(RequestRefused):
    """Tableau will not let this connection be edited this way, now or later."""


class RedirectRefused(TableauError):
    """Tableau, or something before it, pointed elsewhere; nothing was sent there."""


class TableauTooOld(TableauError):
    """This Tableau's REST API is older than what is needed."""


class NotTrusted(TableauError):
    """The certificate of what answers there is not one that we trust."""


class UnusableSetting(TableauError):
    """Something in the Airflow connection can't be used."""
