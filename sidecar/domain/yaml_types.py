"""Plain scalars as the YAML 1.2 core schema types them, in JavaScript's numbers."""

from __future__ import annotations

import re

from sidecar.domain.tree import Scalar

NULL = re.compile(r"(?:~|[Nn]ull|NULL)?")
BOOL = re.compile(r"[Tt]rue|TRUE|[Ff]alse|FALSE")
OCTAL = re.compile(r"0o[0-7]+")
HEX = re.compile(r"0x[0-9a-fA-F]+")
INTEGER = re.compile(r"[-+]?[0-9]+")
SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
MAYBE_TYPED = frozenset("~nNtTfF.+-0123456789")
SAFE_INTEGER = 2**53

Primitive = str | int | float | bool | None


def typed(text: str) -> Primitive:
    """The value of a plain scalar: ``yes``, ``1_000`` and ``2024-01-01`` stay strings."""
    if text and text[0] not in MAYBE_TYPED:
        return text
    if NULL.fullmatch(text):
        return None
    if BOOL.fullmatch(text):
        return text[0] in "tT"
    return _number(text)


def _number(text: str) -> Primitive:
    if OCTAL.fullmatch(text):
        return _integer(text[2:], 8)
    if HEX.fullmatch(text):
        return _integer(text[2:], 16)
    if INTEGER.fullmatch(text):
        return _integer(text, 10)
    if SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    if FLOAT.fullmatch(text):
        return float(text)
    return text


def _integer(text: str, base: int) -> int | float:
    # Python refuses to read more than 4,300 decimal digits; JavaScript rounds them to Infinity.
    if base == 10 and len(text) > 16:
        return float(text)
    value = int(text, base)
    return value if abs(value) <= SAFE_INTEGER else _rounded(value)


def _rounded(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def tagged(text: str, tag: str | None, *, plain: bool) -> Primitive:
    """The value of a scalar under its tag; a tag that does not fit leaves the text."""
    if tag is None:
        return typed(text) if plain else text
    wanted = {"!!int": (int,), "!!float": (int, float), "!!bool": (bool,), "!!null": (type(None),)}
    value = typed(text)
    return value if tag in wanted and type(value) in wanted[tag] else text


def same_key(one: Scalar) -> tuple[str, object]:
    """What duplicate keys share: ``1`` and ``1.0`` are the same, ``1`` and ``true`` are not."""
    value = one.value
    if type(value) is str:
        return ("str", value)
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN equals nothing
        return ("nan", one.span)
    kind = "number" if type(value) in (int, float) else type(value).__name__
    return (kind, value)
