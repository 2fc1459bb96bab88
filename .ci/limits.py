"""The gates of the house, whose numbers stand in pyproject under [tool.house].

A line budget per room; file, class and function at most so long; small private helpers
called from one place, and tables kept from the formatter, may only become fewer; no circle
of imports, those for type checkers counted. Prints lines per room; exit 1 beyond a gate.
"""

import ast
import sys
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "mmmjax"
CHECKED = ("mmmjax", "tests", "benchmarks", "notebooks", ".ci")
SMALL = 15  # lines; a helper shorter than this and called once is one more place to visit

type Function = ast.FunctionDef | ast.AsyncFunctionDef


def lines(path: Path) -> int:
    """Lines of a file, or of all Python files of a folder."""
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return sum(file.read_text().count("\n") for file in files)


def too_long(path: Path, tree: ast.Module, limits: dict[str, int]) -> list[str]:
    """Say what in one Python file exceeds its limit."""
    size, most = lines(path), limits["file"]
    found = [f"{path}: file of {size} lines (limit {most})"] if size > most else []
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            kind = "class"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            kind = "function"
        else:
            continue
        size = (node.end_lineno or node.lineno) - node.lineno + 1
        if size > limits[kind]:
            where = f"{path}:{node.lineno}"
            found.append(f"{where}: {kind} {node.name} of {size} lines ({limits[kind]})")
    return found


def small_helpers(tree: ast.Module) -> list[str]:
    """Private functions of one file, short and named in one other place of it."""
    named = Counter(
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
    )
    functions: list[Function] = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    ]
    return [
        f.name
        for f in functions
        if f.name.startswith("_") and not f.name.startswith("__") and named[f.name] == 1
        if (f.end_lineno or f.lineno) - f.lineno + 1 < SMALL
    ]


def module(path: Path) -> str:
    """Dotted name of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def circles(trees: dict[str, ast.Module]) -> list[tuple[str, ...]]:
    """Modules that import each other; the lazy public door is not counted."""
    graph: dict[str, set[str]] = {name: set() for name in trees}
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                asked = [f"{node.module}.{alias.name}" for alias in node.names]
                graph[name] |= {a if a in trees else node.module for a in asked}
            elif isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names}
    inside = {n: {t for t in to if t in trees and t != n} for n, to in graph.items()}
    reach = {name: _reached(name, inside) for name in inside}
    groups = {frozenset({n, *(m for m in reach[n] if n in reach[m])}) for n in reach}
    return sorted(tuple(sorted(group)) for group in groups if len(group) > 1)


def _reached(start: str, graph: dict[str, set[str]]) -> set[str]:
    """Every module that one imports, at any distance."""
    seen, left = set(), [start]
    while left:
        for name in graph[left.pop()] - seen:
            seen.add(name)
            left.append(name)
    return seen


def main() -> int:
    """Check every Python file of the repository."""
    house = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["house"]
    files = [file for room in CHECKED for file in sorted((ROOT / room).rglob("*.py"))]
    trees = {file: ast.parse(file.read_text()) for file in files}
    found = [line for f, tree in trees.items() for line in too_long(f, tree, house)]
    ours = {file: tree for file, tree in trees.items() if PACKAGE in file.parents}
    left = set(ours)
    for room, about in house["rooms"].items():
        paths = [PACKAGE / name for name in about["paths"]]
        size = sum(map(lines, paths))
        left -= {f for f in ours if any(p == f or p in f.parents for p in paths)}
        print(f"{room:<14}{size:>7} of {about['lines']:>6}   house.md {about['goal']:>6}")
        if size > about["lines"]:
            found.append(f"room {room}: {size} lines (budget {about['lines']})")
    found += [f"{file}: in no room of [tool.house.rooms]" for file in sorted(left)]
    counted = {
        "helpers": sum(len(small_helpers(tree)) for tree in ours.values()),
        "skips": sum(file.read_text().count("# fmt: skip") for file in ours),
    }
    for name, number in counted.items():
        print(f"{name:<14}{number:>7} of {house[name]:>6}")
        if number > house[name]:
            found.append(f"{name}: {number}, at most {house[name]}: they may only fall")
    ours.pop(PACKAGE / "__init__.py")
    for group in circles({module(file): tree for file, tree in ours.items()}):
        if list(group) not in house["circles"]:
            found.append(f"a circle of imports: {' <-> '.join(group)}")
    print("\n".join(found) if found else f"sizes: {len(files)} files within the gates")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
