"""What an editor gets from ``sidecar lsp``: findings while typing, fixes, pages of rules."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_lsp
from lsprotocol import types
from pytest_lsp.client import DEFAULT_CLIENT_FEATURES, LanguageClient, register_lsp_features

from sidecar.services.context import Context
from sidecar.services.diagnosis import diagnose_workspace
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

SECONDS = 30
SERVER = [sys.executable, "-m", "sidecar", "lsp"]

# An emoji before the range, so that the columns of the three encodings differ.
MODE = (
    'customModes:\n  - {slug: a, name: "🔧 é", roleDefinition: "Works.", groups: [read, comand]}\n'
)
GOOD_MODE = MODE.replace("comand", "command")
SCHEDULE = """{"schedules": [{
  "id": "1", "name": "Loop", "mode": "%s", "taskInstructions": "Work.", "scheduleType": "time",
  "timeInterval": "10", "timeUnit": "minute", "selectedDays": {"mon": true},
  "startDate": "2025-04-28", "startHour": "09", "startMinute": "00", "active": true,
  "taskInteraction": "wait", "createdAt": "2025-04-28T06:00:00.000Z",
  "updatedAt": "2025-04-28T06:00:00.000Z"}]}
"""


class Editor(LanguageClient):
    """A client that remembers what it was sent, and types."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[types.PublishDiagnosticsParams] = []
        self.registered: list[types.Registration] = []
        features = {
            **DEFAULT_CLIENT_FEATURES,
            types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS: publish,
            types.CLIENT_REGISTER_CAPABILITY: register,
        }
        register_lsp_features(self, features)

    async def begin(self, root: Path, **capabilities: Any) -> types.InitializeResult:
        self.root = root
        return await self.initialize_session(
            types.InitializeParams(
                types.ClientCapabilities(**capabilities),
                root_uri=root.as_uri(),
                workspace_folders=[types.WorkspaceFolder(root.as_uri(), root.name)],
            )
        )

    def uri(self, name: str) -> str:
        return (self.root / name).as_uri()

    def open(self, name: str, text: str, version: int = 1, language: str = "plaintext") -> str:
        item = types.TextDocumentItem(self.uri(name), language, version, text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return item.uri

    def type(self, name: str, version: int, *changes: types.TextDocumentContentChangeEvent) -> None:
        identifier = types.VersionedTextDocumentIdentifier(version, self.uri(name))
        self.text_document_did_change(types.DidChangeTextDocumentParams(identifier, changes))

    def replace(self, name: str, version: int, text: str) -> None:
        self.type(name, version, types.TextDocumentContentChangeWholeDocument(text))

    def close(self, name: str) -> None:
        identifier = types.TextDocumentIdentifier(self.uri(name))
        self.text_document_did_close(types.DidCloseTextDocumentParams(identifier))

    async def shown(
        self, name: str, wanted: Callable[[list[str | int | None]], bool]
    ) -> types.PublishDiagnosticsParams:
        """The first publication of a file from now on, or the last so far, with codes as wanted."""
        uri = self.uri(name)

        def find() -> types.PublishDiagnosticsParams | None:
            last = next((p for p in reversed(self.published) if p.uri == uri), None)
            return last if last and wanted(codes(last.diagnostics)) else None

        return await until(find)

    async def pull(self, name: str, previous: str | None = None) -> Any:
        identifier = types.TextDocumentIdentifier(self.uri(name))
        params = types.DocumentDiagnosticParams(identifier, previous_result_id=previous)
        return await self.text_document_diagnostic_async(params)

    async def actions(
        self, name: str, area: types.Range, *only: types.CodeActionKind
    ) -> list[types.CodeAction]:
        identifier = types.TextDocumentIdentifier(self.uri(name))
        context = types.CodeActionContext([], only=list(only) or None)
        params = types.CodeActionParams(identifier, area, context)
        found = await self.text_document_code_action_async(params)
        return [each for each in found or [] if isinstance(each, types.CodeAction)]


def publish(client: Editor, params: types.PublishDiagnosticsParams) -> None:
    client.published.append(params)


def register(client: Editor, params: types.RegistrationParams) -> None:
    client.registered += params.registrations


def codes(diagnostics: Any) -> list[str | int | None]:
    return [diagnostic.code for diagnostic in diagnostics]


async def until(find: Callable[[], Any]) -> Any:
    """The first true answer; fails when none comes in time."""
    async with asyncio.timeout(SECONDS):
        while not (found := find()):  # noqa: ASYNC110 - what it finds, a library collects
            await asyncio.sleep(0.02)
    return found


def has(code: str) -> Callable[[list[str | int | None]], bool]:
    return lambda found: code in found


def lacks(code: str) -> Callable[[list[str | int | None]], bool]:
    return lambda found: code not in found


def diagnostic(of: Any, code: str) -> types.Diagnostic:
    return next(each for each in of if each.code == code)


CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


def applied(text: str, edits: Any, encoding: str = "utf-16") -> str:
    """A text after a client's edits, by bytes: not the server's own way."""
    codec, width = CODECS[encoding]

    def at(position: types.Position) -> int:
        line = text.split("\n")[position.line].encode(codec)
        before = text.split("\n")[: position.line]
        column = len(line[: position.character * width].decode(codec))
        return sum(len(each) + 1 for each in before) + column

    for edit in sorted(edits, key=lambda each: at(each.range.start), reverse=True):
        text = text[: at(edit.range.start)] + edit.new_text + text[at(edit.range.end) :]
    return text


def cut(text: str, area: types.Range, encoding: str = "utf-16") -> str:
    codec, width = CODECS[encoding]
    assert area.start.line == area.end.line
    line = text.split("\n")[area.start.line].encode(codec)
    return line[area.start.character * width : area.end.character * width].decode(codec)


EDITS = types.WorkspaceClientCapabilities(
    workspace_edit=types.WorkspaceEditClientCapabilities(document_changes=True)
)
PULLS = {
    "text_document": types.TextDocumentClientCapabilities(
        diagnostic=types.DiagnosticClientCapabilities()
    ),
    "workspace": types.WorkspaceClientCapabilities(
        diagnostics=types.DiagnosticWorkspaceClientCapabilities(refresh_support=True)
    ),
}


@pytest_lsp.fixture(
    config=pytest_lsp.ClientServerConfig(server_command=SERVER, client_factory=Editor)
)
async def editor(lsp_client: Editor) -> AsyncIterator[None]:
    """A client with a server of its own; each test begins the session."""
    yield
    await lsp_client.shutdown_session()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace with one mode and a schedule that runs it."""
    root = tmp_path / "a workspace é"
    (root / ".roo").mkdir(parents=True)
    (root / ".roomodes").write_text(GOOD_MODE, encoding="utf-8")
    (root / ".roo" / "schedules.json").write_text(SCHEDULE % "a", encoding="utf-8")
    return root


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_ranges_count_in_the_units_that_the_client_asked_for(
    editor: Editor, folder: Path, encoding: types.PositionEncodingKind
) -> None:
    general = types.GeneralClientCapabilities(position_encodings=[encoding])
    result = await editor.begin(folder, general=general, workspace=EDITS)
    editor.open(".roomodes", MODE)
    found = diagnostic((await editor.shown(".roomodes", has("RM006"))).diagnostics, "RM006")
    [action] = [
        each
        for each in await editor.actions(".roomodes", found.range)
        if each.kind == types.CodeActionKind.QuickFix and codes(each.diagnostics) == ["RM006"]
    ]

    assert result.capabilities.position_encoding == encoding
    assert cut(MODE, found.range, encoding) == "comand"
    assert applied(MODE, action.edit.document_changes[0].edits, encoding) == GOOD_MODE


async def test_a_client_without_pull_gets_findings_of_all_files_open_or_not(
    editor: Editor, folder: Path
) -> None:
    (folder / "TODO.md").write_text("# Plan\n- [] Document\n", encoding="utf-8")
    result = await editor.begin(folder)
    plan = await editor.shown("TODO.md", has("TD003"))

    assert result.capabilities.diagnostic_provider is None
    assert plan.version is None
    assert plan.diagnostics[0].source == "sidecar"


async def test_an_editor_shows_of_the_real_workspace_what_the_shell_shows(
    editor: Editor, real_workspace: Path
) -> None:
    context = Context(Workspace.open(real_workspace), Settings())
    reports = diagnose_workspace(context.workspace, context.settings, context.clock())
    await editor.begin(real_workspace)

    assert len(reports) == 5
    for report in reports:
        wanted = Counter(finding.code for finding in report.findings)
        await editor.shown(report.path, lambda found, wanted=wanted: Counter(found) == wanted)


async def test_unsaved_text_counts_and_every_publication_names_its_version(
    editor: Editor, folder: Path
) -> None:
    await editor.begin(folder)
    editor.open(".roomodes", GOOD_MODE, version=7)
    assert (await editor.shown(".roomodes", lacks("RM006"))).version == 7
    editor.replace(".roomodes", 9, MODE)
    assert (await editor.shown(".roomodes", has("RM006"))).version == 9
    editor.close(".roomodes")
    after = await editor.shown(".roomodes", lacks("RM006"))

    assert after.version is None, "the disk speaks again"
    assert (folder / ".roomodes").read_text(encoding="utf-8") == GOOD_MODE


async def test_typing_before_strange_line_separators_keeps_the_copy_true(
    editor: Editor, folder: Path
) -> None:
    """U+2028 and its like end no line for a client; incremental edits after one must fit."""
    await editor.begin(folder)
    strange = "# \u2028 \u2029 \x85 \x0b \x0c \x1c 🔧\n" + GOOD_MODE
    editor.open(".roomodes", strange)
    start = strange.split("\n")[2].index("command")
    units = len(strange.split("\n")[2][:start].encode("utf-16-le")) // 2
    area = types.Range(types.Position(2, units), types.Position(2, units + len("command")))
    editor.type(".roomodes", 2, types.TextDocumentContentChangePartial(area, "comand"))
    found = await editor.shown(".roomodes", has("RM006"))

    assert diagnostic(found.diagnostics, "RM006").range.start == area.start


async def test_a_burst_of_edits_ends_in_the_last_ones_result_and_few_publications(
    editor: Editor, folder: Path
) -> None:
    await editor.begin(folder)
    editor.open(".roomodes", GOOD_MODE)
    await editor.shown(".roomodes", lacks("RM006"))
    before = len(editor.published)
    for version in range(2, 102):
        editor.replace(".roomodes", version, MODE if version == 101 else GOOD_MODE + "\n" * version)
    last = await editor.shown(".roomodes", has("RM006"))
    versions = [p.version for p in editor.published[before:] if p.uri == editor.uri(".roomodes")]

    assert last.version == 101
    assert versions == sorted(set(versions))
    assert len(versions) <= 20


async def test_an_edit_of_one_file_refreshes_the_findings_of_another(
    editor: Editor, folder: Path
) -> None:
    await editor.begin(folder)
    editor.open(".roo/schedules.json", SCHEDULE % "a", language="json")
    editor.open(".roomodes", GOOD_MODE)
    await editor.shown(".roo/schedules.json", lacks("SC004"))
    editor.replace(".roomodes", 2, GOOD_MODE.replace("slug: a", "slug: b"))
    schedules = await editor.shown(".roo/schedules.json", has("SC004"))
    editor.replace(".roomodes", 3, GOOD_MODE)

    assert schedules.version == 1
    assert await editor.shown(".roo/schedules.json", lacks("SC004"))


async def test_settings_that_are_not_taken_are_shown_as_they_are_typed_and_saved(
    editor: Editor, folder: Path
) -> None:
    settings = folder / "sidecar.toml"
    settings.write_text('host = "0.0.0.0"\n', encoding="utf-8")
    project = folder / "pyproject.toml"
    project.write_text('[project]\nname = "sidecar"\n[tool.sidecar]\nport = 1\n', encoding="utf-8")
    await editor.begin(folder)

    assert codes((await editor.shown("pyproject.toml", has("ST002"))).diagnostics) == ["ST002"]
    editor.open("sidecar.toml", "\ntimezon = 'UTC'\n", version=3)
    typed = await editor.shown("sidecar.toml", has("ST003"))
    assert (typed.version, codes(typed.diagnostics)) == (3, ["ST003"])
    assert typed.diagnostics[0].range.start == types.Position(1, 0)
    project.write_text('[project]\nname = "sidecar"\n', encoding="utf-8")
    assert not (await editor.shown("pyproject.toml", lacks("ST002"))).diagnostics
    editor.close("sidecar.toml")
    saved = await editor.shown("sidecar.toml", has("ST002"))
    assert saved.version is None


async def test_a_change_on_disk_refreshes_the_findings_of_an_open_file(
    editor: Editor, folder: Path
) -> None:
    await editor.begin(folder)
    editor.open(".roo/schedules.json", SCHEDULE % "a")
    await editor.shown(".roo/schedules.json", lacks("SC004"))
    text = GOOD_MODE.replace("slug: a", "slug: b")
    (folder / ".roomodes").write_text(text, encoding="utf-8")
    assert await editor.shown(".roo/schedules.json", has("SC004"))
    (folder / ".roomodes").write_text(GOOD_MODE, encoding="utf-8")

    assert await editor.shown(".roo/schedules.json", lacks("SC004"))


async def test_a_deleted_file_loses_its_findings(editor: Editor, folder: Path) -> None:
    (folder / "TODO.md").write_text("# Plan\n- [] Document\n", encoding="utf-8")
    await editor.begin(folder)
    await editor.shown("TODO.md", has("TD003"))
    (folder / "TODO.md").unlink()

    assert await editor.shown("TODO.md", lambda found: not found)


async def test_a_client_that_offers_to_watch_is_asked_to_and_heard(
    editor: Editor, folder: Path
) -> None:
    watch = types.DidChangeWatchedFilesClientCapabilities(dynamic_registration=True)
    workspace = types.WorkspaceClientCapabilities(did_change_watched_files=watch)
    await editor.begin(folder, workspace=workspace)
    [registration] = await until(lambda: editor.registered)
    editor.open("TODO.md", "# Plan\n- [] Document\n")
    await editor.shown("TODO.md", has("TD003"))
    (folder / "sidecar.toml").write_text('ignore = ["TD003"]\n', encoding="utf-8")
    event = types.FileEvent(editor.uri("sidecar.toml"), types.FileChangeType.Created)
    editor.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))

    assert registration.method == types.WORKSPACE_DID_CHANGE_WATCHED_FILES
    assert await editor.shown("TODO.md", lacks("TD003"))


async def test_a_client_that_pulls_is_pushed_nothing(editor: Editor, folder: Path) -> None:
    result = await editor.begin(folder, **PULLS)
    editor.open(".roomodes", MODE)
    report = await editor.pull(".roomodes")
    again = await editor.pull(".roomodes", report.result_id)
    editor.replace(".roomodes", 2, GOOD_MODE)
    fixed = await editor.pull(".roomodes", report.result_id)

    assert result.capabilities.diagnostic_provider.inter_file_dependencies
    assert result.capabilities.diagnostic_provider.workspace_diagnostics
    assert "RM006" in codes(report.items)
    assert again.kind == "unchanged"
    assert fixed.kind == "full"
    assert "RM006" not in codes(fixed.items)
    assert editor.published == []


async def test_result_ids_are_of_the_content_not_of_the_version(
    editor: Editor, folder: Path
) -> None:
    await editor.begin(folder, **PULLS)
    editor.open(".roomodes", MODE, version=0)
    first = await editor.pull(".roomodes")
    editor.close(".roomodes")
    editor.open(".roomodes", GOOD_MODE, version=0)
    second = await editor.pull(".roomodes", first.result_id)
    editor.replace(".roomodes", 1, MODE)
    third = await editor.pull(".roomodes")

    assert second.kind == "full"
    assert third.result_id == first.result_id


async def test_a_pulling_client_is_asked_to_pull_again_when_another_file_changes(
    editor: Editor, folder: Path
) -> None:
    await editor.begin(folder, **PULLS)
    editor.open(".roo/schedules.json", SCHEDULE % "a")
    before = await editor.pull(".roo/schedules.json")
    (folder / ".roomodes").write_text(MODE.replace("slug: a", "slug: b"), encoding="utf-8")
    await until(lambda: editor.diagnostic_refresh_count)
    after = await editor.pull(".roo/schedules.json", before.result_id)

    assert "SC004" not in codes(before.items)
    assert "SC004" in codes(after.items)


async def test_the_whole_workspace_can_be_pulled_with_no_file_open(
    editor: Editor, folder: Path
) -> None:
    (folder / "TODO.md").write_text("# Plan\n- [] Document\n", encoding="utf-8")
    await editor.begin(folder, **PULLS)
    first = await editor.workspace_diagnostic_async(types.WorkspaceDiagnosticParams([]))
    known = [types.PreviousResultId(each.uri, each.result_id) for each in first.items]
    waiting = asyncio.ensure_future(
        editor.workspace_diagnostic_async(types.WorkspaceDiagnosticParams(known))
    )
    await asyncio.sleep(0.3)
    held = not waiting.done()
    (folder / "TODO.md").write_text("# Plan\n- [ ] Document\n", encoding="utf-8")
    second = {each.uri: each for each in (await waiting).items}

    assert {each.uri: codes(each.items) for each in first.items}[editor.uri("TODO.md")] == ["TD003"]
    assert held, "an answer without news would only be asked for again"
    assert not second[editor.uri("TODO.md")].items
    assert second[editor.uri(".roomodes")].kind == "unchanged"


async def test_a_quick_fix_carries_the_version_that_it_is_for(editor: Editor, folder: Path) -> None:
    await editor.begin(folder, workspace=EDITS)
    editor.open("TODO.md", "# Plan\n- [] Document\n", version=4)
    found = (await editor.shown("TODO.md", has("TD003"))).diagnostics[0]
    [action] = await editor.actions("TODO.md", found.range, types.CodeActionKind.QuickFix)
    [change] = action.edit.document_changes
    elsewhere = types.Range(types.Position(0, 0), types.Position(0, 1))

    assert change.text_document.version == 4
    assert applied("# Plan\n- [] Document\n", change.edits) == "# Plan\n- [ ] Document\n"
    assert await editor.actions("TODO.md", elsewhere, types.CodeActionKind.QuickFix) == []


async def test_a_client_without_versioned_edits_gets_plain_ones(
    editor: Editor, folder: Path
) -> None:
    await editor.begin(folder)
    uri = editor.open("TODO.md", "# Plan\n- [] Document\n")
    found = (await editor.shown("TODO.md", has("TD003"))).diagnostics[0]
    [action] = await editor.actions("TODO.md", found.range, types.CodeActionKind.QuickFix)

    assert action.edit.document_changes is None
    assert list(action.edit.changes) == [uri]


async def test_all_safe_fixes_of_a_file_are_one_action(editor: Editor, folder: Path) -> None:
    await editor.begin(folder, workspace=EDITS)
    text = "# Plan\n- [] One 🔧\n- [ ] Two\n- [] Three\n"
    editor.open("TODO.md", text)
    await editor.shown("TODO.md", has("TD003"))
    start = types.Range(types.Position(0, 0), types.Position(0, 0))
    [action] = await editor.actions("TODO.md", start, types.CodeActionKind.Source)
    [change] = action.edit.document_changes

    assert action.kind == types.CodeActionKind.SourceFixAll
    assert applied(text, change.edits) == "# Plan\n- [ ] One 🔧\n- [ ] Two\n- [ ] Three\n"


async def test_a_client_that_resolves_gets_the_edits_of_fix_all_when_it_asks(
    editor: Editor, folder: Path
) -> None:
    support = types.CodeActionClientCapabilities(
        data_support=True, resolve_support=types.ClientCodeActionResolveOptions(["edit"])
    )
    document = types.TextDocumentClientCapabilities(code_action=support)
    await editor.begin(folder, workspace=EDITS, text_document=document)
    editor.open("TODO.md", "- [] One\n")
    await editor.shown("TODO.md", has("TD003"))
    start = types.Range(types.Position(0, 0), types.Position(0, 0))
    [offered] = await editor.actions("TODO.md", start, types.CodeActionKind.SourceFixAll)
    resolved = await editor.code_action_resolve_async(offered)

    assert offered.edit is None
    assert applied("- [] One\n", resolved.edit.document_changes[0].edits) == "- [ ] One\n"


async def test_the_page_of_a_rule_shows_where_its_finding_is(editor: Editor, folder: Path) -> None:
    await editor.begin(folder)
    uri = editor.open("TODO.md", "# Plan\n- [] Document\n")
    found = (await editor.shown("TODO.md", has("TD003"))).diagnostics[0]
    identifier = types.TextDocumentIdentifier(uri)
    there = await editor.text_document_hover_async(types.HoverParams(identifier, found.range.start))
    elsewhere = await editor.text_document_hover_async(
        types.HoverParams(identifier, types.Position(0, 0))
    )

    assert there.contents.value.startswith("**TD003**")
    assert "\nBad:\n\n    " in there.contents.value
    assert elsewhere is None


async def test_files_of_other_names_are_none_of_our_business(editor: Editor, folder: Path) -> None:
    await editor.begin(folder, **PULLS)
    editor.open("notes.md", "- [] Document\n", language="markdown")
    report = await editor.pull("notes.md")

    assert not report.items


async def test_a_client_without_a_folder_gets_the_folder_of_the_file_it_opens(
    editor: Editor, folder: Path
) -> None:
    editor.root = folder
    await editor.initialize_session(types.InitializeParams(types.ClientCapabilities()))
    editor.open(".roo/schedules.json", SCHEDULE % "nobody")

    assert await editor.shown(".roo/schedules.json", has("SC004"))


async def test_folders_come_and_go(editor: Editor, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "TODO.md").write_text("- [] Document\n", encoding="utf-8")
    await editor.begin(folder)
    added = types.WorkspaceFolder(other.as_uri(), "other")
    event = types.WorkspaceFoldersChangeEvent(added=[added], removed=[])
    editor.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))
    uri = (other / "TODO.md").as_uri()

    assert await until(lambda: [p for p in editor.published if p.uri == uri and p.diagnostics])

    event = types.WorkspaceFoldersChangeEvent(added=[], removed=[added])
    editor.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))

    assert await until(
        lambda: not next(p for p in reversed(editor.published) if p.uri == uri).diagnostics
    )
