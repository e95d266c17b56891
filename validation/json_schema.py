"""Checks a value against the part of JSON Schema that tools use; the first problem is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def problem(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str = "$") -> str:
    """What is wrong with a value, or nothing."""
    if "$ref" in schema:
        return problem(value, _resolved(schema["$ref"], root), root, at)
    for key in ("anyOf", "oneOf"):
        if key in schema and all(problem(value, option, root, at) for option in schema[key]):
            return f"{at} fits none of {key}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{at} is {value!r}, not one of {schema['enum']}"
    if "type" in schema and not _is(value, schema["type"]):
        return f"{at} is no {schema['type']}"
    return _inner_problem(value, schema, root, at)


def _inner_problem(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str) -> str:
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        found = (problem(v, schema["items"], root, f"{at}[{i}]") for i, v in enumerate(value))
        return next(filter(None, found), "")
    return _object_problem(value, schema, root, at) if isinstance(value, dict) else ""


def _object_problem(
    value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], at: str
) -> str:
    known = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            return f"{at}.{name} is missing"
    for name, inner in value.items():
        rule = known.get(name, schema.get("additionalProperties", True))
        if rule is False:
            return f"{at}.{name} is not in the schema"
        if isinstance(rule, dict) and (found := problem(inner, rule, root, f"{at}.{name}")):
            return found
    return ""


def _is(value: Any, types: str | list[str]) -> bool:
    names = [types] if isinstance(types, str) else types
    boolean = isinstance(value, bool)
    return any(isinstance(value, _TYPES[n]) and (not boolean or n == "boolean") for n in names)


def _resolved(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    resolved: Mapping[str, Any] = found
    return resolved
