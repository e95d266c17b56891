"""What is told above the tests of a Python file: how each ended last, and how much is covered."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sidecar.services.test_results import TestResult, TestResults

# Where pytest looks by itself.
TEST_FILES = ("test_*.py", "*_test.py")
_WORST_FIRST = ("error", "failed", "passed", "skipped")


@dataclass(frozen=True, slots=True)
class TestLens:
    """A sentence above a line, which counts from 0.

    ``keyword`` selects the tests that it speaks of, as pytest's ``-k``, in the file where it is
    empty; None where it speaks of no tests.
    """

    __test__ = False

    line: int
    title: str
    keyword: str | None


def lenses(path: str, text: str, known: TestResults) -> list[TestLens] | None:
    """The sentences for a file's present text, None while that is no Python.

    Results are those of the last run, whatever was changed since.
    """
    results = known.of_file(path)
    found = list(_of_coverage(path, known))
    if not (results or any(fnmatchcase(path.rpartition("/")[2], each) for each in TEST_FILES)):
        return found
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return [TestLens(0, _told(results), ""), *found, *_of_tests(path, module, results)]


def _of_coverage(path: str, known: TestResults) -> Iterator[TestLens]:
    if path in known.coverage:
        executed, all_ = known.coverage[path]
        kind = "statements and branches" if known.branches else "statements"
        share = f" ({100 * executed / all_:.0f} %)" if all_ else ""
        yield TestLens(0, f"covered: {executed}/{all_} {kind}{share}", None)


def _of_tests(path: str, module: ast.Module, results: Sequence[TestResult]) -> Iterator[TestLens]:
    """A sentence for each function that pytest would take for a test, or has."""
    by_name: dict[str, list[TestResult]] = {}
    for result in results:
        name = result.id.removeprefix(path).removeprefix("::").partition("[")[0]
        by_name.setdefault(name, []).append(result)
    for names, function in _functions(module.body, ()):
        own = by_name.get("::".join(names), [])
        if own or _is_test(names):
            line = min([function, *function.decorator_list], key=lambda each: each.lineno).lineno
            yield TestLens(line - 1, _told(own), " and ".join(names))


def _functions(
    body: Sequence[ast.stmt], names: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], ast.FunctionDef | ast.AsyncFunctionDef]]:
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from _functions(statement.body, (*names, statement.name))
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (*names, statement.name), statement


def _is_test(names: tuple[str, ...]) -> bool:
    return names[-1].startswith("test") and all(name.startswith("Test") for name in names[:-1])


def _told(results: Sequence[TestResult]) -> str:
    if not results:
        return "not run"
    seconds = f"{sum(result.seconds for result in results):.2f} s"
    if len(results) == 1:
        return f"{results[0].status}, {seconds}"
    counts = {status: sum(r.status == status for r in results) for status in _WORST_FIRST}
    told = [f"{number} {status}" for status, number in counts.items() if number]
    return f"{', '.join(told)} of {len(results)}, {seconds}"
