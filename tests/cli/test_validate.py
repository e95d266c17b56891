"""``sidecar validate``: the harness over a workspace, consent first."""

from __future__ import annotations

import json
from pathlib import Path


def project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "test_it.py").write_text(
        "import pathlib\npathlib.Path('executed').touch()\ndef test_a():\n    pass\n"
    )
    return folder


def test_nothing_is_executed_without_consent(sidecar, tmp_path: Path):
    root = project(tmp_path / "project")

    done = sidecar("validate", "--workspace", root, "--json", tmp_path / "r.json")

    report = json.loads((tmp_path / "r.json").read_text())
    assert done.returncode == 3
    assert {c["name"]: c["verdict"] for c in report["categories"]}["tests"] == "not run"
    assert not (root / "executed").exists()
    assert "not trusted" in done.stderr


def test_consent_typed_there_counts_for_that_run(sidecar, tmp_path: Path):
    root = project(tmp_path / "project")

    done = sidecar("validate", "--workspace", root, "--category", "tests", "--trust")
    by_variable = sidecar("validate", "--workspace", root, "--category", "tests", SIDECAR_TRUST="1")
    after = sidecar("validate", "--workspace", root, "--category", "tests")

    assert (done.returncode, by_variable.returncode, after.returncode) == (0, 0, 3)
    assert done.stdout.strip().splitlines()[-1] == "1 passed, 0 failed, 0 skipped"


def test_a_failing_test_is_exit_1(sidecar, tmp_path: Path):
    root = project(tmp_path / "project")
    (root / "test_it.py").write_text("def test_a():\n    assert 0\n")

    done = sidecar("validate", "--workspace", root, "--trust")

    assert done.returncode == 1
    assert "test_it.py:2" in done.stdout
