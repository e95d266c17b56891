"""The results as lines, as JSON and as a table."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Result = dict[str, Any]
TOOLS = 20


def is_good(result: Result) -> bool:
    """Whether an agent made every call rightly; one that could not be run says why instead."""
    whole = result["passed"] == result["expected"] and not result["wrong_files"]
    return bool(result["not_run"]) or whole


def _listed(result: Result) -> str:
    if result["first_turn"]:
        return f"{result['first_turn']}/{TOOLS}"
    if result["named_first_turn"] == TOOLS:
        return f"{TOOLS}/{TOOLS} by name"
    return f"no (last turn {result['last_turn']}/{TOOLS})"


def _forms(result: Result) -> str:
    return "/".join(dict.fromkeys(result["forms"])) or "-"


def _disk(result: Result) -> str:
    return "wrong: " + ", ".join(result["wrong_files"]) if result["wrong_files"] else "right"


def line(result: Result) -> str:
    """One run on one line, its complaints below."""
    head = f"{result['agent']:<12} {result['transport']:<24}"
    if result["not_run"]:
        return f"{head} not run: {result['not_run']}"
    told = (
        f"{head} calls {result['passed']}/{result['expected']}, turn one {_listed(result)},"
        f" form {_forms(result)}, files {_disk(result)}, {result['seconds']} s"
    )
    return "\n".join([told, *(f"    {each}" for each in result["complaints"])])


def total(results: Sequence[Result]) -> str:
    """The closing line."""
    run = [result for result in results if not result["not_run"]]
    good = sum(is_good(result) for result in run)
    calls = sum(result["passed"] for result in run), sum(result["expected"] for result in run)
    return (
        f"{good}/{len(run)} runs right, {calls[0]}/{calls[1]} calls,"
        f" {len(results) - len(run)} not run"
    )


def write(folder: Path, results: Sequence[Result]) -> None:
    """``agents.json`` and ``agents.md`` in the folder of reports."""
    folder.mkdir(parents=True, exist_ok=True)
    load = [round(each, 1) for each in os.getloadavg()]
    machine = {"system": platform.platform(), "processors": os.cpu_count(), "load": load}
    document = {"machine": machine, "total": total(results), "runs": list(results)}
    (folder / "agents.json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    head = "| agent | package | transport | calls | on turn one | form | files | left behind | s |"
    rows = [head, "|---" * 9 + "|"]
    for result in results:
        known = [result["agent"], result["package"], result["transport"]]
        if result["not_run"]:
            known += [f"not run: {result['not_run']}", "", "", "", "", ""]
        else:
            calls = f"{result['passed']}/{result['expected']}"
            left = len(result["left_behind"])
            known += [calls, _listed(result), _forms(result), _disk(result), str(left)]
            known.append(str(result["seconds"]))
        rows.append("| " + " | ".join(known) + " |")
    told = [
        f"- {result['agent']}, {result['transport']}: {each}"
        for result in results
        for each in result["complaints"]
    ]
    measured = f"load {load[0]} on {machine['processors']} processors"
    text = f"# Real agents\n\n{total(results)}; {measured}.\n"
    (folder / "agents.md").write_text("\n".join([text, *rows, "", *told]) + "\n", "utf-8")
