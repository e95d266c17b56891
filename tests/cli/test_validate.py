"""``sidecar validate``: the harness over a workspace, consent first."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
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


def runs(sidecar, root: Path) -> list[list[str]]:
    """The words of each line of the list of runs."""
    listed = sidecar("validate", "--workspace", root, "--list").stdout
    return [line.split() for line in listed.splitlines()]


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something that will happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_run_is_kept_listed_and_shown_with_its_reports(sidecar, tmp_path: Path):
    root = project(tmp_path / "project")
    done = sidecar("validate", "--workspace", root, "--trust", "--category", "tests")

    (line,) = runs(sidecar, root)
    assert line[1:] == ["validate:", "finished,", "passed,", "1/1", "passed"]
    shown = sidecar("validate", "--workspace", root, "--show", line[0])
    assert shown.returncode == 0
    folder = root / ".sidecar/validation" / line[0]
    for name in ("report.json", "report.md", "report.html", "junit.xml", "report.sarif"):
        assert (folder / name).is_file()
        assert re.search(rf"^report: .*{line[0]}/{re.escape(name)}$", done.stdout, re.MULTILINE)
        assert f".sidecar/validation/{line[0]}/{name}" in shown.stdout
    assert json.loads((folder / "report.json").read_text())["id"] == line[0]


def test_a_run_outlives_the_client_that_asked_for_it_and_can_be_cancelled(sidecar, tmp_path: Path):
    """The client is a process that starts a run by the tool and is killed at once."""
    root = project(tmp_path / "project")
    (root / "test_it.py").write_text("import time\ndef test_a():\n    time.sleep(600)\n")
    sidecar("trust", "--workspace", root)
    call = ["call", "--workspace", root, "run_validation"]
    words = [*call, '{"validation_type": "tests", "wait_seconds": 600}']
    client = subprocess.Popen([sys.executable, "-P", "-m", "sidecar", *map(str, words)])
    try:
        until(lambda: list((root / ".sidecar/validation").glob("*/pytest/events.ndjson")))
    finally:
        client.kill()
        client.wait()

    ((run_id, _, status, *_),) = runs(sidecar, root)
    assert status == "running"
    assert "Still running" in sidecar("validate", "--workspace", root, "--show", run_id).stdout
    second = sidecar("validate", "--workspace", root)
    assert (second.returncode, run_id in second.stderr) == (2, True)

    cancelled = sidecar("validate", "--workspace", root, "--cancel", run_id)
    assert "cancelled" in cancelled.stdout
    assert runs(sidecar, root)[0][2].rstrip(",") == "cancelled"


def test_an_unknown_run_is_a_sentence(sidecar, tmp_path: Path):
    root = project(tmp_path / "project")

    done = sidecar("validate", "--workspace", root, "--show", "../../etc")
    assert done.returncode == 2
    assert "no validation run" in done.stderr
    assert sidecar("validate", "--workspace", root, "--list").stdout == ""


def test_where_nothing_can_be_kept_the_run_is_made_all_the_same(sidecar, tmp_path: Path):
    root = project(tmp_path / "project")
    (root / ".sidecar").write_text("in the way")

    out = tmp_path / "r.json"
    words = ["--trust", "--category", "tests", "--json", out]
    done = sidecar("validate", "--workspace", root, *words)

    assert done.returncode == 0
    assert "not kept" in done.stderr
    assert json.loads(out.read_text())["verdict"] == "passed"
    assert (root / ".sidecar").read_text() == "in the way"
