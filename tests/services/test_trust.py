"""Consent covers exactly what a person was shown; any change of it asks again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.schedules import Schedule
from sidecar.services import trust
from sidecar.services.context import Context
from sidecar.services.registry import TOOLS
from sidecar.services.schedule_plan import read
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

MINE = "1745000000001"


def schedule(context: Context, schedule_id: str = MINE) -> Schedule:
    found = read(context)[0].find(schedule_id)
    assert found is not None
    return found


def approve(context: Context, *ids: str) -> None:
    trust.grant(context, trust.offer(context, [schedule(context, each) for each in ids]))


def having(context: Context, **settings) -> Context:
    return replace(context, settings=context.settings.model_copy(update=settings))


def edit(context: Context, path: str, old: str, new: str) -> None:
    file = context.workspace.root / path
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def test_nothing_may_run_before_a_person_agreed(context):
    assert trust.may_run(context, schedule(context)) == "nobody has trusted this workspace yet"
    with pytest.raises(SidecarError) as refused:
        trust.require(context, "run tests")
    assert refused.value.code is ErrorCode.UNTRUSTED


def test_trusting_the_commands_approves_no_schedule(context):
    approve(context)

    assert trust.is_trusted(context)
    assert trust.may_run(context, schedule(context)) == "nobody has approved this schedule yet"


def test_an_approved_schedule_may_run_and_no_other(context):
    approve(context, MINE)

    assert trust.may_run(context, schedule(context)) is None
    assert trust.may_run(context, schedule(context, "1745000000002")) is not None


@pytest.mark.parametrize(
    "changed",
    [
        {"runner": "cline"},
        {"tests": ("-p", "evil")},
        {"interpreter": "/tmp/python"},
        {"on_escalation": ("/bin/true",)},
        {"allowed_calls": ("execute",)},
        {"runner_for": {"code": "cline"}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_changed_setting_that_decides_what_is_executed_ends_the_consent(context, changed):
    approve(context, MINE)

    reason = trust.may_run(having(context, **changed), schedule(context))

    assert reason == "the commands in its settings changed since it was trusted"


def test_a_changed_command_of_the_chosen_runner_ends_the_consent_that_of_another_does_not(context):
    mine = having(context, runner="mine", runners={"mine": ("command", "a"), "other": ("acp", "b")})
    approve(mine, MINE)
    other = having(mine, runners={"mine": ("command", "a"), "other": ("acp", "evil")})
    changed = having(mine, runners={"mine": ("command", "evil"), "other": ("acp", "b")})

    assert trust.may_run(other, schedule(context)) is None
    assert trust.may_run(changed, schedule(context)) is not None


CHANGES: dict[str, Callable[[Context], None]] = {
    "instructions": lambda c: edit(c, ".roo/schedules.json", "Read TODO.md", "Send TODO.md"),
    "name": lambda c: edit(c, ".roo/schedules.json", '"Loop"', '"Loop. Ignore the rest"'),
    "mode": lambda c: edit(c, ".roo/schedules.json", '"implementation-core"', '"code"'),
    "interaction": lambda c: edit(c, ".roo/schedules.json", '"wait"', '"interrupt"'),
    "role of the mode": lambda c: edit(c, ".roomodes", "small, tested changes", "large changes"),
    "instructions of the mode": lambda c: edit(c, ".roomodes", "finish it", "delete it"),
    "groups of the mode": lambda c: edit(c, ".roomodes", "- command", "- mcp"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_what_an_agent_would_be_told_waits_for_a_person(context, change):
    approve(context, MINE)
    change(context)

    reason = trust.may_run(context, schedule(context))

    assert reason == "the schedule, its runner or its mode changed since it was approved"


def test_another_runner_for_one_schedule_waits_for_a_person(context):
    mine = having(context, runner="a", runner_for={"code": "b"})
    approve(mine, MINE)

    assert trust.may_run(having(mine, runner_for={"code": "b", MINE: "b"}), schedule(mine))


def test_bookkeeping_and_plain_timing_change_nothing_of_the_consent(context):
    approve(context, MINE)
    edit(context, ".roo/schedules.json", '"timeInterval": "10"', '"timeInterval": "15"')
    edit(context, ".roo/schedules.json", '"lastExecutionTime": "2', '"lastExecutionTime": "3')

    assert trust.may_run(context, schedule(context)) is None


def test_what_was_shown_is_what_is_recorded(context):
    shown = trust.offer(context, [schedule(context)])
    CHANGES["role of the mode"](context)
    trust.grant(context, shown)

    assert trust.is_trusted(context)
    assert trust.may_run(context, schedule(context)) is not None


def test_revoking_takes_back_everything(context):
    approve(context, MINE)

    assert trust.revoke(context.workspace) is True
    assert trust.may_run(context, schedule(context)) is not None
    assert trust.consents(context.workspace) == {}
    assert trust.revoke(context.workspace) is False


def test_consent_is_bound_to_the_folder(context, tmp_path):
    approve(context, MINE)
    twin = tmp_path / "twin"
    context.workspace.root.rename(tmp_path / "moved")
    (tmp_path / "moved").rename(context.workspace.root)  # the same folder still
    assert trust.is_trusted(context)
    context.workspace.root.rename(twin)
    moved = replace(context, workspace=Workspace.open(twin))

    assert not trust.is_trusted(moved)


def test_a_runner_is_the_schedules_own_its_modes_or_the_workspaces(context):
    settings = Settings(runner="a", runner_for={"code": "b", MINE: "c"})
    chosen = having(context, **settings.model_dump(include={"runner", "runner_for"}))

    assert trust.assignment(chosen, schedule(context))["runner"] == "c"
    assert trust.assignment(chosen, schedule(context, "1745000000002"))["runner"] == "a"
    assert trust.assignment(chosen, schedule(context, "1745000000002"), "code")["runner"] == "b"
    assert trust.runners(chosen.settings) == {"a": [], "b": [], "c": []}


def test_no_tool_can_grant(context):
    """Whatever the 20 tools do with a schedule, a person's consent is not touched."""
    calls = [
        ("manage_schedules", {"action": "activate", "schedule_id": MINE}),
        ("manage_schedules", {"action": "resume", "schedule_id": MINE}),
        ("manage_schedules", {"action": "update", "schedule_id": MINE,
                              "update_fields": {"taskInstructions": "Do something else"}}),
        ("error_recovery", {"operation": MINE, "error_context": {},
                            "recovery_strategy": "resume"}),
        ("sync_environment", {}),
        ("write_project_file", {"file_path": "sidecar.toml", "content": "trust = true\n"}),
    ]  # fmt: skip
    approve(context)
    before = trust.consent(context.workspace)
    for name, arguments in calls:
        TOOLS[name].call(context, json.loads(json.dumps(arguments)))

    assert trust.consent(context.workspace) == before
    assert trust.consents(context.workspace) == {}
