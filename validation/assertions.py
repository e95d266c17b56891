"""Finds tests that assert nothing, from their source alone: nothing of it is executed.

A test is named only where all that it could assert with is known: what is inherited from, or
imported from, a place outside the project is given the benefit of the doubt.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from validation.checks import Check, Status
from validation.findings import Finding

RULE = "no-assertion"
FILE_BYTES = 2_000_000
# Calls that fail a test by themselves, whatever they are attributes of: pytest, unittest, pytester,
# subprocess, requests, snapshot and regression plugins.
ASSERTING = {
    "raises", "warns", "deprecated_call", "fail", "exit", "expect", "RaisesGroup", "approx",
    "fnmatch_lines", "fnmatch_lines_random", "re_match_lines", "no_fnmatch_line",
    "no_re_match_line", "check_call", "check_output", "check_returncode", "raise_for_status",
    "run_state_machine_as_test", "should", "verify",
}  # fmt: skip
PREFIXES = ("assert", "_assert", "fail_", "failUnless", "failIf", "check_", "expect_", "verify_")
# A fixture that measures, compares with a snapshot, or fails by itself.
FIXTURES = {"benchmark", "snapshot", "data_regression", "file_regression", "num_regression"}
# A property holds for all inputs, if only that nothing is raised.
PROPERTIES = {"given", "rule", "invariant"}

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Module:
    """One parsed file: its functions, classes and what it imports by which name."""

    path: Path
    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    imports: dict[str, tuple[str, int, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, tree: ast.Module) -> Module:
        """Index a tree; definitions below `if` and `try` are seen too."""
        module = cls(path)
        for node in _statements(tree.body):
            if isinstance(node, FUNCTIONS):
                module.functions[node.name] = node
            elif isinstance(node, ast.ClassDef):
                module.classes[node.name] = node
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    source = (node.module or "", node.level, alias.name)
                    module.imports[alias.asname or alias.name] = source
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    name = alias.asname or alias.name.partition(".")[0]
                    module.imports[name] = (alias.name if alias.asname else name, 0, "")
        return module


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            for name in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(node, name, ()))


@dataclass
class Project:
    """The project's files, parsed once each."""

    root: Path
    _modules: dict[Path, Module | None] = field(default_factory=dict)

    def module(self, path: Path) -> Module | None:
        """A parsed file; None where there is none or this Python cannot parse it."""
        if path not in self._modules:
            self._modules[path] = self._parsed(path)
        return self._modules[path]

    def _parsed(self, path: Path) -> Module | None:
        try:
            if not path.is_file() or path.stat().st_size > FILE_BYTES:
                return None
            return Module.of(path, ast.parse(path.read_bytes()))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            return None

    def imported(self, module: Module, name: str) -> Module | None:
        """The project's own file that a name was imported from, or is."""
        source, level, inner = module.imports[name]
        words = source.split(".") if source else []
        if level:
            bases = [module.path.parents[level - 1]]
        else:
            inside = [p for p in module.path.parents if p.is_relative_to(self.root)]
            bases = [*inside, self.root / "src"]
        for base in bases:
            whole = base.joinpath(*words)
            for path in (whole / f"{inner}.py" if inner else whole, whole.with_suffix(".py"),
                         whole / "__init__.py"):  # fmt: skip
                if words or inner:
                    found = self.module(path)
                    if found is not None:
                        return found
        return None

    def conftests(self, file: Path) -> Iterator[Module]:
        """The conftest.py files that apply to a test file, the nearest first."""
        for folder in file.parents:
            found = self.module(folder / "conftest.py")
            if found is not None:
                yield found
            if folder == self.root:
                return


@dataclass
class _Search:
    """Whether one test asserts: follows what it calls, requests and inherits."""

    project: Project
    home: Module
    seen: set[int] = field(default_factory=set)

    def asserts(self, function: Function, module: Module, owner: ast.ClassDef | None) -> bool:
        if id(function) in self.seen:
            return False
        self.seen.add(id(function))
        if any(_asserts_itself(node) for node in ast.walk(function)):
            return True
        called = (n for n in ast.walk(function) if isinstance(n, ast.Call | ast.Attribute))
        return (
            any(self._reached(node, module, owner) for node in called)
            or self._handed_in(function, module)
            or self._passed_on(function, module)
            or any(self._fixture(name, module) for name in _requested(function))
        )

    def _reached(
        self, node: ast.Call | ast.Attribute, module: Module, owner: ast.ClassDef | None
    ) -> bool:
        """Whether what a call or an attribute leads to asserts."""
        target = node.func if isinstance(node, ast.Call) else node
        if isinstance(target, ast.Subscript | ast.Call):
            return True  # chosen while it runs: it may
        if isinstance(target, ast.Name):
            return self._named(target.id, module)
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            return self._attribute(target.value.id, target.attr, module, owner)
        return False

    def _attribute(self, base: str, name: str, module: Module, owner: ast.ClassDef | None) -> bool:
        if base in ("self", "cls") and owner is not None:
            return self._method(owner, name, module)
        if base in module.classes:
            return self._method(module.classes[base], name, module)
        if base in module.imports:
            other = self.project.imported(module, base)
            return other is not None and self._named(name, other)
        return False

    def _handed_in(self, function: Function, module: Module) -> bool:
        """Whether it calls what parametrisation gave it: that may assert."""
        requested = set(_requested(function))
        called = {
            node.func.id
            for node in ast.walk(function)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        places = (module, *self.project.conftests(self.home.path))
        return any(
            not any(True for place in places for _ in _fixtures(place, name))
            for name in requested & called
        )

    def _passed_on(self, function: Function, module: Module) -> bool:
        """Functions handed to somebody else, who will call them."""
        names = (
            argument.id
            for call in ast.walk(function)
            if isinstance(call, ast.Call)
            for argument in (*call.args, *(keyword.value for keyword in call.keywords))
            if isinstance(argument, ast.Name)
        )
        return any(self._named(name, module) for name in names if name in module.functions)

    def _named(self, name: str, module: Module) -> bool:
        if name in module.functions:
            return self.asserts(module.functions[name], module, None)
        if name in module.classes:
            return self._class(module.classes[name], module)
        if name in module.imports:
            other = self.project.imported(module, name)
            return other is not None and other is not module and self._named(name, other)
        return False

    def _class(self, owner: ast.ClassDef, module: Module) -> bool:
        """A helper object asserts where any of its methods does."""
        methods = [node for node in owner.body if isinstance(node, FUNCTIONS)]
        return any(self.asserts(method, module, owner) for method in methods)

    def _method(self, owner: ast.ClassDef, name: str, module: Module) -> bool:
        found = _find_method(self.project, module, owner, name)
        if found is None:
            return False
        if isinstance(found, str):
            return True  # somebody else's class: it may
        function, home, its_owner = found
        return self.asserts(function, home, its_owner)

    def _fixture(self, name: str, module: Module) -> bool:
        if name in FIXTURES:
            return True
        for place in (module, *self.project.conftests(self.home.path)):
            for function in _fixtures(place, name):
                return self.asserts(function, place, None)
            if place is module and name in module.imports and self._named(name, module):
                return True
        return False


def _asserts_itself(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return not _always_true(node.test)
    if isinstance(node, ast.Raise):
        return node.exc is not None
    if isinstance(node, ast.Call):
        name = _last_name(node.func)
        checked = any(
            k.arg == "check" and isinstance(k.value, ast.Constant) and k.value.value is True
            for k in node.keywords
        )
        return name in ASSERTING or name.startswith(PREFIXES) or checked
    if isinstance(node, FUNCTIONS):
        return any(_last_name(_callee(d)) in PROPERTIES for d in node.decorator_list)
    return False


def _callee(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _always_true(test: ast.expr) -> bool:
    """A constant, or the tuple that somebody meant as condition and message."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    return isinstance(test, ast.Tuple) and bool(test.elts)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _requested(function: Function) -> Iterator[str]:
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        yield argument.arg
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and _last_name(decorator.func) == "usefixtures":
            for word in decorator.args:
                if isinstance(word, ast.Constant) and isinstance(word.value, str):
                    yield word.value


def _fixtures(module: Module, name: str) -> Iterator[Function]:
    for function in module.functions.values():
        for decorator in function.decorator_list:
            if _last_name(_callee(decorator)) != "fixture":
                continue
            given = [
                k.value.value
                for k in getattr(decorator, "keywords", ())
                if k.arg == "name" and isinstance(k.value, ast.Constant)
            ]
            if name in (given or [function.name]):
                yield function


Found = tuple[Function, Module, ast.ClassDef | None]


def _find_method(
    project: Project, module: Module, owner: ast.ClassDef, name: str, depth: int = 0
) -> Found | str | None:
    """A method by name, in a class or the classes it inherits from; a text where unknown."""
    for node in owner.body:
        if isinstance(node, FUNCTIONS) and node.name == name:
            return node, module, owner
    unknown: str | None = None
    for base in owner.bases:
        known = _last_name(base)
        place: Module | None = module
        if known in module.imports:
            place = project.imported(module, known)
        if known in ("object", "TestCase", "IsolatedAsyncioTestCase", "ABC", "Generic"):
            continue
        if place is None or known not in place.classes or depth > 10:
            unknown = known or "unknown"
            continue
        found = _find_method(project, place, place.classes[known], name, depth + 1)
        if found is not None:
            return found
    return unknown


@dataclass
class Detector:
    """Looks at the tests of one run."""

    root: Path

    @cached_property
    def _project(self) -> Project:
        return Project(self.root)

    def look(self, checks: Iterable[Check]) -> tuple[Finding, ...]:
        """A warning for each function whose tests passed and that asserts nothing."""
        named: dict[tuple[str, tuple[str, ...]], None] = {}
        for check in checks:
            file, _, inner = check.id.partition("::")
            if check.status is Status.PASSED and inner and file.endswith(".py"):
                named[file, tuple(inner.partition("[")[0].split("::"))] = None
        return tuple(filter(None, (self._finding(file, names) for file, names in named)))

    def _finding(self, file: str, names: tuple[str, ...]) -> Finding | None:
        module = self._project.module(self.root / file)
        found = module and self._test(module, names)
        if not found:
            return None
        function, home, owner = found
        if _Search(self._project, home).asserts(function, home, owner):
            return None
        told = f"{'::'.join(names)} asserts nothing: it passes whatever comes out, unless it raises"
        place = home.path.relative_to(self.root).as_posix()
        return Finding("assertions", RULE, "warning", told, place, function.lineno)

    def _test(self, module: Module, names: tuple[str, ...]) -> Found | None:
        *classes, name = names
        if not classes:
            function = module.functions.get(name)
            return (function, module, None) if function else None
        owner = module.classes.get(classes[0])
        for inner in classes[1:]:
            members = owner.body if owner else []
            nested = (n for n in members if isinstance(n, ast.ClassDef) and n.name == inner)
            owner = next(nested, None)
        if owner is None:
            return None
        found = _find_method(self._project, module, owner, name)
        return None if isinstance(found, str) else found
