"""What a person is shown who is to approve the updates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from credential_rotation.rotation.outcomes import EXCLUSION_MEANS, PROOF_MEANS, Exclusion, Outcome
from credential_rotation.rotation.records import ConnectionRecord

_MOST_ROWS = 40


def question(
    plan: Sequence[ConnectionRecord], validated: Sequence[ConnectionRecord], follow: Sequence[ConnectionRecord]
) -> str:
    """What the person is shown, in Markdown: what was validated and how, what would follow, and what is left out."""
    passed = {record.snowflake_conn_id for record in validated if record.is_validated}
    canaries = {record.key for record in validated}
    held_back = Counter(
        record.snowflake_conn_id
        for record in plan
        if record.is_target
        and record.outcome is None
        and record.snowflake_conn_id not in passed
        and record.key not in canaries
    )
    unchanged = sum(record.outcome is Outcome.UNCHANGED for record in plan)
    excluded = Counter(str(record.reason) for record in plan if record.outcome is Outcome.EXCLUDED)
    lines = [
        f"**{len(follow)} connections would be updated next.**",
        "",
        "### Validated",
        "",
        *_table(["Credential", "Connection", "User", "Outcome", "How"], map(_validated, validated)),
        "",
        "### Would be updated next",
        "",
        *_table(["Credential", "Type", "Project", "Connections"], _counted(follow)),
    ]
    if held_back:
        counts = [(str(credential), str(number)) for credential, number in sorted(held_back.items(), key=str)]
        lines += ["", "### Held back, since the first of their credential failed", ""]
        lines += _table(["Credential", "Connections"], counts)
    if unchanged:
        lines += ["", f"{unchanged} more hold the current token already."]
    if excluded:
        rows = [(reason, _meaning(reason), str(number)) for reason, number in excluded.most_common()]
        lines += ["", "### Left out", "", *_table(["Reason", "That is", "Connections"], rows)]
    return "\n".join(lines)


def _validated(record: ConnectionRecord) -> tuple[str, ...]:
    how = PROOF_MEANS[record.proof] if record.is_validated and record.proof else record.reason or ""
    place = f"{record.content_type.words} {record.title}"
    return str(record.snowflake_conn_id), place, record.new_username or record.username, str(record.outcome), how


def _counted(follow: Iterable[ConnectionRecord]) -> list[tuple[str, ...]]:
    counts = Counter((str(each.snowflake_conn_id), each.content_type.words, each.project) for each in follow)
    return [(*place, str(number)) for place, number in sorted(counts.items())]


def _meaning(reason: str) -> str:
    return EXCLUSION_MEANS[Exclusion(reason)] if reason in list(Exclusion) else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    listed = [list(row) for row in rows]
    lines = [_row(head), _row(["---"] * len(head)), *(_row([_escaped(cell) for cell in row]) for row in listed)]
    if len(listed) > _MOST_ROWS:
        lines[2 + _MOST_ROWS :] = ["", f"... and {len(listed) - _MOST_ROWS} more rows."]
    return lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Names come from Tableau and must not become markup."""
    for char in "\\`*_{}[]()#+!|<>~":
        text = text.replace(char, "\\" + char)
    return " ".join(text.split())
