"""Tools of the official suite that ask the client: by requests before 2026, by results since."""

from __future__ import annotations

from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolRequestParams,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)

from tests.conformance.content import FIXTURES, Called, Request, messages, said

STRING = {"type": "string"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _question(text: str, tokens: int) -> CreateMessageRequestParams:
    content = TextContent(type="text", text=text)
    message = SamplingMessage(role="user", content=content)
    return CreateMessageRequestParams(messages=[message], max_tokens=tokens)


@FIXTURES.tool(_object(prompt=STRING))
async def sampling(ctx: Request, params: CallToolRequestParams) -> Called:
    """Ask the client's model."""
    asked = _question((params.arguments or {})["prompt"], 100)
    answer = await ctx.session.create_message(
        asked.messages, max_tokens=100, related_request_id=ctx.request_id
    )
    return said(f"LLM response: {answer.content}")


async def _elicited(ctx: Request, message: str, schema: dict[str, Any]) -> Called:
    answer = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return said(f"Elicitation completed: action={answer.action}, content={answer.content}")


@FIXTURES.tool(_object(message=STRING))
async def elicitation(ctx: Request, params: CallToolRequestParams) -> Called:
    """Ask the client's user."""
    schema = _object(
        username={**STRING, "description": "User's response"},
        email={**STRING, "description": "User's email address"},
    )
    return await _elicited(ctx, (params.arguments or {})["message"], schema)


@FIXTURES.tool()
async def elicitation_sep1034_defaults(ctx: Request, _: CallToolRequestParams) -> Called:
    """Ask with a default for each primitive type."""
    states = ["active", "inactive", "pending"]
    schema = _object(
        name={**STRING, "default": "John Doe"},
        age={"type": "integer", "default": 30},
        score={"type": "number", "default": 95.5},
        status={**STRING, "enum": states, "default": "active"},
        verified={"type": "boolean", "default": True},
    )
    return await _elicited(ctx, "Please review the defaults", schema)


@FIXTURES.tool()
async def elicitation_sep1330_enums(ctx: Request, _: CallToolRequestParams) -> Called:
    """Ask with each form of a choice."""
    values = ["option1", "option2", "option3"]
    titled = [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2, 3)]
    legacy = {"enum": ["opt1", "opt2", "opt3"], "enumNames": ["One", "Two", "Three"]}
    schema = _object(
        untitledSingle={**STRING, "enum": values},
        titledSingle={**STRING, "oneOf": titled},
        legacyEnum={**STRING, **legacy},
        untitledMulti={"type": "array", "items": {**STRING, "enum": values}},
        titledMulti={"type": "array", "items": {"anyOf": titled}},
    )
    return await _elicited(ctx, "Please choose", schema)


@FIXTURES.tool()
async def missing_capability(ctx: Request, _: CallToolRequestParams) -> Called:
    """Need what the client has not declared."""
    capabilities = ctx.session.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "This tool needs sampling.",
            {"requiredCapabilities": {"sampling": {}}},
        )
    return said("Done.")


def _elicitation(message: str, **properties: Any) -> ElicitRequest:
    schema = _object(**properties)
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


NAME = _elicitation("What is your name?", name=STRING)
CONFIRMATION = _elicitation("Please confirm", ok={"type": "boolean"})
ROOTS = ListRootsRequest()


def _missing(
    params: CallToolRequestParams | GetPromptRequestParams,
    state: str | None = None,
    **requests: Any,
) -> InputRequiredResult | None:
    """The result that asks for what has not been answered; None when all has been."""
    answers = params.input_responses or {}
    if all(key in answers for key in requests):
        return None
    return InputRequiredResult(input_requests=requests, request_state=state)


@FIXTURES.tool()
async def input_required_result_elicitation(_: Request, params: CallToolRequestParams) -> Called:
    """Need a name."""
    answer = (params.input_responses or {}).get("user_name")
    missing = _missing(params, user_name=NAME)
    if missing is not None or not isinstance(answer, ElicitResult):
        return missing or InputRequiredResult(input_requests={"user_name": NAME})
    return said(f"Hello, {(answer.content or {}).get('name')}!")


@FIXTURES.tool()
async def streaming_elicitation(ctx: Request, params: CallToolRequestParams) -> Called:
    """Report progress, then need a name."""
    await ctx.session.report_progress(1, 2, "half")
    return _missing(params, user_name=NAME) or said("Done.")


@FIXTURES.tool()
async def input_required_result_sampling(_: Request, params: CallToolRequestParams) -> Called:
    """Need an answer of the client's model."""
    question = CreateMessageRequest(params=_question("What is the capital of France?", 100))
    missing = _missing(params, capital_question=question)
    return missing or said(str((params.input_responses or {})["capital_question"]))


@FIXTURES.tool()
async def input_required_result_list_roots(_: Request, params: CallToolRequestParams) -> Called:
    """Need the client's roots."""
    missing = _missing(params, client_roots=ROOTS)
    return missing or said(str((params.input_responses or {})["client_roots"]))


@FIXTURES.tool()
async def input_required_result_request_state(_: Request, params: CallToolRequestParams) -> Called:
    """Need a confirmation and its own state back."""
    missing = _missing(params, "asked", confirm=CONFIRMATION)
    return missing or said("state-ok" if params.request_state == "asked" else "state lost")


@FIXTURES.tool()
async def input_required_result_tampered_state(_: Request, params: CallToolRequestParams) -> Called:
    """Need a confirmation under a state that nobody may change."""
    return _missing(params, "sealed", confirm=CONFIRMATION) or said("Done.")


@FIXTURES.tool()
async def input_required_result_multiple_inputs(
    _: Request, params: CallToolRequestParams
) -> Called:
    """Need three things at once."""
    greeting = CreateMessageRequest(params=_question("Generate a greeting", 50))
    missing = _missing(params, "asked", user_name=NAME, greeting=greeting, client_roots=ROOTS)
    return missing or said("Done.")


@FIXTURES.tool()
async def input_required_result_multi_round(_: Request, params: CallToolRequestParams) -> Called:
    """Need one thing after another."""
    if params.request_state == "second":
        colour = _elicitation("Step 2: What is your favorite color?", color=STRING)
        return _missing(params, "second", step2=colour) or said("Done.")
    first = _elicitation("Step 1: What is your name?", name=STRING)
    second = _elicitation("Step 2: What is your favorite color?", color=STRING)
    return _missing(params, "first", step1=first) or InputRequiredResult(
        input_requests={"step2": second}, request_state="second"
    )


@FIXTURES.tool()
async def input_required_result_capabilities(ctx: Request, params: CallToolRequestParams) -> Called:
    """Need only what the client can give."""
    can = ctx.session.client_capabilities
    requests: dict[str, Any] = {}
    if can is not None and can.sampling is not None:
        requests["greeting"] = CreateMessageRequest(params=_question("Greet", 50))
    if can is not None and can.elicitation is not None:
        requests["user_name"] = NAME
    return _missing(params, **requests) or said("Done.")


def asking_prompt(params: GetPromptRequestParams) -> GetPromptResult | InputRequiredResult:
    """The prompt that needs a context."""
    context = _elicitation("What context should the prompt use?", context=STRING)
    missing = _missing(params, user_context=context)
    return missing or messages(f"Use {(params.input_responses or {})['user_context']}")
