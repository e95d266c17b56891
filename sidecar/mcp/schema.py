"""JSON Schemas of the tools, without what costs an agent tokens and tells it nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

# The server's instructions say it for all tools.
_SAID_ONCE = ("cursor", "dry_run", "encoding", "file_path")
# Keywords whose values map names to schemas; a key there is a name, not a keyword.
_BY_NAME = ("properties", "patternProperties")
# A text over its bound is refused with a sentence; to tell each bound would cost every agent.
_INPUT_NOISE = ("title", "format", "maxLength")
_OUTPUT_NOISE = (*_INPUT_NOISE, "description", "default", "minimum", "maximum", "minLength")


def of_input(model: type[BaseModel]) -> Schema:
    """The schema of a tool's arguments: every name, type, choice, bound and description."""
    schema = _schema(model, _INPUT_NOISE)
    schema.pop("description", None)  # the tool's own description says it
    for name in _SAID_ONCE:
        schema["properties"].get(name, {}).pop("description", None)
    return schema


def of_output(model: type[BaseModel]) -> Schema:
    """The schema of a tool's structured result, types alone; unset fields are left out there."""
    return _schema(model, _OUTPUT_NOISE)


def shallow(schema: Schema, depth: int) -> Schema:
    """The schema with objects described only so many levels deep, below that just as objects."""
    if depth == 0:
        return {"type": schema["type"]} if "type" in schema else {}
    result = dict(schema)
    if "properties" in schema:
        result["properties"] = {k: shallow(v, depth - 1) for k, v in schema["properties"].items()}
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            result[keyword] = shallow(schema[keyword], depth)
    if "anyOf" in schema:
        result["anyOf"] = [shallow(each, depth) for each in schema["anyOf"]]
    return result


def _schema(model: type[BaseModel], noise: tuple[str, ...]) -> Schema:
    schema = model.model_json_schema(mode="validation")
    compact: Schema = _compacted(schema, schema.get("$defs", {}), noise)
    return compact


def _compacted(node: Any, definitions: Mapping[str, Any], noise: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_compacted(each, definitions, noise) for each in node]
    if not isinstance(node, dict):
        return node
    node = _resolved(node, definitions)
    schema: Schema = {}
    for keyword, value in node.items():
        if keyword in noise or keyword == "$defs" or _says_nothing(keyword, value):
            continue
        if keyword in _BY_NAME:
            schema[keyword] = {k: _compacted(v, definitions, noise) for k, v in value.items()}
        elif keyword in {"default", "enum", "const", "required"}:
            schema[keyword] = value
        else:
            schema[keyword] = _compacted(value, definitions, noise)
    return _required_only_if_set(schema, node)


def _says_nothing(keyword: str, value: Any) -> bool:
    usual = keyword == "default" and (value is None or value is False)
    return usual or (keyword == "additionalProperties" and value is True)


def _resolved(node: Schema, definitions: Mapping[str, Any]) -> Schema:
    """The node with its reference and its ``| None`` taken in."""
    while True:
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            node = {**definitions[name], **{k: v for k, v in node.items() if k != "$ref"}}
        elif len(node.get("allOf", ())) == 1:
            node = {**node["allOf"][0], **{k: v for k, v in node.items() if k != "allOf"}}
        elif _is_nullable(node):
            some = [each for each in node["anyOf"] if each != {"type": "null"}]
            rest = {k: v for k, v in node.items() if k != "anyOf"}
            node = {**(some[0] if len(some) == 1 else {"anyOf": some}), **rest}
        else:
            return node


def _is_nullable(node: Schema) -> bool:
    return {"type": "null"} in node.get("anyOf", ())


def _required_only_if_set(schema: Schema, node: Schema) -> Schema:
    """Take fields that may be null out of ``required``: results leave them out when unset."""
    if "required" in schema:
        fields = node.get("properties", {})
        always = [
            name
            for name in schema["required"]
            if not _is_nullable(fields.get(name, {})) and name in schema.get("properties", {})
        ]
        del schema["required"]
        if always:
            schema["required"] = always
    return schema
