"""How long the check of a mode file of 2,003 lines takes, and its parse alone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import yaml as libyaml

from sidecar.domain import yaml
from sidecar.domain.kind import Kind
from sidecar.domain.modes import parse
from sidecar.domain.project import Project
from sidecar.rules.registry import check

PROJECT = Project(datetime(2025, 5, 1, tzinfo=UTC), ZoneInfo("UTC"))
MODE = """\
  - slug: mode-{0}
    name: Mode {0}
    roleDefinition: >-
      You are mode {0} and do what it is for,
      carefully and with tests.
    whenToUse: Use it for work of kind {0}
    description: Does work of kind {0}
    groups:
      - read
      - - edit
        - fileRegex: \\.md$
          description: Markdown
      - command
"""
TEXT = "customModes:\n" + "".join(MODE.format(number) for number in range(154))
BROKEN = TEXT.replace("kind 7", "kind: 7")

pytestmark = pytest.mark.benchmark_only


def checked(text: str) -> int:
    """How many findings a text has."""
    return len(check(Kind.MODES, parse(text), PROJECT))


def test_the_file_has_2003_lines():
    """The length that the figures are about."""
    assert TEXT.count("\n") == 2003


def test_check_a_file_that_loads(benchmark):
    """Parse, load and all rules, no finding."""
    assert benchmark(checked, TEXT) == 0


def test_check_a_file_with_a_dozen_syntax_errors(benchmark):
    """The same with unquoted colons in it."""
    assert benchmark(checked, BROKEN) > 10


def test_parse_with_our_reader(benchmark):
    """The tree alone."""
    assert benchmark(yaml.parse, TEXT).problems == ()


def test_parse_with_libyaml_to_compare(benchmark):
    """What C needs for a tree that has neither types nor several problems."""
    assert benchmark(libyaml.compose, TEXT, Loader=getattr(libyaml, "CSafeLoader"))  # noqa: B009
