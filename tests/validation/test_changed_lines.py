"""Coverage of what was changed since a revision, told by a real git."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from validation import changed_lines

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

BEFORE = "def f(x):\n    return x\n"
AFTER = """\
def f(x):
    return x


def g(x):
    if x:
        return 1
    return 2
"""
TESTS = "import module\n\ndef test_g():\n    assert module.g(1) == 1\n"
SETTINGS = "[tool.coverage.run]\nbranch = true\nomit = ['test_*', 'conftest.py']\n"


def git(root: Path, *words: str) -> None:
    who = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)


def committed(root: Path) -> Path:
    git(root, "init")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "Begin")
    return root


def test_changed_and_new_lines_are_counted_and_the_unexecuted_ones_named(project, validate):
    files = {"module.py": BEFORE, "test_m.py": TESTS, "conftest.py": "", "pyproject.toml": SETTINGS}
    root = committed(project(files))
    (root / "module.py").write_text(AFTER)
    (root / "größe neu.py").write_text("X = 1\n")
    (root / "test_m.py").write_text(
        TESTS + "import importlib\nimportlib.import_module('größe neu')\n"
    )
    answer = validate(root, "--category=coverage")

    changed = answer.report["coverage"]["changed"]
    assert changed["problem"] == ""
    assert changed["files"]["module.py"] == {
        "numerator": 3,  # def g, if, return 1
        "denominator": 4,
        "rate": 0.75,
        "missing": [8],
    }
    assert changed["files"]["größe neu.py"]["numerator"] == 1
    assert (changed["total"]["numerator"], changed["total"]["denominator"]) == (4, 5)
    assert "4 of 5 statements" in answer.output


@pytest.mark.parametrize(("least", "code"), [(75, 0), (76, 1)])
def test_the_coverage_of_changed_lines_has_a_threshold(project, validate, least: int, code: int):
    plan = f"[tool.sidecar.validation]\nthresholds = {{ changed_coverage = {least} }}\n"
    files = {"module.py": BEFORE, "test_m.py": TESTS, "conftest.py": ""}
    root = committed(project({**files, "pyproject.toml": SETTINGS + plan}))
    (root / "module.py").write_text(AFTER)

    assert validate(root, "--category=coverage").code == code


def test_where_nothing_was_changed_there_is_nothing_to_miss(project, validate):
    plan = "[tool.sidecar.validation]\nthresholds = { changed_coverage = 100 }\n"
    text = "def test_a():\n    pass\n"
    root = committed(project({"test_a.py": text, "pyproject.toml": plan}))
    answer = validate(root, "--category=coverage")

    assert answer.code == 0
    assert answer.report["coverage"]["changed"]["total"]["rate"] is None


def test_a_demand_that_git_cannot_answer_is_not_met(project, validate):
    plan = "[tool.sidecar.validation]\nthresholds = { changed_coverage = 1 }\n"
    root = project({"test_a.py": "def test_a():\n    pass\n", "pyproject.toml": plan})
    answer = validate(root, "--category=coverage")

    assert answer.code == 1
    (root / ".git").mkdir()
    answer = validate(root, "--category=coverage")
    assert "not a git repository" in answer.report["coverage"]["changed"]["problem"]
    assert answer.code == 1


def test_a_revision_that_is_an_option_is_refused_by_git(project, validate, tmp_path: Path):
    plan = "[tool.sidecar.validation]\nchanged_from = '--output=written'\n"
    root = committed(project({"test_a.py": "def test_a():\n    1\n", "pyproject.toml": plan}))
    answer = validate(root, "--category=coverage")

    assert answer.report["coverage"]["changed"]["problem"]
    assert not (root / "written").exists()


def test_programs_that_a_repository_configures_for_diffs_are_not_started(project, validate):
    root = committed(project({"test_a.py": "def test_a():\n    1\n"}))
    for key in ("core.fsmonitor", "diff.external", "diff.own.textconv", "core.pager"):
        git(root, "config", key, "touch executed; false")
    (root / ".gitattributes").write_text("*.py diff=own\n")
    (root / "test_a.py").write_text("def test_a():\n    2\n")
    answer = validate(root, "--category=coverage")

    assert answer.report["coverage"]["changed"]["total"]["denominator"] == 1
    assert not (root / "executed").exists()


def test_a_line_of_content_is_no_header():
    diff = [
        "diff --git a/a.py b/a.py",
        "--- a/a.py",
        "+++ b/a.py",
        "@@ -1,2 +1,3 @@",
        "--- b/other.py",
        "-x",
        "+++ b/another.py",
        "+@@ -1 +900 @@",
        "+y",
        "\\ No newline at end of file",
        "@@ -9 +10,0 @@",
        "-z",
        "@@ -19,0 +20 @@ def f():",
        "+q",
    ]

    assert changed_lines.added_lines(diff) == {"a.py": {1, 2, 3, 20}}
