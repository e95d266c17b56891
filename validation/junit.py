"""Reads JUnit XML, as pytest and most other runners write it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from validation.checks import Check, Status

MESSAGE_LIMIT = 4000
_WORSE = (Status.PASSED, Status.SKIPPED, Status.FAILED, Status.ERROR)
_BY_TAG = {"failure": Status.FAILED, "error": Status.ERROR, "skipped": Status.SKIPPED}


class BadJUnitError(ValueError):
    """The file is not a complete JUnit report."""


def read(path: Path) -> list[Check]:
    """One check for each test, the worst of its entries; raises BadJUnitError, OSError."""
    merged: dict[str, Check] = {}
    for check in _cases(path):
        key = check.id
        known = merged.get(key)
        if known is None or _WORSE.index(check.status) > _WORSE.index(known.status):
            merged[key] = check
    return list(merged.values())


def _cases(path: Path) -> list[Check]:
    checks: list[Check] = []
    try:
        # Entities cannot be declared here: expat stops at its own amplification limit.
        for _, element in ET.iterparse(path):  # noqa: S314
            if element.tag == "testcase":
                if element.get("name"):  # an interrupted pytest leaves one without
                    checks.append(_case(element))
                element.clear()
    except ET.ParseError as error:
        raise BadJUnitError(f"It is not complete XML: {error}.") from error
    return checks


def _case(element: ET.Element) -> Check:
    status, message = Status.PASSED, ""
    for child in element:
        found = _BY_TAG.get(child.tag)
        if found and _WORSE.index(found) > _WORSE.index(status):
            status, message = found, _message(child)
    collected = element.get("file", "").replace("\\", "/")
    whole = not element.get("classname")  # a module that could not be collected
    file = collected or _module_file(element, status)
    line = element.get("line") or ""
    return Check(
        # As pytest named it: its file may be another than where the test was inherited from.
        id=_property(element, "sidecar_id")
        or (file if whole and file else _identifier(element, collected)),
        status=status,
        message=message,
        file=file,
        line=_failing_line(message, file) or (int(line) + 1 if line.isdigit() else None),
        seconds=_seconds(element.get("time")),
        markers=_markers(element),
    )


def _property(element: ET.Element, name: str) -> str:
    for item in element.iterfind("properties/property"):
        if item.get("name") == name:
            return item.get("value") or ""
    return ""


def _message(element: ET.Element) -> str:
    short, text = element.get("message") or "", element.text or ""
    whole = f"{short}\n{text}" if short and short not in text else text or short
    return whole.strip()[-MESSAGE_LIMIT:]


def _identifier(element: ET.Element, file: str) -> str:
    """The node id that pytest itself prints, where the attributes allow it."""
    name, owner = element.get("name", ""), element.get("classname", "")
    module = file.removesuffix(".py").replace("/", ".")
    if not file:
        return f"{owner}.{name}".strip(".")
    inner = owner.removeprefix(module).strip(".")
    return "::".join([file, *filter(None, inner.split(".")), name])


def _failing_line(message: str, file: str) -> int | None:
    """Where in the test's own file it went wrong, as pytest's traceback says."""
    found = re.findall(rf"^{re.escape(file)}:(\d+): ", message, re.MULTILINE) if file else []
    return int(found[-1]) if found else None


def _module_file(element: ET.Element, status: Status) -> str:
    """A module that could not be collected is named by its dotted path alone."""
    name = element.get("name", "")
    if status is Status.ERROR and not element.get("classname") and "/" not in name and name:
        return name.replace(".", "/") + ".py"
    return ""


def _seconds(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _markers(element: ET.Element) -> tuple[str, ...]:
    return tuple(filter(None, _property(element, "sidecar_markers").split(",")))
