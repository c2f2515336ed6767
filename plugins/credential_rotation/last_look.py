"""The last look of a run at Tableau: whether what it leaves behind is still the latest change of each item.

Hours may lie between an update and the end of its run: a wait for an approval, a scheduler that was away.
"""

from __future__ import annotations

from collections.abc import Sequence

from credential_rotation.plan_files import Plan, PlanReplaced, check_site
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.settling import after_last_look, expected_time
from credential_rotation.rotation.wrong_input import UnusableParams
from credential_rotation.tableau.errors import TableauError, TableauUnwell
from credential_rotation.tableau.tableau_site import TableauSite
from credential_rotation.task_context import ThisTask


def last_look(
    task: ThisTask, plan: Plan, records: Sequence[ConnectionRecord]
) -> tuple[list[ConnectionRecord], list[str]]:
    """The records as they are now that the run ends, and why that can't be said of a site.

    :raises TableauUnwell: where a later try of this task may see it
    """
    now: dict[str, str] = {}
    problems: list[str] = []
    for conn_id in plan.sites:
        known = {r.content_id: r.content for r in records if r.tableau_conn_id == conn_id and expected_time(r)}
        if not known:
            continue
        try:
            with task.tableau(conn_id, in_flight=1, sharers=1) as hook:
                check_site(plan.sites, conn_id, hook.settings.site_key)
                now |= TableauSite(hook).updated_at(known.values())
        except (TableauError, UnusableParams, PlanReplaced) as problem:
            if isinstance(problem, TableauUnwell) and not task.is_last_try:
                raise
            problems.append(
                f"{conn_id}: whether anything was published again since its update could not be seen: {problem}"
            )
    return after_last_look(records, now), problems
