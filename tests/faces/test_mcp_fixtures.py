"""The fixtures of the official suite stand beside the 20 tools; `make conformance` uses them."""

from __future__ import annotations

import pytest
from mcp import Client
from mcp_types import ElicitResult

from sidecar.mcp import resources, server
from sidecar.mcp.subscriptions import Subscriptions
from sidecar.services.registry import TOOLS
from tests.conformance.served import mount


@pytest.fixture
def mounted(context):
    """The real server with the fixtures in front of its handlers."""
    told = Subscriptions(lambda: context, lambda uri: "test:" in uri or bool(resources.find(uri)))
    made = server.build(lambda *_: context, version="0", subscriptions=told)
    mount(made, told)
    return made


async def test_fixtures_and_tools_are_served_by_one_server(mounted):
    async with Client(mounted) as client:
        names = [each.name for each in (await client.list_tools()).tools]
        assert names[: len(TOOLS)] == list(TOOLS)
        assert "test_simple_text" in names
        assert "json_schema_2020_12_tool" in names
        told = await client.call_tool("test_simple_text", {})
        assert told.content[0].text == "This is a simple text response for testing."
        assert not (await client.call_tool("get_todo_status", {})).is_error
        [contents] = (await client.read_resource("test://template/123/data")).contents
        assert '"123"' in contents.text
        assert (await client.read_resource("sidecar://todo")).contents
        prompts = {each.name for each in (await client.list_prompts()).prompts}
        assert {"orchestrate", "test_simple_prompt"} <= prompts


async def test_a_fixture_asks_the_client_only_by_a_result(mounted):
    async def answer(*_):
        return ElicitResult(action="accept", content={"name": "Ada"})

    async with Client(mounted, elicitation_callback=answer) as client:
        told = await client.call_tool("test_input_required_result_elicitation", {})
        assert told.content[0].text == "Hello, Ada!"
