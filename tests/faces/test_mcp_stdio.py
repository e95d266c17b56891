"""The SDK's own client over stdio: every tool on a copy of the real workspace."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mcp import Client, StdioServerParameters
from mcp_types import Implementation

from sidecar.mcp.listing import MAX_BYTES
from sidecar.services.registry import TOOLS

SIDECAR = "import sys; from sidecar.cli.main import main; sys.exit(main())"
IN_ORDER = (
    "get_schedule_status", "manage_schedules", "track_task_time", "get_time_tracking",
    "get_persistent_memory", "update_persistent_memory", "get_todo_status", "delegate_task",
    "read_project_file", "write_project_file", "list_project_structure", "search_in_files",
    "backup_file", "restore_file", "get_system_status", "switch_mode", "run_validation",
    "get_mode_capabilities", "error_recovery", "sync_environment",
)  # fmt: skip


@asynccontextmanager
async def connected(
    workspace: Path, home: Path, *, mode: str = "auto", name: str = "test"
) -> AsyncIterator[Client]:
    """The SDK's client, with `sidecar mcp` as its child process."""
    arguments = ["-c", SIDECAR, "mcp", "--workspace", str(workspace)]
    command = StdioServerParameters(
        command=sys.executable, args=arguments, env={"SIDECAR_HOME": str(home)}
    )
    info = Implementation(name=name, version="0")
    async with Client(command, mode=mode, client_info=info, read_timeout_seconds=60) as client:
        yield client


@dataclass
class Session:
    """A connected client and what the calls must agree with."""

    client: Client
    root: Path
    schemas: dict[str, dict[str, Any]]
    called: set[str] = field(default_factory=set)

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool; its result must fit its schema, and both forms must be there."""
        result = await self.client.call_tool(name, arguments)
        structured = result.structured_content
        text = result.content[0].text
        assert not result.is_error, text
        jsonschema.validate(structured, self.schemas[name])
        assert structured["timestamp"].endswith("Z")
        assert text.strip()
        assert str(self.root) not in text + json.dumps(structured)
        self.called.add(name)
        return structured

    async def refused(self, name: str, code: str, **arguments: Any) -> str:
        """Call a tool that must refuse with this code, in both forms."""
        result = await self.client.call_tool(name, arguments)
        assert result.is_error
        assert result.structured_content["success"] is False
        assert result.structured_content["error_code"] == code
        assert result.structured_content["error"] in result.content[0].text
        assert str(self.root) not in result.content[0].text
        return result.structured_content["error"]

    def read(self, path: str) -> str:
        """A file on disk, as it is now."""
        return (self.root / path).read_text(encoding="utf-8")

    def digest(self, path: str) -> str:
        """The SHA-256 of a file on disk."""
        return sha256((self.root / path).read_bytes()).hexdigest()


async def schedules(session: Session) -> None:
    path = ".roo/schedules.json"
    on_disk = json.loads(session.read(path))["schedules"]
    told = await session.call("get_schedule_status", include_inactive=True)
    assert [each["id"] for each in told["schedules"]] == [each["id"] for each in on_disk]
    wish = {"name": "Nightly", "mode": "code", "taskInstructions": "Tidy up",
            "scheduleType": "time", "timeInterval": "1", "timeUnit": "day"}  # fmt: skip
    made = await session.call("manage_schedules", action="create", schedule_data=wish)
    after = json.loads(session.read(path))["schedules"]
    assert [each["id"] for each in after] == [*(e["id"] for e in on_disk), made["schedule_id"]]
    assert after[:-1] == on_disk
    await session.call("manage_schedules", action="delete", schedule_id=made["schedule_id"])
    assert json.loads(session.read(path))["schedules"] == on_disk
    await session.refused("get_schedule_status", "E_NOT_FOUND", schedule_id="nope")


async def timing(session: Session) -> None:
    before = session.read("task_timing.tsv")
    started = await session.call("track_task_time", task_description="A\ttab", mode="code")
    rows = session.read("task_timing.tsv").splitlines()
    assert sum(started["task_id"] in row for row in rows) == 1
    stopped = await session.call(
        "track_task_time",
        task_description="",
        start_tracking=False,
        task_id=started["task_id"],
        result="completed",
    )
    assert stopped["duration"] >= 0
    [row] = [r for r in session.read("task_timing.tsv").splitlines() if started["task_id"] in r]
    assert "A\\ttab" in row
    assert all(line in session.read("task_timing.tsv") for line in before.splitlines()[1:])
    told = await session.call("get_time_tracking", task_id=started["task_id"])
    assert [each["task_id"] for each in told["entries"]] == [started["task_id"]]


async def notes(session: Session) -> None:
    told = await session.call("get_persistent_memory", limit=3)
    assert told["line_count"] == len(session.read("persistent-memory.md").splitlines())
    added = await session.call(
        "update_persistent_memory", section="system_updates", content="Seen by the test"
    )
    memory = session.read("persistent-memory.md")
    assert "Seen by the test" in memory
    assert added["entry_id"] in memory
    todo = session.read("TODO.md")
    plan = await session.call("get_todo_status", include_completed=True, limit=500)
    lines = todo.splitlines()
    assert plan["total"] == plan["completed"] + plan["pending"] + plan["in_progress"]
    assert all(each["text"][:20] in lines[each["line"] - 1] for each in plan["todos"])


async def files(session: Session) -> None:
    read = await session.call("read_project_file", file_path="TODO.md")
    assert read["content"] == session.read("TODO.md")
    digest = session.digest("TODO.md")
    await session.call("backup_file", file_path="TODO.md")
    text = "# New\n\n- [ ] one\n"
    await session.call("write_project_file", file_path="TODO.md", content=text)
    assert session.read("TODO.md") == text
    listed = await session.call("list_project_structure", include_hidden=True)
    assert {"TODO.md", ".roomodes"} <= {each["path"] for each in listed["entries"]}
    found = await session.call("search_in_files", pattern=r"^- \[ \] one$")
    assert [(each["file"], each["line_number"]) for each in found["matches"]] == [("TODO.md", 3)]
    await session.call("restore_file", file_path="TODO.md")
    assert session.digest("TODO.md") == digest
    await session.refused("read_project_file", "E_PATH_OUTSIDE", file_path="../outside")
    await session.refused("read_project_file", "E_NOT_FOUND", file_path="nowhere.txt")
    await session.refused("write_project_file", "E_PROTECTED", file_path=".git/hooks/x", content="")


async def modes(session: Session) -> None:
    told = await session.call("get_mode_capabilities", include_instructions=False)
    assert told["total"] == 25
    slugs = {each["slug"] for each in told["modes"] if each["origin"] == "project"}
    assert len(slugs) == 25
    assert all(slug in session.read(".roomodes") for slug in slugs)
    switched = await session.call("switch_mode", target_mode="validation-unit")
    assert switched["current_mode"] == "validation-unit"
    await session.refused("switch_mode", "E_NOT_FOUND", target_mode="validation-unti")


async def work(session: Session) -> None:
    task = await session.call("delegate_task", task_description="Run the unit tests")
    assert (task["status"], task["executor"]) == ("queued", "none")
    assert task["mode_assigned"] in session.read(".roomodes")
    shown = await session.call("delegate_task", action="status", task_id=task["task_id"])
    assert shown["status"] == "queued"
    status = await session.call("get_system_status")
    sizes = {each["path"]: each["size"] for each in status["files"]}
    assert sizes["TODO.md"] == (session.root / "TODO.md").stat().st_size
    assert status["orchestrator"]["queue"] == {"queued": 1}
    report = await session.call("run_validation", validation_type="orchestrator_files")
    assert report["status"] == "finished"
    await session.refused("run_validation", "E_UNTRUSTED", validation_type="tests")


async def repairs(session: Session) -> None:
    before = session.digest("TODO.md")
    await session.call("write_project_file", file_path="TODO.md", content="- [ ] spoilt\n")
    undone = await session.call(
        "error_recovery",
        operation="write_project_file",
        error_context={"error": "wrong content"},
        recovery_strategy="rollback",
    )
    assert undone["success"]
    assert session.digest("TODO.md") == before
    (session.root / "TODO.md").unlink()
    synced = await session.call("sync_environment", sync_type="files")
    assert synced["success"]
    assert session.read("TODO.md") == "# TODO\n"
    again = await session.call("sync_environment", sync_type="files")
    assert not any(each.get("changed") for each in again["components"].values())


PARTS: tuple[Callable[[Session], Any], ...] = (
    schedules, timing, notes, files, modes, work, repairs,
)  # fmt: skip


async def test_all_20_tools_work_on_the_real_workspace(real_workspace, user_directory):
    async with connected(real_workspace, user_directory) as client:
        listed = (await client.list_tools()).tools
        schemas = {each.name: each.output_schema for each in listed}
        session = Session(client, real_workspace, schemas)
        for part in PARTS:
            await part(session)
    assert session.called == set(IN_ORDER)


async def test_the_list_is_complete_in_order_described_and_small(tmp_path, user_directory):
    async with connected(tmp_path, user_directory, mode="legacy") as client:
        result = await client.list_tools()
    assert tuple(each.name for each in result.tools) == IN_ORDER == tuple(TOOLS)
    for tool in result.tools:
        assert tool.title
        assert tool.description
        assert tool.annotations.read_only_hint is not None
        assert tool.annotations.destructive_hint is not None
        assert tool.annotations.idempotent_hint is not None
        assert tool.input_schema["additionalProperties"] is False
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        jsonschema.Draft202012Validator.check_schema(tool.output_schema)
        assert "title" not in tool.input_schema
        described = [each.get("description") for each in tool.input_schema["properties"].values()]
        assert any(described)
    wire = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert len(json.dumps(wire, separators=(",", ":")).encode()) <= MAX_BYTES + 200 < 25_000


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_resources_and_prompts_tell_what_the_tools_tell(real_workspace, user_directory, mode):
    async with connected(real_workspace, user_directory, mode=mode) as client:
        for resource in (await client.list_resources()).resources:
            [content] = (await client.read_resource(resource.uri)).contents
            assert json.loads(content.text)
        for prompt in (await client.list_prompts()).prompts:
            asked = {each.name: "x" for each in prompt.arguments or [] if each.required}
            [message] = (await client.get_prompt(prompt.name, asked)).messages
            assert len(message.content.text) > 100
        diagnostics = (await client.read_resource("sidecar://diagnostics")).contents[0].text
        assert {each["path"] for each in json.loads(diagnostics)["files"]} >= {".roomodes"}


async def test_opening_and_reading_create_nothing_in_the_workspace(real_workspace, user_directory):
    before = sorted(path for path in real_workspace.rglob("*"))
    async with connected(real_workspace, user_directory) as client:
        for name in ("get_todo_status", "get_mode_capabilities", "get_system_status"):
            assert not (await client.call_tool(name, {})).is_error
    assert sorted(path for path in real_workspace.rglob("*")) == before
