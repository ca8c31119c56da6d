"""What the page on the architecture names is there: every path, every function in it, every line."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/architecture.md"
TEXT = PAGE.read_text()
PLACES = sorted(set(re.findall(r"`([\w/]+\.py)(?::([\w.]+))?`", TEXT)))
LINES = re.findall(r"^\| .+ \| `([\w/]+\.py):([\w.]+)` \| `(.+)` \|$", TEXT, re.MULTILINE)


def located(path: str) -> Path:
    """A path of the page: within the library, or within an integration."""
    folder = (
        "integrations" if path.startswith(("singleton_jobs_apscheduler", "singleton_jobs_celery")) else "singleton_jobs"
    )
    return ROOT / folder / path


def names(scope: ast.AST, prefix: str = "") -> dict[str, ast.AST]:
    """What a module, class or method defines, by the names that the page gives it; a method's `self.x` is its class's."""
    found: dict[str, ast.AST] = {}
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found[prefix + node.name] = node
            found |= names(node, prefix if isinstance(scope, ast.ClassDef) else f"{prefix}{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for each in target.elts if isinstance(target, ast.Tuple) else [target]:
                    if isinstance(each, ast.Name) or ast.unparse(each).startswith("self."):
                        found[prefix + ast.unparse(each).removeprefix("self.")] = node
        elif not isinstance(node, ast.expr):
            found |= names(node, prefix)
    return found


@cache
def defined(path: str) -> dict[str, ast.AST]:
    return names(ast.parse(located(path).read_text()))


@pytest.mark.parametrize(("path", "name"), PLACES, ids=lambda part: part or "file")
def test_what_is_named_is_there(path: str, name: str) -> None:
    assert located(path).is_file()
    assert not name or name in defined(path)


@pytest.mark.parametrize(("path", "name", "line"), LINES)
def test_a_line_stands_in_its_function(path: str, name: str, line: str) -> None:
    source = ast.get_source_segment(located(path).read_text(), defined(path)[name])
    assert source
    assert line in {each.strip() for each in source.splitlines()}


def test_the_lines_are_found_on_the_page() -> None:
    assert len(LINES) == TEXT.partition("## The rooms")[0].count("\n| ") - 1


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(?:[A-Z]\w+)\.(\w+)`", TEXT))))
def test_what_is_named_without_its_file_is_in_a_file_of_the_page(name: str) -> None:
    assert any(known.endswith(f".{name}") for path, _ in PLACES for known in defined(path))


def test_every_room_is_on_it() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    rooms = re.findall(r"singleton_jobs\.(\w+)", " ".join(contracts[0]["layers"]))
    drawing = TEXT.partition("```\n")[2].partition("```")[0]
    assert [room for room in rooms if not re.search(rf"\b{room}\b", drawing)] == []


@pytest.mark.parametrize(
    "path",
    sorted(set(re.findall(r"`([\w.]+/[\w./]*)`", (ROOT / "CONTRIBUTING.md").read_text())) - {"decisions/", "renewal/"}),
)
def test_where_contributions_go_is_there(path: str) -> None:
    assert (ROOT / path).exists()
