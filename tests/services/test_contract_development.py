"""The contract of the development tools, clause by clause."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from sidecar.services.context import Context
from sidecar.settings import Settings
from sidecar.workspace.user_dirs import UserDirs
from tests.services.contract import Clause, Table, World

T = Table()

# 15. get_system_status
S = "get_system_status"
T.answers(S, "each state file with size, age, findings and lock", {},
          {"files": [{"kind": "modes", "path": ".roomodes", "locked": False}]})  # fmt: skip
T.answers(S, "line budget, tasks, runs against expectation, queue and failures", {},
          {"orchestrator": {"memory_lines": {"max": 300}, "timed_tasks": {"open": 1},
           "queue": {}, "failures": {}, "escalations": 0, "schedules": {"total": 2,
           "runs": [{"last": "2025-05-01T10:10:00.000Z", "overdue_seconds": 225}]}}})  # fmt: skip
T.answers(S, "disk, memory and percentiles per tool", {"include_file_health": False},
          {"performance": {"tools": {}}})  # fmt: skip
T.answers(S, "the worst check decides, with its reasons", {}, {"status": "degraded"})


@T.row(S, "a check beyond its time is marked so, and the call goes on")
def _(w: World) -> None:
    hasty = Settings(timezone="UTC", check_seconds=0.000001)
    answer = World(replace(w.context, settings=hasty)).call(S)
    assert "timed out" in {check["status"] for check in answer["checks"]}
    assert answer["status"] in ("degraded", "unhealthy")
    assert Settings().check_seconds == 0.05


@T.row(S, "programs are asked only on demand, and started only with consent")
def _(w: World) -> None:
    assert "external" not in w.call(S)
    told = w.call(S, check_external_dependencies=True)["external"]
    assert set(told) == {"git", "rg", "node", "python3"}
    assert set(told.values()) <= {"found, not asked", "not found"}


@T.row(S, "an unreadable file is unhealthy, with its place")
def _(w: World) -> None:
    w.write(".roo/schedules.json", '{"schedules": [')
    answer = w.call(S)
    assert answer["status"] == "unhealthy"
    assert any(".roo/schedules.json" in reason for reason in answer["reasons"])


# 16. switch_mode
M = "switch_mode"
T.answers(
    M,
    "previous and current mode with role and instructions",
    {"target_mode": "planning-analysis"},
    {"current_mode": "planning-analysis", "changed": True, "groups": ["read", "edit"]},
)
T.refuses(M, "TOO_LARGE", "a context over 20 kB",
          {"target_mode": "code", "task_context": {"x": "y" * 30_000}})  # fmt: skip
T.refuses(M, "INVALID", "a priority that there is not", {"target_mode": "code", "priority": "p"})


@T.row(M, "an unknown mode is refused with the closest")
def _(w: World) -> None:
    assert "`validation-unit`" in w.refused(M, "NOT_FOUND", target_mode="validation_units")


@T.row(M, "the last timer is stopped and a new one started, with words that no rule minds")
def _(w: World) -> None:
    first = w.call(M, target_mode="implementation-core")["timer"]["task_id"]
    later = w.at(minutes=2)
    timer = later.call(M, target_mode="validation-unit")["timer"]
    assert (timer["closed_task_id"], timer["closed_seconds"]) == (first, 120)
    rows = [r for r in w.read("task_timing.tsv").splitlines() if f"\t{first}\t" in r]
    assert [row.split("\t")[7] for row in rows] == ["completed"]
    assert w.call("get_time_tracking", task_id=timer["task_id"])["statistics"]["open"] == 1


@T.row(M, "the mode and its context last a restart, one for each session")
def _(w: World) -> None:
    one, two = w.by("a", "one"), w.by("a", "two")
    one.call(M, target_mode="implementation-core", task_context={"task": "t"})
    two.call(M, target_mode="planning-analysis")
    w.context.workspace.close()
    assert one.call(M, target_mode="validation-unit")["previous_mode"] == "implementation-core"
    assert two.call(M, target_mode="code")["previous_mode"] == "planning-analysis"


@T.row(M, "a jump over stages is warned about and not blocked")
def _(w: World) -> None:
    w.call(M, target_mode="implementation-core")
    answer = w.call(M, target_mode="integration-commit")
    assert answer["current_mode"] == "integration-commit"
    assert "validation" in answer["warnings"][0]


@T.row(M, "timer and mode change together or not at all")
def _(w: World) -> None:
    before = (w.state(), w.records())
    w.refused(M, "NOT_FOUND", target_mode="nobody")
    assert (w.state(), w.records()) == before
    (w.root / "task_timing.tsv").unlink()
    (w.root / "task_timing.tsv").mkdir()
    w.refused(M, "INVALID", target_mode="code")
    assert w.records() == before[1]


@T.row(M, "a Roo-family client gets its own call, others the mode's text")
def _(w: World) -> None:
    step = w.by("Zoo").call(M, target_mode="planning-analysis")["next_step"]
    assert step["tool"] == "switch_mode"
    assert set(step["arguments"]) == {"mode_slug", "reason"}
    told = w.by("codex").call(M, target_mode="planning-analysis")["next_step"]["instructions"]
    assert told.startswith("From now on work as")


# 17. run_validation
V = "run_validation"
TYPES = ("basic", "config", "system_health", "file_integrity", "orchestrator_files",
         "modes_configuration", "syntax")  # fmt: skip
T.refuses(V, "INVALID", "a type that there is not", {"validation_type": "vibes"})
T.refuses(V, "NOT_FOUND", "an unknown run", {"run_id": "20250101T000000-00000000"})
T.refuses(V, "INVALID", "cancel without a run", {"cancel": True})
T.refuses(V, "NOT_FOUND", "a target that is not there",
          {"validation_type": "config", "target_path": "nowhere"})  # fmt: skip
T.refuses(V, "INVALID", "an option that there is not",
          {"validation_options": {"verbose": True}})  # fmt: skip
for _type in TYPES:
    T.answers(V, f"the type {_type} is run and counted", {"validation_type": _type},
              {"validation_type": _type, "status": "finished"})  # fmt: skip


@T.row(V, "each check has id, status, evidence and hint; success is false when one fails")
def _(w: World) -> None:
    answer = w.call(V, validation_type="config")
    bad = [check for check in answer["checks"] if check["status"] == "failed"]
    assert answer["success"] is False
    assert all(check["evidence"].rpartition(":")[2].isdigit() for check in bad)
    assert all(check["hint"] for check in bad)
    assert [check["status"] for check in answer["checks"]][: len(bad)] == ["failed"] * len(bad)
    for line in answer["categories"]:
        decided = line["passed"] + line["failed"] + line["errors"]
        assert line["rate"] == line["passed"] / decided


@T.row(V, "warnings are never counted as failures")
def _(w: World) -> None:
    only = {"validation_type": "config", "target_path": "persistent-memory.md"}
    findings = w.call(V, **only)
    assert findings["success"] is True


@T.row(V, "fail_fast stops at the first failure")
def _(w: World) -> None:
    whole = w.call(V, validation_type="config")
    fast = w.call(V, validation_type="config", fail_fast=True)
    failed = [check for check in fast["checks"] if check["status"] == "failed"]
    assert len(failed) == 1
    assert len(fast["checks"]) <= len(whole["checks"])


@T.row(V, "the report can be asked for again by run_id, and its artefacts lie in the state folder")
def _(w: World) -> None:
    first = w.call(V, validation_type="syntax")
    again = w.call(V, run_id=first["run_id"], validation_type="tests")
    assert again["checks"] == first["checks"]
    assert again["validation_type"] == "syntax"
    assert first["report"].startswith(".sidecar/validation/")
    assert (w.root / first["report"]).is_file()
    assert {path.rpartition(".")[2] for path in first["artefacts"]} >= {"json", "md"}
    assert all((w.root / path).is_file() for path in first["artefacts"])


# 18. get_mode_capabilities
C = "get_mode_capabilities"
T.refuses(C, "INVALID", "a filter that is neither group nor family", {"filter_by_group": "fly"})
T.refuses(C, "INVALID", "a stage that there is not", {"filter_by_stage": "holiday"})
T.refuses(C, "NOT_FOUND", "a mode that there is not", {"slug": "nobody"})
T.answers(C, "a filter matches a tool group or a slug family", {"filter_by_group": "validation"},
          {"modes": [{"slug": "validation-unit", "stage": "validation"}]})  # fmt: skip
T.answers(C, "instructions come on demand only, tuple groups with their pattern",
          {"slug": "planning-analysis"},
          {"modes": [{"groups": ["read", "edit"], "edit_pattern": "TODO\\.md$"}]})  # fmt: skip


@T.row(C, "group and stage apply together")
def _(w: World) -> None:
    for mode in w.call(C, filter_by_group="command", filter_by_stage="implementation")["modes"]:
        assert "command" in mode["groups"]
        assert mode["stage"] == "implementation"


@T.row(C, "without a slug no long text is sent")
def _(w: World) -> None:
    modes = w.call(C)["modes"]
    assert not any("custom_instructions" in mode or "role_definition" in mode for mode in modes)


@T.row(C, "modes of a broken file are listed with the reason; JSON is read too")
def _(w: World) -> None:
    modes = [{"slug": "a-b", "name": "A", "roleDefinition": "r", "groups": ["read"]},
             {"slug": "bad slug", "name": "B", "roleDefinition": "r", "groups": []}]  # fmt: skip
    w.write(".roomodes", json.dumps({"customModes": modes}))
    answer = w.call(C)
    assert answer["verdict"] == "schema-error"
    broken = next(mode for mode in answer["modes"] if mode["slug"] == "bad slug")
    assert broken["problems"]


# 19. error_recovery
E = "error_recovery"
FAILED = {"operation": "deploy", "error_context": {"error": "boom"}}
T.refuses(E, "INVALID", "an unknown strategy", FAILED | {"recovery_strategy": "pray"})
T.refuses(E, "NOT_FOUND", "a rollback of what changed nothing",
          FAILED | {"recovery_strategy": "rollback"})  # fmt: skip
T.refuses(E, "NOT_FOUND", "an unknown checkpoint", {"operation": "x", "recovery_strategy":
          "rollback", "error_context": {"checkpoint_id": "no"}})  # fmt: skip
T.refuses(E, "TOO_LARGE", "a context over 32 kB",
          {"operation": "x", "error_context": {"error": "x" * 40_000}})  # fmt: skip
T.refuses(E, "PATH_OUTSIDE", "a path outside", {"operation": "x", "recovery_strategy": "rollback",
          "error_context": {"path": "../x"}})  # fmt: skip


@T.row(E, "two failures say when to retry, ever later; the third blocks, records and notes it")
def _(w: World) -> None:
    told = [w.call(E, **FAILED) for _ in range(3)]
    assert [each["strategy"] for each in told] == ["retry", "retry", "escalate"]
    assert 0 < told[0]["delay_seconds"] < told[1]["delay_seconds"]
    assert told[0]["retry_at"].endswith("Z")
    assert told[2]["blocked"] is True
    assert told[2]["escalation_id"] in w.read("persistent-memory.md")
    w.refused(E, "BLOCKED", **FAILED)
    assert "deploy" in str(w.call(S)["reasons"])


@T.row(E, "a success of the tool resets its count, a dry run does not")
def _(w: World) -> None:
    w.call(E, operation="backup_file", error_context={}, create_checkpoint=False)
    w.call("backup_file", file_path="TODO.md", dry_run=True)
    assert w.call(S)["orchestrator"]["failures"] == {"backup_file": 1}
    w.call("backup_file", file_path="TODO.md")
    assert w.call(S)["orchestrator"]["failures"] == {}


@T.row(E, "a rollback restores what the last call changed, verified, and spares foreign changes")
def _(w: World) -> None:
    before = w.read("README.md")
    undo = {"operation": "write_project_file", "error_context": {"error": "x"},
            "recovery_strategy": "rollback"}  # fmt: skip
    w.call("write_project_file", file_path="README.md", content="bad\n")
    answer = w.call(E, **undo)
    assert answer["success"] is True
    assert w.read("README.md") == before
    w.call("write_project_file", file_path="README.md", content="bad again\n")
    w.write("README.md", "foreign\n")
    assert w.call(E, **undo)["success"] is False
    assert w.read("README.md") == "foreign\n"


@T.row(E, "a checkpoint is a manifest of all state files that can be restored")
def _(w: World) -> None:
    kept = w.call(E, **FAILED)["checkpoint_id"]
    before = w.state()
    for path in ("TODO.md", ".roo/schedules.json", "persistent-memory.md"):
        w.write(path, "lost\n")
    answer = w.call(E, operation="deploy", recovery_strategy="rollback",
                    error_context={"checkpoint_id": kept}, create_checkpoint=False)  # fmt: skip
    assert answer["success"] is True
    names = (".roomodes", "TODO.md", ".roo/schedules.json", "persistent-memory.md")
    assert {n: w.state()[n] for n in names} == {n: before[n] for n in names}


@T.row(E, "cleanup removes our temporary files older than an hour and nothing else")
def _(w: World) -> None:
    old = w.context.clock().timestamp() - 7200
    for name in (".sidecar-00ff.tmp", "mine.tmp", "x.lock"):
        w.write(name, "x")
        os.utime(w.root / name, (old, old))
    w.write(".sidecar-11ff.tmp", "being written")
    clean = {"operation": "x", "error_context": {}, "recovery_strategy": "cleanup"}
    dry = w.call(E, **clean, dry_run=True)
    assert [each["target"] for each in dry["actions"]] == [".sidecar-00ff.tmp"]
    assert (w.root / ".sidecar-00ff.tmp").exists()
    w.call(E, **clean, create_checkpoint=False)
    assert not (w.root / ".sidecar-00ff.tmp").exists()
    assert {".sidecar-11ff.tmp", "mine.tmp", "x.lock"} <= set(w.state())


# 20. sync_environment
Y = "sync_environment"
T.refuses(Y, "INVALID", "an unknown type", {"sync_type": "everything"})
T.refuses(Y, "INVALID", "an unknown component", {"target_components": ["memroy"]})


@T.row(Y, "missing state files are made from templates; a second run changes nothing")
def _(w: World) -> None:
    for path in ("TODO.md", "task_timing.tsv", "persistent-memory.md", ".roo/schedules.json"):
        (w.root / path).unlink()
    first = w.call(Y)
    assert first["verified"] is True
    assert all({"checked", "changed", "problems"} <= set(c) for c in first["components"].values())
    before = w.state()
    again = w.call(Y)
    assert not any(component["changed"] for component in again["components"].values())
    assert w.state() == before
    assert json.loads(w.read(".roo/schedules.json")) == {"schedules": []}


@T.row(Y, "settings are taken from the disk and in force for the next call")
def _(w: World) -> None:
    taken: list[Settings] = []
    reloading = World(replace(w.context, reload=taken.append))
    w.write("sidecar.toml", "memory_line_limit = 77\nstate_dir = 'x'\n")
    home = w.context.workspace.user.config
    assert isinstance(w.context.workspace.user, UserDirs)
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text('timezone = "UTC"\ncheck_seconds = 10.0\nport = 1\n')
    dry = reloading.call(Y, sync_type="config", dry_run=True)["components"]["config"]
    assert not taken
    done = reloading.call(Y, sync_type="config")
    assert done["components"]["config"]["changed"] == dry["changed"]
    assert done["verified"] is True
    assert [settings.memory_line_limit for settings in taken] == [77]
    assert "port" in done["components"]["config"]["problems"][-1]


@T.row(Y, "pending rows are written, and the queue is held against schedules and plan")
def _(w: World) -> None:
    for given in ({"context": {"schedule_id": "gone"}}, {}):
        text = "x" if given else "Parse durations such as `1h30m`"
        w.call("delegate_task", task_description=text, target_mode="code", **given)
    report = w.call(Y, target_components=["queue"])["components"]["queue"]
    assert any("schedule `gone`" in each for each in report["problems"])
    assert any("ticked in the plan" in each for each in report["problems"])


@T.row(Y, "a component that fails makes it no success")
def _(w: World) -> None:
    (w.root / "TODO.md").unlink()
    (w.root / "TODO.md").mkdir()
    answer = w.call(Y, target_components=["todo"])
    assert answer["success"] is False
    assert answer["components"]["todo"]["failed"] is True


@pytest.mark.parametrize("clause", T, ids=str)
def test_the_tool_keeps_its_contract(clause: Clause, context: Context):
    clause.proof(World(context))
