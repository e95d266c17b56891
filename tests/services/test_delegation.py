"""Delegated tasks survive, belong to one worker at a time, and stay within their bounds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.context import Client, Context
from sidecar.services.delegation import (
    DelegateTaskRequest,
    DelegateTaskResult,
    delegate_task,
)
from sidecar.services.escalation import escalations
from sidecar.workspace.workspace import Workspace


def delegate(caller: Context, action: str = "create", /, **more) -> DelegateTaskResult:
    return delegate_task(caller, DelegateTaskRequest(action=action, **more))


def create(context: Context, description: str = "Write unit tests", **more) -> DelegateTaskResult:
    return delegate(context, task_description=description, **more)


def later(context: Context, **time) -> Context:
    moment = context.clock() + timedelta(**time)
    return replace(context, clock=lambda: moment)


def refusal(caller: Context, action: str = "create", /, **more) -> SidecarError:
    with pytest.raises(SidecarError) as refused:
        delegate(caller, action, **more)
    return refused.value


def test_a_task_goes_from_the_queue_to_its_worker_and_is_done(context):
    created = create(context, target_mode="code")
    assert (created.status, created.queue_position, created.executor) == ("queued", 1, "none")
    claimed = delegate(context, "claim")
    assert (claimed.task_id, claimed.status) == (created.task_id, "claimed")
    lease = {"task_id": created.task_id, "lease_token": claimed.lease_token}
    assert delegate(context, "renew", **lease).status == "running"
    done = delegate(context, "complete", **lease, result="all green")
    assert (done.status, done.result) == ("done", "all green")
    shown = delegate(context, "status", task_id=created.task_id)
    assert (shown.status, shown.lease_token) == ("done", None)
    again = delegate(context, "complete", **lease, result="all green")
    assert again.changed is False


def test_the_queue_survives_a_restart(context):
    created = create(context)
    again = replace(context, workspace=Workspace.open(context.workspace.root))
    assert delegate(again, "status", task_id=created.task_id).status == "queued"


def test_the_mode_is_chosen_by_what_modes_say_they_are_for(context):
    created = create(context, "Run the unit tests of the duration parser and report failures")
    best = created.candidates[0]
    assert created.mode_assigned == best.slug == "validation-unit"
    assert "shares" in best.reason
    scores = [each.score for each in created.candidates]
    assert scores == sorted(scores, reverse=True)


def test_an_unknown_mode_is_refused_with_the_nearest_and_nothing_is_queued(context):
    error = refusal(context, task_description="x", target_mode="validation-unti")
    assert error.code is ErrorCode.NOT_FOUND
    assert "`validation-unit`" in error.hint
    assert delegate(context, "status").tasks == []


def test_a_task_that_fits_no_mode_is_refused_with_the_list(context):
    error = refusal(context, task_description="Qwxyz zzyzx")
    assert error.code is ErrorCode.NOT_FOUND
    assert "target_mode" in error.hint


def test_urgent_tasks_come_first_then_the_older(context):
    normal = create(context, "one", target_mode="code")
    create(later(context, seconds=1), "two", target_mode="code")
    urgent = create(later(context, seconds=2), "x", target_mode="code", priority="schedule")
    assert urgent.queue_position == 1
    assert delegate(later(context, seconds=3), "claim").task_id == urgent.task_id
    assert delegate(later(context, seconds=4), "claim").task_id == normal.task_id


def test_a_claimed_task_cannot_be_claimed_again_nor_closed_by_another(context):
    created = create(context)
    delegate(context, "claim", task_id=created.task_id)
    assert refusal(context, "claim", task_id=created.task_id).code is ErrorCode.CONFLICT
    stolen = {"task_id": created.task_id, "lease_token": "guessed"}
    for action in ("renew", "complete", "fail"):
        assert refusal(context, action, **stolen).code is ErrorCode.CONFLICT


def test_an_expired_lease_returns_the_task_and_the_old_holder_has_lost_it(context):
    created = create(context)
    claimed = delegate(context, "claim")
    after = later(context, minutes=11)
    lost = {"task_id": created.task_id, "lease_token": claimed.lease_token}
    assert refusal(after, "complete", **lost).code is ErrorCode.CONFLICT
    shown = delegate(after, "status", task_id=created.task_id)
    assert (shown.status, shown.attempts) == ("queued", 1)
    much_later = later(context, minutes=30)
    assert delegate(much_later, "claim").lease_token != claimed.lease_token


def test_the_third_failure_escalates_and_writes_the_memory(context):
    created = create(context)
    for round_number in range(3):
        now = later(context, hours=round_number)
        lease = delegate(now, "claim").lease_token
        failed = delegate(now, "fail", task_id=created.task_id, lease_token=lease, result="no disk")
    assert (failed.status, failed.attempts) == ("escalated", 3)
    [record] = escalations(context)
    assert created.task_id in record.subject
    assert record.noted
    assert "no disk" in (context.workspace.root / "persistent-memory.md").read_text()


def test_a_failed_task_waits_before_it_may_be_claimed_again(context):
    created = create(context)
    lease = delegate(context, "claim").lease_token
    delegate(context, "fail", task_id=created.task_id, lease_token=lease)
    assert refusal(context, "claim").code is ErrorCode.NOT_FOUND
    assert delegate(later(context, seconds=6), "claim").task_id == created.task_id


def test_the_same_key_gives_the_same_task_and_another_wish_is_refused(context):
    first = create(context, idempotency_key="k")
    second = create(context, idempotency_key="k")
    assert (second.task_id, second.changed) == (first.task_id, False)
    error = refusal(context, task_description="Something else", idempotency_key="k")
    assert error.code is ErrorCode.CONFLICT
    assert delegate(context, "status").counts == {"queued": 1}


@pytest.mark.parametrize("deadline", ["yesterday", "2025-04-31", "", "2025-05-01T10:23:45Z", "99"])
def test_a_deadline_must_be_a_moment_to_come(context, deadline):
    error = refusal(context, task_description="x", target_mode="code", deadline=deadline)
    assert error.code is ErrorCode.INVALID


@pytest.mark.parametrize(
    ("deadline", "read"),
    [
        ("2025-05-01", "2025-05-02T00:00:00Z"),
        ("2025-05-01T12:00", "2025-05-01T12:00:00Z"),
        ("2025-05-01T12:00:00+02:00", None),
        ("2025-05-01T14:00:00+02:00", "2025-05-01T12:00:00Z"),
    ],
)
def test_deadlines_are_read_as_utc_and_a_date_means_its_end(context, deadline, read):
    if read is None:
        refusal(context, task_description="x", target_mode="code", deadline=deadline)
    else:
        assert create(context, target_mode="code", deadline=deadline).deadline == read


def test_a_task_past_its_deadline_is_failed(context):
    created = create(context, deadline="2025-05-01T11:00:00Z")
    shown = delegate(later(context, hours=1), "status", task_id=created.task_id)
    assert (shown.status, shown.error) == ("failed", "its deadline passed")


def test_children_get_at_most_half_of_what_is_left_and_five_levels(context):
    task = create(context, "level 0", target_mode="code", deadline="2025-05-01T11:23:45Z")
    assert task.budget_seconds == 3599
    budgets = [task.budget_seconds]
    for level in range(1, 6):
        task = create(context, f"level {level}", target_mode="code", parent_task_id=task.task_id)
        assert task.depth == level
        assert task.budget_seconds <= budgets[-1] / 2
        budgets.append(task.budget_seconds)
    error = refusal(
        context, task_description="deeper", target_mode="code", parent_task_id=task.task_id
    )
    assert error.code is ErrorCode.LIMIT


def test_asking_a_mode_above_for_the_same_is_a_cycle(context):
    top = create(context, "Fix it all", target_mode="code")
    inner = create(context, "Part", target_mode="debug", parent_task_id=top.task_id)
    error = refusal(
        context,
        task_description="fix  it ALL",
        target_mode="code",
        parent_task_id=inner.task_id,
    )
    assert error.code is ErrorCode.CONFLICT
    assert top.task_id in error.message


def test_a_task_with_open_children_cannot_be_completed_and_cancelling_takes_them_along(context):
    top = create(context, "top", target_mode="code")
    lease = delegate(context, "claim").lease_token
    child = create(context, "child", target_mode="debug", parent_task_id=top.task_id)
    error = refusal(context, "complete", task_id=top.task_id, lease_token=lease)
    assert error.code is ErrorCode.CONFLICT
    assert delegate(context, "cancel", task_id=top.task_id).status == "failed"
    assert delegate(context, "status", task_id=child.task_id).status == "failed"


def test_nobody_executes_and_that_is_said(context):
    error = refusal(context, task_description="x", target_mode="code", execute=True)
    assert error.code is ErrorCode.UNAVAILABLE
    assert "Nobody executes" in create(context).note


def test_clients_with_modes_get_a_ready_call_and_others_instructions(context):
    wish = {"target_mode": "validation-unit", "requirements": {"steps": ["read", "run"], "n": 2}}
    roo = replace(context, client=Client("Roo Code"))
    call = create(roo, **wish).handoff
    assert call["tool"] == "new_task"
    assert set(call["arguments"]) == {"mode", "message", "todos"}
    assert call["arguments"]["mode"] == "validation-unit"
    assert call["arguments"]["todos"] == "[ ] read\n[ ] run\n[ ] n: 2"
    assert "alone" in call["note"]
    text = create(replace(context, client=Client("Cline")), **wish).handoff["instructions"]
    assert "Write unit tests" in text
    assert "[ ] read" in text
    assert "Work as" in text


def test_an_unknown_task_and_missing_names_are_refused(context):
    created = create(context)
    error = refusal(context, "claim", task_id=created.task_id[:-1] + "x")
    assert error.code is ErrorCode.NOT_FOUND
    assert created.task_id in error.hint
    assert refusal(context, "complete").code is ErrorCode.INVALID
    assert refusal(context, "create").code is ErrorCode.INVALID
    too_much = {"text": "x" * 70_000}
    oversized = refusal(context, task_description="x", target_mode="code", context=too_much)
    assert oversized.code is ErrorCode.TOO_LARGE
