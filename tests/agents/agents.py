"""Five agents: how a user sets each up for our server, and how it is started headless."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dialects import MODEL

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "editor-config" / "agents"
PLACEHOLDER = "/path/to/your/workspace"
PROMPT = "Use the tools of the sidecar: read the plan, write a note, start the clock."

Json = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """One run: its folders, the model, and where our server is reached (none: by stdio)."""

    home: Path
    workspace: Path
    model: str
    transport: str = "stdio"
    url: str = ""
    token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What an HTTP client sends with each request."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True)
class Agent:
    """One agent: its npm package, how it is set up and started, what it calls when tools lack."""

    name: str
    package: str
    program: str
    set_up: Callable[[Place], None]
    command: Callable[[Place], list[str]]
    environment: Callable[[Place], dict[str, str]] = lambda _: {}
    sign_in: Callable[[Place], list[str]] | None = None
    transports: tuple[str, ...] = ("stdio", "http")
    detours: Mapping[str, Json] = field(default_factory=dict)


def write(path: Path, value: Json | str) -> None:
    """Write a file of settings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value, indent=2), "utf-8")


def _shipped(name: str, place: Place) -> str:
    text = (SHIPPED / name).read_text("utf-8")
    return text.replace(PLACEHOLDER, str(place.workspace))


def _set_up_cline(place: Place) -> None:
    settings: Json = json.loads(_shipped("cline/cline_mcp_settings.json", place))
    if place.transport == "stdio":
        del settings["mcpServers"]["sidecar"]["timeout"]  # judged by Cline's own limits
    elif place.transport != "stdio, shipped time-out":
        kind = "sse" if place.transport == "sse" else "streamableHttp"
        server = {"type": kind, "url": place.url, "headers": place.headers}
        settings["mcpServers"]["sidecar"] = server
    write(place.home / ".cline/data/settings/cline_mcp_settings.json", settings)


def _sign_in_cline(place: Place) -> list[str]:
    provider = ["--provider", "openai-compatible", "--apikey", "none", "--modelid", MODEL]
    return ["auth", *provider, "--baseurl", f"{place.model}/v1"]


def _cline(place: Place) -> list[str]:
    return ["--json", "--auto-approve", "true", "-P", "openai-compatible", "-m", MODEL, PROMPT]


def _set_up_claude(place: Place) -> None:
    settings: Json = json.loads(_shipped("claude-code/.mcp.json", place))
    if place.transport == "http":
        server = {"type": "http", "url": place.url, "headers": place.headers}
        settings["mcpServers"]["sidecar"] = server
    write(place.workspace / ".mcp.json", settings)
    # What Claude Code itself writes when a person approves the workspace's server.
    write(place.workspace / ".claude/settings.local.json", {"enabledMcpjsonServers": ["sidecar"]})


def _claude(place: Place) -> list[str]:
    shown = ["--output-format", "stream-json", "--verbose"]
    return ["-p", PROMPT, *shown, "--allowedTools", "mcp__sidecar"]


def _claude_environment(place: Place) -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": place.model,
        "ANTHROPIC_API_KEY": "none",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def _set_up_codex(place: Place) -> None:
    if place.transport == "stdio":
        server = _shipped("codex/.codex/config.toml", place)
    else:
        server = f'[mcp_servers.sidecar]\nurl = "{place.url}"\nbearer_token_env_var = "TOKEN"\n'
    provider = (
        f'model = "{MODEL}"\nmodel_provider = "fake"\n\n'
        f'[model_providers.fake]\nname = "fake"\nbase_url = "{place.model}/v1"\n'
        'wire_api = "responses"\nenv_key = "FAKE_KEY"\n\n'
    )
    write(place.home / ".codex/config.toml", provider + server)


def _codex(_: Place) -> list[str]:
    unasked = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    return ["exec", *unasked, "--json", PROMPT]


def _set_up_gemini(place: Place) -> None:
    settings: Json = json.loads(_shipped("gemini/.gemini/settings.json", place))
    if place.transport == "http":
        server = {"httpUrl": place.url, "headers": place.headers}
        settings["mcpServers"]["sidecar"] = server
    write(place.workspace / ".gemini/settings.json", settings)
    chosen = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    write(place.home / ".gemini/settings.json", chosen)
    # What Gemini CLI itself writes when a person trusts the folder; it starts no server without.
    write(place.home / ".gemini/trustedFolders.json", {str(place.workspace): "TRUST_FOLDER"})


def _gemini(_: Place) -> list[str]:
    return ["-m", "gemini-2.5-flash", "-y", "-o", "json", "-p", PROMPT]


def _set_up_opencode(place: Place) -> None:
    settings: Json = json.loads(_shipped("opencode/opencode.json", place))
    if place.transport == "http":
        server = {"type": "remote", "url": place.url, "headers": place.headers}
        settings["mcp"]["sidecar"] = server
    options = {"baseURL": f"{place.model}/v1", "apiKey": "none"}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {MODEL: {}}}
    chosen = {"model": f"fake/{MODEL}", "provider": {"fake": provider}}
    write(place.workspace / "opencode.json", settings)
    write(place.home / ".config/opencode/opencode.json", chosen)


AGENTS = (
    Agent(
        "Cline CLI",
        "cline@3.0.65",
        "cline",
        _set_up_cline,
        _cline,
        sign_in=_sign_in_cline,
        transports=("stdio", "stdio, shipped time-out", "http", "sse"),
    ),
    Agent(
        "Claude Code",
        "@anthropic-ai/claude-code@2.1.330",
        "claude",
        _set_up_claude,
        _claude,
        _claude_environment,
        detours={"ToolSearch": {"query": "sidecar", "max_results": 20}},
    ),
    Agent(
        "Codex",
        "@openai/codex@0.169.0",
        "codex",
        _set_up_codex,
        _codex,
        lambda place: {"FAKE_KEY": "none", "TOKEN": place.token},
        detours={"exec_command": {"cmd": "sleep 5"}, "shell": {"command": ["sleep", "5"]}},
    ),
    Agent(
        "Gemini CLI",
        "@google/gemini-cli@0.61.0",
        "gemini",
        _set_up_gemini,
        _gemini,
        lambda place: {"GEMINI_API_KEY": "none", "GOOGLE_GEMINI_BASE_URL": place.model},
    ),
    Agent(
        "opencode",
        "opencode-ai@1.18.33",
        "opencode",
        _set_up_opencode,
        lambda _: ["run", "--format", "json", PROMPT],
        lambda _: {"OPENCODE_DISABLE_AUTOUPDATE": "1"},
    ),
)
