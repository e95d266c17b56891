"""Tests without assertions are named with file and line, and no other test is."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from validation.assertions import Detector
from validation.checks import Check, Status

# Each function whose name says so asserts nothing; what stands beside it does, somehow.
FILES = {
    "conftest.py": """
        import pytest

        @pytest.fixture
        def checked():
            yield 1
            assert True is not False

        @pytest.fixture
        def judge():
            def inner(value):
                assert value
            return inner

        @pytest.fixture
        def maker():
            def inner(value):
                return value
            return inner

        @traced
        @pytest.fixture
        def traced_too():
            assert True is not False

        @pytest.fixture(name="renamed")
        def _other():
            return 1
    """,
    "helpers.py": """
        import pytest

        class Server:
            def expects(self, value):
                assert value

        def must(value):
            assert value

        def makes(value):
            return value

        @pytest.fixture
        def taken_over():
            assert True is not False

        if makes(1):
            def below_a_condition(value):
                assert value
        else:
            def otherwise(value):
                assert value

        try:
            makes(1)
        finally:
            def in_the_end(value):
                assert value
    """,
    "foreign.py": "import unittest\n",
    "tests/base.py": """
        class Base:
            def test_inherited(self):
                self.compare(1)

            def test_inherited_nothing(self):
                self.make(1)

            def compare(self, value):
                assert value

            def make(self, value):
                return value
    """,
    "tests/test_all.py": """
        import subprocess
        import unittest
        from unittest import mock

        import helpers
        import numpy as np
        import pytest
        from elsewhere import Unknown
        from helpers import Server, makes, must, taken_over
        from hypothesis import given
        from tests.base import Base

        CASES = {"a": must}
        FIXTURE = "renamed"

        def local(value):
            must(value)

        def test_plain():
            assert 1 == 1

        def test_nothing_1():
            pass

        def test_nothing_2():
            makes(1)
            helpers.makes(2)

        def test_nothing_3():
            assert True

        def test_nothing_4():
            assert (1 == 2, "the message makes a tuple of it")

        @pytest.mark.parametrize("value", [1, 2])
        def test_nothing_5(value):
            makes(value)

        def test_nothing_6(renamed):
            makes(renamed)

        async def test_nothing_7():
            makes(1)

        def test_nothing_10():
            text = makes("a")
            text.strip()

        def test_nothing_11(maker):
            maker(1)

        @pytest.mark.usefixtures(FIXTURE)
        def test_nothing_12():
            makes(1)

        def test_conditional():
            helpers.below_a_condition(1)

        def test_otherwise():
            helpers.otherwise(1)

        def test_in_the_end():
            helpers.in_the_end(1)

        def test_fixture_of_two_decorators(traced_too):
            makes(traced_too)

        def test_imported_fixture(taken_over):
            makes(taken_over)

        def test_snapshot(snapshot):
            makes(snapshot)

        def test_raises():
            with pytest.raises(ValueError):
                int("x")

        def test_fails():
            if not makes(1):
                pytest.fail("no")

        def test_mock():
            called = mock.Mock()
            called(1)
            called.assert_called_once_with(1)

        def test_array():
            np.testing.assert_allclose(1, 1)

        def test_local():
            local(1)

        def test_imported():
            must(1)

        def test_module():
            helpers.must(1)

        def test_object():
            Server().expects(1)

        def test_fixture(checked):
            makes(checked)

        def test_fixture_function(judge):
            judge(1)

        @pytest.mark.usefixtures("checked")
        def test_used_fixture():
            makes(1)

        def test_passed_on():
            list(map(local, [1]))

        @pytest.mark.parametrize("case", [must])
        def test_handed_in(case):
            case(1)

        def test_chosen():
            CASES["a"](1)

        @given(...)
        def test_property(value):
            makes(value)

        def test_process():
            subprocess.run(["true"], check=True)

        def test_own_exception():
            if makes(0):
                raise AssertionError

        def test_benchmark(benchmark):
            benchmark(makes, 1)

        class TestOld(unittest.TestCase):
            def test_equal(self):
                self.assertEqual(1, 1)

            def test_nothing_8(self):
                self.makes()

            def test_nothing_13(self):
                makes(self.value)

            def makes(self):
                return 1

            def test_own_helper(self):
                self.helper()

            def helper(self):
                self.assertTrue(True)

        class TestBelow(Base):
            pass

        class TestUnknown(Unknown):
            def test_may(self):
                self.somewhere()

        class TestOuter:
            class TestInner:
                def test_nothing_9(self):
                    makes(1)
    """,
}


def names(root: Path) -> list[str]:
    """Every test of the file above by its id, as pytest gives it."""
    text = (root / "tests/test_all.py").read_text(encoding="utf-8").splitlines()
    found, owners = [], []
    for line in text:
        indent = (len(line) - len(line.lstrip())) // 4
        words = line.split()
        if words[:1] == ["class"]:
            owners = [*owners[:indent], words[1].partition("(")[0].rstrip(":")]
        for word in words:
            if word.startswith("test_") and "(" in word and words[0] in ("def", "async"):
                own = owners[:indent]
                found.append("::".join(["tests/test_all.py", *own, word.partition("(")[0]]))
    extra = ["tests/test_all.py::TestBelow::test_inherited"]
    return [*found, *extra, "tests/test_all.py::TestBelow::test_inherited_nothing"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text), encoding="utf-8")
    return tmp_path


def test_what_asserts_nothing_is_named_and_nothing_else(root: Path):
    ids = names(root)
    found = Detector(root).look(Check(name, Status.PASSED) for name in ids)

    named = {finding.message.split(" asserts nothing")[0] for finding in found}
    assert named == {name.partition("::")[2] for name in ids if "nothing" in name}
    assert len(named) == 14
    assert {finding.level for finding in found} == {"warning"}


def test_the_line_is_that_of_the_function(root: Path):
    (found,) = Detector(root).look([Check("tests/test_all.py::test_nothing_1", Status.PASSED)])

    lines = (root / found.file).read_text(encoding="utf-8").splitlines()
    assert found.line is not None
    assert lines[found.line - 1] == "def test_nothing_1():"


def test_a_test_that_failed_or_cannot_be_found_is_not_named(root: Path):
    checks = [
        Check("tests/test_all.py::test_nothing_1", Status.FAILED),
        Check("tests/test_all.py::test_gone", Status.PASSED),
        Check("tests/test_gone.py::test_nothing_1", Status.PASSED),
        Check("README.md::README.md", Status.PASSED),
        Check("tests/test_all.py", Status.ERROR),
    ]

    assert Detector(root).look(checks) == ()


def test_a_file_that_python_cannot_read_is_passed_over(root: Path):
    (root / "tests/test_null.py").write_bytes(b"def test_nothing():\n    pass\0\n")
    (root / "tests/test_half.py").write_bytes(b"def test_nothing(:\n")
    ids = ("tests/test_null.py::test_nothing", "tests/test_half.py::test_nothing")

    assert Detector(root).look(Check(each, Status.PASSED) for each in ids) == ()


def test_a_run_tells_of_it_as_a_warning_that_is_not_counted(project, validate):
    text = "def test_nothing():\n    pass\n\n\ndef test_something():\n    assert 1 + 1 == 2\n"
    answer = validate(project({"test_a.py": text}))

    assert answer.counts() == (2, 0, 0, 0)
    assert answer.code == 0
    (found,) = answer.report["findings"]
    assert (found["file"], found["line"], found["level"]) == ("test_a.py", 1, "warning")
    assert "test_nothing asserts nothing" in found["message"]
    assert "test_a.py:1" in answer.output
