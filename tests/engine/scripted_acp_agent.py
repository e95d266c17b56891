"""An agent of the Agent Client Protocol, on the library's agent side, that does what it is told.

Its first argument is a behaviour, its second how it offers modes.
"""

# ruff: noqa: ARG002, ASYNC220, ASYNC221, ASYNC240, ASYNC251
# The protocol gives the arguments, and an agent that blocks its own loop is one of the cases.

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import acp
from acp.schema import (
    InitializeResponse,
    NewSessionResponse,
    PermissionOption,
    PromptResponse,
    SessionConfigOptionSelect,
    SessionConfigSelectOption,
    SessionMode,
    SessionModeState,
    SetSessionConfigOptionResponse,
    SetSessionModeResponse,
    ToolCallUpdate,
    Usage,
)

BEHAVIOUR, OFFERS = sys.argv[1], sys.argv[2]
SLEEP = "import time; time.sleep(600)"


class ScriptedAgent:
    def __init__(self) -> None:
        self.mode = "none"
        self.cancelled = asyncio.Event()
        self.servers: list[Any] = []

    def on_connect(self, connection: Any) -> None:
        self.client = connection

    async def initialize(self, protocol_version: int, **_: Any) -> InitializeResponse:
        if BEHAVIOUR == "mute":
            await asyncio.sleep(600)
        version = 9 if BEHAVIOUR == "version" else protocol_version
        return InitializeResponse(protocol_version=version)

    async def new_session(self, cwd: str, mcp_servers: Any = None, **_: Any) -> NewSessionResponse:
        if BEHAVIOUR == "unauthenticated":
            raise acp.RequestError.auth_required()
        self.servers = mcp_servers or []
        modes = config = None
        if OFFERS in ("modes", "both"):
            known = [SessionMode(id=each, name=each) for each in ("code", "architect")]
            modes = SessionModeState(current_mode_id="architect", available_modes=known)
        if OFFERS in ("option", "both"):
            choices = [SessionConfigSelectOption(value=v, name=v) for v in ("code", "plan")]
            config = [
                SessionConfigOptionSelect(
                    id="mode", name="Mode", type="select", current_value="plan", options=choices
                )
            ]
        return NewSessionResponse(session_id="s1", modes=modes, config_options=config)

    async def set_session_mode(self, mode_id: str, **_: Any) -> SetSessionModeResponse:
        self.mode = f"set_mode {mode_id}"
        return SetSessionModeResponse()

    async def set_config_option(
        self, config_id: str, value: Any, **_: Any
    ) -> SetSessionConfigOptionResponse:
        self.mode = f"option {config_id}={value}"
        return SetSessionConfigOptionResponse(config_options=[])

    async def cancel(self, session_id: str, **_: Any) -> None:
        self.cancelled.set()

    async def say(self, text: str) -> None:
        await self.client.session_update("s1", acp.update_agent_message_text(text))

    async def prompt(self, prompt: Any, session_id: str, **_: Any) -> PromptResponse:
        text = "".join(block.text for block in prompt)
        reason = await getattr(self, f"do_{BEHAVIOUR.replace('-', '_')}")(text) or "end_turn"
        usage = Usage(input_tokens=8, output_tokens=4, total_tokens=12)
        return PromptResponse(stop_reason=reason, usage=usage)

    async def do_success(self, text: str) -> None:
        servers = [
            [each.name, each.command, each.args, {e.name: e.value for e in each.env}]
            for each in self.servers
        ]
        await self.say(f"mode: {self.mode}; ")
        await self.say(f"servers: {servers}; prompt: {text}")

    async def do_write(self, text: str) -> None:
        """Ask for the permission to write, and write only if it is given."""
        call = ToolCallUpdate(tool_call_id="w1", title="Write made.txt", kind="edit")
        await self.client.session_update(
            "s1", acp.start_tool_call("w1", "Write made.txt", kind="edit", status="pending")
        )
        if await self.permitted(call):
            Path("made.txt").write_text("made", "utf-8")
            await self.client.session_update("s1", acp.update_tool_call("w1", status="completed"))
        else:
            await self.client.session_update("s1", acp.update_tool_call("w1", status="failed"))
        await self.say("Asked.")

    async def do_shell_named_like_ours(self, text: str) -> None:
        title = "sidecar__get_todo_status"
        call = ToolCallUpdate(tool_call_id="x1", title=title, kind="execute")
        await self.say(f"permitted: {await self.permitted(call)}")

    async def do_our_tool(self, text: str) -> None:
        title = "sidecar__get_todo_status"
        call = ToolCallUpdate(tool_call_id="o1", title=title, kind="other")
        await self.say(f"permitted: {await self.permitted(call)}")

    async def permitted(self, call: ToolCallUpdate) -> bool:
        options = [
            PermissionOption(option_id="always", name="Always", kind="allow_always"),
            PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
            PermissionOption(option_id="no", name="No", kind="reject_once"),
        ]
        answer = await self.client.request_permission("s1", call, options)
        return answer.outcome.outcome == "selected" and answer.outcome.option_id == "yes"

    async def do_refusal(self, text: str) -> str:
        return "refusal"

    async def do_silent(self, text: str) -> None:
        return None

    async def do_crash(self, text: str) -> None:
        await self.say("About to crash.")
        os._exit(7)

    async def do_patient(self, text: str) -> str:
        """Work on until cancelled, as the protocol wants it."""
        await self.say("Working.")
        Path("working").touch()
        await self.cancelled.wait()
        return "cancelled"

    async def do_stubborn(self, text: str) -> None:
        """Three descendants, one in a session of its own, and no ear for a cancellation."""
        for session in (False, True):
            subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=session)
        nested = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}])"
        subprocess.run([sys.executable, "-c", nested], check=True, start_new_session=True)
        await self.say("Working.")
        time.sleep(600)

    async def do_noise(self, text: str) -> None:
        sys.stderr.write("complaint\n" * 300_000)
        await self.say("z" * 2_000_000)

    async def do_flood(self, text: str) -> None:
        while True:
            await self.say("f" * 1_000_000)


if __name__ == "__main__":
    asyncio.run(acp.run_agent(ScriptedAgent()))  # type: ignore[arg-type]
