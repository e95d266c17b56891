"""Rules on what a mode file's YAML parser refuses."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache

from sidecar.domain import conflict, modes
from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, Severity, SyntaxProblem
from sidecar.domain.kind import Kind
from sidecar.domain.modes import ModesFile
from sidecar.domain.project import Project
from sidecar.domain.source import Span
from sidecar.domain.tree import Mapping, Node, Scalar, Sequence, Style
from sidecar.domain.yaml_repair import quote_edits
from sidecar.rules.rule import Hit, rule

CURLY = "\u2018\u2019\u201c\u201d"
REWRITTEN = CURLY + "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
COLON = "unquoted-colon"
FEATURES = frozenset({"tab", "fence", "multi-document", "directive"})


# Six rules ask in turn.
@lru_cache(maxsize=2)
def problems(file: ModesFile) -> tuple[SyntaxProblem, ...]:
    """What stops the product's parser; none where its JSON parser takes the text after all."""
    if file.load.parsed_as != "nothing":
        return ()

    def judge(text: str) -> tuple[SyntaxProblem, ...]:
        return modes.parse(text, path=file.path, product=file.product).document.problems

    return conflict.explained(file.source.text, file.document.problems, judge)


# Four rules ask in turn.
@lru_cache(maxsize=2)
def rewritten(file: ModesFile) -> dict[int, Scalar]:
    """The problems, by index, that only the product's change of characters makes, with the text."""
    text = file.source.text
    if not problems(file) or not any(char in text for char in REWRITTEN):
        return {}
    tree = file.unreplaced
    own = {file.source.position(problem.span.start).line for problem in tree.problems}
    found: dict[int, Scalar] = {}
    parts = _Parts()
    for index, problem in enumerate(problems(file)):
        line = file.source.position(problem.span.start).line
        scalar = parts.scalar_at(tree.root, problem.span.start)
        if line in own or scalar is None:
            continue
        if any(char in file.source.slice(scalar.span) for char in REWRITTEN):
            found[index] = scalar
    return found


class _Parts:
    """The parts of the nodes of one tree, found by their place."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[list[Node], list[int]]] = {}

    def scalar_at(self, node: Node | None, offset: int) -> Scalar | None:
        """The first scalar that contains an offset."""
        if node is None or not node.span.contains(offset):
            return None
        if isinstance(node, Scalar):
            return node
        found = (self.scalar_at(part, offset) for part in self._near(node, offset))
        return next((scalar for scalar in found if scalar), None)

    def _near(self, node: Sequence | Mapping, offset: int) -> list[Node]:
        parts, starts = self._known.get(id(node)) or self._known.setdefault(id(node), _parts(node))
        if len(starts) < len(parts):
            return parts
        after = bisect_right(starts, offset)
        # An empty key or value may stand where the part before it ends.
        return parts[max(0, after - 4) : after]


def _parts(node: Sequence | Mapping) -> tuple[list[Node], list[int]]:
    """The parts of a node, and where they start; not where an alias stands among them."""
    parts: list[Node] = []
    if isinstance(node, Sequence):
        parts = list(node.items)
    else:
        parts = [part for entry in node.entries for part in (entry.key, entry.value)]
    starts = [part.span.start for part in parts]
    return parts, starts if starts == sorted(starts) else []


def _hit(problem: SyntaxProblem) -> Hit:
    return Hit(problem.span, problem.message, problem.fixes)


@rule("RM002", Severity.ERROR, Kind.MODES)
def yaml_syntax(file: ModesFile, _: Project) -> Iterator[Hit]:
    """The text is not valid YAML at this place.

    Roo reads the file with a YAML 1.2 parser and drops all of it at the first error. A duplicate
    key is such an error too, although many other tools accept it.

    Bad:
        customModes:
          - slug: docs
            name: "Docs
            roleDefinition: You write documentation.
            groups: [read]
    Bad:
        customModes:
          - slug: docs
            slug: docs-writer
            name: Docs
            roleDefinition: You write documentation.
            groups: [read]
    Bad:
        customModes:
          - slug: docs
            name: Docs
           roleDefinition: You write documentation.
            groups: [read]
    Bad:
        customModes:
          - slug: docs
        <<<<<<< HEAD
            name: Docs
        =======
            name: Documentation
        >>>>>>> branch
            roleDefinition: You write documentation.
            groups: [read]
    Good:
        customModes:
          - slug: docs
            name: "Docs"
            roleDefinition: You write documentation.
            groups: [read]
    """
    elsewhere = rewritten(file)
    for index, problem in enumerate(problems(file)):
        if problem.kind != COLON and problem.kind not in FEATURES and index not in elsewhere:
            yield _hit(problem)


@rule("RM005", Severity.ERROR, Kind.MODES)
def unquoted_colon(file: ModesFile, _: Project) -> Iterator[Hit]:
    """A colon followed by a space stands in text without quotes.

    YAML takes such a colon for the end of a key, so Roo cannot read the file at all. Put the text
    in quotes, or write it below `|-` as a block. This is the commonest error in real mode files.

    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write docs: tutorials, guides and references.
            groups: [read]
    Good:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: "You write docs: tutorials, guides and references."
            groups: [read]
    """
    elsewhere = rewritten(file)
    for index, problem in enumerate(problems(file)):
        if problem.kind == COLON and index not in elsewhere:
            yield _hit(problem)


@rule("RM010", Severity.ERROR, Kind.MODES)
def smart_quote_breaks(file: ModesFile, _: Project) -> Iterator[Hit]:
    """A typographic character becomes YAML punctuation when Roo reads the file.

    Before parsing Roo turns curly quotes into straight ones and dashes into hyphens. A curly quote
    inside quotes of the same kind then ends the text too early, and a dash at the beginning of a
    text makes it a list item. Every other YAML tool calls the file valid, but Roo loads no mode.

    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: "You say “hello” to everybody."
            groups: [read]
    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: 'It’s documentation that you write.'
            groups: [read]
    Good:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You say “hello” to everybody.
            groups: [read]
    """
    texts = {scalar.span: scalar for scalar in rewritten(file).values()}
    for span, scalar in texts.items():
        product = file.profile.title
        message = (
            f"{product} turns the typographic quotes and dashes in this text into ASCII before it "
            f"parses the file, which breaks it: {product} loads no mode. Escape or quote them."
        )
        fix = Fix("Escape the characters", _escaped(file.source.text, scalar))
        yield Hit(span, message, (fix,))


def _escaped(text: str, scalar: Scalar) -> tuple[Edit, ...]:
    if scalar.style is Style.PLAIN:
        return quote_edits(text, scalar.span)
    double = scalar.style is Style.DOUBLE
    breaking, escape = ("\u201c\u201d", '\\"') if double else ("\u2018\u2019", "''")
    return tuple(
        Edit(Span(at, at + 1), escape)
        for at in range(scalar.span.start, scalar.span.end)
        if text[at] in breaking
    )


@rule("RM035", Severity.ERROR, Kind.MODES)
def yaml_feature(file: ModesFile, _: Project) -> Iterator[Hit]:
    """The file uses something that Roo's YAML parser refuses or does not apply.

    Tabs as indentation, a second document, directives and Markdown fences make Roo drop the whole
    file. A merge key `<<` is kept as an ordinary key: nothing is merged, so fields are missing.

    Bad:
        ```yaml
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: [read]
        ```
    Bad:
        customModes:
        ⇥- slug: docs
        ⇥  name: Docs
    Bad:
        base: &base
          roleDefinition: You write documentation.
          groups: [read]
        customModes:
          - slug: docs
            name: Docs
            <<: *base
    Good:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: [read]
    """
    elsewhere = rewritten(file)
    for index, problem in enumerate(problems(file)):
        if problem.kind in FEATURES and index not in elsewhere:
            yield _hit(problem)
    for mode in file.modes:
        merge = mode.entry("<<") if mode.has("<<") else None
        if merge is None:
            continue
        failing = not all(mode.has(name) for name in ("name", "roleDefinition", "groups"))
        message = (
            f"{file.profile.title} does not apply the merge key `<<`: none of its fields reach "
            "this mode. Write the fields out."
        )
        yield Hit(merge.key.span, message, (), None if failing else Severity.WARNING)
