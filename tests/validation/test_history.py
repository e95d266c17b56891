"""What is kept of runs, whatever writes at the same time; which tests are called flaky."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from validation import flakiness, history
from validation.history import History, Record, digest

ONE = Record(
    id="r",
    started="2026-01-02T03:04:05Z",
    seconds=1.5,
    verdict="passed",
    code="c",
    counts=(2, 1, 0, 1),
    categories={"tests": (2, 1, 0, 1)},
    coverage=(3, 4),
    benchmarks={"b": 0.001},
    slowest={"t::a": 0.5},
    bad=("t::größe",),
    retried=("t::b",),
    passed=frozenset({digest("t::a"), digest("t::b")}),
)


def test_a_record_comes_back_as_it_was_kept(tmp_path: Path):
    kept = History(tmp_path / "state" / "history.ndjson")
    kept.append(ONE)
    kept.append(replace(ONE, id="s", coverage=None))

    assert kept.read() == [ONE, replace(ONE, id="s", coverage=None)]


def test_foreign_torn_and_future_lines_are_passed_over(tmp_path: Path):
    path = tmp_path / "history.ndjson"
    kept = History(path)
    kept.append(ONE)
    future = json.loads(path.read_text()) | {"schema": history.SCHEMA + 1}
    lines = ["[]", "null", json.dumps(future), '{"schema": 1}', "[" * 9999, '{"schema":1,"id"']
    path.write_bytes(path.read_bytes() + b"\xff\xfe\n" + "\n".join(lines).encode())
    kept.append(replace(ONE, id="after"))

    assert [record.id for record in kept.read()] == ["r", "after"]


def test_what_ten_processes_append_at_once_is_all_kept(tmp_path: Path):
    path = tmp_path / "history.ndjson"
    script = (
        "import sys; from pathlib import Path; from validation.history import History, Record\n"
        "for n in range(10):\n"
        "    History(Path(sys.argv[1])).append(Record(id=f'{sys.argv[2]}.{n}', started='', "
        "seconds=0, verdict='', code='', counts=(0, 0, 0, 0), bad=('x' * 20000,)))\n"
    )
    command = [sys.executable, "-P", "-c", script, str(path)]
    children = [subprocess.Popen([*command, str(number)]) for number in range(10)]

    assert [child.wait(timeout=60) for child in children] == [0] * 10
    assert {r.id for r in History(path).read()} == {
        f"{p}.{n}" for p in range(10) for n in range(10)
    }
    assert len(path.read_bytes().splitlines()) == 100


def test_the_oldest_records_go_when_there_are_too_many(tmp_path: Path):
    kept = History(tmp_path / "history.ndjson")
    for number in range(history.RUNS + 5):
        kept.append(replace(ONE, id=str(number)))

    found = [int(record.id) for record in kept.read()]
    assert found[-1] == history.RUNS + 4
    assert found == list(range(found[0], found[-1] + 1))
    assert history.RUNS // 2 <= len(found) <= history.RUNS


def test_the_oldest_records_go_when_they_are_too_large(tmp_path: Path):
    kept = History(tmp_path / "history.ndjson")
    large = "x" * (history.BYTES // 10)
    for number in range(15):
        kept.append(replace(ONE, id=str(number), bad=(large,)))

    assert kept.path.stat().st_size <= history.BYTES
    assert kept.read()[-1].id == "14"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
@pytest.mark.parametrize("plant", [os.symlink, os.link])
def test_a_planted_link_is_neither_read_nor_written_through(tmp_path: Path, plant):
    target = tmp_path / "precious"
    target.write_text("precious\n")
    plant(target, tmp_path / "history.ndjson")
    kept = History(tmp_path / "history.ndjson")

    assert kept.read() == []
    with pytest.raises(OSError, match=r".*"):
        kept.append(ONE)
    assert target.read_text() == "precious\n"


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes")
def test_a_planted_pipe_holds_nobody_up(tmp_path: Path):
    os.mkfifo(tmp_path / "history.ndjson")

    assert History(tmp_path / "history.ndjson").read() == []


def runs(*outcomes: str) -> list[Record]:
    """One record each of "CODE+" (test t passed), "CODE-" (went wrong), "CODE~" (on a retry)."""
    return [
        replace(
            ONE,
            code=outcome[:-1],
            started=f"2026-01-{day:02}T00:00:00Z",
            bad=("t",) if outcome[-1] == "-" else (),
            retried=("t",) if outcome[-1] == "~" else (),
            passed=frozenset({digest("t")}) if outcome[-1] in "+~" else frozenset(),
        )
        for day, outcome in enumerate(outcomes, 1)
    ]


@pytest.mark.parametrize(
    ("outcomes", "flaky"),
    [
        (["a+", "a+"], None),
        (["a-", "a-"], None),
        (["a+", "b-"], None),  # the change broke it
        (["a-", "b+", "b+"], None),  # the change mended it
        (["a+", "a-"], (1, 1, 0)),
        (["a+", "b-", "a-"], (1, 1, 0)),
        (["a+", "a-", "b+", "b+"], (1, 1, 0)),
        (["a+", "a-", "b-", "b+", "b+"], (3, 2, 0)),
        (["a?", "a-"], None),  # not run is no verdict
        (["a~"], (0, 0, 1)),
        (["a-", "a~"], (1, 1, 1)),
        (["a+", "a-", *["b+"] * flakiness.WINDOW], None),  # long ago
    ],
)
def test_a_test_is_flaky_when_runs_of_unchanged_code_disagree(outcomes: list[str], flaky):
    found = [(f.passed, f.bad, f.retried) for f in flakiness.find(runs(*outcomes))]

    assert found == ([flaky] if flaky else [])


FLAKY = """
    import pathlib

    def test_every_other_time():
        mark = pathlib.Path(__file__).parent.joinpath(".cache", "mark")
        mark.parent.mkdir(exist_ok=True)
        if mark.exists():
            mark.unlink()
            raise AssertionError
        mark.touch()

    def test_steady():
        pass
"""
NAME = "test_a.py::test_every_other_time"


def test_a_flaky_test_is_named_by_the_second_run_and_forgiven_by_none(project, validate, tmp_path):
    root = project({"test_a.py": FLAKY})
    state = f"--state={tmp_path / 'state'}"
    first, second = validate(root, state), validate(root, state)

    assert (first.code, second.code) == (0, 1)
    assert first.report["flaky"] == []
    assert [(f["id"], f["passed"], f["bad"]) for f in second.report["flaky"]] == [(NAME, 1, 1)]
    assert [point["rate"] for point in second.report["trend"]] == [1.0, 0.5]
    assert "## Flaky" in second.output


def test_a_test_that_changes_with_the_code_is_not_flaky(project, validate, tmp_path: Path):
    root = project({"test_a.py": "import m\ndef test_a():\n    assert m.X\n", "m.py": "X = 1\n"})
    (root / "conftest.py").touch()
    state = f"--state={tmp_path / 'state'}"
    first = validate(root, state)
    (root / "m.py").write_text("X = 0\n")
    second = validate(root, state)

    assert (first.code, second.code) == (0, 1)
    assert second.report["flaky"] == []


RETRIES = """
    from _pytest.runner import runtestprotocol

    def pytest_runtest_protocol(item, nextitem):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for last in (False, True):
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            again = not last and any(report.failed for report in reports)
            for report in reports:
                report.outcome = "rerun" if again and report.failed else report.outcome
                item.ihook.pytest_runtest_logreport(report=report)
            if not again:
                break
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def pytest_report_teststatus(report):
        return ("rerun", "R", "RERUN") if report.outcome == "rerun" else None
"""


def test_a_test_that_passes_on_a_retry_is_passed_and_flaky(project, validate, tmp_path: Path):
    """The reports are those of pytest-rerunfailures."""
    text = """
        tries = []

        def test_second_time():
            tries.append(1)
            assert len(tries) == 2
    """
    root = project({"test_a.py": text, "conftest.py": RETRIES})
    answer = validate(root, f"--state={tmp_path / 'state'}")

    assert answer.counts() == (1, 0, 0, 0)
    flaky = [(f["id"], f["bad"], f["retried"]) for f in answer.report["flaky"]]
    assert flaky == [("test_a.py::test_second_time", 0, 1)]
    assert answer.code == 0


def test_a_history_that_cannot_be_written_is_said_and_changes_no_verdict(
    project, validate, tmp_path: Path
):
    (tmp_path / "state").write_text("in the way")
    answer = validate(
        project({"test_a.py": "def test_a():\n    pass\n"}), f"--state={tmp_path / 'state'}"
    )

    assert answer.code == 0
    assert "not kept in the history" in answer.report["warnings"][0]
