"""The command lines of the known agents, and how each is given our tools, its rights, its mode.

Nothing is written into the workspace: what an agent needs lies in the run's own folder and is
named by a flag or a variable. Rights follow the specification's permissions as closely as the
agent's own settings allow; where they don't, a warning says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sidecar.engine.runner import RunSpec
from sidecar.engine.runners import artefacts, dialects
from sidecar.engine.runners.dialects import Dialect
from sidecar.engine.runners.process import MARK

SERVER = "sidecar"
MCP_CONFIG = "mcp.json"
HOME = "SIDECAR_HOME"
# Agents give a server this long to start; ours takes well under a second on a quiet machine.
SERVER_SECONDS = 60
_ALL_OR_NOTHING = (
    "{} can't refuse one kind of tool call: it is allowed all of them. Use it over ACP to have"
    " each one judged."
)


@dataclass(frozen=True)
class Equipment:
    """Words for the command line and variables for the environment, and what is to be warned of."""

    words: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def _nothing(_: RunSpec) -> Equipment:
    return Equipment()


@dataclass(frozen=True)
class AcpAgent:
    """A known agent that speaks the Agent Client Protocol, and what it needs besides."""

    command: tuple[str, ...]
    equip: Callable[[RunSpec], Equipment] = _nothing


@dataclass(frozen=True)
class Preset:
    """A known agent as a command; ``delivery`` is how it takes its prompt.

    ``has_modes`` is true for agents that know the workspace's modes by their slugs.
    """

    name: str
    program: str
    words: tuple[str, ...]
    dialect: Dialect
    equip: Callable[[RunSpec], Equipment]
    delivery: Literal["input", "argument"] = "input"
    has_modes: bool = False


def server_environment(spec: RunSpec) -> dict[str, str]:
    """What our MCP server needs of an agent that hands on little: the mark, and where we live."""
    home = os.environ.get(HOME)
    return {MARK: spec.run_id, **({HOME: home} if home else {})}


def server(spec: RunSpec) -> dict[str, Any]:
    """Our MCP server as most agents have it spelled."""
    command, *args = spec.mcp
    return {"command": command, "args": args, "env": server_environment(spec)}


def write_mcp_config(spec: RunSpec) -> Path:
    """A file of MCP servers with ours alone."""
    servers = {}
    if spec.mcp:
        servers = {SERVER: {"type": "stdio", **server(spec), "timeout": SERVER_SECONDS}}
    return _written(spec, MCP_CONFIG, {"mcpServers": servers})


def allows(spec: RunSpec, kind: str) -> bool:
    """Whether the agent may make such calls; what is not said is not allowed."""
    return spec.permissions.get(kind) == "allow"


def _written(spec: RunSpec, name: str, value: dict[str, Any]) -> Path:
    return artefacts.write(spec.folder, name, json.dumps(value, indent=1) + "\n")


def _cline(spec: RunSpec) -> Equipment:
    plan = () if allows(spec, "edit") else ("--plan",)
    variables = {
        "CLINE_MCP_SETTINGS_PATH": str(write_mcp_config(spec)),
        # Else the session lives in a daemon that all runs of the user share and none may end.
        "CLINE_SESSION_BACKEND_MODE": "local",
    }
    warnings = () if allows(spec, "execute") else (_ALL_OR_NOTHING.format("Cline"),)
    return Equipment(("-c", str(spec.root), *plan), variables, warnings)


def _cline_acp(spec: RunSpec) -> Equipment:
    # It has no use for the servers of a session.
    return Equipment((), _cline(spec).variables)


def _claude(spec: RunSpec) -> Equipment:
    mode = "acceptEdits" if allows(spec, "edit") else "default"
    if allows(spec, "edit") and allows(spec, "execute"):
        mode = "bypassPermissions"
    fetch = ["WebFetch", "WebSearch"] if allows(spec, "fetch") else []
    # Strict: the workspace may bring servers of its own, which nobody consented to.
    mcp = ("--mcp-config", str(write_mcp_config(spec)), "--strict-mcp-config")
    tools = ",".join([f"mcp__{SERVER}", *fetch])
    words = (*mcp, "--permission-mode", mode, "--allowedTools", tools)
    return Equipment(words, {"MCP_TIMEOUT": str(SERVER_SECONDS * 1000)})


def _codex(spec: RunSpec) -> Equipment:
    sandbox = "workspace-write" if allows(spec, "edit") else "read-only"
    words = ["-C", str(spec.root), "--sandbox", sandbox]
    if spec.mcp:
        entry = server(spec)
        values = {
            "command": entry["command"],
            "args": entry["args"],
            **{f"env.{name}": value for name, value in entry["env"].items()},
            "required": True,
            "startup_timeout_sec": SERVER_SECONDS,
            "default_tools_approval_mode": "approve",
        }
        for key, value in values.items():
            words += ["-c", f"mcp_servers.{SERVER}.{key}={json.dumps(value)}"]
    return Equipment(tuple(words))


def _approval(spec: RunSpec, edits: str) -> tuple[str, str]:
    mode = edits if allows(spec, "edit") else "default"
    if allows(spec, "edit") and allows(spec, "execute"):
        mode = "yolo"
    return ("--approval-mode", mode)


def _gemini(spec: RunSpec) -> Equipment:
    # Its file of system settings, which could name our server, counts only if root owns it.
    told = (
        "Gemini CLI as a command takes MCP servers from its own settings alone: name ours there,"
        " or use gemini-acp."
    )
    return Equipment(_approval(spec, "auto_edit"), {}, (told,))


def _qwen(spec: RunSpec) -> Equipment:
    servers = {SERVER: {**server(spec), "trust": True}} if spec.mcp else {}
    settings = _written(spec, "settings.json", {"mcpServers": servers})
    return Equipment(
        _approval(spec, "auto-edit"), {"QWEN_CODE_SYSTEM_SETTINGS_PATH": str(settings)}
    )


def _opencode_like(prefix: str) -> Callable[[RunSpec], Equipment]:
    def equip(spec: RunSpec) -> Equipment:
        variables = server_environment(spec)
        command = {"type": "local", "command": list(spec.mcp), "environment": variables}
        kinds = {"edit": "edit", "bash": "execute", "webfetch": "fetch", "websearch": "fetch"}
        rights = {name: "allow" if allows(spec, kind) else "deny" for name, kind in kinds.items()}
        # Nobody is there to be asked, and an open question would hang until the limit.
        config: dict[str, Any] = {"permission": {**rights, "external_directory": "deny"}}
        if spec.mcp:
            entry = {**command, "enabled": True, "timeout": SERVER_SECONDS * 1000}
            config["mcp"] = {SERVER: entry}
        given = {
            f"{prefix}_CONFIG_CONTENT": json.dumps(config),
            f"{prefix}_DISABLE_AUTOUPDATE": "1",
        }
        return Equipment((), given)

    return equip


def _roo(spec: RunSpec) -> Equipment:
    mode = ("--mode", spec.mode) if spec.mode else ()
    told = (
        "Roo takes MCP servers from its own settings alone: name ours there.",
        _ALL_OR_NOTHING.format("Roo"),
    )
    return Equipment((*mode, "-w", str(spec.root)), {}, told)


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "cline",
            "cline",
            ("--json", "--auto-approve", "true"),
            dialects.cline,
            _cline,
            delivery="argument",
        ),
        Preset(
            "claude",
            "claude",
            ("-p", "--output-format", "stream-json", "--verbose"),
            dialects.claude,
            _claude,
        ),
        Preset(
            "codex", "codex", ("exec", "--json", "--skip-git-repo-check"), dialects.codex, _codex
        ),
        Preset(
            "gemini",
            "gemini",
            ("-o", "stream-json"),
            dialects.gemini,
            _gemini,
        ),
        Preset(
            "qwen",
            "qwen",
            ("-o", "stream-json"),
            dialects.claude,
            _qwen,
        ),
        Preset(
            "opencode",
            "opencode",
            ("run", "--format", "json"),
            dialects.opencode,
            _opencode_like("OPENCODE"),
        ),
        Preset(
            "kilo",
            "kilo",
            ("run", "--auto", "--format", "json"),
            dialects.opencode,
            _opencode_like("KILO"),
        ),
        Preset(
            "roo",
            "roo",
            ("-p", "--output-format", "stream-json", "--oneshot", "--exit-on-error"),
            dialects.roo,
            _roo,
            delivery="argument",
            has_modes=True,
        ),
    )
}

ACP_AGENTS: dict[str, AcpAgent] = {
    "cline-acp": AcpAgent(("cline", "--acp"), _cline_acp),
    "claude-acp": AcpAgent(("claude-agent-acp",)),
    "codex-acp": AcpAgent(("codex-acp",)),
    "gemini-acp": AcpAgent(
        # The folder is trusted, else no server is started; of its servers ours alone.
        ("gemini", "--acp", "--allowed-mcp-server-names", SERVER),
        lambda _: Equipment((), {"GEMINI_CLI_TRUST_WORKSPACE": "true"}),
    ),
    "kilo-acp": AcpAgent(("kilo", "acp")),
    "opencode-acp": AcpAgent(
        ("opencode", "acp"), lambda _: Equipment((), {"OPENCODE_DISABLE_AUTOUPDATE": "1"})
    ),
    "qwen-acp": AcpAgent(("qwen", "--acp")),
}
