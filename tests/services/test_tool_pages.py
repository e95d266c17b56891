"""Every tool's page is true: its examples are called, and answer as they say."""

from __future__ import annotations

import json

import pytest

from sidecar.services.context import Context
from sidecar.services.registry import TOOLS
from sidecar.services.tool import Tool


def contains(whole, part) -> bool:
    """Whether a JSON value holds another: every named key, every listed item at its place."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and contains(whole[key], value) for key, value in part.items()
        )
    if isinstance(part, list):
        return len(whole) >= len(part) and all(map(contains, whole, part))
    return whole == part


def examples(tool: Tool) -> list[tuple[dict, dict]]:
    """The pairs of arguments and partial answers on the tool's page."""
    _, _, block = tool.page.partition("\nExample:\n")
    lines = [json.loads(line) for line in block.splitlines() if line.strip()]
    return list(zip(lines[::2], lines[1::2], strict=True))


@pytest.mark.parametrize("tool", TOOLS.values(), ids=list(TOOLS))
def test_each_example_answers_as_its_page_says(tool: Tool, context: Context):
    pairs = examples(tool)

    assert pairs
    for arguments, expected in pairs:
        answer = tool.call(context, arguments)

        assert contains(answer.model_dump(mode="json"), expected), answer.model_dump_json()
        assert answer.summary().strip()
