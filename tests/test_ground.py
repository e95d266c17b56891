"""The ground: commands, layers, the plan and the workflow are what the documents say."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest
import yaml

from validation.plan import load

REPOSITORY = Path(__file__).resolve().parents[1]
STDLIB = sys.stdlib_module_names
# The one file that runs inside a project's own Python may use what it finds there.

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not here")


def make(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *words],
        cwd=REPOSITORY,
        env={**{k: v for k, v in os.environ.items() if not k.startswith("MAKE")}, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def targets() -> set[str]:
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "state/README.md"])
def test_every_make_target_that_a_page_names_exists(page: str):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z-]+)", text))

    assert named - targets() == set()


def test_the_two_commands_of_the_readme_are_make_targets():
    assert {"run", "validate", "validate-full"} <= targets()
    assert "exec make validate\n" in (REPOSITORY / ".ci/run").read_text(encoding="utf-8")


@needs_make
@pytest.mark.parametrize("target", ["validate", "run", "test"])
def test_a_target_sets_up_what_it_needs_before_it_runs(target: str):
    done = make("-n", "-B", target)

    assert done.returncode == 0, done.stderr
    assert "-m venv" in done.stdout
    assert "install" in done.stdout


@needs_make
def test_run_takes_a_workspace_and_arguments():
    done = make("-n", "run", "WORKSPACE=some where", "ARGS=--once")

    assert 'sidecar serve --workspace "some where" --once' in done.stdout


@needs_make
def test_a_machine_without_a_new_enough_python_is_told_so(tmp_path: Path):
    (tmp_path / "pyproject.toml").touch()

    done = make("-f", str(REPOSITORY / "Makefile"), "-C", str(tmp_path), "setup", "PYTHON=")

    assert done.returncode != 0
    assert "No Python 3.11 or newer" in done.stdout + done.stderr


def test_the_import_contracts_hold():
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout[-3000:]


def test_no_module_imports_its_own_packages_front_door():
    graph = grimp.build_graph("sidecar", "validation", cache_dir=None)
    wrong = [
        (module, imported)
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
        if module.startswith(f"{imported}.")
    ]

    assert [pair for pair in wrong if pair[1] not in ("sidecar", "validation")] == []
    assert all(_only_version(module) for module, imported in wrong if imported == "sidecar")


def _only_version(module: str) -> bool:
    path = REPOSITORY / (module.replace(".", "/") + ".py")
    path = path if path.exists() else path.with_suffix("") / "__init__.py"
    names = {
        alias.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "sidecar"
        for alias in node.names
    }
    return all(
        name == "__version__" or (REPOSITORY / "sidecar" / name).exists()
        or (REPOSITORY / "sidecar" / f"{name}.py").exists()
        for name in names
    )  # fmt: skip


def test_the_harness_needs_the_standard_library_alone():
    """But for what runs inside pytest, and the live view that a terminal gets."""
    allowed = {"inside": {"pytest", "coverage"}, "live.py": {"rich"}}
    foreign = set()
    for path in (REPOSITORY / "validation").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                known = top in STDLIB or top == "validation"
                free = allowed.get(path.name, set()) | allowed.get(path.parent.name, set())
                if not known and top not in free:
                    foreign.add((path.name, top))

    assert foreign == set()


def test_no_folder_is_named_by_a_word_that_says_nothing():
    vague = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
    names = {
        path.stem
        for package in ("sidecar", "validation")
        for path in (REPOSITORY / package).rglob("*")
    }

    assert names & vague == set()


def test_the_workflow_runs_make_validate_on_three_systems_and_three_pythons():
    text = (REPOSITORY / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    job = yaml.safe_load(text)["jobs"]["validate"]

    matrix = job["strategy"]["matrix"]
    assert [name.partition("-")[0] for name in matrix["os"]] == ["ubuntu", "windows", "macos"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    assert any("make validate" in step.get("run", "") for step in job["steps"])


def test_the_project_validates_itself_by_a_plan_that_can_be_read():
    done = subprocess.run(
        [sys.executable, "-P", "-m", "validation", str(REPOSITORY), "--list"],
        capture_output=True,
        text=True,
        check=False,
    )
    listed = {line.partition(":")[0] for line in done.stdout.splitlines()}

    assert done.returncode == 0, done.stderr
    assert {"lint", "types", "import contracts", "tests", "tool functionality", "transports",
            "Python 3.11", "Python 3.12", "Python 3.13", "editors"} <= listed  # fmt: skip


def test_what_the_main_tests_leave_out_another_stage_runs():
    plan = load(REPOSITORY)
    tests = [stage for stage in plan.stages if stage.sorts]
    (main,) = (stage for stage in tests if stage.lane == "main")
    beside = {word for stage in tests if stage.lane == "beside" for word in stage.argv}

    assert {word.removeprefix("--ignore=") for word in main.argv if "ignore" in word} == beside
    assert all((REPOSITORY / path).exists() for path in beside)


def test_what_needs_more_than_python_is_left_to_the_full_run():
    table = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    stages = table["tool"]["sidecar"]["validation"]["stage"]

    assert all(stage["full"] for stage in stages if stage["category"] == "editors")


def test_every_changelog_fragment_has_a_type_that_the_changelog_knows():
    table = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    known = {entry["directory"] for entry in table["tool"]["towncrier"]["type"]}
    fragments = [p for p in (REPOSITORY / "changelog.d").iterdir() if p.name != "README.md"]

    assert {path.name.split(".")[1] for path in fragments} <= known


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(("target", "extras"), [("run", "search,engine"), ("setup", "dev")])
def test_a_fresh_clone_installs_what_its_command_needs(tmp_path, target: str, extras: str):
    """A comma in a call of make would cut the list of extras short."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    command = ["make", "--dry-run", target, f"PYTHON={sys.executable}"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert f"--editable '.[{extras}]'" in told
