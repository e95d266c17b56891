"""How HTML blocks start and end in Markdown (CommonMark 0.31, section 4.6)."""

from __future__ import annotations

import re
from typing import NamedTuple

_HTML_BLOCK = (
    "address article aside base basefont blockquote body caption center col colgroup dd details "
    "dialog dir div dl dt fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 "
    "head header hr html iframe legend li link main menu menuitem nav noframes ol optgroup option "
    "p param search section summary table tbody td tfoot th thead title tr track ul"
).replace(" ", "|")
_ATTRIBUTE = (
    r"[ \t]++[A-Za-z_:][\w.:-]*+(?:[ \t]*+=[ \t]*+(?:[^\"'=<>`\s]++|'[^']*+'|\"[^\"]*+\"))?+"
)
_LONE_TAG = re.compile(
    rf"(?:<[A-Za-z][A-Za-z0-9-]*+(?:{_ATTRIBUTE})*+[ \t]*+/?>|</[A-Za-z][A-Za-z0-9-]*+[ \t]*+>)"
    r"[ \t]*+\Z",
    re.ASCII,
)


class HtmlBlock(NamedTuple):
    """One kind of block: what starts it, what ends it (None: a blank line), a text that does."""

    opening: re.Pattern[str]
    closing: re.Pattern[str] | None
    closer: str

    @property
    def is_comment(self) -> bool:
        """Whether this is a comment."""
        return self.closer == "-->"


_BLOCKS = (
    HtmlBlock(re.compile(r"<!--"), re.compile(r"-->"), "-->"),
    HtmlBlock(
        re.compile(r"<(?:script|pre|style|textarea)(?:[ \t>]|\Z)", re.IGNORECASE),
        re.compile(r"</(?:script|pre|style|textarea)>", re.IGNORECASE),
        "</pre>",
    ),
    HtmlBlock(re.compile(r"<\?"), re.compile(r"\?>"), "?>"),
    HtmlBlock(re.compile(r"<![A-Za-z]"), re.compile(r">"), ">"),
    HtmlBlock(re.compile(r"<!\[CDATA\["), re.compile(r"\]\]>"), "]]>"),
    HtmlBlock(re.compile(rf"</?(?:{_HTML_BLOCK})(?:[ \t]|/?>|\Z)", re.IGNORECASE), None, ""),
)

_LONE_BLOCK = HtmlBlock(_LONE_TAG, None, "")


def starting(rest: str, *, paragraph: bool) -> HtmlBlock | None:
    """The block that starts with this rest of a line; a lone tag never interrupts a paragraph."""
    for block in _BLOCKS:
        if block.opening.match(rest):
            return block
    return _LONE_BLOCK if not paragraph and _LONE_TAG.match(rest) else None
