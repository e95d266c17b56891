"""Recovery does what it says: it counts, waits, blocks, restores and cleans up."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.calling import called
from sidecar.services.context import Context
from sidecar.services.escalation import escalations
from sidecar.services.files import write_project_file
from sidecar.services.recovery import ErrorRecoveryRequest, ErrorRecoveryResult, error_recovery
from sidecar.workspace.workspace import Workspace


def recover(context: Context, operation: str, **more) -> ErrorRecoveryResult:
    request = {"operation": operation, "error_context": {}, "create_checkpoint": False} | more
    return error_recovery(context, ErrorRecoveryRequest.model_validate(request))


def write(context: Context, path: str, content: str) -> None:
    called(write_project_file, context, {"file_path": path, "content": content})


def test_two_failures_say_when_to_retry_and_the_third_blocks_and_tells(context):
    told = {"error": "disk on fire"}
    first = recover(context, "deploy", error_context=told)
    second = recover(context, "deploy", error_context=told)
    assert (first.strategy, first.failures, second.failures) == ("retry", 1, 2)
    assert 2.5 <= first.delay_seconds <= 5
    assert 5 <= second.delay_seconds <= 10
    assert first.retry_at > context.clock().isoformat()
    third = recover(context, "deploy", error_context=told)
    assert (third.strategy, third.failures, third.blocked) == ("escalate", 3, True)
    [record] = escalations(context)
    assert (record.id, record.attempts) == (third.escalation_id, 3)
    memory = (context.workspace.root / "persistent-memory.md").read_text()
    assert record.id in memory
    assert "disk on fire" in memory
    with pytest.raises(SidecarError) as refused:
        recover(context, "deploy", error_context=told)
    assert refused.value.code is ErrorCode.BLOCKED


def test_failures_survive_a_restart_and_resume_forgets_them(context):
    recover(context, "deploy")
    again = replace(context, workspace=Workspace.open(context.workspace.root))
    assert recover(again, "deploy").failures == 2
    assert recover(again, "deploy", recovery_strategy="resume").failures == 0
    assert recover(context, "deploy").failures == 1


def test_a_blocked_tool_is_refused_until_it_is_resumed(context):
    recover(context, "write_project_file", recovery_strategy="escalate")
    with pytest.raises(SidecarError) as refused:
        write(context, "a.txt", "x")
    assert refused.value.code is ErrorCode.BLOCKED
    assert "resume" in refused.value.hint
    recover(context, "write_project_file", recovery_strategy="resume")
    write(context, "a.txt", "x")


def test_a_success_of_a_tool_resets_its_count(context):
    recover(context, "write_project_file")
    recover(context, "write_project_file")
    write(context, "a.txt", "x")
    assert recover(context, "write_project_file").failures == 1


def test_rollback_restores_what_the_last_call_found_and_verifies_it(context):
    file = context.workspace.root / "TODO.md"
    before = file.read_bytes()
    write(context, "TODO.md", "- [ ] all gone\n")
    result = recover(context, "write_project_file", recovery_strategy="rollback")
    assert result.success
    assert file.read_bytes() == before
    assert "verified" in result.actions[0].outcome


def test_rollback_keeps_what_somebody_changed_since(context):
    file = context.workspace.root / "TODO.md"
    write(context, "TODO.md", "- [ ] all gone\n")
    file.write_text("- [ ] by hand\n")
    result = recover(context, "write_project_file", recovery_strategy="rollback")
    assert not result.success
    assert "changed since" in result.actions[0].outcome
    assert file.read_text() == "- [ ] by hand\n"


def test_rollback_keeps_a_file_that_the_call_created_and_says_so(context):
    write(context, "new.txt", "x")
    result = recover(context, "write_project_file", recovery_strategy="rollback")
    assert not result.success
    assert "created" in result.actions[0].outcome
    assert (context.workspace.root / "new.txt").exists()


def test_rollback_without_a_journaled_call_is_not_found(context):
    with pytest.raises(SidecarError) as refused:
        recover(context, "write_project_file", recovery_strategy="rollback")
    assert refused.value.code is ErrorCode.NOT_FOUND


def test_a_checkpoint_brings_back_every_state_file(context):
    root = context.workspace.root
    names = [".roomodes", ".roo/schedules.json", "TODO.md", "task_timing.tsv"]
    before = {name: sha256((root / name).read_bytes()).hexdigest() for name in names}
    checkpoint = recover(context, "deploy", create_checkpoint=True).checkpoint_id
    for name in names:
        (root / name).write_text("spoilt")
    named = {"checkpoint_id": checkpoint}
    result = recover(context, "deploy", recovery_strategy="rollback", error_context=named)
    assert result.success, result.summary()
    assert {name: sha256((root / name).read_bytes()).hexdigest() for name in names} == before


def test_an_unknown_checkpoint_and_a_path_outside_are_refused(context):
    for told, code in [
        ({"checkpoint_id": "nope"}, ErrorCode.NOT_FOUND),
        ({"path": "../x"}, ErrorCode.PATH_OUTSIDE),
    ]:
        with pytest.raises(SidecarError) as refused:
            recover(context, "x", recovery_strategy="rollback", error_context=told)
        assert refused.value.code is code


def test_cleanup_removes_our_stale_temporary_files_alone(context):
    root = context.workspace.root
    (root / "sub").mkdir()
    stale = [root / ".sidecar-0a1b.tmp", root / "sub" / ".sidecar-2c3d.tmp"]
    kept = [root / ".sidecar-fresh.tmp", root / "mine.tmp", root / "x.lock"]
    for file in (*stale, *kept):
        file.write_text("x")
    old = (context.clock() - timedelta(hours=2)).timestamp()
    for file in (*stale, kept[1], kept[2]):
        os.utime(file, (old, old))
    fresh = context.clock().timestamp()
    os.utime(kept[0], (fresh, fresh))
    result = recover(context, "any", recovery_strategy="cleanup")
    removed = [each.target for each in result.actions]
    assert removed == [".sidecar-0a1b.tmp", "sub/.sidecar-2c3d.tmp"]
    assert not any(file.exists() for file in stale)
    assert all(file.exists() for file in kept)


def test_an_unknown_strategy_and_an_oversized_context_are_refused(context):
    with pytest.raises(SidecarError, match="input should be 'retry', 'rollback'"):
        called(
            error_recovery,
            context,
            {"operation": "x", "error_context": {}, "recovery_strategy": "pray"},
        )
    with pytest.raises(SidecarError) as refused:
        recover(context, "x", error_context={"error": "x" * 40_000})
    assert refused.value.code is ErrorCode.TOO_LARGE
