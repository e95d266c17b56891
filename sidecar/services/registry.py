"""The explicit list of the 20 tools."""

from __future__ import annotations

from typing import Any

from sidecar.services.tool import Tool

TOOLS: dict[str, Tool[Any, Any]] = {}
