"""The page of the rule whose finding the pointer rests on."""

from __future__ import annotations

import re

from lsprotocol import types

from sidecar.domain.finding import Finding
from sidecar.lsp.session import Session
from sidecar.lsp.translate import to_offset, to_range
from sidecar.rules.registry import RULES

EXAMPLE = re.compile(r"^(Bad|Good):$", re.MULTILINE)


async def at(session: Session, params: types.HoverParams) -> types.Hover | None:
    """The pages of all findings at a place, None where there is none."""
    found = await session.view(params.text_document.uri)
    if not found:
        return None
    checker, view = found
    source, units = view.report.source, checker.folder.units
    offset = to_offset(source, params.position, units)
    here = [f for f in view.report.findings if f.span.contains(offset) and f.code in RULES]
    if not here:
        return None
    pages = dict.fromkeys(map(_page, here))
    content = types.MarkupContent(types.MarkupKind.Markdown, "\n\n---\n\n".join(pages))
    return types.Hover(content, to_range(source, here[0].span, units))


def _page(finding: Finding) -> str:
    """A rule's page as Markdown; a blank line makes its examples code blocks."""
    rule = RULES[finding.code]
    text = EXAMPLE.sub(r"\n\1:\n", rule.page)
    return f"**{rule.code}** {rule.name}\n\n{text}"
