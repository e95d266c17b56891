"""Every form of the report tells the same, whole, in its format, whatever tests are called."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest

from validation import junit

SCHEMA = json.loads(
    Path(__file__).parents[2].joinpath("validation/report.schema.json").read_text(encoding="utf-8")
)
HOSTILE = '<script>alert(1)</script> & "quoted" ::error::x \x1b[31m | \n```\n'
TESTS = """
    import warnings

    import pytest

    import module

    def test_passes():
        assert module.f(1) == 1

    def test_größe_fails():
        warnings.warn(HOSTILE)
        assert module.f(2) == HOSTILE

    @pytest.mark.parametrize("value", ["a::b", "c[d]", "<e>"])
    def test_parameters(value):
        assert value != "<e>"

    @pytest.fixture
    def broken():
        raise RuntimeError(HOSTILE)

    class TestClass:
        def test_error(self, broken):
            pass

        @pytest.mark.skip(reason="not now")
        def test_skipped(self):
            pass
"""
PLAN = """
    [tool.coverage.run]
    branch = true
    [tool.sidecar.validation]
    thresholds = { rate = 0.5, coverage = 10, tests = 0.9 }
    [[tool.sidecar.validation.stage]]
    name = "style"
    category = "lint"
    command = ["{python}", "style.py"]
    [[tool.sidecar.validation.stage]]
    name = "absent"
    category = "absent"
    command = ["{python}", "-c", ""]
    module = "no_such_module"
"""
STYLE = """
    print("module.py:1:5: E1 wrong & <b>")
    print("größe dir/a b.py:2: warning: odd  [some-rule]")
    raise SystemExit(1)
"""
FORMS = ("html", "junit", "sarif", "markdown")


@pytest.fixture(scope="module")
def forms(workshop):
    """A run with everything in it, twice, so that there is a trend; each form as text."""
    tmp_path, project, validate = workshop
    files = {
        "module.py": "def f(x):\n    if x > 1:\n        return 0\n    return x\n",
        "test_a.py": TESTS.replace("HOSTILE", repr(HOSTILE)),
        "conftest.py": "",
        "pyproject.toml": PLAN,
        "style.py": STYLE,
    }
    root = project(files)
    options = [f"--{form}={tmp_path / form}" for form in FORMS]
    state = f"--state={tmp_path / 'state'}"
    validate(root, state, category="")
    answer = validate(root, state, *options, category="")
    texts = {form: (tmp_path / form).read_text(encoding="utf-8") for form in FORMS}
    return answer, texts


def test_the_json_keeps_its_published_schema(forms, project, validate):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    answer, _ = forms
    assert answer.counts() == (3, 2, 1, 1)
    assert len(answer.report["trend"]) == 2
    assert answer.report["findings"]
    validator.validate(answer.report)

    empty = validate(project({"readme.txt": ""}, folder="empty"), category="")
    validator.validate(empty.report)
    bad = validate(project({"pyproject.toml": "[tool.sidecar]\nvalidation = 1\n"}, folder="bad"))
    validator.validate(bad.report)
    assert set(bad.report) == {"schema", "problem"}


def test_the_junit_file_holds_the_same_tests_with_the_same_verdicts(forms, workshop):
    answer, texts = forms
    read = {check.id: check.status.value for check in junit.read(workshop[0] / "junit")}
    wanted = {c["id"]: c["status"] for c in answer.report["checks"] if "::" in c["id"]}
    assert wanted.items() <= read.items()
    assert len(wanted) == 7

    root = ET.fromstring(texts["junit"])
    overall = answer.report["overall"]
    assert [int(root.get(k)) for k in ("failures", "errors", "skipped")] == [
        overall["failed"], overall["errors"], overall["skipped"],
    ]  # fmt: skip
    assert int(root.get("tests")) == len(answer.report["checks"])
    assert len(answer.report["checks"]) == len(root.findall(".//testcase"))
    suites = {suite.get("name"): suite for suite in root}
    assert "no_such_module" in suites["absent"].findtext("system-out")
    assert int(suites["absent"].get("tests")) == 0


def test_the_sarif_log_has_the_shape_of_2_1_0(forms):
    _, texts = forms
    log = json.loads(texts["sarif"])

    assert (log["version"], set(log)) == ("2.1.0", {"$schema", "version", "runs"})
    tools = [run["tool"]["driver"]["name"] for run in log["runs"]]
    assert tools == ["validation", "style"]
    for run in log["runs"]:
        rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        assert len(set(rules)) == len(rules)
        prints = [result["partialFingerprints"]["finding/v1"] for result in run["results"]]
        assert len(set(prints)) == len(prints)
        for result in run["results"]:
            assert result["ruleId"] == rules[result["ruleIndex"]]
            assert result["level"] in ("error", "warning", "note")
            assert result["message"]["text"]
            place = result["locations"][0]["physicalLocation"]
            assert re.fullmatch(r"[A-Za-z0-9%._/~-]+", place["artifactLocation"]["uri"])
            assert place["region"]["startLine"] >= 1


def test_findings_and_failures_reach_sarif_once(forms):
    _, texts = forms
    own, style = json.loads(texts["sarif"])["runs"]

    assert Counter(result["ruleId"] for result in own["results"]) == {
        "tests/failed": 2,
        "tests/error": 1,
    }
    found = [(r["ruleId"], r["level"]) for r in style["results"]]
    assert found == [("E1", "error"), ("some-rule", "warning")]
    uri = style["results"][1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "gr%C3%B6%C3%9Fe%20dir/a%20b.py"


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in ("meta", "line", "polyline", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_is_whole_loads_nothing_and_runs_nothing(forms):
    _, texts = forms
    page = Page(texts["html"])

    assert page.open == []
    assert not page.tags.keys() & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert not [value for _, name, value in page.attributes if name in ("src", "href")]
    assert "url(" not in texts["html"]
    assert ("html", "lang", "en") in page.attributes
    policy = [value for _, name, value in page.attributes if name == "content"]
    assert any("default-src 'none'" in (value or "") for value in policy)


def test_the_page_shows_what_failed_and_the_trends_in_words_too(forms):
    answer, texts = forms
    page = Page(texts["html"])
    words = "".join(page.words)

    for check in answer.report["checks"]:
        if check["status"] in ("failed", "error"):
            assert check["id"] in words
    assert "<script>alert(1)</script>" in words
    drawn = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")]
    assert [label.partition(":")[0] for label in drawn] == [
        "Checks passed", "Coverage", "Duration of a run",
    ]  # fmt: skip
    assert page.tags["caption"] == page.tags["table"]
    assert "not installed" in words


def test_the_markdown_fits_a_comment_however_much_fails(project, validate):
    text = "import pytest\n@pytest.mark.parametrize('n', range(300))\n"
    text += "def test_a(n):\n    assert 'x' * 3000 == str(n) * 2000\n"
    answer = validate(project({"a" * 60 + "/test_" + "b" * 100 + ".py": text}))

    assert answer.counts() == (0, 300, 0, 0)
    assert len(answer.output) < 65_000
    assert "270 more" in answer.output


ACTIONS = "GITHUB_ACTIONS"


def test_github_gets_annotations_and_a_summary(project, validate, tmp_path: Path, monkeypatch):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv(ACTIONS, "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    text = "def test_a():\n    assert 0, '::error::planted\\n::set-env name=A::b'\n"
    answer = validate(project({"tests/test_a.py": text}))

    lines = answer.output.splitlines()
    stopped = next(line for line in lines if line.startswith("::stop-commands::"))
    end = lines.index(f"::{stopped.rpartition(':')[2]}::")
    commands = [line for line in lines[end + 1 :] if line.lstrip().startswith("::")]
    assert len(commands) == 1
    assert commands[0].startswith(
        "::error file=tests/test_a.py,line=2,title=tests/test_a.py%3A%3Atest_a::"
    )
    assert "%0A" in commands[0]
    assert "planted" in "\n".join(lines[lines.index(stopped) : end])
    assert summary.read_text(encoding="utf-8").startswith("before\n# Validation of project: failed")


def test_github_is_told_how_many_annotations_it_would_have_dropped(project, validate, monkeypatch):
    monkeypatch.setenv(ACTIONS, "true")
    text = "import pytest\n@pytest.mark.parametrize('n', range(25))\ndef test_a(n):\n    assert 0\n"
    answer = validate(project({"test_a.py": text}))

    errors = [line for line in answer.output.splitlines() if line.startswith("::error")]
    assert len(errors) == 10
    assert "16 more" in errors[-1]
