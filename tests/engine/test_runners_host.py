"""Runs that start no agent: handed off as a task, or done by the sidecar's own tools."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidecar.domain.kind import Kind
from sidecar.engine.runner import Outcome, RunSpec
from sidecar.engine.runners.catalog import runner_named
from sidecar.engine.runners.hosts import instructions, subject
from sidecar.services.context import Client, Context
from sidecar.services.delegation import delegate_task
from sidecar.services.memory import update_persistent_memory
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

from .runner_cases import HERE, specification, worked

EXAMPLE = HERE.parents[1] / "examples" / "workspace"
MOMENT = datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    shutil.copytree(EXAMPLE, tmp_path / "workspace")
    workspace = Workspace.open(tmp_path / "workspace", user_dir=tmp_path / "user")
    return Context(workspace, Settings(), clock=lambda: MOMENT, client=Client("sidecar", "test"))


def done(context: Context, tmp_path: Path, name: str, **values: object) -> Outcome:
    spec = specification(tmp_path, **values)
    return worked(runner_named(context.settings, name, context), spec)[0]


def test_a_handed_off_run_is_a_task_that_an_agent_claims_and_completes(
    context: Context, tmp_path: Path
) -> None:
    run_id = "ws:nightly@2026-03-01T09:00:00.000Z"
    outcome = done(context, tmp_path, "handoff", run_id=run_id, mode="code")
    assert outcome.status == "handed-off"
    claimed = delegate_task.call(context, {"action": "claim"})
    assert claimed.task_id == outcome.facts["task_id"]
    assert "Tidy the plan." in claimed.handoff["instructions"]
    told = {"action": "complete", "task_id": claimed.task_id, "result": "done"}
    ended = delegate_task.call(context, {**told, "lease_token": claimed.lease_token})
    assert ended.status == "done"


def test_the_task_of_a_handed_off_run_names_run_schedule_mode_and_budget(
    context: Context, tmp_path: Path
) -> None:
    run_id = "ws:nightly@2026-03-01T09:00:00.000Z"
    outcome = done(context, tmp_path, "handoff", run_id=run_id, limit_seconds=90.0)
    with context.workspace.store.transaction() as records:
        task = records.get("tasks", outcome.facts["task_id"])
    assert task is not None
    assert task["context"] == {"run_id": run_id, "schedule_id": "nightly"}
    assert (task["budget_seconds"], task["priority"]) == (90, "schedule")


def test_a_repeated_hand_off_finds_the_task_that_is_there(context: Context, tmp_path: Path) -> None:
    ids = {done(context, tmp_path, "handoff", run_id="ws:a@1").facts["task_id"] for _ in range(3)}
    assert len(ids) == 1
    other = done(context, tmp_path, "handoff", run_id="ws:a@2").facts["task_id"]
    assert other not in ids


@pytest.mark.parametrize(
    ("run_id", "told"),
    [
        ("ws:nightly@2026-03-01T09:00:00.000Z", "nightly"),
        ("ws:a:b@c+20260301T090000-1f", "a:b@c"),
        ("ws:task-1", ""),
    ],
)
def test_the_schedule_is_part_of_the_runs_id(tmp_path: Path, run_id: str, told: str) -> None:
    assert subject(specification(tmp_path, run_id=run_id)) == told


PROMPT = "# Nightly check\nsync_environment\nrest\n\n# Who you are\nA coder."


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"prompt": PROMPT}, "sync_environment\nrest"),
        ({"prompt": "sync_environment"}, "sync_environment"),
        ({"prompt": PROMPT, "options": {"instructions": "run_validation"}}, "run_validation"),
    ],
)
def test_the_instructions_are_the_authors_part_of_the_prompt(
    tmp_path: Path, values: dict[str, object], told: str
) -> None:
    assert instructions(specification(tmp_path, **values)) == told


def test_builtin_validates_by_the_tool_that_the_instructions_name(
    context: Context, tmp_path: Path
) -> None:
    prompt = 'run_validation {"validation_type": "file_integrity", "target_path": "TODO.md"}'
    outcome = done(context, tmp_path, "builtin", prompt=prompt)
    assert (outcome.status, outcome.facts["verdict"]) == ("succeeded", "passed")
    assert outcome.tool_calls == 1
    (context.workspace.root / ".roo" / "schedules.json").write_text("{broken", "utf-8")
    outcome = done(context, tmp_path, "builtin", prompt="Run-Validation")
    assert (outcome.status, outcome.facts["verdict"]) == ("failed", "failed")


def test_builtin_does_not_run_the_workspaces_tests_without_consent(
    context: Context, tmp_path: Path
) -> None:
    prompt = 'run_validation {"validation_type": "tests"}'
    outcome = done(context, tmp_path, "builtin", prompt=prompt)
    assert outcome.status == "failed"
    assert "trust" in outcome.reason


def test_builtin_brings_the_environment_in_order(context: Context, tmp_path: Path) -> None:
    (context.workspace.root / "TODO.md").unlink()
    outcome = done(context, tmp_path, "builtin", prompt="`sync_environment`")
    assert outcome.status == "succeeded", outcome
    assert (context.workspace.root / "TODO.md").exists()


def memory_of(context: Context, contents: list[str]) -> str:
    for content in contents:
        told = {"section": "implementation_patterns", "content": content}
        update_persistent_memory.call(context, told)
    return context.workspace.path(Kind.MEMORY)


def test_builtin_archives_what_is_repeated_and_what_is_beyond_the_limit(
    context: Context, tmp_path: Path
) -> None:
    path = memory_of(context, ["Twice told.", "Once told.", "Twice told."])
    before = context.workspace.files.read(path).text
    outcome = done(context, tmp_path, "builtin", prompt="optimize_memory")
    after = context.workspace.files.read(path).text
    assert (before.count("Twice told."), after.count("Twice told.")) == (2, 1)
    assert "Once told." in after
    (archive,) = (context.workspace.root / "persistent-memory.archive").glob("*.md")
    assert archive.read_text("utf-8").count("Twice told.") == 1
    assert "1 repeated and 0 old entries" in outcome.reason
    again = done(context, tmp_path, "builtin", prompt="optimize_memory")
    assert again.reason.startswith("Nothing had to leave the memory")


def test_builtin_keeps_the_newest_entries_within_a_smaller_limit(
    context: Context, tmp_path: Path
) -> None:
    path = memory_of(context, [f"Finding number {n}." for n in range(30)])
    limit = 60
    small = replace(context, settings=Settings(memory_line_limit=limit))
    outcome = done(small, tmp_path, "builtin", prompt="optimize_memory")
    text = context.workspace.files.read(path).text
    assert outcome.status == "succeeded"
    assert text.count("\n") <= limit
    assert "Finding number 29." in text
    assert "Finding number 0." not in text
    archived = "".join(
        each.read_text("utf-8")
        for each in (context.workspace.root / "persistent-memory.archive").glob("*.md")
    )
    for number in range(30):
        assert f"Finding number {number}." in text + archived


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("Please tidy up", "does not know `Please`"),
        ("", "does not know ``"),
        ("run_validaton", "Did you mean `run_validation`"),
        ("sync_environment now", "no JSON object"),
        ("sync_environment [1]", "no JSON object"),
        ('sync_environment {"sync_type": "half"}', "`sync_type`"),
        ('optimize_memory {"x": 1}', "takes no arguments"),
    ],
)
def test_builtin_refuses_what_it_does_not_know(
    context: Context, tmp_path: Path, prompt: str, told: str
) -> None:
    outcome = done(context, tmp_path, "builtin", prompt=prompt)
    assert outcome.status == "failed"
    assert told in outcome.reason


@pytest.mark.parametrize("name", ["handoff", "builtin"])
def test_a_stop_before_the_beginning_does_nothing(
    context: Context, tmp_path: Path, name: str
) -> None:
    stop = threading.Event()
    stop.set()
    spec: RunSpec = specification(tmp_path, prompt="optimize_memory")
    outcome, _ = worked(runner_named(context.settings, name, context), spec, stop)
    assert outcome.status == "cancelled"
