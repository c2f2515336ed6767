"""A person between the validation and the rest, when the run asks for one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from credential_rotation import rotate_tasks

if TYPE_CHECKING:
    from airflow.sdk import Context


LONGEST_WAIT = timedelta(days=1)


class ApproveUpdates(ApprovalOperator):
    """Airflow's own approval, which lets a run pass that did not ask for it."""

    def execute(self, context: Context) -> Any:
        """Ask a person, or return at once."""
        self.body = rotate_tasks.question_for_approval()
        if self.body is None:
            self.log.info("Nobody is asked: require_approval is off, or nothing is left to update.")
            return None
        self.response_timeout = rotate_tasks.time_to_approve(self.response_timeout or LONGEST_WAIT)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Leave the answer for the report: a rejection skips what follows by an exception, so it returns nothing."""
        if "error" not in event:
            rotate_tasks.leave_answer(event)
        return super().execute_complete(context, event)
