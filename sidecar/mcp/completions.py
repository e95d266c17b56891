"""What would complete the argument of a prompt, or the part that a resource's address names."""

from __future__ import annotations

from collections.abc import Iterable

from mcp_types import Completion, PromptReference, ResourceTemplateReference

from sidecar.mcp.prompts import PROMPTS
from sidecar.mcp.resources import FAMILIES
from sidecar.services.context import Context

MAX_VALUES = 100

Reference = PromptReference | ResourceTemplateReference


def completion(context: Context, reference: Reference, argument: str, typed: str) -> Completion:
    """The known values that begin with what was typed, before those that contain it."""
    values = [each for each in _known(context, reference, argument) if _holds(each, typed)]
    values.sort(key=lambda each: not each.casefold().startswith(typed.casefold()))
    shown = values[:MAX_VALUES]
    return Completion(values=shown, total=len(values), has_more=len(values) > len(shown))


def _holds(value: str, typed: str) -> bool:
    return typed.casefold() in value.casefold()


def _known(context: Context, reference: Reference, argument: str) -> Iterable[str]:
    if isinstance(reference, PromptReference):
        prompt = PROMPTS.get(reference.name)
        known = prompt.arguments if prompt else ()
        return next((each.values(context) for each in known if each.name == argument), [])
    for family in FAMILIES.values():
        if reference.uri == family.template and argument == family.part:
            return family.parts(context)
    return []
