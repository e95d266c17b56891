"""``run_validation``: real checks, real child processes, consent before any code runs."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.context import Context
from sidecar.services.validation import RunValidation, run_validation
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

MARK = "import pathlib\npathlib.Path(__file__).with_name('executed').write_text('x')\n"


@pytest.fixture
def project(tmp_path: Path, clock) -> Context:
    """A small project whose tests leave a trace when anything executes them."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "TODO.md").write_text("# Plan\n\n- [ ] one\n")
    (root / "test_it.py").write_text(
        f"{MARK}def test_good():\n    pass\n\ndef test_bad():\n    assert 1 == 2\n"
    )
    return Context(Workspace.open(root), Settings(timezone="UTC"), lambda: clock)


def trusted(context: Context) -> Context:
    return replace(context, code_allowed=True)


def call(context: Context, **arguments) -> RunValidation:
    return run_validation.call(context, arguments)


def test_a_sound_file_passes_and_the_report_can_be_asked_for_again(context: Context):
    first = call(context, validation_type="file_integrity", target_path="TODO.md")
    again = call(context, run_id=first.run_id)

    assert (first.success, first.verdict, first.status) == (True, "passed", "finished")
    assert [(c.id, c.status) for c in first.checks] == [("TODO.md", "passed")]
    assert again.model_dump(exclude={"timestamp"}) == first.model_dump(exclude={"timestamp"})


def test_a_broken_file_fails_with_its_reason(project: Context):
    (project.workspace.root / "bad.json").write_bytes(b'{"a": ')
    (project.workspace.root / "bad.md").write_bytes(b"\xff\xfe")

    for name in ("bad.json", "bad.md"):
        result = call(project, validation_type="file_integrity", target_path=name)

        assert not result.success
        assert result.checks[0].status == "failed"
        assert result.checks[0].evidence == name
        assert result.checks[0].message


def test_a_file_over_the_limit_fails(project: Context):
    (project.workspace.root / "large.txt").write_bytes(b"x" * 20_000)
    options = {"max_size_mb": 0.01}

    result = call(
        project,
        validation_type="file_integrity",
        target_path="large.txt",
        validation_options=options,
    )

    assert result.checks[0].status == "failed"


def test_files_that_are_not_there_are_skipped_and_never_pass(project: Context):
    result = call(project, validation_type="orchestrator_files")

    counts = {c.name: (c.passed, c.skipped, c.rate) for c in result.categories}
    assert counts == {"orchestrator_files": (1, 3, 1.0)}
    assert {c.status for c in result.checks if c.id != "TODO.md"} == {"skipped"}


def test_broken_schedules_fail_config_at_their_line(project: Context):
    (project.workspace.root / ".roo").mkdir()
    (project.workspace.root / ".roo/schedules.json").write_text('{"schedules": [\n  {"id": }\n]}')

    result = call(project, validation_type="config")

    bad = [c for c in result.checks if c.status == "failed"]
    assert [c.id for c in bad] == [".roo/schedules.json"]
    assert bad[0].evidence == ".roo/schedules.json:2"
    assert not result.success


def test_fail_fast_stops_at_the_first_failure(project: Context):
    (project.workspace.root / "sub").mkdir()
    for name in "abc":
        (project.workspace.root / "sub" / f"{name}.json").write_text("{")

    result = call(project, validation_type="file_integrity", target_path="sub", fail_fast=True)

    assert len(result.checks) == 1


@pytest.mark.parametrize("kind", ["tests", "lint", "coverage", "benchmark"])
def test_nothing_is_executed_without_consent(project: Context, kind: str):
    with pytest.raises(SidecarError) as refused:
        call(project, validation_type=kind)

    assert refused.value.code is ErrorCode.UNTRUSTED
    assert not (project.workspace.root / "executed").exists()
    assert not (project.workspace.root / ".sidecar").exists()


def test_the_comprehensive_run_leaves_out_what_nobody_allowed_and_says_so(project: Context):
    result = call(project, validation_type="comprehensive", wait_seconds=120)

    tests = next(c for c in result.categories if c.name == "tests")
    assert tests.verdict == "not run"
    assert "allow" in tests.reason
    assert result.verdict != "passed"
    assert not (project.workspace.root / "executed").exists()


def test_the_tests_run_and_are_counted(project: Context):
    result = call(trusted(project), validation_type="tests", wait_seconds=120)

    tests = next(c for c in result.categories if c.name == "tests")
    assert (result.status, result.verdict, result.success) == ("finished", "failed", False)
    assert (tests.passed, tests.failed, tests.errors, tests.rate) == (1, 1, 0, 0.5)
    assert result.checks[0].id == "test_it.py::test_bad"
    assert result.checks[0].evidence == "test_it.py:7"
    assert "test_it.py:7" in result.summary()


def test_a_keyword_chooses_tests(project: Context):
    result = call(
        trusted(project),
        validation_type="tests",
        validation_options={"keyword": "good"},
        wait_seconds=120,
    )

    assert (result.verdict, [c.id for c in result.checks]) == ("passed", ["test_it.py::test_good"])


def test_a_long_run_returns_a_handle_is_alone_and_can_be_cancelled(project: Context):
    (project.workspace.root / "test_it.py").write_text(
        "import pathlib, time\ndef test_long():\n"
        "    pathlib.Path(__file__).with_name('begun').touch()\n    time.sleep(300)\n"
    )
    context = trusted(project)

    first = call(context, validation_type="tests", wait_seconds=0)
    with pytest.raises(SidecarError) as busy:
        call(context, validation_type="tests", wait_seconds=0)
    deadline = time.monotonic() + 60
    while not (project.workspace.root / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    last = call(context, run_id=first.run_id, cancel=True)

    assert first.status == "running"
    assert busy.value.code is ErrorCode.BUSY
    assert last.status == "cancelled"
    assert last.verdict == "cancelled"
    assert not last.success


def test_progress_names_the_test_that_runs_and_the_reports_are_named_in_the_end(project: Context):
    """The second test ends when its progress was told."""
    root = project.workspace.root
    (root / "test_it.py").write_text(
        "import pathlib, time\ndef test_one():\n    pass\ndef test_two():\n"
        "    while not pathlib.Path(__file__).with_name('go').exists():\n        time.sleep(0.02)\n"
    )
    told: list[str] = []

    def progress(_done: float, _total: float | None, message: str) -> None:
        told.append(message)
        if message.endswith("1/2 test_it.py::test_two"):
            (root / "go").touch()

    context = replace(trusted(project), progress=progress)
    result = call(context, validation_type="tests", wait_seconds=120)

    assert (result.status, result.verdict) == ("finished", "passed")
    names = {Path(name).name for name in result.artefacts}
    assert names == {
        "report.json",
        "report.md",
        "report.html",
        "junit.xml",
        "report.sarif",
        "checks.json",
    }
    assert all((root / name).is_file() for name in result.artefacts)
    assert (root / ".sidecar/validation/history.ndjson").is_file()


def test_an_unknown_run_is_refused(project: Context):
    for run_id in ("20250501T102345-00000000", "../../x", "latest"):
        with pytest.raises(SidecarError) as refused:
            call(project, run_id=run_id)
        assert refused.value.code is ErrorCode.NOT_FOUND


def test_a_target_outside_is_refused(project: Context):
    with pytest.raises(SidecarError) as refused:
        call(project, validation_type="file_integrity", target_path="../secret")

    assert refused.value.code is ErrorCode.PATH_OUTSIDE


def test_a_bad_plan_is_told_as_a_sentence(project: Context):
    (project.workspace.root / "pyproject.toml").write_text(
        "[tool.sidecar.validation]\ncolour = 'red'\n"
    )

    with pytest.raises(SidecarError) as refused:
        call(trusted(project), validation_type="tests", wait_seconds=60)

    assert refused.value.code is ErrorCode.INVALID
    assert "colour" in refused.value.message


def test_the_harness_is_ours_whatever_the_import_path_says(
    project: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    planted = tmp_path / "path"
    (planted / "validation").mkdir(parents=True)
    (planted / "sidecar").mkdir()
    for name in ("validation", "sidecar"):
        (planted / name / "__init__.py").write_text(MARK)
    monkeypatch.setenv("PYTHONPATH", str(planted))

    result = call(project, validation_type="syntax", wait_seconds=60)

    assert result.verdict == "passed"
    call(project, validation_type="tools", wait_seconds=60)
    assert list(planted.rglob("executed")) == []


def test_the_report_lies_in_the_state_folder(project: Context):
    result = call(project, validation_type="syntax", wait_seconds=60)

    folder = project.workspace.root / ".sidecar/validation" / result.run_id
    report = json.loads((folder / "report.json").read_text())
    assert report["verdict"] == "passed"
    assert result.report == f".sidecar/validation/{result.run_id}/report.md"
    assert (project.workspace.root / result.report).is_file()
