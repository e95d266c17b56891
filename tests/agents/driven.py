"""The runners of our catalogue with real agents behind them, and what each agent needs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agents import AGENTS, Agent, Place, write
from dialects import MODEL
from model import Step

MADE = "made-by-command.txt"
COMMAND = f"touch {MADE}"


@dataclass(frozen=True)
class Driven:
    """One runner of the catalogue with a real agent: what else its command line and it need.

    ``shell`` is the agent's own tool that runs a command, with the arguments to run ours.
    """

    runner: str
    agent: Agent
    prepare: Callable[[Place], None]
    words: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    shell: Step | None = None


def _nothing(_: Place) -> None:
    """An agent that needs no settings of its own."""


def _prepare_codex(place: Place) -> None:
    write(
        place.home / ".codex/config.toml",
        f'model = "{MODEL}"\nmodel_provider = "fake"\n\n'
        f'[model_providers.fake]\nname = "fake"\nbase_url = "{place.model}/v1"\n'
        'wire_api = "responses"\nenv_key = "FAKE_KEY"\n',
    )


def _prepare_gemini(place: Place) -> None:
    """The key as the way to sign in; the command knows our server from the user's settings."""
    server = {"command": mcp(place)[0], "args": list(mcp(place)[1:]), "trust": True}
    chosen = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    write(place.home / ".gemini/settings.json", {**chosen, "mcpServers": {"sidecar": server}})
    write(place.home / ".gemini/trustedFolders.json", {str(place.workspace): "TRUST_FOLDER"})


def _prepare_gemini_acp(place: Place) -> None:
    chosen = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    write(place.home / ".gemini/settings.json", chosen)


def _prepare_opencode(place: Place) -> None:
    options = {"baseURL": f"{place.model}/v1", "apiKey": "none"}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {MODEL: {}}}
    chosen = {"model": f"fake/{MODEL}", "provider": {"fake": provider}}
    # What a user writes to be asked: by itself it allows everything.
    write(place.home / ".config/opencode/opencode.json", {**chosen, "permission": {"bash": "ask"}})


def mcp(place: Place) -> tuple[str, ...]:
    """How an agent starts our server for the run's workspace."""
    return (sys.executable, "-P", "-m", "sidecar", "mcp", "--workspace", str(place.workspace))


_BY_PROGRAM = {agent.program: agent for agent in AGENTS}
_CLINE_KEY = {
    "CLINE_API_KEY": "none-of-any-use",
    "CLINE_PROVIDER": "openai-compatible",
    "CLINE_MODEL": MODEL,
}
_GEMINI = ("-m", "gemini-2.5-flash")
DRIVEN = (
    Driven(
        "cline-acp",
        _BY_PROGRAM["cline"],
        _nothing,
        variables=_CLINE_KEY,
        shell=Step("run_commands", {"commands": [COMMAND]}),
    ),
    Driven("cline", _BY_PROGRAM["cline"], _nothing),
    Driven("claude", _BY_PROGRAM["claude"], _nothing),
    Driven("codex", _BY_PROGRAM["codex"], _prepare_codex),
    Driven("gemini", _BY_PROGRAM["gemini"], _prepare_gemini, _GEMINI),
    Driven(
        "gemini-acp",
        _BY_PROGRAM["gemini"],
        _prepare_gemini_acp,
        _GEMINI,
        shell=Step("run_shell_command", {"command": COMMAND, "description": "Touch a file"}),
    ),
    Driven("opencode", _BY_PROGRAM["opencode"], _prepare_opencode),
    Driven(
        "opencode-acp",
        _BY_PROGRAM["opencode"],
        _prepare_opencode,
        shell=Step("bash", {"command": COMMAND, "description": "Touch a file"}),
    ),
)
