"""A run that nobody works on is offered above its schedule: to be given to an agent, or skipped."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_lsp
from lsprotocol import types

from tests.faces.test_lsp import SERVER, Editor, until

FILE = ".roo/schedules.json"
LOOP = "1745000000001"
REFRESHES = types.WorkspaceClientCapabilities(
    code_lens=types.CodeLensWorkspaceClientCapabilities(refresh_support=True)
)
PATIENCE = 120


class Offered(Editor):
    """One that counts how often it is asked for lenses again."""

    def __init__(self) -> None:
        super().__init__()
        self.refreshes = 0

        @self.feature(types.WORKSPACE_CODE_LENS_REFRESH)
        def refresh(_: None) -> None:
            self.refreshes += 1

    @property
    def told(self) -> list[str]:
        return [each.message for each in self.messages]

    async def lenses(self) -> list[types.CodeLens]:
        identifier = types.TextDocumentIdentifier(self.uri(FILE))
        return await self.text_document_code_lens_async(types.CodeLensParams(identifier)) or []

    async def click(self, lens: types.CodeLens) -> None:
        params = types.ExecuteCommandParams(lens.command.command, lens.command.arguments)
        await self.workspace_execute_command_async(params)


@pytest_lsp.fixture(
    config=pytest_lsp.ClientServerConfig(server_command=SERVER, client_factory=Offered)
)
async def editor(lsp_client: Offered) -> AsyncIterator[None]:
    """A client with a server of its own; each test begins the session."""
    yield
    await lsp_client.shutdown_session()


@pytest_lsp.fixture(
    config=pytest_lsp.ClientServerConfig(server_command=[*SERVER, "--solo"], client_factory=Offered)
)
async def alone(lsp_client: Offered) -> AsyncIterator[None]:
    """The same, served by one process."""
    yield
    await lsp_client.shutdown_session()


def sidecar(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "sidecar", *words, "--workspace", str(root)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)


def hand_off(root: Path) -> str:
    """Have the loop's schedule run with nobody to work on it; the id of the run."""
    answer = sidecar(root, "run", LOOP, "--trust")
    assert "It waits for an agent" in answer.stdout, answer
    return str(run(root)["run_id"])


def run(root: Path) -> dict[str, Any]:
    """The newest run."""
    found: dict[str, Any] = json.loads(sidecar(root, "runs", "--json").stdout)["runs"][-1]
    return found


async def opened(editor: Offered, root: Path) -> str:
    await editor.begin(root, workspace=REFRESHES)
    text = (root / FILE).read_text("utf-8")
    editor.open(FILE, text)
    return text


async def test_a_run_that_waits_is_offered_above_its_schedule_alone(
    editor: Offered, example_workspace: Path
) -> None:
    hand_off(example_workspace)
    text = await opened(editor, example_workspace)
    offer, skip = await editor.lenses()

    line = text[: text.index(f'"id": "{LOOP}"')].count("\n")
    assert {each.range.start.line for each in (offer, skip)} == {line - 1}
    assert offer.command.title.startswith("waits for an agent since 2")
    assert skip.command.title == "skip this run"


async def test_a_click_tells_the_call_by_which_an_agent_takes_the_run(
    editor: Offered, example_workspace: Path
) -> None:
    hand_off(example_workspace)
    await opened(editor, example_workspace)
    offer, skip = await editor.lenses()
    await editor.click(offer)
    [told] = await until(lambda: editor.told)
    call = told.partition("delegate_task ")[2].rstrip(".")
    claimed = json.loads(sidecar(example_workspace, "call", "delegate_task", call).stdout)

    assert claimed["status"] == "claimed"
    assert await editor.lenses() == [], "somebody has it"
    await editor.click(offer)
    assert await until(lambda: editor.told[1:]) == ["It waits no longer."]
    await editor.click(skip)
    assert await until(lambda: editor.told[2:]) == ["It waits no longer."]
    assert run(example_workspace)["state"] != "cancelled", "it is not taken from whoever has it"


async def test_a_skipped_run_ends_and_its_lenses_go(
    editor: Offered, example_workspace: Path
) -> None:
    run_id = hand_off(example_workspace)
    await opened(editor, example_workspace)
    _, skip = await editor.lenses()
    await editor.click(skip)
    await until(lambda: editor.refreshes)
    ended = run(example_workspace)

    assert (ended["run_id"], ended["state"]) == (run_id, "cancelled")
    assert "skipped by a person" in ended["reason"]
    assert await editor.lenses() == []


async def test_a_server_that_is_alone_can_skip_a_run_as_well(
    alone: Offered, example_workspace: Path
) -> None:
    hand_off(example_workspace)
    await opened(alone, example_workspace)
    await alone.click((await alone.lenses())[1])

    assert run(example_workspace)["state"] == "cancelled"


async def test_lenses_are_asked_for_again_when_a_run_begins_to_wait(
    editor: Offered, example_workspace: Path
) -> None:
    await opened(editor, example_workspace)
    assert await editor.lenses() == []
    hand_off(example_workspace)
    await until(lambda: editor.refreshes)
    assert len(await editor.lenses()) == 2


async def test_without_a_run_that_waits_there_is_nothing_above_schedules(
    editor: Offered, example_workspace: Path
) -> None:
    await opened(editor, example_workspace)
    assert await editor.lenses() == []
    lens = types.CodeLens(
        types.Range(types.Position(0, 0), types.Position(0, 0)),
        types.Command("", "sidecar.skipOffer", arguments=[editor.uri(FILE), "task-none"]),
    )
    await editor.click(lens)
    [told] = await until(lambda: editor.told)
    assert told == "It waits no longer."
