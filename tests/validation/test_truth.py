"""Projects whose truth is known, test by test: the report says that and nothing else."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

P, F, E, S = "passed", "failed", "error", "skipped"
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Truth:
    """A project's files, what becomes of each of its tests, and the exit code of the run."""

    files: dict[str, str]
    tests: dict[str, str]
    code: int
    verdict: str
    unreached: int = 0
    told: str = ""
    plan: dict[str, str] = field(default_factory=dict)


GREEN = Truth(
    {
        "pkg/__init__.py": "",
        "pkg/sums.py": "def add(a, b):\n    return a + b\n",
        "tests/test_sums.py": """
            import pytest
            from pkg.sums import add

            @pytest.mark.parametrize(("a", "b"), [(1, 2), (2, 1)], ids=["up", "down"])
            def test_add(a, b):
                assert add(a, b) == 3

            class TestZero:
                def test_left(self):
                    assert add(0, 1) == 1
        """,
        "conftest.py": "",
    },
    {
        "tests/test_sums.py::test_add[up]": P,
        "tests/test_sums.py::test_add[down]": P,
        "tests/test_sums.py::TestZero::test_left": P,
    },
    0,
    "passed",
)
SOME_FAIL = Truth(
    {
        "tests/test_some.py": """
            import unittest

            import pytest

            @pytest.fixture
            def broken():
                raise RuntimeError("set-up")

            @pytest.fixture
            def late():
                yield
                raise RuntimeError("tear-down")

            @pytest.mark.parametrize("text", ["a b", "x::y", "[z]", "a/b", "ü", "", "new\\nline"])
            def test_text(text):
                assert text != "x::y"

            class TestOuter:
                class TestInner:
                    def test_deep(self):
                        assert False

                def test_shallow(self):
                    assert True

            class TestOld(unittest.TestCase):
                def setUp(self):
                    self.one = 1

                def test_equal(self):
                    self.assertEqual(self.one, 2)

                @unittest.skip("not now")
                def test_skipped(self):
                    pass

                @unittest.expectedFailure
                def test_expected(self):
                    self.assertEqual(1, 2)

            def test_setup(broken):
                assert True

            def test_teardown(late):
                assert True

            def test_fails_and_tears_down(late):
                assert False

            @pytest.mark.skipif(True, reason="never")
            def test_skip():
                assert False

            def test_skips_itself():
                pytest.skip("here")

            @pytest.mark.xfail
            def test_xfail():
                assert False

            @pytest.mark.xfail(strict=True)
            def test_strict_xpass():
                assert True

            @pytest.mark.xfail(raises=ValueError)
            def test_xfail_for_another_reason():
                raise KeyError

            @pytest.mark.xfail
            def test_xfail_whose_fixture_breaks(broken):
                assert True

            def test_raises_exit():
                raise SystemExit(0)
        """,
    },
    {
        "tests/test_some.py::test_text[a b]": P,
        "tests/test_some.py::test_text[x::y]": F,
        "tests/test_some.py::test_text[[z]]": P,
        "tests/test_some.py::test_text[a/b]": P,
        "tests/test_some.py::test_text[\\xfc]": P,
        "tests/test_some.py::test_text[]": P,
        "tests/test_some.py::test_text[new\\nline]": P,
        "tests/test_some.py::TestOuter::TestInner::test_deep": F,
        "tests/test_some.py::TestOuter::test_shallow": P,
        "tests/test_some.py::TestOld::test_equal": F,
        "tests/test_some.py::TestOld::test_skipped": S,
        "tests/test_some.py::TestOld::test_expected": S,
        "tests/test_some.py::test_setup": E,
        "tests/test_some.py::test_teardown": E,
        "tests/test_some.py::test_fails_and_tears_down": E,
        "tests/test_some.py::test_skip": S,
        "tests/test_some.py::test_skips_itself": S,
        "tests/test_some.py::test_xfail": S,
        "tests/test_some.py::test_strict_xpass": F,
        "tests/test_some.py::test_xfail_for_another_reason": F,
        "tests/test_some.py::test_xfail_whose_fixture_breaks": S,
        "tests/test_some.py::test_raises_exit": F,
    },
    1,
    "failed",
)
UNCOLLECTED = Truth(
    {
        "tests/test_a.py": "def test_a():\n    assert True\n",
        "tests/test_b.py": "import nowhere_at_all\n",
        "tests/test_c.py": "def test_c(:\n",
    },
    {"tests/test_b.py": E, "tests/test_c.py": E},
    1,
    "failed",
    told="nowhere_at_all",
)
NO_TESTS = Truth({"module.py": "X = 1\n"}, {}, 3, "incomplete")
BEYOND_ASCII = Truth(
    {
        "größe/test_maß.py": """
            import pytest

            @pytest.mark.parametrize("wort", ["Straße", "日本"], ids=["Straße", "日本"])
            def test_länge(wort):
                assert len(wort) > 2

            class TestÄußeres:
                def test_ok(self):
                    assert True
        """,
        "mit leer/test_x.py": "def test_y():\n    assert True\n",
    },
    {
        "größe/test_maß.py::test_länge[Stra\\xdfe]": P,
        "größe/test_maß.py::test_länge[\\u65e5\\u672c]": F,
        "größe/test_maß.py::TestÄußeres::test_ok": P,
        "mit leer/test_x.py::test_y": P,
    },
    1,
    "failed",
)
SHADOWING = Truth(
    {
        # Names of ours and of the library on the project's path, settings that fight ours.
        "validation/__init__.py": "OWN = 1\n",
        "sidecar/__init__.py": "OWN = 2\n",
        "junit.py": "raise RuntimeError\n",
        "pytest_entry.py": "raise RuntimeError\n",
        "launcher.py": "raise RuntimeError\n",
        "sitecustomize.py": "raise RuntimeError\n",
        "conftest.py": """
            import sys

            sys.modules["validation.junit"] = None
            sys.modules["validation.report"] = None

            def pytest_configure(config):
                config.option.xmlpath = config.option.xmlpath  # what a conftest may see of it
        """,
        "tests/test_own.py": """
            import sidecar
            import validation

            def test_own():
                assert (validation.OWN, sidecar.OWN) == (1, 2)
        """,
        "pyproject.toml": """
            [tool.pytest.ini_options]
            addopts = "-q -q --no-header --junitxml=own.xml --junitprefix=own -p no:cacheprovider"
            junit_family = "legacy"
            junit_suite_name = "own"
            junit_logging = "all"
        """,
    },
    {"tests/test_own.py::test_own": P},
    0,
    "passed",
)
HUGE = Truth(
    {
        "test_huge.py": """
            import os, sys

            def test_captured():
                print("x" * 50_000_000)
                assert False

            def test_long_message():
                assert "y" * 5_000_000 == "z"

            def test_past_the_capture():
                assert os.write(1, b"still here")
        """
    },
    {
        "test_huge.py::test_captured": F,
        "test_huge.py::test_long_message": F,
        "test_huge.py::test_past_the_capture": P,
    },
    1,
    "failed",
)
HOG = Truth(
    {
        "pyproject.toml": "[tool.sidecar.validation]\nmemory = 1_500_000_000\n",
        "test_hog.py": """
            def test_before():
                assert True

            def test_hog():
                assert len(bytearray(3_000_000_000))

            def test_after():
                assert True
        """,
    },
    {"test_hog.py::test_before": P, "test_hog.py::test_hog": F, "test_hog.py::test_after": P},
    1,
    "failed",
    told="MemoryError",
)


@pytest.mark.parametrize(
    "truth",
    [GREEN, SOME_FAIL, UNCOLLECTED, NO_TESTS, BEYOND_ASCII, SHADOWING, HUGE]
    + ([HOG] if sys.platform == "linux" else []),
    ids=["green", "some fail", "uncollected", "no tests", "beyond ASCII", "shadowing", "huge"]
    + (["memory hog"] if sys.platform == "linux" else []),
)
def test_the_report_is_the_truth(project, validate, truth: Truth):
    answer = validate(project(truth.files))

    assert answer.statuses() == truth.tests
    tally = [list(truth.tests.values()).count(word) for word in (P, F, E, S)]
    assert answer.counts() == tuple(tally)
    found = answer.category("tests")
    decided = sum(tally[:3])
    assert (found["numerator"], found["denominator"]) == (tally[0], decided)
    assert found["rate"] == (tally[0] / decided if decided else None)
    assert found["unreached"] == truth.unreached
    assert (answer.code, answer.report["verdict"]) == (truth.code, truth.verdict)
    assert truth.told in answer.output
    assert len(answer.output) < MEGABYTE


def test_a_settings_file_of_the_project_writes_no_report_of_its_own(project, validate):
    root = project(SHADOWING.files)
    validate(root)

    assert not (root / "own.xml").exists()


def test_each_run_of_a_flaky_test_is_told_as_it_went(project, validate, tmp_path: Path):
    text = f"""
        from pathlib import Path

        def test_flaky():
            count = Path({str(tmp_path / "count")!r})
            number = int(count.read_text()) if count.exists() else 0
            count.write_text(str(number + 1))
            assert number % 2 == 0
    """
    root = project({"test_flaky.py": text})
    answers = [validate(root) for _ in range(3)]

    assert [answer.counts() for answer in answers] == [(1, 0, 0, 0), (0, 1, 0, 0), (1, 0, 0, 0)]
    assert [answer.code for answer in answers] == [0, 1, 0]


@pytest.fixture
def left() -> Iterator[tuple[str, list[int]]]:
    """A word for the command line of whatever a project starts, and how to see who has it."""
    word = f"left-{uuid.uuid4().hex}"
    yield word, (found := [])
    found.extend(_with(word))
    for pid in found:
        os.kill(pid, 9)


def _with(word: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


DAEMON = """
    import os, signal, subprocess, sys, time

    def daemon():
        # Twice forked, a session of its own, nothing of ours in its environment.
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execve(sys.executable,
                    [sys.executable, "-c", "import time; time.sleep(600)", "{word}"], {{}})
            os._exit(0)

    def test_before():
        assert True

    def test_daemonises():
        daemon()
        time.sleep(0.3)
        {end}

    def test_after():
        assert True
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize(
    ("end", "statuses", "unreached"),
    [
        ("assert True", [P, P, P], 0),
        ("os.abort()", [P, E], 1),
        ("os._exit(0)", [P, E], 1),
        ("(os.kill(os.getppid(), signal.SIGKILL), time.sleep(60))", [P, E], 1),
        ("(os.killpg(0, signal.SIGKILL), time.sleep(60))", [P, E], 1),
    ],
    ids=["ends well", "aborts", "exits", "kills its parent", "kills its group"],
)
def test_a_daemon_of_a_test_does_not_outlive_the_run(
    project, validate, left, end: str, statuses: list[str], unreached: int
):
    word, _ = left
    root = project({"test_d.py": DAEMON.format(word=word, end=end)})

    answer = validate(root)

    names = ["test_before", "test_daemonises", "test_after"]
    truth = {f"test_d.py::{name}": status for name, status in zip(names, statuses, strict=False)}
    assert answer.statuses() == truth
    assert answer.category("tests")["unreached"] == unreached
    assert answer.code == (0 if E not in statuses else 1)
    assert _gone(word)


def _gone(word: str) -> bool:
    deadline = time.monotonic() + 10
    while _with(word):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


INHERITED = {
    "tests/__init__.py": "",
    "tests/test_base.py": """
        class TestBase:
            size = 1

            def test_size(self):
                assert self.size < 3
    """,
    "tests/test_other.py": """
        from tests.test_base import TestBase as Imported

        class TestMore(Imported):
            size = 3
    """,
    "conftest.py": "",
}


def test_an_inherited_test_has_the_name_that_pytest_gives_it(project, validate):
    answer = validate(project(INHERITED))

    assert answer.statuses() == {
        "tests/test_base.py::TestBase::test_size": P,
        "tests/test_other.py::TestMore::test_size": F,
    }
