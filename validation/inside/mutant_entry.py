"""Runs pytest on a copy that may hold a mutant: `mutant_entry.py OPTIONS_JSON ARGV...`.

On the copy as it was made it learns which tests reach which lines, in this process; on a mutant
it runs those that reach the changed lines first, the quickest before the others, then those that
reach the file at all. A file that no test reaches here may be reached by a test's child: then all
tests are run.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


class Learning:
    """Tells the measurement which test runs, and how long each takes."""

    def __init__(self, measured: Any) -> None:
        self._measured = measured
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """What is executed meanwhile, the test's fixtures too, is reached by this test."""
        self._measured.switch_context(item.nodeid)
        yield
        self._measured.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a phase's duration to its test's."""
        known = self.seconds.get(report.nodeid, 0.0)
        self.seconds[report.nodeid] = known + report.duration


class Choice:
    """Runs the tests that may notice the mutant, in the order in which they probably do."""

    def __init__(self, order: list[str]) -> None:
        self._order = {name: rank for rank, name in enumerate(order)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Leave out what does not reach the file; all stay where nothing is known of it."""
        chosen = [item for item in items if item.nodeid in self._order]
        if chosen:
            others = [item for item in items if item.nodeid not in self._order]
            config.hook.pytest_deselected(items=others)
            items[:] = sorted(chosen, key=lambda item: self._order[item.nodeid])


def learned(arguments: list[str], files: list[str], known: Path) -> int:
    """Run all tests and keep what they reach; pytest's status."""
    if importlib.util.find_spec("coverage") is None:
        return int(pytest.main(arguments))
    import coverage  # noqa: PLC0415 - a project without it can be tried all the same

    measured = coverage.Coverage(data_file=None, config_file=False, include=files)
    plugin = Learning(measured)
    measured.start()
    try:
        status = int(pytest.main(arguments, plugins=[plugin]))
    finally:
        measured.stop()
    data = measured.get_data()
    reached = {
        file: {
            "text": Path(file).read_text(encoding="utf-8"),
            "lines": {str(line): names for line, names in data.contexts_by_lineno(file).items()},
        }
        for file in files
    }
    known.write_text(json.dumps({"files": reached, "seconds": plugin.seconds}), encoding="utf-8")
    return status


def order(known: dict[str, Any]) -> list[str]:
    """The tests for the one file that has changed since; none where it is not one."""
    changed = [
        (entry, text)
        for file, entry in known["files"].items()
        if (text := Path(file).read_text(encoding="utf-8")) != entry["text"]
    ]
    if len(changed) != 1:
        return []
    ((entry, text),) = changed
    old, new = entry["text"].splitlines(), text.splitlines()
    opcodes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    lines = {
        str(line + 1)
        for kind, first, last, _, _ in opcodes
        if kind != "equal"
        for line in range(first, max(last, first + 1))
    }

    def by_time(names: set[str]) -> list[str]:
        return sorted(names - {""}, key=lambda name: known["seconds"].get(name, 0.0))

    near = {name for line in lines for name in entry["lines"].get(line, ())}
    far = {name for names in entry["lines"].values() for name in names}
    return by_time(near) + by_time(far - near)


def main() -> int:
    """Learn, or judge by what was learned; pytest's exit status is ours."""
    options, arguments = json.loads(sys.argv[1]), sys.argv[2:]
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # before 3.11 there is no -P, and this folder came first
    sys.argv = ["pytest", *arguments]
    known = Path(options["known"])
    if options["learn"]:
        return learned(arguments, options["files"], known)
    if not known.exists():
        return int(pytest.main(arguments))
    chosen = order(json.loads(known.read_text(encoding="utf-8")))
    return int(pytest.main(arguments, plugins=[Choice(chosen)]))


if __name__ == "__main__":
    sys.exit(main())
