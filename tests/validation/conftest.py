"""Small projects of known truth, and the harness as a child process over them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Answer:
    """What the harness said: exit code, report, both outputs."""

    code: int
    report: dict[str, Any]
    output: str
    progress: str

    def category(self, name: str) -> dict[str, Any]:
        return next(c for c in self.report["categories"] if c["name"] == name)

    def counts(self, name: str = "tests") -> tuple[int, int, int, int]:
        """Passed, failed, errors, skipped."""
        found = self.category(name)
        return found["passed"], found["failed"], found["errors"], found["skipped"]

    def statuses(self, name: str = "tests") -> dict[str, str]:
        return {c["id"]: c["status"] for c in self.report["checks"] if c["category"] == name}


def projects(tmp_path: Path) -> Callable[..., Path]:
    """Writes projects below a folder: file names to texts."""

    def write(files: dict[str, str], folder: str = "project") -> Path:
        root = tmp_path / folder
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        root.mkdir(exist_ok=True)
        return root

    return write


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Writes a project: file names to texts."""
    return projects(tmp_path)


@pytest.fixture
def validate(tmp_path: Path) -> Callable[..., Answer]:
    """Runs ``python -P -m validation`` as anybody would."""
    return harness(tmp_path)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Callable, Callable]:
    """A folder, what writes projects in it and what runs the harness, for a whole module."""
    folder = tmp_path_factory.mktemp("workshop")
    return folder, projects(folder), harness(folder)


def harness(tmp_path: Path) -> Callable[..., Answer]:
    """What runs ``python -P -m validation`` with its report in a folder."""

    def run(
        root: Path,
        *arguments: str,
        allow: bool = True,
        category: str = "tests",
        plugins: bool = False,
    ) -> Answer:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        if not plugins:  # each of them costs every child its import
            kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        out = tmp_path / "report.json"
        out.unlink(missing_ok=True)
        chosen = [f"--category={category}"] if category else []
        allowed = ["--allow-code"] if allow else []
        command = [sys.executable, "-P", "-m", "validation", str(root), "--json", str(out)]
        done = subprocess.run(
            [*command, *chosen, *allowed, f"--python={sys.executable}", *arguments],
            cwd=tmp_path,
            env=kept,
            capture_output=True,
            timeout=120,
            check=False,
        )
        report = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
        texts = (stream.decode("utf-8") for stream in (done.stdout, done.stderr))
        return Answer(done.returncode, report, *texts)

    return run
