"""What a person is shown who is to approve the updates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from credential_rotation.rotation.records import ConnectionRecord


def question(plan: Sequence[ConnectionRecord], validated: Sequence[ConnectionRecord]) -> str:
    """What the person is shown, in Markdown: what was validated, what would follow, and what is left out."""
    done = {record.key for record in validated}
    passed = {record.snowflake_conn_id for record in validated if record.is_validated}
    lines = ["### Validated"]
    lines += [
        f"* {_escaped(record.title)} · {_escaped(record.username)}: {record.outcome}"
        + (f" (proof: {record.proof})" if record.proof else f" ({_escaped(record.reason or '')})")
        for record in validated
    ]
    follow = Counter(
        (record.snowflake_conn_id, record.content_type.words, record.project)
        for record in plan
        if record.snowflake_conn_id in passed and record.key not in done
    )
    lines += ["", "### Would be updated next", "", "| Credential | Type | Project | Connections |", "|---|---|---|---|"]
    lines += [
        f"| {_escaped(str(credential))} | {words} | {_escaped(project)} | {number} |"
        for (credential, words, project), number in sorted(follow.items(), key=str)
    ]
    excluded = Counter(record.reason for record in plan if not record.is_target)
    lines += ["", "### Left out", "", "| Reason | Connections |", "|---|---|"]
    lines += [f"| {_escaped(str(reason))} | {number} |" for reason, number in excluded.most_common()]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Names come from Tableau and must not become markup."""
    for char in "\\`*_{}[]()#+!|<>~":
        text = text.replace(char, "\\" + char)
    return " ".join(text.split())
