"""The start script and `sidecar call`, as a person or a client starts them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.services.registry import TOOLS
from tests.faces.wire import Wire

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = str(REPOSITORY / "mcp_startup.py")
CALL = [sys.executable, "-c", "import sys; from sidecar.cli.main import main; sys.exit(main())"]
PATIENCE = 60


def run(*command: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *command] if not options.pop("call", False) else [*CALL, *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        **options,
    )


def tree(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_info_is_json_and_creates_nothing(example_workspace, user_directory):
    before = tree(example_workspace), tree(user_directory)
    answer = run("--info", "--workspace", str(example_workspace), stdin=subprocess.DEVNULL)
    info = json.loads(answer.stdout)
    assert answer.returncode == 0
    assert info["available"] is True
    assert info["tools"] == list(TOOLS)
    assert info["transports"] == ["stdio", "http", "sse"]
    assert (tree(example_workspace), tree(user_directory)) == before


def test_info_says_that_it_is_unavailable_without_a_workspace(tmp_path):
    answer = run("--info", "--workspace", str(tmp_path / "nowhere"))
    info = json.loads(answer.stdout)
    assert answer.returncode == 1
    assert info["available"] is False
    assert "nowhere" in info["reason"]


def test_a_missing_dependency_is_told_as_json(tmp_path):
    script = tmp_path / "mcp_startup.py"
    script.write_text((REPOSITORY / "mcp_startup.py").read_text())
    answer = subprocess.run(
        [sys.executable, "-S", "-E", str(script), "--info"],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert answer.returncode == 1
    assert json.loads(answer.stdout)["available"] is False


def test_a_pipe_on_stdin_gets_stdio(example_workspace):
    wire = Wire([sys.executable, SCRIPT, "--workspace", str(example_workspace)])
    try:
        assert wire.initialize()["result"]["serverInfo"]["name"] == "loop-orchestrator"
        assert wire.close() == 0
    finally:
        wire.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals of POSIX")
def test_a_terminal_on_stdin_gets_http(example_workspace):
    master, terminal = os.openpty()
    command = [sys.executable, SCRIPT, "--port", "0", "--workspace", str(example_workspace)]
    process = subprocess.Popen(command, stdin=terminal, stderr=subprocess.PIPE, text=True)
    try:
        assert re.search(r"http://127\.0\.0\.1:\d+/mcp", process.stderr.readline())
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(master)
        os.close(terminal)


def test_call_prints_the_structured_result(example_workspace):
    where = ["--workspace", str(example_workspace)]
    answer = run("call", "get_todo_status", '{"include_completed": true}', *where, call=True)
    assert answer.returncode == 0
    assert json.loads(answer.stdout)["total"] == 6
    text = run("call", "get_todo_status", "--text", *where, call=True).stdout
    assert "of 6 tasks done" in text


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("get_todo_statu", "{}", "E_NOT_FOUND"),
        ("get_todo_status", "{", "E_INVALID"),
        ("get_todo_status", "[]", "E_INVALID"),
        ("get_todo_status", '{"limt": 1}', "E_INVALID"),
        ("read_project_file", '{"file_path": "../x"}', "E_PATH_OUTSIDE"),
    ],
)
def test_call_exits_1_with_the_refusal_as_json(example_workspace, tool, arguments, code):
    answer = run("call", tool, arguments, "--workspace", str(example_workspace), call=True)
    told = json.loads(answer.stdout)
    assert answer.returncode == 1
    assert (told["success"], told["error_code"]) == (False, code)
    assert "Traceback" not in answer.stderr


def test_call_reads_its_arguments_from_stdin(example_workspace):
    where = ["--workspace", str(example_workspace)]
    answer = run("call", "get_todo_status", "-", *where, call=True, input='{"limit": 1}')
    assert len(json.loads(answer.stdout)["todos"]) == 1
