"""A small Airflow in this process: it schedules the tasks of the DAG file, one after the other.

It imitates what matters to a task that is killed, tried again or cleared:

* order, trigger rules, retries and teardown are read from the DAG file, and the task functions are its own; the
  approval is not asked for
* mapped tasks are expanded over what the task before returned; when they are scheduled again over a list of another
  length, instances are added, or become ``removed``
* the retry policy decides on an exception. A killed task is tried again without it, while it has tries left
* a task that reschedules itself runs again with the same try number; one that skips itself skips what follows
* XComs of a task are dropped when it starts
* clearing gives a task its retries again. It starts a finished run anew, with a new ``start_date``; a running one keeps
  its ``start_date``. A task that is cleared while it runs ends as it will, and is then scheduled again
* marking a run as failed fails what runs, skips what has not run, and nothing follows: no report

Two tasks run at the same time only where a step says so (`Incident`): a task is then scheduled while another waits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from credential_rotation import rotate_tasks, running_task, task_context
from credential_rotation.dag_params import rotation_params
from credential_rotation.retry_policy import RotationRetryPolicy
from credential_rotation.settings import Settings
from dags.rotate_snowflake_pat_in_tableau import rotate_snowflake_pat_in_tableau

_UNMAPPED = -1
_MOST_PROCESSES = 500


class Killed(BaseException):
    """The process of a task ended: nothing that it still does has any effect."""


class State(StrEnum):
    """The states of a task instance; None is one that was not scheduled yet."""

    RUNNING = "running"
    UP_FOR_RETRY = "up_for_retry"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"
    REMOVED = "removed"

    @property
    def is_over(self) -> bool:
        return self not in (State.RUNNING, State.UP_FOR_RETRY)


@dataclass(eq=False)
class TaskInstance:
    task: Any
    map_index: int
    max_tries: int
    state: State | None = None
    try_number: int = 0
    is_rescheduled: bool = False
    is_restarting: bool = False
    xcoms: dict[str, Any] = field(default_factory=dict)

    @property
    def task_id(self) -> str:
        task_id: str = self.task.task_id
        return task_id

    @property
    def is_ready_again(self) -> bool:
        return self.state in (None, State.UP_FOR_RETRY)


@dataclass(eq=False)
class DagRun:
    """A run; ``state`` is None while it runs."""

    run_id: str
    conf: Mapping[str, Any]
    start_date: datetime
    state: State | None = None
    instances: list[TaskInstance] = field(default_factory=list)

    def of(self, task_id: str) -> list[TaskInstance]:
        found = [each for each in self.instances if each.task_id == task_id and each.state is not State.REMOVED]
        return sorted(found, key=lambda instance: instance.map_index)

    def returned(self, task_id: str) -> Any:
        return self.of(task_id)[0].xcoms.get("return_value")


class SmallAirflow:
    """Runs of the DAG.

    :param now: what time it is
    :param process: runs a task's function, and may end it by :class:`Killed`
    :param killed: told of each killed task before anything else is scheduled
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        now: Callable[[], datetime],
        process: Callable[[DagRun, TaskInstance, Mapping[str, Any], Callable[[], Any]], Any],
        killed: Callable[[DagRun], None],
    ) -> None:
        self._dag = rotate_snowflake_pat_in_tableau()
        self._tasks = list(self._dag.topological_sort())
        self._now, self._process, self._killed = now, process, killed
        self._context: dict[str, Any] = {}
        self.runs: list[DagRun] = []
        for module in (rotate_tasks, running_task, task_context):
            monkeypatch.setattr(module, "get_current_context", lambda: self._context)

    # -- what a person does -------------------------------------------------------------------------------------------

    def trigger(self, run_id: str, conf: Mapping[str, Any]) -> DagRun:
        """Start a run; :meth:`work` brings it to its end."""
        instances = [TaskInstance(task, _UNMAPPED, task.retries) for task in self._tasks]
        self.runs.append(DagRun(run_id, conf, self._now(), instances=instances))
        return self.runs[-1]

    def clear(self, run: DagRun, cleared: list[TaskInstance], *, downstream: bool) -> None:
        """Clear task instances, and what follows them if asked to."""
        following = {each for instance in cleared for each in self._following(instance.task)} if downstream else set()
        for instance in [*cleared, *(each for each in run.instances if each.task_id in following)]:
            if instance.state is State.RUNNING:
                instance.is_restarting = True
                continue
            instance.max_tries = instance.try_number + instance.task.retries
            instance.state, instance.is_rescheduled = None, False
        if cleared and run.state is not None:
            run.state, run.start_date = None, self._now()

    def mark_failed(self, run: DagRun) -> None:
        """Let nothing more happen in a run."""
        for instance in run.instances:
            if instance.state is None:
                instance.state = State.SKIPPED
            elif not instance.state.is_over:
                instance.state = State.FAILED
        run.state = State.FAILED

    # -- the scheduler ------------------------------------------------------------------------------------------------

    def work(self, run: DagRun) -> None:
        """Run what is ready, until nothing is."""
        for _ in range(_MOST_PROCESSES):
            if run.state is not None or (ready := next(self._ready(run), None)) is None:
                break
            self._execute(run, ready)
        else:
            raise AssertionError(f"{run.run_id} does not come to an end")
        if run.state is None and all(each.state is not State.RUNNING for each in run.instances):
            leaves = [each for task_id in self._leaves() for each in run.of(task_id)]
            run.state = State.SUCCESS if all(each.state is State.SUCCESS for each in leaves) else State.FAILED

    def _ready(self, run: DagRun) -> Iterator[TaskInstance]:
        for task in self._tasks:
            if any(each.is_ready_again for each in run.of(task.task_id)):
                self._expand(run, task)
            for instance in run.of(task.task_id):
                if instance.is_ready_again:
                    found = self._by_trigger_rule(run, task)
                    if found is _READY:
                        yield instance
                    elif found is not None:
                        instance.state = found

    def _expand(self, run: DagRun, task: Any) -> None:
        source = _mapped_over(task)
        if source is None or any(each.state is not State.SUCCESS for each in run.of(source)):
            return
        length, instances = len(run.returned(source)), run.of(task.task_id)
        if instances[0].map_index == _UNMAPPED:
            if length == 0:
                instances[0].state = State.SKIPPED
                return
            run.instances.remove(instances[0])
        for instance in instances:
            if instance.map_index >= length and instance.state is not State.RUNNING:
                instance.state = State.REMOVED
        # One that was removed keeps its place: a person who clears it brings it back.
        known = {each.map_index for each in run.instances if each.task_id == task.task_id}
        run.instances += [TaskInstance(task, each, task.retries) for each in range(length) if each not in known]

    def _by_trigger_rule(self, run: DagRun, task: Any) -> State | object | None:
        """What becomes of a task by its trigger rule: a state, that it is ready, or None while it must wait."""
        states = [each.state for task_id in task.upstream_task_ids for each in run.of(task_id)]
        failed = [state for state in states if state in (State.FAILED, State.UPSTREAM_FAILED)]
        done = all(state is not None and state.is_over for state in states)
        rule = task.trigger_rule
        if rule == "all_success":
            if failed:
                return State.UPSTREAM_FAILED
            if State.SKIPPED in states:
                return State.SKIPPED
        elif rule == "all_done_min_one_success":
            if State.SKIPPED in states:
                return State.SKIPPED
            if done and State.SUCCESS not in states:
                return State.UPSTREAM_FAILED
        elif rule not in ("all_done", "all_done_setup_success"):
            raise NotImplementedError(rule)
        return _READY if done else None

    def _execute(self, run: DagRun, instance: TaskInstance) -> None:
        instance.try_number += not instance.is_rescheduled
        instance.state, instance.is_rescheduled = State.RUNNING, False
        instance.xcoms.clear()
        given, before = self._given(run, instance), self._context
        self._context = self._made_context(run, instance)
        try:
            result = self._process(run, instance, given, lambda: _function_of(instance.task)(**given))
        except AirflowRescheduleException:
            instance.state, instance.is_rescheduled = None, True
        except AirflowSkipException:
            instance.state = State.SKIPPED
        except Killed:
            instance.state = State.UP_FOR_RETRY if instance.try_number <= instance.max_tries else State.FAILED
            self._killed(run)
        except Exception as problem:  # noqa: BLE001 (as Airflow does)
            decision = RotationRetryPolicy().evaluate(problem, instance.try_number, instance.max_tries)
            is_retried = decision.action is not RetryAction.FAIL and instance.try_number <= instance.max_tries
            instance.state = State.UP_FOR_RETRY if is_retried else State.FAILED
        else:
            # As another process reads it.
            instance.xcoms["return_value"] = json.loads(json.dumps(result))
            instance.state = State.SUCCESS
        finally:
            self._context = before
        if instance.is_restarting:
            instance.is_restarting, instance.state = False, None

    def _given(self, run: DagRun, instance: TaskInstance) -> dict[str, Any]:
        source = _mapped_over(instance.task)
        return {} if source is None else {_mapped_name(instance.task): run.returned(source)[instance.map_index]}

    def _made_context(self, run: DagRun, instance: TaskInstance) -> dict[str, Any]:
        params = {name: param.value for name, param in rotation_params(Settings.from_environment()).items()}
        of_the_task = SimpleNamespace(
            dag_id=self._dag.dag_id,
            run_id=run.run_id,
            task_id=instance.task_id,
            map_index=instance.map_index,
            try_number=instance.try_number,
            max_tries=instance.max_tries,
            xcom_pull=lambda task_ids, map_indexes=None: run.returned(task_ids),
            xcom_push=instance.xcoms.__setitem__,
        )
        return {
            "ti": of_the_task,
            "dag_run": SimpleNamespace(conf=dict(run.conf), start_date=run.start_date),
            "params": params | dict(run.conf),
            "outlet_events": _Events(),
        }

    def _following(self, task: Any) -> set[str]:
        return {each.task_id for each in task.get_flat_relatives(upstream=False)}

    def _leaves(self) -> list[str]:
        """The tasks that decide on the state of a run: those that only a teardown follows."""
        teardowns = {each.task_id for each in self._tasks if each.is_teardown}
        return [
            each.task_id
            for each in self._tasks
            if each.task_id not in teardowns and each.downstream_task_ids <= teardowns
        ]


_READY = object()


class _Events:
    def __getitem__(self, _: object) -> SimpleNamespace:
        return SimpleNamespace(add=lambda *_, **__: None)


def _mapped_over(task: Any) -> str | None:
    """The task over whose list this one is mapped."""
    if not task.is_mapped:
        return None
    [argument] = task.op_kwargs_expand_input.value.values()
    task_id: str = argument.operator.task_id
    return task_id


def _mapped_name(task: Any) -> str:
    [name] = task.op_kwargs_expand_input.value
    return str(name)


def _function_of(task: Any) -> Callable[..., Any]:
    if task.task_id == "approve":
        return rotate_tasks.question_for_approval  # a person is never asked here
    function: Callable[..., Any] = task.python_callable
    return function
