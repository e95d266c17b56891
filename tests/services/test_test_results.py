"""Results of tests over several runs, and where a failure stands in a text that was edited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sidecar.domain.source import Source
from sidecar.services import test_failures, test_lenses, test_results, validation_runs
from sidecar.services.context import Context
from sidecar.services.test_failures import Failure, Lines, failures, place
from sidecar.services.test_results import TestResults
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace


@pytest.fixture
def empty(tmp_path: Path) -> Context:
    return Context(Workspace.open(tmp_path), Settings())


class Runs:
    """Reports as the harness writes them, one after the other."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.count = 0

    def add(self, statuses: dict[str, str], *, verdict: str = "failed", **asked: Any) -> None:
        self.count += 1
        run = validation_runs.Run(self.context.workspace.state, f"20260101T000000-{self.count:08}")
        run.save("request.json", {"type": "tests", "child": True, "started": self.count, **asked})
        run.save("report.json", report(statuses, verdict=verdict))

    def statuses(self) -> dict[str, str]:
        return {each.id: each.status for each in test_results.latest(self.context).results}


def report(statuses: dict[str, str], *, verdict: str = "failed") -> dict[str, Any]:
    checks = [
        {"id": name, "category": "tests", "status": status, "file": name.partition("::")[0],
         "line": 2, "seconds": 0.25, "message": "E   no", "quote": "a\nb"}
        for name, status in statuses.items()
    ]  # fmt: skip
    return {"checks": checks, "categories": [{"name": "tests", "verdict": verdict}]}


def test_a_run_of_everything_leaves_nothing_of_older_ones(empty: Context):
    runs = Runs(empty)
    runs.add({"a.py::x": "failed", "b.py::y": "failed"})
    runs.add({"a.py::x": "passed"}, verdict="passed")

    assert runs.statuses() == {"a.py::x": "passed"}


def test_a_run_of_other_categories_leaves_failures_of_tests(empty: Context):
    runs = Runs(empty)
    runs.add({"a.py::x": "failed"}, type="validate", categories=[])
    run = validation_runs.Run(empty.workspace.state, "20260102T000000-00000001")
    lint = {"id": "ruff", "category": "lint", "status": "passed", "file": "", "line": None}
    asked = {"type": "validate", "categories": ["lint"], "started": 50}
    run.save("request.json", asked)
    run.save(
        "report.json",
        {"checks": [lint], "categories": [{"name": "lint", "verdict": "passed"}]},
    )

    assert runs.statuses() == {"ruff": "passed", "a.py::x": "failed"}


def test_a_run_of_one_file_or_folder_speaks_for_that_alone(empty: Context):
    runs = Runs(empty)
    runs.add({"a.py::x": "failed", "a.py::gone": "failed", "in/b.py::y": "failed", "c.py": "error"})
    runs.add({"a.py::x": "passed"}, verdict="passed", target="a.py")
    assert runs.statuses() == {"a.py::x": "passed", "in/b.py::y": "failed", "c.py": "error"}

    runs.add({}, verdict="no tests", target="in")
    assert runs.statuses() == {"a.py::x": "passed", "c.py": "error"}


@pytest.mark.parametrize("narrow", [{"keyword": "x"}, {"fail_fast": True}])
def test_a_run_of_some_tests_speaks_for_these_alone(empty: Context, narrow: dict[str, Any]):
    runs = Runs(empty)
    runs.add({"a.py::x": "failed", "a.py::z": "failed"})
    runs.add({"a.py::x": "passed"}, **narrow)

    assert runs.statuses() == {"a.py::x": "passed", "a.py::z": "failed"}


def test_a_module_that_can_be_collected_again_is_no_error_any_more(empty: Context):
    runs = Runs(empty)
    runs.add({"a.py": "error"})
    runs.add({"a.py::x": "passed"}, keyword="x")

    assert runs.statuses() == {"a.py::x": "passed"}


def test_a_run_that_died_speaks_for_the_tests_that_it_reached(empty: Context):
    runs = Runs(empty)
    runs.add({"a.py::x": "failed", "b.py::y": "failed"})
    runs.add({"a.py::x": "error"}, verdict="incomplete")

    assert runs.statuses() == {"a.py::x": "error", "b.py::y": "failed"}


def test_what_is_no_report_is_passed_over(empty: Context):
    runs = Runs(empty)
    runs.add({"a.py::x": "failed"})
    hostile = [
        None, [], "x", {"checks": "x"}, {"checks": [None, 1, {}, {"id": 1, "status": "failed"}]},
        {"checks": [{"id": "i", "status": ["failed"]}], "categories": [1, {"verdict": []}]},
        {"coverage": {"files": 1}}, {"coverage": {"files": {"a.py": {"numerator": "1"}}}},
        {"coverage": {"files": {"a.py": {"numerator": 10**400, "denominator": 1}}}},
        {"cancelled": True, **report({"a.py::x": "passed"})},
    ]  # fmt: skip
    for number, each in enumerate(hostile):
        run = validation_runs.Run(empty.workspace.state, f"20260102T000000-0000000{number}")
        run.save("request.json", {"started": 100 + number})
        run.save("report.json", each)
    run.state.write(run.name("report.json"), b"[" * 100_000)

    assert runs.statuses() == {"a.py::x": "failed"}


def test_a_path_outside_of_the_workspace_is_no_place(empty: Context):
    runs = Runs(empty)
    runs.add({"../a.py::x": "failed", "/etc/passwd::y": "failed", "ok.py::z": "failed"})

    assert [each.file for each in test_failures.latest(empty)] == ["ok.py"]


def test_tests_that_fail_alike_at_one_line_are_one_failure(empty: Context):
    runs = Runs(empty)
    runs.add({f"a.py::x[{n}]": "failed" for n in range(500)})
    [failure] = test_failures.latest(empty)

    assert failure.message == "x[0] and 499 more failed:\nno"
    assert len(failure.tests) == 500


def failure(line: int, quote: str) -> Failure:
    return Failure("a.py", line, quote, "test-failed", "no", ("a.py::x",), "run", 0.0)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def x():\n    fail()\n", 1),
        ("# new\n\ndef x():\n    fail()\n", 3),
        ("def x():\r\n    fail()\r\n", 1),
        ("def y():\n    fail()\n# new\ndef x():\n    fail()\n", 1),
        ("def y():\n\n    fail()\n# new\ndef x():\n    fail()\n", 5),
        ("def x():\n    fail(1)\n", None),
        ("def y():\n\n    fail()\n\n    fail()\n", None),
        ("", None),
    ],
)
def test_a_failure_keeps_to_its_line(text: str, found: int | None):
    source = Source(text)
    span = place(failure(2, "def x():\n    fail()"), Lines(source), unchanged=False)

    assert (span and source.position(span.start).line) == found
    assert span is None or source.slice(span) == "fail()"


def test_without_a_quote_only_the_text_that_was_run_has_a_place():
    source = Source("one\ntwo\n")

    assert place(failure(2, ""), Lines(source), unchanged=False) is None
    assert source.slice(place(failure(2, ""), Lines(source), unchanged=True)) == "two"
    assert place(failure(9, ""), Lines(source), unchanged=True) is None


def test_results_of_methods_and_parameters_stand_above_their_functions(empty: Context):
    runs = Runs(empty)
    runs.add({"a.py::A::t[1]": "failed", "a.py::A::t[x::y]": "passed", "a.py::s": "skipped"})
    known = test_results.latest(empty)
    text = "class A:\n    @deco\n    def t(self): ...\ndef s(): ...\ndef helper(): ...\n"
    found = test_lenses.lenses("a.py", text, known)

    assert [(each.line, each.title, each.keyword) for each in found or []] == [
        (0, "1 failed, 1 passed, 1 skipped of 3, 0.75 s", ""),
        (1, "1 failed, 1 passed of 2, 0.50 s", "A and t"),
        (3, "skipped, 0.25 s", "s"),
    ]


def test_what_is_no_python_has_no_lenses_of_its_own():
    assert test_lenses.lenses("test_a.py", "def (", TestResults()) is None
    assert test_lenses.lenses("plain.py", "def (", TestResults()) == []
    assert failures(TestResults()) == []
