"""Opening somebody else's clone executes nothing from it before a person has consented."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.name == "nt", reason="the traps are shell scripts"),
]

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
SIDECAR = str(Path(sysconfig.get_path("scripts")) / "sidecar")
PATIENCE = 120  # seconds for one answer
AGENT_FILES = (
    ".roomodes",
    ".roo/schedules.json",
    "TODO.md",
    "task_timing.tsv",
    "persistent-memory.md",
)


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clone(tmp_path: Path) -> Any:
    """A clone full of traps."""
    return _module("hostile_clone").HostileClone(tmp_path / "clone", tmp_path / "canary").build()


@pytest.fixture
def environment(user_directory: Path) -> dict[str, str]:
    """A user's environment, with the variables that a committed MCP configuration could set."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PYTEST_", "COV_"))}
    return {**kept, "SIDECAR_HOME": str(user_directory), "SIDECAR_TRUST": "1"}


class Conversation:
    """JSON-RPC with a child process: with headers as LSP has it, or a line each as MCP has it."""

    def __init__(self, child: asyncio.subprocess.Process, *, headers: bool) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        self._in, self._out, self._headers = child.stdin, child.stdout, headers
        self._last = 0
        self.notified: list[str] = []

    async def request(self, method: str, params: object = None) -> dict[str, Any]:
        """Ask, and give the whole answer."""
        self._last += 1
        await self._send({"id": self._last, "method": method, "params": params})
        while True:
            message = await asyncio.wait_for(self._receive(), 3 * PATIENCE)
            if "method" not in message and message.get("id") == self._last:
                return message
            await self._serve(message)

    async def notify(self, method: str, params: object = None) -> None:
        """Tell."""
        await self._send({"method": method, "params": params})

    async def _serve(self, message: dict[str, Any]) -> None:
        if "id" in message and "method" in message:
            items = (message.get("params") or {}).get("items", [])
            await self._send({"id": message["id"], "result": [None for _ in items] or None})
        elif "method" in message:
            self.notified.append(message["method"])

    async def _send(self, message: dict[str, Any]) -> None:
        whole = {
            "jsonrpc": "2.0",
            **{k: v for k, v in message.items() if (k, v) != ("params", None)},
        }
        data = json.dumps(whole).encode()
        self._in.write(b"Content-Length: %d\r\n\r\n" % len(data) if self._headers else b"")
        self._in.write(data if self._headers else data + b"\n")
        await self._in.drain()

    async def _receive(self) -> dict[str, Any]:
        if self._headers:
            head = await self._out.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in head.splitlines()
                if line.lower().startswith(b"content-length")
            )
            data = await self._out.readexactly(length)
        else:
            data = await self._out.readline()
        message: dict[str, Any] = json.loads(data)
        return message


@asynccontextmanager
async def talking(
    *command: str, folder: Path, environment: dict[str, str], headers: bool
) -> AsyncIterator[Conversation]:
    """A conversation with a program started inside the clone; the program must end by itself."""
    child = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=10_000_000,
    )
    try:
        yield Conversation(child, headers=headers)
        assert child.stdin is not None
        child.stdin.close()
        await asyncio.wait_for(child.wait(), PATIENCE)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


STARTS = {
    "script": (SIDECAR,),
    "safe path": (sys.executable, "-P", "-m", "sidecar"),
}
starts = pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)


@starts
async def test_editor_session_executes_nothing(
    start: tuple[str, ...],
    clone: Any,
    environment: dict[str, str],
    record_property: Callable[[str, object], None],
) -> None:
    """`sidecar lsp` diagnoses and repairs in an untrusted clone without running any of it."""
    uri = clone.folder.as_uri()
    options = {"folder": clone.folder, "environment": environment, "headers": True}
    attempts = found = 0
    async with talking(*start, "lsp", **options) as editor:
        answer = await editor.request("initialize", _lsp_client(uri))
        await editor.notify("initialized", {})
        for path in AGENT_FILES:
            document = {"uri": f"{uri}/{path}"}
            text = (clone.folder / path).read_text("utf-8")
            opened = {**document, "languageId": "plaintext", "version": 1, "text": text}
            await editor.notify("textDocument/didOpen", {"textDocument": opened})
            report = await editor.request("textDocument/diagnostic", {"textDocument": document})
            items = report.get("result", {}).get("items", [])
            action = {
                "textDocument": document,
                "range": {
                    "start": {"line": 0, "character": 0},
                    "end": {"line": 999, "character": 0},
                },
                "context": {"diagnostics": items},
            }
            for method, params in (
                ("textDocument/codeAction", action),
                ("textDocument/hover", {"textDocument": document, "position": _PLACE}),
            ):
                await editor.request(method, params)
            await editor.notify("textDocument/didSave", {"textDocument": document})
            found += len(items)
            attempts += 5
        commands = answer["result"]["capabilities"].get("executeCommandProvider", {})
        for command in commands.get("commands", []):
            await editor.request("workspace/executeCommand", {"command": command, "arguments": []})
            attempts += 1
        await editor.request("shutdown")
        await editor.notify("exit")

    record_property("attempts", attempts)
    assert found > 0, "the session did nothing"
    assert clone.sprung == []


_PLACE = {"line": 0, "character": 0}


def _lsp_client(uri: str) -> dict[str, Any]:
    return {
        "processId": os.getpid(),
        "rootUri": uri,
        "workspaceFolders": [{"uri": uri, "name": "clone"}],
        "capabilities": {
            "textDocument": {"diagnostic": {}, "codeAction": {}},
            "workspace": {
                "configuration": True,
                "workspaceFolders": True,
                "diagnostics": {"refreshSupport": True},
            },
        },
    }


# Every tool once at least, and all that `run_validation` does without consent.
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("get_schedule_status", {}),
    ("manage_schedules", {"action": "run_now", "schedule_id": "1"}),
    ("manage_schedules", {"action": "deactivate", "schedule_id": "1"}),
    ("track_task_time", {"task_description": "look", "task_id": "t1"}),
    ("track_task_time", {"task_description": "look", "task_id": "t1", "start_tracking": False}),
    ("get_time_tracking", {}),
    ("get_persistent_memory", {"include_metadata": True}),
    ("update_persistent_memory", {"section": "system_updates", "content": "- Finding: x"}),
    ("get_todo_status", {"include_completed": True}),
    ("delegate_task", {"task_description": "build", "target_mode": "builder", "execute": True}),
    ("read_project_file", {"file_path": "conftest.py"}),
    ("write_project_file", {"file_path": "notes.txt", "content": "x\n"}),
    ("list_project_structure", {}),
    ("search_in_files", {"pattern": "evil"}),
    ("backup_file", {"file_path": "TODO.md"}),
    ("restore_file", {"file_path": "TODO.md"}),
    ("get_system_status", {"check_external_dependencies": True}),
    ("switch_mode", {"target_mode": "builder"}),
    ("get_mode_capabilities", {}),
    ("error_recovery", {"operation": "x", "error_context": {"type": "failed"}}),
    ("sync_environment", {"sync_type": "full"}),
    ("run_validation", {"validation_type": "basic"}),
    ("run_validation", {"validation_type": "config"}),
    ("run_validation", {"validation_type": "comprehensive", "wait_seconds": 2 * PATIENCE}),
)
EXECUTING = ("tests", "lint", "coverage", "benchmark")


@starts
async def test_agent_session_executes_nothing(
    start: tuple[str, ...],
    clone: Any,
    environment: dict[str, str],
    record_property: Callable[[str, object], None],
) -> None:
    """`sidecar mcp` serves all its tools in an untrusted clone without running any of it."""
    options = {"folder": clone.folder, "environment": environment, "headers": False}
    refused: dict[str, str] = {}
    failed: list[str] = []
    async with talking(*start, "mcp", "--solo", **options) as agent:
        await agent.request("initialize", _MCP_CLIENT)
        await agent.notify("notifications/initialized")
        tools = (await agent.request("tools/list"))["result"]["tools"]
        # The long run is the same however the program was started.
        calls = CALLS if start == STARTS["script"] else CALLS[:-1]
        for name, arguments in calls:
            call = {"name": name, "arguments": arguments}
            answer = await agent.request("tools/call", call)
            failed += [f"{name} {arguments}: {answer}"] if answer["result"].get("isError") else []
            assert answer["result"]["structuredContent"].get("status") != "running", answer
        for kind in EXECUTING:
            call = {"name": "run_validation", "arguments": {"validation_type": kind}}
            answer = await agent.request("tools/call", call)
            refused[kind] = answer["result"].get("structuredContent", {}).get("error_code", "")

    record_property("attempts", len(calls) + len(EXECUTING))
    assert clone.sprung == []
    assert {tool["name"] for tool in tools} == {name for name, _ in CALLS}
    assert len(failed) == 1, failed  # only `execute` is refused: the runner needs consent
    assert "E_UNTRUSTED" in failed[0]
    assert refused == dict.fromkeys(EXECUTING, "E_UNTRUSTED")


_MCP_CLIENT = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "hostile-clone-test", "version": "1"},
}

COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("check", "--format", "json"),
    "check file": ("check", ".roomodes"),
    "fix": ("fix", "--diff"),
    "next": ("next",),
    "trust": ("trust", "--show", "--schedules"),
    "run": ("run", "Now"),
    "run due": ("run", "--due"),
    "runs": ("runs",),
    "resume": ("resume", "Now"),
    "serve": ("serve", "--once"),
    "call": ("call", "get_system_status", '{"check_external_dependencies": true}'),
    "call tests": ("call", "run_validation", '{"validation_type": "tests"}'),
}


@pytest.mark.parametrize(
    "command",
    [
        *((*start, *words) for start in STARTS.values() for words in COMMANDS.values()),
        (SIDECAR, "validate"),
    ],
    ids=lambda command: " ".join(Path(word).name for word in command)[:40],
)
def test_command_executes_nothing(
    command: tuple[str, ...], clone: Any, environment: dict[str, str]
) -> None:
    """A command typed inside an untrusted clone runs none of it, and does not crash."""
    without = {k: v for k, v in environment.items() if k != "SIDECAR_TRUST"}
    result = subprocess.run(
        command,
        cwd=clone.folder,
        env=without,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )

    assert clone.sprung == []
    assert b"Traceback" not in result.stderr, result.stderr.decode()
    assert result.returncode in {0, 1, 2, 3}


def test_plan_cannot_vouch_for_itself(
    clone: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    """A validation stage that claims to execute nothing is not run without consent either."""
    report = tmp_path / "report.json"
    stages = ("--category=syntax", "--category=lint", "--category=tests", "--category=config")
    files = ("--json", str(report), "--artefacts", str(tmp_path / "artefacts"))
    command = [sys.executable, "-P", "-m", "validation", str(clone.folder), *stages, *files]
    subprocess.run(
        command,
        cwd=clone.folder,
        env=environment,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )

    assert clone.sprung == []
    assert "--allow-code" in report.read_text("utf-8")


def test_start_script_executes_nothing(clone: Any, environment: dict[str, str]) -> None:
    """`mcp_startup.py`, named by its path, takes no module from the folder it is started in."""
    script = REPOSITORY / "mcp_startup.py"
    result = subprocess.run(
        [sys.executable, str(script), "--info"],
        cwd=clone.folder,
        env=environment,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )

    assert clone.sprung == []
    assert isinstance(json.loads(result.stdout), dict), result.stderr.decode()


SPRINGS: dict[str, tuple[str, ...]] = {
    "import-sidecar": (sys.executable, "-m", "sidecar", "--version"),
    "run-sidecar": (sys.executable, "-m", "sidecar", "--version"),
    "run-validation": (sys.executable, "-m", "validation", "."),
    "conftest": (sys.executable, "-P", "-m", "pytest", "-q", "-c", os.devnull, "tests"),
    "import-evil_plugin": (sys.executable, "-P", "-m", "pytest", "-q"),
    "fsmonitor": ("git", "status"),
    "hook-pre-commit": ("git", "commit", "--allow-empty", "-m", "x"),
    "filter": ("git", "add", "TODO.md"),
    "program-python": (".venv/bin/python", "-c", "pass"),
    "program-rg": ("./rg", "x"),
    "make": ("make", "test"),
}


@pytest.mark.parametrize("trap", SPRINGS)
def test_trap_works_when_its_part_is_executed(
    trap: str, clone: Any, environment: dict[str, str]
) -> None:
    """The tests above would notice: each kind of trap tells when it is really executed."""
    identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org"}
    committer = {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org"}
    subprocess.run(
        SPRINGS[trap],
        cwd=clone.folder,
        env={**environment, **identity, **committer},
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )

    assert trap in clone.sprung
