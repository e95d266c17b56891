"""Mutants of changed functions: killed ones and survivors are told apart, on a copy."""

from __future__ import annotations

import re
import subprocess
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray")

PLAN = """
    [[tool.sidecar.validation.stage]]
    name = "mutation"
    category = "mutation"
    kind = "mutation"
    optional = true
    sample = 4
    command = ["tests"]
"""
OLD = "def old(a):\n    return a + 1\n"
NEW = f"{OLD}\n\ndef checked(a):\n    return a * 2\n\n\ndef unchecked(a):\n    return a - 3\n"
TESTS = """
    from sums import checked, unchecked

    def test_checked():
        assert checked(3) == 6

    def test_unchecked():
        unchecked(3)
"""


def git(root: Path, *words: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)


def test_survivors_are_warnings_at_their_line_and_only_changed_functions_are_mutated(
    project, validate
):
    files = {"sums.py": OLD, "tests/test_sums.py": TESTS, "conftest.py": "", "pyproject.toml": PLAN}
    root = project(files)
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "old")
    (root / "sums.py").write_text(NEW)

    answer = validate(root, category="mutation")

    (figure,) = answer.report["figures"]
    assert answer.counts("mutation") == (2, 0, 0, 0)
    assert figure["name"] == "mutants killed"
    survivors = [f for f in answer.report["findings"] if f["tool"] == "mutation"]
    assert {(f["file"], f["line"]) for f in survivors} == {("sums.py", 10)}
    killed, ran = (int(word) for word in figure["definition"].split(" mutants")[0].split(" of "))
    assert (ran - killed, figure["value"]) == (len(survivors), 100 * killed / ran)
    assert killed >= 1
    assert (root / "sums.py").read_text() == NEW


def test_tests_that_do_not_reach_the_copy_prove_nothing(project, validate):
    plan = PLAN + '    paths = ["sums.py"]\n'
    tests = "def test_elsewhere():\n    assert 1 + 1 == 2\n"
    files = {"sums.py": NEW, "tests/test_a.py": tests, "conftest.py": "", "pyproject.toml": plan}
    answer = validate(project(files), category="mutation")

    assert answer.statuses("mutation") == {
        "the tests pass on the copy": "passed",
        "the tests fail where the copy is broken": "error",
    }
    assert answer.report["figures"] == []
    assert answer.code == 1


def test_a_mutant_is_judged_by_the_tests_that_reach_its_file(project, validate, tmp_path: Path):
    """Each test writes down that it ran: once in the clean copy, once for each of its mutants."""
    log = tmp_path / "ran"
    write = f"open({str(log)!r}, 'a').write"
    files = {
        "sums.py": "def double(a):\n    return a * 2\n",
        "others.py": "def half(a):\n    return a / 2\n",
        "tests/test_sums.py": f"""
            from sums import double

            def test_double():
                {write}("double ")
                assert double(3) == 6
        """,
        "tests/test_others.py": f"""
            from others import half

            def test_half():
                {write}("half ")
                assert half(3) == 1.5
        """,
        "conftest.py": "",
        "pyproject.toml": PLAN + '    paths = ["sums.py"]\n',
    }
    answer = validate(project(files), category="mutation")

    (figure,) = answer.report["figures"]
    ran = log.read_text().split()
    assert figure["value"] == 100
    assert figure["definition"].startswith("2 of 2 mutants that ran, in a sample of 2 ")
    assert "not judged" not in figure["definition"]
    assert (ran.count("double"), ran.count("half")) == (1 + 2, 1)


def test_what_the_time_did_not_suffice_for_is_told_as_not_judged(project, validate):
    plan = PLAN.replace("sample = 4", "sample = 30\n    limit = 9") + '    paths = ["sums.py"]\n'
    slow = f"import time\ntime.sleep(0.7)\n{textwrap.dedent(TESTS)}"
    sums = "".join(NEW.replace("def ", f"def x{n}_") for n in range(6)) + NEW
    files = {"sums.py": sums, "tests/test_a.py": slow, "conftest.py": "", "pyproject.toml": plan}
    answer = validate(project(files), category="mutation")

    (figure,) = answer.report["figures"]
    numbers = re.match(r"\d+ of (\d+) mutants that ran, in a sample of (\d+)", figure["definition"])
    assert numbers is not None
    ran, sample = map(int, numbers.groups())
    assert ran < sample
    assert f"; {sample - ran} not judged: The time limit" in figure["definition"]
    assert any("The time limit" in warning for warning in answer.report["warnings"])
