"""The pieces of an HTML page: text is escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

STYLE = Path(__file__).with_name("report.css")
# The page holds what a stranger's tests printed: it may load and run nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> str:
    """A value as HTML; what cannot be shown is replaced."""
    if isinstance(value, Html):
        return value
    shown = str(value).encode("utf-8", "replace").decode("utf-8")
    return escape("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in shown))


def element(tag: str, *children: object, **attributes: str) -> Html:
    """An element; ``class_`` is ``class``, an underscore in a name is a hyphen."""
    pairs = ((name.rstrip("_").replace("_", "-"), text(v)) for name, v in attributes.items())
    told = "".join(f' {name}="{value}"' for name, value in pairs)
    return Html(f"<{tag}{told}>{''.join(map(text, children))}</{tag}>")


def section(title: str, *children: object) -> Html:
    """A titled part of the page; nothing where there is nothing in it."""
    return element("section", element("h2", title), *children) if any(children) else Html("")


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    """A table whose first column names the row; numbers stand right; narrow screens get cards."""
    listed = [list(row) for row in rows]
    if not listed:
        return Html("")
    body = [_row(header, row) for row in listed]
    heads = [
        element("th", name, scope="col", class_=_kind(value) if place else "words")
        for place, (name, value) in enumerate(zip(header, listed[0], strict=True))
    ]
    return element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *heads)),
        element("tbody", *body),
    )


def _row(header: Sequence[str], row: Sequence[object]) -> Html:
    cells = [element("th", row[0], scope="row")]
    for name, value in zip(header[1:], row[1:], strict=True):
        kind = _kind(value) + (" zero" if value == 0 else "") + (" empty" if value == "" else "")
        cells.append(element("td", value, class_=kind, data_label=name))
    return element("tr", *cells)


def _kind(value: object) -> str:
    """Numbers stand right; a dash or a date is none."""
    words = isinstance(value, Html) or "-" in text(value).partition(" ")[0].lstrip("-")
    return "number" if not words and text(value)[:1].isdigit() else "words"


def bar(good: int, bad: int) -> Html:
    """How much of something is good, beside its numbers."""
    whole = good + bad
    if not whole:
        return Html("")
    parts = [
        element("i", class_=name, style=f"width:{100 * count / whole:.2f}%")
        for name, count in (("ok", good), ("no", bad))
        if count
    ]
    return element("span", *parts, class_="bar", aria_hidden="true")


def document(title: str, *children: object) -> str:
    """The whole page, complete in itself."""
    head = [
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        element("title", title),
        element("style", Html(STYLE.read_text(encoding="utf-8"))),
    ]
    body = element("body", element("main", *children))
    return f'<!doctype html>\n<html lang="en">{element("head", *head)}{body}</html>\n'
