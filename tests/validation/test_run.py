"""Consent, plans, commands, interpreters, cancellation: the run around the tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from validation import interpreters
from validation.report import Counts

MARK = "import pathlib\npathlib.Path(__file__).with_name('executed').write_text('x')\n"
HOSTILE = {
    "conftest.py": MARK,
    "test_a.py": f"{MARK}def test_a():\n    pass\n",
    "setup.py": MARK,
    "sitecustomize.py": MARK,
    "pytest.py": MARK,
    "ruff.py": MARK,
    "json.py": MARK,
    "ruff.toml": "",
    "mypy.ini": "",
}


def test_without_consent_nothing_of_the_project_is_executed(project, validate):
    root = project(HOSTILE)
    venv = root / ".venv/bin"
    venv.mkdir(parents=True)
    (root / ".venv/pyvenv.cfg").write_text("home = /usr/bin\n")
    (venv / "python").write_text(f"#!/bin/sh\ntouch {root}/executed\n")
    (venv / "python").chmod(0o755)

    answer = validate(root, "--python=", allow=False, category="")

    assert not (root / "executed").exists()
    assert answer.category("tests")["verdict"] == "not run"
    assert answer.category("lint")["verdict"] == "not run"
    assert "allow" in answer.category("tests")["reasons"][0]
    assert answer.counts("syntax") == (8, 0, 0, 0)
    assert (answer.code, answer.report["verdict"]) == (3, "incomplete")


def test_a_missing_pytest_is_said_and_no_pass(project, validate, tmp_path: Path):
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    python = bare / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    answer = validate(project({"test_a.py": "def test_a():\n    pass\n"}), f"--python={python}")

    assert answer.category("tests")["verdict"] == "not run"
    assert "pytest is not installed" in answer.category("tests")["reasons"][0]
    assert answer.code == 3


@pytest.mark.parametrize(
    ("content", "told"),
    [("#!/bin/sh\necho broken shim >&2; exit 127\n", "broken shim"), (None, "does not start")],
)
@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for Python")
def test_a_broken_interpreter_is_said(project, validate, tmp_path: Path, content, told):
    python = tmp_path / "python"
    if content:
        python.write_text(content)
        python.chmod(0o755)

    answer = validate(project({"test_a.py": "def test_a():\n    pass\n"}), f"--python={python}")

    assert told in answer.category("tests")["reasons"][0]
    assert answer.code == 3


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ("[tool.sidecar.validation]\ncolour = 1\n", "colour"),
        ("[tool.sidecar.validation]\nstall = 'x'\n", "stall"),
        ("[tool.sidecar]\nvalidation = 3\n", "must be a table"),
        ("[tool.sidecar.validation]\nthresholds = {rate = 'high'}\n", "rate"),
        ("[tool.sidecar.validation]\nthresholds = {rate = 90}\n", "0 to 1"),
        ("[tool.sidecar.validation]\nthresholds = {tets = 0.9}\n", "no category"),
        ("[tool.sidecar.validation]\nthresholds = {coverage = 101}\n", "percentage"),
        ("[tool.sidecar.validation]\nthresholds = {benchmark_ratio = 1.0}\n", "1.05"),
        ("[[tool.sidecar.validation.stage]]\nname = 'x'\n", "category"),
        ("[[tool.sidecar.validation.stage]]\nname = 'x'\ncategory = 'y'\n", "no command"),
        ("[[tool.sidecar.validation.stage]]\nname='x'\ncategory='y'\nkind='z'\n", "kind"),
        ("[tool.sidecar.validation\n", "cannot be read"),
    ],
)
def test_a_bad_plan_is_a_sentence_and_exit_2(project, validate, plan: str, told: str):
    answer = validate(project({"pyproject.toml": plan}))

    assert answer.code == 2
    assert told in answer.progress
    assert told in answer.report["problem"]
    assert "Traceback" not in answer.progress


def test_a_path_that_is_no_folder_is_exit_2(validate, tmp_path: Path):
    answer = validate(tmp_path / "nowhere")

    assert answer.code == 2


def test_a_broken_file_fails_the_syntax_at_its_line(project, validate):
    files = {
        "a.py": "x = 1\ndef f(:\n",
        "b.json": '{"a": 1,\n}',
        "c.toml": "x = \n",
        "d.py": "y = 1\n",
    }
    answer = validate(project(files), category="syntax")

    assert answer.counts("syntax") == (1, 3, 0, 0)
    lines = {c["file"]: c["line"] for c in answer.report["checks"] if c["status"] == "failed"}
    assert (lines["a.py"], lines["b.json"]) == (2, 2)


def test_a_command_is_one_check_with_its_evidence(project, validate):
    plan = """
        [[tool.sidecar.validation.stage]]
        name = "good"
        category = "house"
        command = ["{python}", "-c", "print('fine')"]
        [[tool.sidecar.validation.stage]]
        name = "bad"
        category = "house"
        command = ["{python}", "-c", "print('src/a.py:12:3: E1 wrong'); raise SystemExit(1)"]
        hint = "mend it"
        [[tool.sidecar.validation.stage]]
        name = "gone"
        category = "house"
        command = ["./no-such-program"]
        [[tool.sidecar.validation.stage]]
        name = "slow"
        category = "house"
        command = ["{python}", "-c", "import time; time.sleep(100)"]
        limit = 1
        [[tool.sidecar.validation.stage]]
        name = "absent"
        category = "tool"
        command = ["{python}", "-m", "no_such_module"]
        module = "no_such_module"
        [[tool.sidecar.validation.stage]]
        name = "large"
        category = "editors"
        command = ["{python}", "-c", ""]
        full = true
    """
    answer = validate(project({"pyproject.toml": plan}), category="")

    assert answer.statuses("house") == {
        "good": "passed",
        "bad": "failed",
        "gone": "error",
        "slow": "error",
    }
    bad = next(c for c in answer.report["checks"] if c["id"] == "bad")
    assert (bad["file"], bad["line"], bad["hint"]) == ("src/a.py", 12, "mend it")
    assert answer.category("tool")["verdict"] == "not run"
    assert "full run" in answer.category("editors")["reasons"][0]


def test_stages_share_the_machine_as_their_lanes_say(project, validate):
    """The one beside waits for a file of the main lane, the one alone for a file of both."""
    wait = (
        "import pathlib, sys, time\n"
        "for name in sys.argv[2:]:\n"
        "    while not pathlib.Path(name).exists():\n"
        "        time.sleep(0.05)\n"
        "pathlib.Path(sys.argv[1]).touch()\n"
    )
    plan = """
        [[tool.sidecar.validation.stage]]
        name = "last"
        category = "c"
        command = ["{python}", "-c", "import os; os.stat('b'); os.stat('m')"]
        lane = "alone"
        [[tool.sidecar.validation.stage]]
        name = "other"
        category = "b"
        command = ["{python}", "wait.py", "b", "m"]
        lane = "beside"
        limit = 30
        [[tool.sidecar.validation.stage]]
        name = "first"
        category = "a"
        command = ["{python}", "wait.py", "m"]
    """
    answer = validate(project({"pyproject.toml": plan, "wait.py": wait}), category="")

    names = [c["id"] for c in answer.report["checks"] if c["category"] in "abc"]
    assert names == ["last", "other", "first"]
    assert {answer.category(name)["verdict"] for name in "abc"} == {"passed"}


def test_a_foreign_runners_junit_report_is_counted(project, validate):
    script = """
        import sys
        open(sys.argv[1], "w").write('''<testsuites><testsuite>
        <testcase classname="spec" name="one"/>
        <testcase classname="spec" name="two"><failure message="no"/></testcase>
        <testcase classname="spec" name="three"><skipped/></testcase>
        </testsuite></testsuites>''')
        sys.exit(1)
    """
    plan = """
        [[tool.sidecar.validation.stage]]
        name = "spec"
        category = "spec"
        command = ["{python}", "runner.py", "{artefacts}/junit.xml"]
        junit = "{artefacts}/junit.xml"
        [[tool.sidecar.validation.stage]]
        name = "silent"
        category = "silent"
        command = ["{python}", "-c", ""]
        junit = "{artefacts}/junit.xml"
    """
    answer = validate(project({"pyproject.toml": plan, "runner.py": script}), category="")

    assert answer.counts("spec") == (1, 1, 0, 1)
    assert answer.counts("silent") == (0, 0, 1, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_harness(project, tmp_path: Path, number: int):
    word = f"8640{number}"
    text = f"import subprocess\n\ndef test_a():\n    subprocess.run(['sleep', '{word}'])\n"
    root = project({"test_a.py": text})
    command = [sys.executable, "-P", "-m", "validation", str(root), "--allow-code", "--quiet"]
    out = tmp_path / "r.json"
    harness = subprocess.Popen([*command, f"--python={sys.executable}", "--json", str(out)])
    try:
        _until(lambda: running(word))
        os.kill(harness.pid, number)
        harness.wait(timeout=30)
    finally:
        harness.kill()
        harness.wait()

    _until(lambda: not running(word))
    if number != signal.SIGKILL:
        report = json.loads(out.read_text())
        assert report["cancelled"] is True
        assert report["verdict"] != "passed"


def running(word: str) -> bool:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cmdline").read_bytes() == f"sleep\0{word}\0".encode():
                return True
        except OSError:
            continue
    return False


def _until(condition, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_python_that_runs_is_found_and_one_that_does_not_is_not(tmp_path: Path):
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found = interpreters.find(own, tmp_path)

    assert found is not None
    assert found.version[:2] == sys.version_info[:2]
    assert interpreters.find("3.99", tmp_path) is None


def test_the_interval_is_wilsons():
    """Against the closed form for 8 of 10: (0.4902, 0.9433)."""
    low, high = Counts(8, 1, 1, 5).interval or (0, 0)

    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    assert Counts(skipped=3).interval is None
    assert Counts(skipped=3).rate is None


PARTS = """
[tool.sidecar.validation]
tests = ["--ignore=slow"]

[[tool.sidecar.validation.stage]]
name = "slow tests"
category = "tests"
kind = "pytest"
command = ["slow"]
lane = "beside"
"""


def test_tests_of_a_stage_of_their_own_are_run_beside_those_that_the_plan_says(project, validate):
    """And what is asked for on the command line is run alone."""
    passes = "def test_a():\n    pass\n"
    root = project({"test_a.py": passes, "slow/test_b.py": passes, "pyproject.toml": PARTS})

    assert validate(root).statuses() == {
        "test_a.py::test_a": "passed",
        "slow/test_b.py::test_a": "passed",
    }
    asked = validate(root, "--pytest=test_a.py", "--category=tests")
    assert asked.statuses() == {"test_a.py::test_a": "passed"}
