"""Results come test by test, and the stream alone decides nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

WAITS = """
    import pathlib, time

    def test_first():
        pass

    def test_waits():
        while not pathlib.Path(__file__).with_name("go").exists():
            time.sleep(0.02)

    def test_last():
        pass
"""


def test_what_is_done_and_what_runs_can_be_polled_while_it_runs(project, tmp_path: Path):
    root = project({"test_a.py": WAITS})
    folder = tmp_path / "run"
    command = [sys.executable, "-P", "-m", "validation", str(root), "--allow-code", "--quiet"]
    command += [f"--python={sys.executable}", f"--artefacts={folder}", "--category=tests"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    harness = subprocess.Popen(command, env=environment)
    seen = ""
    deadline = time.monotonic() + 60
    try:
        while seen != "1/3 test_a.py::test_waits":
            assert time.monotonic() < deadline, seen
            if (folder / "progress.json").exists():
                seen = json.loads((folder / "progress.json").read_text())["detail"]
            time.sleep(0.02)
        (root / "go").touch()
        assert harness.wait(timeout=60) == 0
    finally:
        harness.kill()
        harness.wait()


def test_events_come_one_line_a_test_in_order(project, validate, tmp_path: Path):
    root = project({"test_a.py": "def test_a():\n    pass\ndef test_b():\n    assert 0\n"})
    validate(root, f"--artefacts={tmp_path / 'run'}")

    lines = (tmp_path / "run/pytest/events.ndjson").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert [(e["event"], e.get("id", "")) for e in events if e["event"] in ("start", "finish")] == [
        ("start", "test_a.py::test_a"),
        ("finish", "test_a.py::test_a"),
        ("start", "test_a.py::test_b"),
        ("finish", "test_a.py::test_b"),
    ]
    assert [e["at"] for e in events] == sorted(e["at"] for e in events)


LIES = """
    import glob, json, pathlib

    def path():
        return next(pathlib.Path({folder!r}).rglob("events.ndjson"))

    def test_passes():
        pass

    def test_fails():
        {act}
        assert 0
"""


FORGED = (
    "path().open('a').write(json.dumps({'event': 'phase', 'id': 'test_a.py::test_fails', "
    "'when': 'call', 'outcome': 'passed', 'xfail': False, 'seconds': 0, 'markers': '', "
    "'message': ''}) + '\\n' + json.dumps({'event': 'collected', 'count': 0}) + '\\n')"
)


@pytest.mark.parametrize(
    "act",
    [
        "path().unlink()",
        "path().write_text('')",
        "path().open('ab').write(b'\\xff\\n[1]\\n{}\\nnull\\n{\"event\": \"phase\"}\\n')",
        FORGED,
    ],
)
def test_a_test_that_forges_or_spoils_the_stream_changes_no_count(
    project, validate, tmp_path: Path, act: str
):
    folder = tmp_path / "run"
    root = project({"test_a.py": LIES.format(folder=str(folder), act=act)})
    answer = validate(root, f"--artefacts={folder}")

    assert answer.statuses()["test_a.py::test_passes"] == "passed"
    assert answer.statuses()["test_a.py::test_fails"] == "failed"
    assert answer.code == 1


@pytest.mark.skipif(sys.platform == "win32", reason="a hang is ended otherwise there")
def test_a_test_that_hangs_after_quick_ones_leaves_what_its_threads_did(
    project, validate, tmp_path: Path
):
    """And a quick test before it neither takes nor shortens its time."""
    root = project({
        "test_a.py": "import time\ndef test_quick():\n    time.sleep(0.4)\n"
                     "def test_hangs():\n    time.sleep(1000)\n",
        "pyproject.toml": "[tool.sidecar.validation]\nstall = 2\n",
    })  # fmt: skip
    answer = validate(root, f"--artefacts={tmp_path / 'run'}")

    told = (tmp_path / "run/pytest/output.log").read_text()
    assert answer.statuses()["test_a.py::test_hangs"] == "error"
    assert told.count("Timeout (") == 1
    assert "in test_hangs" in told
    assert "in test_quick" not in told


def test_a_test_is_told_by_its_start_and_its_end_unless_a_phase_went_wrong(
    project, validate, tmp_path: Path
):
    text = """
        import pytest

        @pytest.fixture
        def breaks():
            yield
            assert 0, "after it"

        def test_passes():
            pass

        def test_passes_and_breaks(breaks):
            pass
    """
    answer = validate(project({"test_a.py": text}), f"--artefacts={tmp_path / 'run'}")

    lines = (tmp_path / "run/pytest/events.ndjson").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    of_one = [e["event"] for e in events if e.get("id") == "test_a.py::test_passes"]
    assert of_one == ["start", "finish"]
    of_other = [e for e in events if e.get("id") == "test_a.py::test_passes_and_breaks"]
    phases = [(e["when"], e["outcome"]) for e in of_other if e["event"] == "phase"]
    assert phases == [("setup", "passed"), ("call", "passed"), ("teardown", "failed")]
    assert answer.statuses() == {
        "test_a.py::test_passes": "passed",
        "test_a.py::test_passes_and_breaks": "error",
    }
