"""What README and the reference pages say is what the program does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.cli.main import COMMANDS
from sidecar.services.registry import TOOLS

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [
    path
    for path in sorted(REPOSITORY.glob("**/*.md"))
    if not {"node_modules", ".venv", "build", ".nox", "changelog.d", ".sidecar"} & set(path.parts)
    and path.relative_to(REPOSITORY).parts[0] != "state"
]


def test_generated_pages_and_shown_output_are_current():
    answer = subprocess.run(
        [sys.executable, "-P", "docs/generate.py", "--check"],
        cwd=REPOSITORY,
        env=os.environ | {"COLUMNS": "120", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert answer.stdout == "", "run `make docs`"
    assert answer.returncode == 0


def test_readme_says_as_many_tools_as_there_are():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")

    assert f"**{len(TOOLS)} MCP tools**" in readme


def test_every_command_that_readme_names_exists():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`sidecar ([a-z]+)", readme))
    targets = set(re.findall(r"`?make ([a-z-]+)", readme))
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")

    assert named <= set(COMMANDS)
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_link_to_a_file_leads_somewhere(page: Path):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", text)

    assert [link for link in links if not (page.parent / link).exists()] == []
