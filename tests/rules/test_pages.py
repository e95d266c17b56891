"""Every rule's page is true: its bad examples are found, its good ones are not, its fixes mend."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.domain.edit import apply_edits
from sidecar.domain.kind import Kind
from sidecar.domain.project import parse_file
from sidecar.rules.page import DEFAULT_PATHS, Example, parse_page
from sidecar.rules.registry import RULES
from sidecar.rules.rule import Rule
from sidecar.services.diagnosis import settings_file
from sidecar.workspace.layout import checked_as

EVERY_RULE = pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))


def subject(rule: Rule, example: Example) -> tuple[str, str]:
    """The file of the example that the rule checks."""
    found = [path for path in example.files if checked_as(path) is rule.kind]
    path = found[0] if found else DEFAULT_PATHS[rule.kind]
    return path, example.files[path]


def findings(rule: Rule, example: Example, path: str, text: str):
    """What the rule finds in the example, its own file having this text."""
    changed = replace(example, files=example.files | {path: text})
    kinds = {name: checked_as(name) or rule.kind for name in changed.files}
    project = changed.project(kinds)
    if isinstance(rule.kind, Kind):
        file = parse_file(rule.kind, text, path=path, product=example.product)
    else:
        file = settings_file(path, text)
    return list(rule.findings(file, project))


@EVERY_RULE
def test_each_page_has_a_sentence_and_both_kinds_of_examples(rule: Rule):
    page = parse_page(rule.page, rule.kind)

    assert page.summary.endswith(".")
    assert page.bad
    assert page.good


@EVERY_RULE
def test_each_bad_example_is_found_inside_its_text_with_a_sentence(rule: Rule):
    for example in parse_page(rule.page, rule.kind).bad:
        path, text = subject(rule, example)
        found = findings(rule, example, path, text)

        assert found
        for finding in found:
            assert 0 <= finding.span.start <= finding.span.end <= len(text)
            assert finding.message.endswith((".", "?", ")"))


@EVERY_RULE
def test_no_good_example_is_found(rule: Rule):
    for example in parse_page(rule.page, rule.kind).good:
        path, text = subject(rule, example)

        assert findings(rule, example, path, text) == []


@EVERY_RULE
def test_each_fix_of_a_bad_example_removes_its_finding(rule: Rule):
    for example in parse_page(rule.page, rule.kind).bad:
        path, text = subject(rule, example)
        found = findings(rule, example, path, text)
        for finding in found:
            for fix in finding.fixes:
                after = apply_edits(text, fix.edits)

                assert after != text
                assert len(findings(rule, example, path, after)) < len(found), fix.title
