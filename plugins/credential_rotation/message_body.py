"""What a message about a run says: plain text for chats, HTML for mail, and a line for the subject.

Names out of Tableau are in it, which may hold anything: what goes into HTML or to Slack is escaped for it.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from credential_rotation.pages.environment import template

_LONGEST_SUBJECT = 160
_EVEN_IF_NONE = ("targets", "failed")


@dataclass(frozen=True)
class MessageBody:
    """A run that is over, to be told of.

    :param summary: its counts; one of them may be counts in turn
    :param report: where its report is
    :param url: the run in the Airflow UI
    """

    dag_id: str
    run_id: str
    state: str
    dry_run: bool
    verdict: str
    summary: Mapping[str, Any]
    report: str
    url: str

    @property
    def ended(self) -> str:
        """How the run ended, in a word or four."""
        return f"{self.state} (dry run)" if self.dry_run else self.state

    @property
    def subject(self) -> str:
        """A line. What breaks lines in a name must not begin a header of its own."""
        line = " ".join(f"{self.dag_id}: {self.ended}. {self.verdict}".split())
        return line if len(line) <= _LONGEST_SUBJECT else f"{line[:_LONGEST_SUBJECT]}…"

    @property
    def text(self) -> str:
        """Plain text."""
        counts = ", ".join(f"{name} {count}" for name, count in self._counts())
        return "\n".join(
            [f"{self.dag_id}: {self.ended}", self.verdict, counts, f"Run: {self.url}", f"Report: {self.report}"]
        )

    @property
    def slack(self) -> str:
        """The text as Slack wants it: a name can neither be a link nor call the whole channel."""
        return html.escape(self.text, quote=False)

    @property
    def html(self) -> str:
        """HTML for mail, which knows no style sheet."""
        return template("message.html").render(vars(self), ended=self.ended, counts=list(self._counts()))

    def as_dict(self) -> dict[str, Any]:
        """What the templates of a notifier may use."""
        return {**vars(self), "subject": self.subject, "text": self.text, "slack": self.slack, "html": self.html}

    def _counts(self) -> Iterator[tuple[str, Any]]:
        for name, count in self.summary.items():
            if isinstance(count, Mapping):
                yield from ((f"{name}: {each}", number) for each, number in count.items())
            elif count or name in _EVEN_IF_NONE:
                yield name, count
