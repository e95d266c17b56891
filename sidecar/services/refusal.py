"""What a refused call tells its caller: which arguments are wrong, and the structured form."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.suggest import did_you_mean
from sidecar.services.tool import Tool, present


def structured(error: SidecarError) -> dict[str, Any]:
    """The structured form of a refusal, the same from every face."""
    told = {"success": False, "timestamp": present()}
    told |= {"error": error.message, "error_code": error.code.value}
    return {**told, "hint": error.hint} if error.hint else told


def invalid(tool: Tool[Any, Any], error: ValidationError) -> SidecarError:
    """The sentences that say which arguments are wrong, and what would be right."""
    names = tool.request.model_fields
    sentences = [_sentence(detail, tool.name, list(names)) for detail in error.errors()]
    return SidecarError(
        ErrorCode.INVALID,
        " ".join(dict.fromkeys(sentences)),
        hint=f"`{tool.name}` takes: {', '.join(names) or 'no arguments'}.",
    )


def _sentence(detail: Any, tool: str, names: list[str]) -> str:
    place = [str(part) for part in detail["loc"]]
    where = ".".join(place) or "arguments"
    if detail["type"] == "extra_forbidden":
        guess = did_you_mean(where, names) if len(place) == 1 else ""
        return f"`{where}` is not a parameter of `{tool}`. {guess}".strip()
    if detail["type"] == "missing":
        return f"`{where}` is required."
    told = str(detail["msg"]).removeprefix("Value error, ").rstrip(".")
    given = detail.get("input")
    shown = f", not {given!r:.60}" if isinstance(given, str | int | float | bool) else ""
    return f"`{where}`: {told[:1].lower()}{told[1:]}{shown}."
