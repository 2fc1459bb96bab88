"""Size limits of the house: file 500 lines, class 150, function 100. Exit 1 beyond."""

import ast
import sys
from pathlib import Path

FILE, CLASS, FUNCTION = 500, 150, 100
ROOMS = ("mmmjax", "tests", "benchmarks", "notebooks", ".ci")


def too_long(path: Path) -> list[str]:
    """Say what in one Python file exceeds its limit."""
    text = path.read_text()
    lines = text.count("\n")
    found = [f"{path}: file of {lines} lines (limit {FILE})"] if lines > FILE else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            kind, limit = "class", CLASS
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            kind, limit = "function", FUNCTION
        else:
            continue
        size = (node.end_lineno or node.lineno) - node.lineno + 1
        if size > limit:
            where = f"{path}:{node.lineno}"
            found.append(f"{where}: {kind} {node.name} of {size} lines (limit {limit})")
    return found


def main() -> int:
    """Check every Python file of the repository."""
    root = Path(__file__).resolve().parent.parent
    files = [file for room in ROOMS for file in sorted((root / room).rglob("*.py"))]
    found = [line for file in files for line in too_long(file)]
    print("\n".join(found) if found else f"sizes: {len(files)} files within the limits")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
