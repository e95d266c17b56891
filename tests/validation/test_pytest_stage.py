"""The report equals the truth, whatever the tests do to their interpreter."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

GREEN = "def test_one():\n    pass\n\ndef test_two():\n    pass\n"
MIXED = """
    import pytest

    def test_passes():
        pass

    def test_fails():
        assert 1 == 2

    @pytest.fixture
    def broken():
        raise RuntimeError("fixture")

    def test_error(broken):
        pass

    @pytest.mark.skip(reason="not now")
    def test_skipped():
        pass

    @pytest.mark.xfail
    def test_expected_failure():
        assert False

    @pytest.mark.xfail(strict=False)
    def test_unexpected_pass_that_is_not_strict():
        pass

    @pytest.mark.xfail(strict=True)
    def test_unexpected_pass_that_is_strict():
        pass

    @pytest.mark.parametrize("value", [1, 2, 3])
    def test_parameters(value):
        assert value != 2
"""


def alive(mark: str) -> list[str]:
    """Processes whose command line holds a word, from /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (
                (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            )
        except OSError:
            continue
        if mark in command:
            found.append(command)
    return found


def test_a_green_project_passes(project, validate):
    answer = validate(project({"test_a.py": GREEN}))

    assert answer.code == 0
    assert answer.counts() == (2, 0, 0, 0)
    assert answer.report["verdict"] == "passed"
    assert answer.category("tests")["rate"] == 1.0
    assert answer.output.strip().splitlines()[-1] == "2 passed, 0 failed, 0 skipped"


def test_every_outcome_is_counted_as_what_it_is(project, validate):
    answer = validate(project({"tests/test_m.py": MIXED}))

    assert answer.statuses() == {
        "tests/test_m.py::test_passes": "passed",
        "tests/test_m.py::test_fails": "failed",
        "tests/test_m.py::test_error": "error",
        "tests/test_m.py::test_skipped": "skipped",
        "tests/test_m.py::test_expected_failure": "skipped",
        "tests/test_m.py::test_unexpected_pass_that_is_not_strict": "passed",
        "tests/test_m.py::test_unexpected_pass_that_is_strict": "failed",
        "tests/test_m.py::test_parameters[1]": "passed",
        "tests/test_m.py::test_parameters[2]": "failed",
        "tests/test_m.py::test_parameters[3]": "passed",
    }
    assert answer.counts() == (4, 3, 1, 2)
    found = answer.category("tests")
    assert (found["numerator"], found["denominator"], found["rate"]) == (4, 8, 0.5)
    assert answer.code == 1
    assert answer.output.strip().splitlines()[-1] == "4 passed, 4 failed, 2 skipped"


def test_a_failure_names_its_file_and_line(project, validate):
    answer = validate(
        project({"tests/test_m.py": "\ndef test_bad():\n    x = 1\n    assert x == 2\n"})
    )

    check = answer.report["checks"][0]
    assert (check["file"], check["line"]) == ("tests/test_m.py", 4)
    assert "assert 1 == 2" in check["message"]
    assert "tests/test_m.py:4" in answer.output


def test_a_test_in_a_class_has_pytests_own_id(project, validate):
    text = "class TestA:\n    class TestB:\n        def test_c(self):\n            pass\n"
    answer = validate(project({"pkg/test_a.py": text}))

    assert list(answer.statuses()) == ["pkg/test_a.py::TestA::TestB::test_c"]


def test_a_module_that_cannot_be_imported_is_an_error(project, validate):
    answer = validate(project({"test_a.py": "import nowhere\n", "test_b.py": GREEN}))

    assert answer.statuses() == {"test_a.py": "error"}
    assert answer.report["checks"][0]["line"] == 1
    assert answer.code == 1


def test_a_passing_test_whose_teardown_breaks_is_an_error(project, validate):
    text = """
        import pytest

        @pytest.fixture
        def late():
            yield
            raise RuntimeError

        def test_a(late):
            pass
    """
    answer = validate(project({"test_a.py": text}))

    assert answer.counts() == (0, 0, 1, 0)


def test_no_tests_is_no_pass(project, validate):
    answer = validate(project({"module.py": "x = 1\n"}))

    assert answer.category("tests")["verdict"] == "no tests"
    assert answer.category("tests")["rate"] is None
    assert answer.report["verdict"] == "incomplete"
    assert answer.code == 3


def test_only_skipped_tests_is_no_pass(project, validate):
    text = "import pytest\n\n@pytest.mark.skip\ndef test_a():\n    pass\n"
    answer = validate(project({"test_a.py": text}))

    assert answer.counts() == (0, 0, 0, 1)
    assert answer.category("tests")["verdict"] == "all skipped"
    assert answer.code == 3


def test_a_hanging_test_is_stopped_and_named(project, validate):
    text = """
        import subprocess, time

        def test_before():
            pass

        def test_hangs():
            subprocess.Popen(["sleep", "86399"], start_new_session=True)
            while True:
                try:
                    time.sleep(100)
                except KeyboardInterrupt:
                    pass

        def test_after():
            pass
    """
    plan = "[tool.sidecar.validation]\nstall = 2\n"
    answer = validate(project({"test_a.py": text, "pyproject.toml": plan}))

    assert answer.statuses() == {
        "test_a.py::test_before": "passed",
        "test_a.py::test_hangs": "error",
    }
    assert answer.category("tests")["unreached"] == 1
    assert "longer than 2 s" in answer.output
    assert answer.code == 1
    if sys.platform == "linux":
        assert alive("sleep 86399") == []


def test_an_interrupted_hang_keeps_what_was_measured(project, validate):
    text = "import time\ndef test_a():\n    pass\ndef test_b():\n    time.sleep(1000)\n"
    plan = "[tool.sidecar.validation]\nlimit = 4\n"
    answer = validate(project({"test_a.py": text, "pyproject.toml": plan}), "--category=coverage")

    assert answer.statuses() == {"test_a.py::test_a": "passed", "test_a.py::test_b": "error"}
    assert answer.report["coverage"]["total"]["numerator"] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("crash", "told"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "signal 11"),
        ("os._exit(0)", "status 0 before pytest had finished"),
        ("os._exit(7)", "status 7 before pytest had finished"),
        ("os.abort()", "signal 6"),
        ("(os.kill(os.getppid(), signal.SIGKILL), time.sleep(100))", "killed from outside"),
        ("(os.killpg(0, signal.SIGKILL), time.sleep(100))", ""),
    ],
)
def test_a_crash_is_an_error_of_the_test_that_ran(project, validate, crash: str, told: str):
    text = f"""
        import os, signal, time

        def test_before():
            pass

        def test_crashes():
            {crash}

        def test_after():
            pass
    """
    answer = validate(project({"test_a.py": text}))

    assert answer.statuses() == {
        "test_a.py::test_before": "passed",
        "test_a.py::test_crashes": "error",
    }
    assert told in answer.output
    assert answer.category("tests")["unreached"] == 1
    assert answer.code == 1


def test_an_exit_status_that_no_test_explains_is_an_error(project, validate):
    text = "def pytest_sessionfinish(session):\n    session.exitstatus = 1\n"
    answer = validate(project({"test_a.py": GREEN, "conftest.py": text}))

    assert answer.counts() == (2, 0, 1, 0)
    assert answer.code == 1


def test_arguments_that_pytest_refuses_are_an_error(project, validate):
    plan = "[tool.pytest.ini_options]\naddopts = '--no-such-option'\n"
    answer = validate(project({"test_a.py": GREEN, "pyproject.toml": plan}))

    assert answer.counts() == (0, 0, 1, 0)
    assert "no-such-option" in answer.output


def test_names_beyond_ascii_and_blanks_survive(project, validate):
    text = "def test_größe():\n    assert 'ä' == 'ö'\n"
    root = project({"prüfung/test_äöü.py": text}, folder="pröjekt mit leer")
    answer = validate(root)

    assert answer.report["checks"][0]["file"] == "prüfung/test_äöü.py"
    assert answer.counts() == (0, 1, 0, 0)
    assert "test_größe" in answer.output


def test_packages_named_like_ours_are_theirs_in_their_tests(project, validate):
    tests = """
        import sys

        import sidecar
        import validation
        from validation import plan

        def test_own():
            assert (validation.OWN, sidecar.OWN, plan.OWN) == (1, 2, 3)
            assert not any("pytest_entry" in name for name in sys.modules if name != "__main__")
    """
    files = {
        "validation/__init__.py": "OWN = 1\n",
        "validation/plan.py": "OWN = 3\n",
        "sidecar/__init__.py": "OWN = 2\n",
        "pytest_entry.py": "raise RuntimeError\n",
        "conftest.py": "",
        "tests/test_a.py": tests,
    }
    answer = validate(project(files), category="")

    assert answer.counts() == (1, 0, 0, 0)
    assert answer.counts("syntax") == (6, 0, 0, 0)
    assert answer.code == 0


def test_huge_output_is_survived(project, validate):
    text = (
        "def test_a():\n    print('x' * 30_000_000)\n    assert False\n\ndef test_b():\n    pass\n"
    )
    answer = validate(project({"test_a.py": text}))

    assert answer.counts() == (1, 1, 0, 0)
    assert len(answer.output) < 60_000


def test_fail_fast_stops_after_the_first_failure(project, validate):
    text = "def test_a():\n    assert 0\n\ndef test_b():\n    assert 0\n"
    answer = validate(project({"test_a.py": text}), "--fail-fast")

    assert answer.counts() == (0, 1, 0, 0)


def test_tests_are_counted_in_the_category_of_their_path_or_marker(project, validate):
    plan = """
        [tool.pytest.ini_options]
        markers = ["slow"]
        [[tool.sidecar.validation.category]]
        name = "slow ones"
        markers = ["slow"]
        [[tool.sidecar.validation.category]]
        name = "api"
        paths = ["tests/api"]
        [[tool.sidecar.validation.category]]
        name = "nothing"
        paths = ["elsewhere"]
    """
    api = "import pytest\ndef test_a():\n    pass\n@pytest.mark.slow\ndef test_b():\n    pass\n"
    files = {"pyproject.toml": plan, "tests/api/test_api.py": api, "tests/test_c.py": GREEN}
    answer = validate(project(files), category="")

    assert answer.counts("api") == (1, 0, 0, 0)
    assert answer.counts("slow ones") == (1, 0, 0, 0)
    assert answer.counts("tests") == (2, 0, 0, 0)
    assert answer.category("nothing")["verdict"] == "no tests"


def test_coverage_has_numerator_and_denominator_for_each_file(project, validate):
    module = "def f(x):\n    if x:\n        return 1\n    return 2\n"
    tests = "from module import f\n\ndef test_f():\n    assert f(1) == 1\n"
    root = project({"module.py": module, "test_m.py": tests, "conftest.py": ""})
    answer = validate(root, "--category=coverage")

    assert answer.report["coverage"]["branches"] is True
    assert answer.report["coverage"]["files"]["module.py"] == {
        "numerator": 4,  # three statements and one of two branches
        "denominator": 6,
        "rate": 4 / 6,
    }
    assert not (root / ".coverage").exists()


def test_a_coverage_below_the_threshold_fails(project, validate):
    files = {
        "module.py": "def f(x):\n    if x:\n        return 1\n    return 2\n",
        "test_m.py": "import module\n\ndef test_f():\n    pass\n",
        "conftest.py": "",
        "pyproject.toml": "[tool.sidecar.validation]\nthresholds = {coverage = 99}\n",
    }
    answer = validate(project(files), "--category=coverage")

    assert answer.counts() == (1, 0, 0, 0)
    assert (answer.code, answer.report["verdict"]) == (1, "failed")


def test_a_project_that_measures_itself_is_measured_once(project, validate):
    pytest.importorskip("pytest_cov")
    files = {
        "module.py": "X = 1\n",
        "test_m.py": "import module\n\ndef test_f(benchmark):\n    benchmark(lambda: module.X)\n",
        "conftest.py": "",
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--cov=module --cov-branch'\n",
    }
    answer = validate(project(files), "--category=coverage", plugins=True)

    assert answer.counts() == (1, 0, 0, 0)
    assert answer.report["coverage"]["files"]["module.py"]["rate"] == 1


def test_warnings_are_shown_and_never_counted(project, validate):
    text = "import warnings\n\ndef test_a():\n    warnings.warn('careful')\n"
    answer = validate(project({"test_a.py": text}))

    assert answer.counts() == (1, 0, 0, 0)
    assert "careful" in answer.report["warnings"]


def test_the_projects_folder_is_left_as_it_was(project, validate):
    root = project({"test_a.py": GREEN})
    validate(root, "--category=coverage", plugins=True)

    left = {path.name for path in root.iterdir()}
    assert left <= {"test_a.py", "__pycache__"}


def test_processes_that_tests_start_count_where_the_project_measures_them(project, validate):
    """One ends by itself, one by ``os._exit``; each executes a function of its own."""
    settings = """
        [tool.coverage.run]
        branch = true
        source = ["child"]
        patch = ["subprocess", "_exit"]
    """
    child = """
        import os, sys

        def returns():
            return 0

        def leaves():
            os._exit(0)

        def never():
            return 1

        if __name__ == "__main__":
            globals()[sys.argv[1]]()
    """
    tests = """
        import subprocess, sys

        import pytest

        @pytest.mark.parametrize("name", ["returns", "leaves"])
        def test_child(name):
            assert subprocess.run([sys.executable, "child.py", name]).returncode == 0
    """
    root = project({"pyproject.toml": settings, "child.py": child, "test_child.py": tests})
    answer = validate(root, "--category=coverage")

    covered = answer.report["coverage"]["files"]["child.py"]
    # Eight of nine statements and one of two branches.
    assert (covered["numerator"], covered["denominator"]) == (8 + 1, 9 + 2)
    assert sorted(path.name for path in root.iterdir() if path.is_file()) == [
        "child.py", "pyproject.toml", "test_child.py"
    ]  # fmt: skip
