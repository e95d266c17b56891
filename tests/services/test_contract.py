"""The rules that the contract states once for all 20 tools, each tried on every tool."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from sidecar.mcp.listing import listed, size
from sidecar.services.context import Context
from sidecar.services.registry import TOOLS, resolve
from sidecar.services.tool import Category
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace
from tests.services.contract import LOOP, World

# A call of each tool that succeeds on the sample workspace, and changes something where it can.
CALLS: dict[str, dict[str, Any]] = {
    "get_schedule_status": {},
    "manage_schedules": {"action": "deactivate", "schedule_id": LOOP},
    "track_task_time": {"task_description": "x", "limit_seconds": 5},
    "get_time_tracking": {},
    "get_persistent_memory": {},
    "update_persistent_memory": {"section": "system_updates", "content": "x"},
    "get_todo_status": {},
    "delegate_task": {"task_description": "Write tests", "idempotency_key": "k"},
    "read_project_file": {"file_path": "TODO.md"},
    "write_project_file": {"file_path": "a/b.txt", "content": "x\n"},
    "list_project_structure": {},
    "search_in_files": {"pattern": "plan"},
    "backup_file": {"file_path": "TODO.md"},
    "restore_file": {"file_path": "README.md"},
    "get_system_status": {},
    "switch_mode": {"target_mode": "validation-unit"},
    "run_validation": {"validation_type": "file_integrity"},
    "get_mode_capabilities": {},
    "error_recovery": {
        "operation": "deploy", "error_context": {"error": "x"}, "recovery_strategy": "escalate",
    },
    "sync_environment": {},
}  # fmt: skip
CHANGING = [name for name, tool in TOOLS.items() if not tool.read_only]
READING = [name for name, tool in TOOLS.items() if tool.read_only]
# Its whole work is a report in the state folder, which says what was run.
REHEARSABLE = [name for name in CHANGING if name != "run_validation"]


@pytest.fixture
def world(context: Context) -> World:
    """The sample workspace, with one file that has an earlier content."""
    world = World(context)
    world.call("backup_file", file_path="README.md")
    world.write("README.md", "changed\n")
    return world


@pytest.fixture(params=["example", "real"])
def either(request: pytest.FixtureRequest, clock: Any) -> World:
    """The sample workspace, and the real one."""
    root = request.getfixturevalue(f"{request.param}_workspace")
    settings = Settings(timezone="UTC", check_seconds=10)
    return World(Context(Workspace.open(root), settings, lambda: clock))


def test_the_tools_and_their_three_categories_are_the_contracts():
    families = [tool.category for tool in TOOLS.values()]
    assert families == [Category.ORCHESTRATOR] * 8 + [Category.FILESYSTEM] * 6 + (
        [Category.DEVELOPMENT] * 6
    )
    assert list(CALLS) == list(TOOLS)


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_also_answers_to_its_old_name(name: str):
    assert resolve(f"{name}_tool") is TOOLS[name]


@pytest.mark.parametrize("name", TOOLS)
def test_an_unknown_parameter_is_refused_with_those_there_are(world: World, name: str):
    told = world.refused(name, "INVALID", **CALLS[name], nonsense=1)
    assert "`nonsense` is not a parameter" in told
    assert all(field in told for field in TOOLS[name].request.model_fields)


@pytest.mark.parametrize("name", TOOLS)
def test_the_listing_tells_hints_choices_and_closed_arguments(name: str):
    tool = next(each for each in listed(TOOLS.values()) if each.name == name)
    assert tool.input_schema["additionalProperties"] is False
    assert tool.annotations.read_only_hint is TOOLS[name].read_only
    assert None not in (tool.annotations.destructive_hint, tool.annotations.idempotent_hint)
    assert len(tool.description) > 40


def test_the_list_of_all_tools_stays_under_25_kb():
    assert size(listed(TOOLS.values())) < 25_000 - 200


@pytest.mark.parametrize("name", TOOLS)
def test_every_answer_has_both_forms_and_names_no_absolute_path(either: World, name: str):
    if name == "restore_file":
        either.call("backup_file", file_path="TODO.md")
        either.write("TODO.md", "# Plan\n")
    given = {"restore_file": {"file_path": "TODO.md"}}.get(name, CALLS[name])
    if name == "manage_schedules":
        first = either.schedules()[0]["id"]
        given = {"action": "update", "schedule_id": first, "update_fields": {"name": "n"}}
    if name == "switch_mode":
        given = {"target_mode": "code"}
    answer = either.call(name, **given)
    assert len(json.dumps(answer)) < 300_000


@pytest.mark.parametrize("name", REHEARSABLE)
def test_a_dry_run_says_so_and_changes_nothing_anywhere(world: World, name: str):
    before = (world.state(), world.records())
    answer = world.call(name, **CALLS[name], dry_run=True)
    assert (world.state(), world.records()) == before
    assert answer["dry_run"] is True
    assert "dry" in world.text(name, **CALLS[name], dry_run=True).lower() or (
        "Would be" in world.text(name, **CALLS[name], dry_run=True)
        or "checked only" in world.text(name, **CALLS[name], dry_run=True)
    )
    done = world.call(name, **CALLS[name])
    assert done.get("dry_run") is False
    assert (world.state(), world.records()) != before


@pytest.mark.parametrize("name", READING)
def test_reading_changes_nothing_anywhere(world: World, name: str):
    before = (world.state(), world.records())
    world.call(name, **CALLS[name])
    assert (world.state(), world.records()) == before


@pytest.mark.parametrize(
    "name",
    ["manage_schedules", "track_task_time", "update_persistent_memory", "delegate_task",
     "write_project_file", "restore_file", "switch_mode"],
)  # fmt: skip
def test_each_change_is_journaled_with_who_by_which_call_and_both_hashes(world: World, name: str):
    world.call(name, **CALLS[name])
    entry = world.context.workspace.journal.entries(tool=name)[-1]
    assert entry.client == "cli"
    assert len(entry.arguments_hash) == 64
    assert len(entry.after) == 64


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("read_project_file", {"file_path": "{}"}),
        ("write_project_file", {"file_path": "{}", "content": "x"}),
        ("backup_file", {"file_path": "{}"}),
        ("restore_file", {"file_path": "{}"}),
        ("list_project_structure", {"directory": "{}"}),
        ("search_in_files", {"directory": "{}", "pattern": "x"}),
        ("run_validation", {"validation_type": "file_integrity", "target_path": "{}"}),
    ],
)
@pytest.mark.parametrize(
    ("path", "code"),
    [("../x", "PATH_OUTSIDE"), ("/etc/passwd", "PATH_OUTSIDE"), (".git/config", "PROTECTED"),
     (".env", "PROTECTED"), (".sidecar/x", "PROTECTED"), ("out/x", "PATH_OUTSIDE"),
     ("id_rsa", "PROTECTED"), ("a\0b", "INVALID")],
)  # fmt: skip
def test_a_path_outside_or_protected_is_refused_by_every_tool_that_takes_one(
    world: World, tool: str, given: dict[str, Any], path: str, code: str
):
    (world.root / "out").symlink_to("/etc")
    named = {key: path if value == "{}" else value for key, value in given.items()}
    world.refused(tool, code, **named)


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("get_schedule_status", {"limit": 1}),
        ("get_time_tracking", {"limit": 1}),
        ("get_persistent_memory", {"limit": 1}),
        ("get_todo_status", {"limit": 1}),
        ("list_project_structure", {"limit": 1}),
        ("search_in_files", {"pattern": "a", "max_matches": 1}),
    ],
)
def test_a_cut_answer_gives_the_cursor_of_the_next_page(
    world: World, tool: str, given: dict[str, Any]
):
    first = world.call(tool, **given)
    assert first["next_cursor"] in world.text(tool, **given)
    second = world.call(tool, **given, cursor=first["next_cursor"])
    lists = [key for key, value in first.items() if isinstance(value, list) and len(value) == 1]
    assert any(first[key] != second[key] for key in lists)
    world.refused(tool, "INVALID", **given, cursor="nonsense")


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("manage_schedules", {"action": "deactivate", "schedule_id": LOOP}),
        ("write_project_file", {"file_path": ".roo/schedules.json", "content": '{"schedules":[]}'}),
        ("restore_file", {"file_path": ".roo/schedules.json"}),
    ],
)
def test_unsaved_text_is_never_changed_under_its_editors_feet(
    world: World, tool: str, given: dict[str, Any]
):
    path = ".roo/schedules.json"
    world.call("backup_file", file_path=path)
    world.write(path, world.read(path) + "\n")
    saved = world.read(path)
    world.type_in_editor(path, saved + " ")
    assert "unsaved" in world.refused(tool, "CONFLICT", **given)
    assert world.read(path) == saved
    world.type_in_editor(path, saved)
    assert world.call(tool, **given)["stored"] == "disk"


@pytest.mark.parametrize(
    ("tool", "path"),
    [("track_task_time", "task_timing.tsv"), ("update_persistent_memory", "persistent-memory.md")],
)
def test_logs_go_to_the_disk_whatever_an_editor_shows(world: World, tool: str, path: str):
    world.type_in_editor(path, "unsaved")
    before = world.read(path)
    assert world.call(tool, **CALLS[tool])["stored"] == "disk"
    assert world.read(path) != before


def test_an_untrusted_workspace_executes_nothing(world: World):
    for kind in ("tests", "lint", "coverage", "benchmark"):
        told = world.refused("run_validation", "UNTRUSTED", validation_type=kind)
        assert "sidecar trust" in told


def test_a_blocked_tool_is_refused_until_it_is_resumed_and_who_did_it_is_kept(world: World):
    failing = {"operation": "backup_file", "error_context": {"error": "x"}}
    for _ in range(3):
        world.call("error_recovery", **failing, create_checkpoint=False)
    world.refused("backup_file", "BLOCKED", file_path="TODO.md")
    resumed = world.by("person").call("error_recovery", **failing, recovery_strategy="resume")
    assert "person" in resumed["actions"][0]["outcome"]
    with world.context.workspace.store.transaction() as records:
        ((_, record),) = records.items("escalations")
    assert record["resumed_by"] == "person/s"
    assert world.call("backup_file", file_path="TODO.md")["success"]


def test_a_state_file_without_permission_or_beyond_the_cap_is_a_sentence(world: World):
    world.write("TODO.md", b"x" * (65 * 1024 * 1024))
    world.refused("get_todo_status", "TOO_LARGE")
    world.refused("read_project_file", "TOO_LARGE", file_path="TODO.md", max_size_mb=0.001)


def test_another_process_that_holds_a_lock_makes_it_busy(world: World):
    short = replace(world.context, settings=world.context.settings)
    with short.workspace.files.locks.hold("TODO.md"):
        health = World(short).call("get_system_status")["files"]
    assert next(each for each in health if each["path"] == "TODO.md")["locked"] is True


@pytest.mark.parametrize("name", READING)
def test_an_answer_is_bounded_however_large_the_files_are(world: World, name: str):
    long = "y" * 3000
    entries: list[Any] = [{"id": str(n), "name": "n" * 50, "mode": "m"} for n in range(500)]
    world.write(".roo/schedules.json", json.dumps({"schedules": [*entries, *range(500)]}))
    world.write("TODO.md", "".join(f"## S{n} {'x' * 50}\n- [ ] {long}\n" for n in range(300)))
    mode = "  - {{slug: m{}, name: N, roleDefinition: r, whenToUse: {}, groups: [fly]}}\n"
    modes = (mode.format(number, long) for number in range(200))
    world.write(".roomodes", "customModes:\n" + "".join(modes))
    entry = f"## [2025-05-01T00:00:00Z] [m] - [c]\n- {long * 3}\n\n"
    world.write("persistent-memory.md", "# System Updates & Status\n" + entry * 100)
    row = f"2025-05-01T00:00:00Z\tm{{0}}\tt{{0}}\t2025-05-01T00:00:00Z\t\t\t{long}\tx\tp{{0}}\n"
    world.write("task_timing.tsv", "".join(row.format(number) for number in range(300)))
    most = {"get_todo_status": {"limit": 500}, "get_time_tracking": {"limit": 500},
            "get_persistent_memory": {"limit": 200}, "get_schedule_status": {"limit": 500},
            "search_in_files": {"pattern": "y{500}", "max_matches": 1000}}  # fmt: skip
    given = CALLS[name] | most.get(name, {})
    answer = world.call(name, **given)
    assert len(json.dumps(answer)) < 200_000 or name == "read_project_file"
    assert len(world.text(name, **given)) < 200_000 or name == "read_project_file"
