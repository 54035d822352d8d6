"""Habits of the house that no linter knows."""

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = [
    path
    for folder in ("plugins/deposit", "bento")
    for path in (ROOT / folder).rglob("*.py")
    if "migrations" not in path.parts and path.name != "__init__.py"
]
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 250, 40
TABLES = {"sections.py", "tables.py"}
"""Modules that are one long table."""
STILL_WHOLE = {
    "log/shipper.py: _finish", "log/shipper.py: _work", "log/spool.py: of", "log/spools.py: __init__",
    "release/reconciler.py: _reconcile_while_alone", "scoring/score.py: _plan",
}  # fmt: skip
"""Functions that take all settings for one section or two: none is to join them."""


def _twice(names: list[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def test_no_module_name_stands_twice() -> None:
    assert len(MODULES) > 100
    assert _twice([path.stem for path in MODULES]) == []


def test_no_public_class_name_stands_twice() -> None:
    names = [
        node.name
        for path in MODULES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    assert _twice(names) == []


def test_nothing_is_longer_than_a_reader_keeps_in_mind() -> None:
    files = {path.name: len(path.read_text().splitlines()) for path in MODULES if path.name not in TABLES}
    assert {name: lines for name, lines in files.items() if lines > MOST_LINES} == {}
    functions = {
        f"{path.name}: {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in functions.items() if lines > MOST_LINES_OF_A_FUNCTION} == {}


def _sections_alone(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """What a function reads of the settings that it takes; nothing if it takes none, or hands them on whole."""
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    taken = {
        each.arg for each in arguments if isinstance(each.annotation, ast.Name) and each.annotation.id == "Settings"
    }
    read = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in taken
    ]
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id in taken]
    is_whole = len(names) > len(read) or any(node.attr == "changed" for node in read)
    return set() if is_whole else {node.attr for node in read}


def test_a_function_takes_the_sections_that_it_uses_rather_than_all_settings() -> None:
    """From three on, or to pass them on, all of them are less to read."""
    functions = {
        f"{path.parent.name}/{path.name}: {node.name}": _sections_alone(node)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name for name, sections in functions.items() if 0 < len(sections) < 3} <= STILL_WHOLE


def test_tests_with_servers_are_where_a_target_of_the_makefile_looks() -> None:
    """`make test-fast` leaves them out wherever they are."""
    tests = ROOT / "tests"
    mark = re.compile(r"^(pytestmark = |@| +)pytest\.mark\.servers", re.MULTILINE)
    marked = [path for path in tests.rglob("test_*.py") if mark.search(path.read_text())]
    assert len(marked) > 50
    assert {path.relative_to(tests).parts[0] for path in marked} <= {"chaos", "compose", "contract", "page"}
