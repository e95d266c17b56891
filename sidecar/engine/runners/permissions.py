"""Whether an agent may make a tool call that it asks for; nobody is there to be asked further."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sidecar.services.registry import TOOLS

# What agents put between the name of a server and the name of its tool; Cline adds the arguments.
_OWN_TOOL = re.compile(
    r"(?:mcp__|mcp_)?sidecar(?:__|[_./: -])\s*(\w+)(?:: \{.*)?", re.IGNORECASE | re.DOTALL
)
_GEMINI_TOOL = re.compile(r"(\w+) \(sidecar MCP Server\)", re.IGNORECASE)
_KINDS_OF_TOOLS = frozenset({"", "other", "mcp"})
OWN = "sidecar"


@dataclass(frozen=True)
class Decision:
    """What a request was answered, for the record."""

    allowed: bool
    kind: str
    reason: str


def decide(
    permissions: Mapping[str, Literal["allow", "deny"]], kind: str, names: tuple[str, ...]
) -> Decision:
    """Allow what the policy allows; our own tools unless it denies ``sidecar``; nothing else.

    ``kind`` is the protocol's kind of the call, ``names`` what the agent calls it. A command in a
    shell has a kind of its own, so that naming it like one of our tools gains nothing.
    """
    if kind in _KINDS_OF_TOOLS and any(_is_own(name) for name in names):
        is_denied = permissions.get(OWN) == "deny"
        return Decision(not is_denied, OWN, f"`{OWN}` is {'denied' if is_denied else 'our own'}")
    told = permissions.get(kind)
    if told is None:
        return Decision(False, kind, f"`{kind or 'unknown'}` is not among the allowed kinds")  # noqa: FBT003
    return Decision(told == "allow", kind, f"`{kind}` is {told}ed".replace("denyed", "denied"))


def option(options: Any, *, allowed: bool) -> str | None:
    """The id of the offered answer that says so, once rather than always; None if none does."""
    kinds = ("allow_once", "allow_always") if allowed else ("reject_once", "reject_always")
    ids = {each.kind: each.option_id for each in reversed(options)}
    return next((ids[kind] for kind in kinds if kind in ids), None)


def _is_own(name: str) -> bool:
    found = _OWN_TOOL.fullmatch(name.strip()) or _GEMINI_TOOL.fullmatch(name.strip())
    return found is not None and found.group(1) in TOOLS
