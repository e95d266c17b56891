"""What an editor shows of tests: failures at their lines, lenses, progress, and no run unasked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_lsp
from lsprotocol import types

from sidecar.services import trust, validation_runs
from sidecar.services.context import Context
from sidecar.services.validation import RunValidation, run_validation
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace
from tests.faces.test_lsp import PULLS, SERVER, Editor, codes, cut, has, until

TESTS = """import pytest

class TestIt:
    def test_good(self):
        assert True

    @pytest.mark.parametrize("n", [1, 2])
    def test_bad(self, n):
        assert n == "é", "no 🔧"
"""
SLOW = """import pathlib, time

def test_one():
    assert True

def test_two():
    while not pathlib.Path(__file__).with_name("go").exists():
        time.sleep(0.02)
"""
SHOWS_PROGRESS = types.WindowClientCapabilities(work_done_progress=True)
BAD_LINE = 8
FAILING = 'assert n == "é", "no 🔧"'


class LensEditor(Editor):
    """One that also counts how often it is asked to ask for lenses again."""

    def __init__(self) -> None:
        super().__init__()
        self.lens_refreshes = 0

        @self.feature(types.WORKSPACE_CODE_LENS_REFRESH)
        def refresh(_: None) -> None:
            self.lens_refreshes += 1


@pytest_lsp.fixture(
    config=pytest_lsp.ClientServerConfig(server_command=SERVER, client_factory=LensEditor)
)
async def editor(lsp_client: Editor) -> AsyncIterator[None]:
    """A client with a server of its own; each test begins the session."""
    yield
    await lsp_client.shutdown_session()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A workspace with two modules of tests, in one of which two fail."""
    root = tmp_path / "project é"
    root.mkdir()
    (root / "TODO.md").write_text("- [ ] one\n", encoding="utf-8")
    (root / "test_it.py").write_text(TESTS, encoding="utf-8")
    (root / "test_other.py").write_text("def test_other():\n    raise KeyError(1)\n", "utf-8")
    return root


def validated(root: Path, **arguments: object) -> RunValidation:
    """A run that somebody else started, by a shell or an agent."""
    context = Context(Workspace.open(root), Settings(), code_allowed=True)
    asked = {"validation_type": "tests", "wait_seconds": 120, **arguments}
    result = run_validation.call(context, asked)
    assert result.status == "finished"
    return result


async def test_failures_of_another_ones_run_appear_at_their_lines(
    editor: Editor, project: Path
) -> None:
    await editor.begin(project)
    validated(project)
    found = (await editor.shown("test_it.py", has("test-failed"))).diagnostics
    other = (await editor.shown("test_other.py", has("test-failed"))).diagnostics

    assert [cut(TESTS, each.range) for each in found] == [FAILING, FAILING]
    assert [each.message.split("\n")[0] for each in found] == [
        "TestIt::test_bad[1] failed:",
        "TestIt::test_bad[2] failed:",
    ]
    assert "AssertionError: no 🔧" in found[0].message
    assert {(each.source, each.severity) for each in [*found, *other]} == {
        ("sidecar", types.DiagnosticSeverity.Error)
    }
    assert [each.range.start.line for each in other] == [1]


async def test_a_mended_test_loses_its_failure_after_the_next_run_and_others_keep_theirs(
    editor: Editor, project: Path
) -> None:
    validated(project)
    await editor.begin(project)
    await editor.shown("test_it.py", has("test-failed"))
    (project / "test_it.py").write_text(TESTS.replace('"é"', "n"), encoding="utf-8")
    validated(project, target_path="test_it.py")
    await editor.shown("test_it.py", lambda found: not found)
    last = next(p for p in reversed(editor.published) if p.uri == editor.uri("test_other.py"))

    assert codes(last.diagnostics) == ["test-failed"], "that file was not run again"

    (project / "test_other.py").unlink()
    assert await editor.shown("test_other.py", lambda found: not found)


async def test_a_failure_moves_with_its_line_and_goes_when_that_is_changed(
    editor: Editor, project: Path
) -> None:
    validated(project)
    await editor.begin(project)
    editor.open("test_it.py", TESTS, version=1, language="python")
    await editor.shown("test_it.py", has("test-failed"))
    editor.replace("test_it.py", 2, f"# new\n# new\n{TESTS}")
    moved = await until(lambda: next((p for p in editor.published if p.version == 2), None))
    editor.replace("test_it.py", 3, TESTS.replace('"é"', "n"))
    changed = await until(lambda: next((p for p in editor.published if p.version == 3), None))
    editor.replace("test_it.py", 4, TESTS)
    back = await until(lambda: next((p for p in editor.published if p.version == 4), None))

    assert {each.range.start.line for each in moved.diagnostics} == {BAD_LINE + 2}
    assert not changed.diagnostics
    assert len(back.diagnostics) == 2


async def test_a_client_that_pulls_gets_failures_of_open_files_and_of_all(
    editor: Editor, project: Path
) -> None:
    await editor.begin(project, **PULLS)
    editor.open("test_it.py", TESTS, language="python")
    before = await editor.pull("test_it.py")
    validated(project)
    await until(lambda: editor.diagnostic_refresh_count)
    after = await editor.pull("test_it.py", before.result_id)
    everywhere = await editor.workspace_diagnostic_async(types.WorkspaceDiagnosticParams([]))
    (project / "test_it.py").write_text(TESTS.replace('"é"', "n"), encoding="utf-8")
    count = editor.diagnostic_refresh_count
    validated(project, target_path="test_it.py")
    await until(lambda: editor.diagnostic_refresh_count > count)
    mended = await editor.pull("test_it.py", after.result_id)

    assert not before.items
    assert codes(after.items) == ["test-failed"] * 2
    assert {e.uri: codes(e.items) for e in everywhere.items}[editor.uri("test_other.py")] == [
        "test-failed"
    ]
    assert mended.kind == "full"
    assert not mended.items
    assert editor.published == []


def trust_it(root: Path) -> None:
    """What a person does with ``sidecar trust``."""
    context = Context(Workspace.open(root), Settings())
    trust.grant(context, trust.offer(context))


async def lenses(editor: Editor, name: str) -> list[types.CodeLens]:
    identifier = types.TextDocumentIdentifier(editor.uri(name))
    return list(await editor.text_document_code_lens_async(types.CodeLensParams(identifier)) or [])


def validate(editor: Editor, name: str, *words: str) -> asyncio.Future[Any]:
    params = types.ExecuteCommandParams("sidecar.validate", [editor.uri(name), *words])
    return asyncio.ensure_future(editor.workspace_execute_command_async(params))


async def test_an_untrusted_workspace_is_not_executed_and_the_person_is_told_why(
    editor: Editor, project: Path
) -> None:
    (project / "test_it.py").write_text(
        "import pathlib\npathlib.Path(__file__).with_name('executed').touch()\n", encoding="utf-8"
    )
    await editor.begin(project, window=SHOWS_PROGRESS)
    answer = await validate(editor, "test_it.py")
    [told] = await until(lambda: editor.messages)

    assert answer is None
    assert told.type == types.MessageType.Error
    assert "nobody has trusted this workspace yet" in told.message
    assert "sidecar trust" in told.message
    assert editor.progress_reports == {}
    assert not (project / "executed").exists()
    assert not (project / ".sidecar" / "validation").exists()


async def test_a_run_from_the_editor_tells_begin_report_and_end_and_shows_its_failures(
    editor: Editor, project: Path
) -> None:
    """The second test ends when its progress was told."""
    trust_it(project)
    (project / "test_slow.py").write_text(f"{SLOW}    assert not 1\n", encoding="utf-8")
    await editor.begin(project, window=SHOWS_PROGRESS)
    running = validate(editor, "test_slow.py")
    [(_, told)] = await until(lambda: list(editor.progress_reports.items()))
    await until(lambda: any((each.message or "").endswith("::test_two") for each in told))
    (project / "go").touch()
    answer = await running
    percentages = [each.percentage for each in told[:-1]]

    assert isinstance(told[0], types.WorkDoneProgressBegin)
    assert told[0].title == "Tests of test_slow.py"
    assert told[0].cancellable
    assert isinstance(told[-1], types.WorkDoneProgressEnd)
    assert told[-1].message == "failed, 1/2 passed"
    assert percentages == sorted(percentages)
    assert 50 in percentages
    assert (answer["status"], answer["verdict"]) == ("finished", "failed")
    shown = await editor.shown("test_slow.py", has("test-failed"))
    assert [each.range.start.line for each in shown.diagnostics] == [8]
    assert editor.messages == []


async def test_a_run_can_be_cancelled_from_its_progress(editor: Editor, project: Path) -> None:
    trust_it(project)
    (project / "test_slow.py").write_text(SLOW, encoding="utf-8")
    await editor.begin(project, window=SHOWS_PROGRESS)
    running = validate(editor, "test_slow.py")
    [(token, told)] = await until(lambda: list(editor.progress_reports.items()))
    await until(lambda: any((each.message or "").endswith("::test_two") for each in told))
    editor.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token))
    answer = await running

    assert answer["status"] == "cancelled"
    assert isinstance(told[-1], types.WorkDoneProgressEnd)
    kept = Context(Workspace.open(project), Settings())
    assert validation_runs.find(kept, answer["run_id"]).status == "cancelled"


async def test_a_client_without_progress_is_asked_for_none_and_a_keyword_runs_one_test(
    editor: Editor, project: Path
) -> None:
    trust_it(project)
    await editor.begin(project)
    answer = await validate(editor, "test_it.py", "TestIt and test_good")

    assert answer["verdict"] == "passed"
    assert editor.progress_reports == {}


async def test_lenses_tell_results_and_coverage_where_the_user_wants_them(
    editor: Editor, project: Path
) -> None:
    (project / "thing.py").write_text("def f(x):\n    if x:\n        return 1\n", encoding="utf-8")
    text = "import thing\n\n\ndef test_f():\n    assert thing.f(1)\n\n\ndef test_new(): ...\n"
    (project / "test_thing.py").write_text(text.partition("\n\n\ndef test_new")[0], "utf-8")
    validated(project, validation_type="coverage", wait_seconds=300)
    (project / "sidecar.toml").write_text("test_lenses = true\n", encoding="utf-8")
    await editor.begin(project)
    editor.open("test_thing.py", text, language="python")
    editor.open("thing.py", (project / "thing.py").read_text("utf-8"), language="python")
    tests = await lenses(editor, "test_thing.py")
    [covered] = await lenses(editor, "thing.py")
    editor.replace("test_thing.py", 2, f"{text}def half(\n")
    half = await lenses(editor, "test_thing.py")
    titles = [
        (each.range.start.line, re.sub(r"\d+\.\d+ s", "N s", each.command.title)) for each in tests
    ]

    assert covered.command.title == "covered: 4/5 statements and branches (80 %)"
    assert covered.command.command == ""
    assert titles == [
        (0, "passed, N s | run"),
        (0, "covered: 3/3 statements and branches (100 %)"),
        (3, "passed, N s | run"),
        (7, "not run | run"),
    ]
    assert tests[2].command.command == "sidecar.validate"
    assert tests[2].command.arguments == (editor.uri("test_thing.py"), "test_f")
    assert half == tests, "a line is being typed"


async def test_without_the_setting_there_are_no_lenses(editor: Editor, project: Path) -> None:
    validated(project)
    result = await editor.begin(project)
    editor.open("test_it.py", TESTS, language="python")

    assert await lenses(editor, "test_it.py") == []
    assert "sidecar.validate" in result.capabilities.execute_command_provider.commands


async def test_lenses_are_asked_for_again_when_a_run_has_ended(
    editor: LensEditor, project: Path
) -> None:
    (project / "sidecar.toml").write_text("test_lenses = true\n", encoding="utf-8")
    support = types.CodeLensWorkspaceClientCapabilities(refresh_support=True)
    await editor.begin(project, workspace=types.WorkspaceClientCapabilities(code_lens=support))
    editor.open("test_it.py", TESTS, language="python")
    before = await lenses(editor, "test_it.py")
    asked = editor.lens_refreshes
    validated(project)
    await until(lambda: editor.lens_refreshes > asked)
    after = await lenses(editor, "test_it.py")

    assert [each.command.title for each in before] == ["not run | run"] * 3
    assert [each.range.start.line for each in after] == [0, 3, 6]
    assert after[2].command.title.startswith("2 failed of 2, ")
    assert after[0].command.title.startswith("2 failed, 1 passed of 3, ")
