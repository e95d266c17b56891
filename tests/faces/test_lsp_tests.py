"""What an editor shows of tests: failures at their lines, lenses, progress, and no run unasked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_lsp
from lsprotocol import types

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
BAD_LINE = 8
FAILING = 'assert n == "é", "no 🔧"'


@pytest_lsp.fixture(
    config=pytest_lsp.ClientServerConfig(server_command=SERVER, client_factory=Editor)
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
