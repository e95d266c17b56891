"""The explicit list of the 20 tools."""

from __future__ import annotations

from typing import Any

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.nearest import did_you_mean
from sidecar.services.tool import Tool

_IN_ORDER: tuple[Tool[Any, Any], ...] = ()

TOOLS: dict[str, Tool[Any, Any]] = {each.name: each for each in _IN_ORDER}

# The original server called its tools so; prompts written for it still do.
_ALIAS_SUFFIX = "_tool"


def resolve(name: str) -> Tool[Any, Any]:
    """The tool of that name, with or without ``_tool``; raises SidecarError E_NOT_FOUND."""
    found = TOOLS.get(name) or TOOLS.get(name.removesuffix(_ALIAS_SUFFIX))
    if found is None:
        raise SidecarError(
            ErrorCode.NOT_FOUND,
            f"There is no tool `{name}`.",
            hint=did_you_mean(name, TOOLS) or f"The tools are: {', '.join(TOOLS)}.",
        )
    return found
