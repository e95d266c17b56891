"""Schedules, delegated tasks and the queue of runs tell each other what becomes of a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.run import Origin, RunRequest, RunState, run_name, slot_run_id
from sidecar.mcp.prompts import PROMPTS
from sidecar.services import suspensions, trust
from sidecar.services.context import Context
from sidecar.services.registry import TOOLS
from sidecar.services.run_requests import queue_of, workspace_id
from sidecar.services.runs import ids, told, version
from sidecar.services.schedule_plan import read

LOOP = "1745000000001"
SLOT = datetime(2025, 5, 1, 10, 20, tzinfo=UTC)


def call(context: Context, name: str, /, **arguments) -> dict:
    return TOOLS[name].call(context, arguments).structured()


def approved(context: Context, **settings) -> Context:
    """The context with other settings, in which a person agreed to everything."""
    chosen = replace(context, settings=context.settings.model_copy(update=settings))
    trust.grant(chosen, trust.offer(chosen, read(chosen)[0].schedules))
    return chosen


def due(context: Context, state: RunState, **more) -> str:
    """A slot's run as the scheduler puts it into the queue; its id."""
    workspace = workspace_id(context)
    request = RunRequest(
        run_id=slot_run_id(workspace, LOOP, SLOT),
        workspace=workspace,
        origin=Origin.SCHEDULE,
        subject=LOOP,
        label="Loop",
        instructions="Read TODO.md",
        mode="implementation-core",
        slot=SLOT,
        **more,
    )
    return queue_of(context).enqueue(request, state=state).run_id


def shown(context: Context) -> dict:
    return call(context, "get_schedule_status", schedule_id=LOOP)["schedules"][0]


def test_run_now_waits_for_a_person_until_it_is_approved(queueing):
    answer = call(queueing, "manage_schedules", action="run_now", schedule_id=LOOP)

    record = queue_of(queueing).get(answer["request_id"])
    assert record is not None
    assert record.state is RunState.NEEDS_CONSENT
    assert "nobody has trusted this workspace" in answer["problems"][0]
    assert shown(queueing)["waiting_run"]["state"] == "needs-consent"
    assert shown(queueing)["needs_consent"] == "nobody has trusted this workspace yet"


def test_run_now_of_an_approved_schedule_is_queued_for_its_runner(queueing):
    ready = approved(queueing, runner="mine", runners={"mine": ("command", "agent")})

    answer = call(ready, "manage_schedules", action="run_now", schedule_id=LOOP)

    record = queue_of(ready).get(answer["request_id"])
    assert record is not None
    assert (record.state, record.request.runner) == (RunState.QUEUED, "mine")
    assert (record.request.origin, record.request.subject) == (Origin.PERSON, LOOP)
    assert (answer["executor"], answer["problems"]) == ("mine", [])
    assert shown(ready)["waiting_run"]["run_id"] == record.run_id
    assert "needs_consent" not in shown(ready)


def test_a_dry_run_of_run_now_puts_nothing_into_the_queue(queueing):
    answer = call(queueing, "manage_schedules", action="run_now", schedule_id=LOOP, dry_run=True)

    assert "request_id" not in answer
    assert queue_of(queueing).runs(workspace=workspace_id(queueing)) == []


def test_the_last_run_of_a_schedule_is_told_with_its_reason(queueing):
    run_id = due(queueing, RunState.READY)
    queue_of(queueing).settle(run_id, RunState.FAILED, reason="The tests are red.")

    last = shown(queueing)["last_run"]

    assert (last["run_id"], last["state"]) == (run_id, "failed")
    assert (last["reason"], last["due"]) == ("The tests are red.", "2025-05-01T10:20:00.000Z")
    assert shown(queueing)["last_result"] == "failed"


def test_a_run_that_is_ready_is_claimed_as_a_task_and_its_end_is_the_runs(queueing):
    run_id = due(queueing, RunState.READY)

    claimed = call(queueing, "delegate_task", action="claim")
    assert call(queueing, "delegate_task", action="status")["counts"] == {"claimed": 1}
    assert "Read TODO.md" in claimed["handoff"]["instructions"]
    done = call(queueing, "delegate_task", action="complete", task_id=run_id,
                lease_token=claimed["lease_token"], result="all green")  # fmt: skip

    record = queue_of(queueing).get(run_id)
    assert record is not None
    assert (done["status"], done["task_id"]) == ("done", claimed["task_id"])
    assert (record.state, record.result) == (RunState.SUCCEEDED, "all green")
    with pytest.raises(SidecarError) as refused:
        call(queueing, "delegate_task", action="claim")
    assert refused.value.code is ErrorCode.NOT_FOUND


def test_an_expired_lease_returns_a_claimed_run(queueing):
    due(queueing, RunState.READY)
    first = call(queueing, "delegate_task", action="claim")
    now = queueing.clock()
    lapsed = replace(queueing, clock=lambda: now + timedelta(minutes=11))
    again = replace(queueing, clock=lambda: now + timedelta(hours=1))

    noticed = call(lapsed, "delegate_task", action="status", task_id=first["task_id"])
    second = call(again, "delegate_task", action="claim")

    assert (noticed["status"], noticed["attempts"]) == ("queued", 1)

    assert second["task_id"] == first["task_id"]
    assert second["lease_token"] != first["lease_token"]


def test_the_third_failure_of_a_claimed_run_ends_it_as_failed(queueing):
    run_id = due(queueing, RunState.READY)
    context = queueing
    for _ in range(3):
        claimed = call(context, "delegate_task", action="claim")
        call(context, "delegate_task", action="fail", task_id=claimed["task_id"],
             lease_token=claimed["lease_token"], result="no")  # fmt: skip
        moment = context.clock() + timedelta(hours=1)
        context = replace(context, clock=lambda moment=moment: moment)

    record = queue_of(queueing).get(run_id)
    assert record is not None
    assert (record.state, record.reason) == (RunState.FAILED, "no")


def test_a_cancelled_claim_cancels_its_run(queueing):
    run_id = due(queueing, RunState.READY)
    claimed = call(queueing, "delegate_task", action="claim")

    call(queueing, "delegate_task", action="cancel", task_id=claimed["task_id"])

    record = queue_of(queueing).get(run_id)
    assert record is not None
    assert record.state is RunState.CANCELLED


def test_a_run_that_ended_without_its_claimant_ends_the_task(queueing):
    run_id = due(queueing, RunState.READY)
    claimed = call(queueing, "delegate_task", action="claim")
    queue_of(queueing).settle(run_id, RunState.SKIPPED, reason="The next slot came.")

    task = call(queueing, "delegate_task", action="status", task_id=claimed["task_id"])

    assert (task["status"], task["error"]) == ("failed", "The next slot came.")


def test_execute_needs_a_runner_and_consent_and_then_is_queued(queueing):
    wanted = {"task_description": "Write unit tests", "target_mode": "code", "execute": True}
    with pytest.raises(SidecarError) as without_runner:
        call(queueing, "delegate_task", **wanted)
    runner = {"runner": "mine", "runners": {"mine": ("command", "agent")}}
    untrusted = replace(queueing, settings=queueing.settings.model_copy(update=runner))
    with pytest.raises(SidecarError) as without_consent:
        call(untrusted, "delegate_task", **wanted)
    trusted = approved(queueing, **runner)
    created = call(trusted, "delegate_task", **wanted)

    (record,) = queue_of(trusted).runs(workspace=workspace_id(trusted))
    assert without_runner.value.code is ErrorCode.UNAVAILABLE
    assert without_consent.value.code is ErrorCode.UNTRUSTED
    assert (created["status"], created["executor"]) == ("queued", "mine")
    assert record.run_id in created["note"]
    assert (record.request.origin, record.request.subject) == (Origin.TASK, created["task_id"])
    assert record.request.limit_seconds == created["budget_seconds"]
    with pytest.raises(SidecarError) as claimed:
        call(trusted, "delegate_task", action="claim", task_id=created["task_id"])
    assert claimed.value.code is ErrorCode.CONFLICT


def test_an_executed_tasks_run_is_cancelled_with_it(queueing):
    context = approved(queueing, runner="mine", runners={"mine": ("command", "agent")})
    created = call(context, "delegate_task", task_description="x", target_mode="code", execute=True)

    call(context, "delegate_task", action="cancel", task_id=created["task_id"], result="no need")

    (record,) = queue_of(context).runs(workspace=workspace_id(context))
    assert record.state is RunState.CANCELLED


def test_a_dry_run_executes_nothing(queueing):
    context = approved(queueing, runner="mine", runners={"mine": ("command", "agent")})

    call(context, "delegate_task", task_description="x", target_mode="code", execute=True,
         dry_run=True)  # fmt: skip

    assert queue_of(context).runs(workspace=workspace_id(context)) == []


def test_the_queue_is_told_by_the_systems_status(queueing):
    due(queueing, RunState.NEEDS_CONSENT)
    suspensions.suspend(queueing, LOOP, "three failures in a row", cause="escalation")

    status = call(queueing, "get_system_status")

    assert status["orchestrator"]["runs"] == {"needs-consent": 1}
    assert status["orchestrator"]["suspended"] == {LOOP: "three failures in a row"}
    assert "1 runs wait for a person's consent: `sidecar trust --schedules`." in status["reasons"]


@pytest.mark.parametrize("operation", [LOOP, f"schedule:{LOOP}"])
def test_error_recovery_lets_a_suspended_schedule_go_on(queueing, operation):
    suspensions.suspend(queueing, LOOP, "three failures in a row", cause="escalation")

    answer = call(queueing, "error_recovery", operation=operation, error_context={},
                  recovery_strategy="resume")  # fmt: skip

    assert [each["action"] for each in answer["actions"]] == ["resume", "lift"]
    assert suspensions.of(queueing, LOOP) is None


def test_a_run_is_read_by_its_id_and_its_version_moves_with_it(queueing):
    run_id = due(queueing, RunState.READY)
    before = version(queueing, run_id)
    queue_of(queueing).settle(run_id, RunState.SUCCEEDED, result="done")

    run = told(queueing, run_id)

    assert run_id in ids(queueing)
    assert (run["kind"], run["state"], run["result"]) == ("run", "succeeded", "done")
    assert version(queueing, run_id) != before


def test_a_run_of_another_workspace_is_not_told(queueing):
    with pytest.raises(SidecarError) as refused:
        told(queueing, "0123456789abcdef:1@2025-05-01T10:20:00.000Z")
    assert refused.value.code is ErrorCode.NOT_FOUND


def test_switching_to_a_mode_tells_what_waits_for_it(queueing):
    due(queueing, RunState.READY)

    there = call(queueing, "switch_mode", target_mode="implementation-core")["next_step"]
    elsewhere = call(queueing, "switch_mode", target_mode="validation-unit")["next_step"]

    assert len(there["waiting"]) == 1
    assert "Loop: Read TODO.md" in there["waiting"][0]
    assert "waiting" not in elsewhere


def test_a_sync_brings_tasks_and_runs_together(queueing):
    run_id = due(queueing, RunState.READY)
    task = call(queueing, "delegate_task", action="claim")["task_id"]
    queue_of(queueing).settle(run_id, RunState.CANCELLED, reason="not needed")

    report = call(queueing, "sync_environment", target_components=["queue"])["components"]["queue"]

    assert report["changed"] == [f"{task}: failed, not needed"]


def test_a_review_of_a_run_shows_the_run_and_where_its_transcript_is(queueing):
    run_id = due(queueing, RunState.READY)
    queue_of(queueing).settle(run_id, RunState.FAILED, reason="The tests are red.")

    text = PROMPTS["review-run"].text(queueing, {"task_id": run_id})

    assert "The tests are red." in text
    assert f".sidecar/runs/{run_name(run_id)}/" in text
