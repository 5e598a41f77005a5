"""The project's Python files as the architecture tests see them: path, layer, imports, and names in full."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

REPO = Path(__file__).parents[2]


@dataclass(frozen=True)
class Module:
    path: str  # from the root of the repository: ray_app/store/sql.py
    text: str

    @property
    def layer(self) -> str:
        """The folder under ray_app, or the module's name at its top; `jobs`, `tests`, ... outside of it."""
        parts = Path(self.path).with_suffix("").parts
        return parts[1] if parts[0] == "ray_app" else parts[0]

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def at_import(self) -> frozenset[int]:
        """Ids of the nodes that run on import: not in a function, not for the type checker only."""
        found: set[int] = set()

        def walk(node: ast.AST) -> None:
            found.add(id(node))
            if isinstance(node, ast.If) and ast.unparse(node.test) in (
                "TYPE_CHECKING",
                "typing.TYPE_CHECKING",
            ):
                children: Iterator[ast.AST] = iter(node.orelse)
            else:
                children = ast.iter_child_nodes(node)
            for child in children:
                if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                    walk(child)

        walk(self.tree)
        return frozenset(found)

    def relative_imports(self) -> Iterator[ast.ImportFrom]:
        yield from (node for node in ast.walk(self.tree) if isinstance(node, ast.ImportFrom) and node.level)

    def imports(self) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
        """Every import, wherever it stands, as a dotted name: `from a import b` is a.b, b may be a module."""
        for node in ast.walk(self.tree):
            match node:
                case ast.Import(names=names):
                    yield from ((node, name.name) for name in names)
                case ast.ImportFrom(level=0, module=str(module), names=names):
                    yield from ((node, f"{module}.{name.name}") for name in names)
                case ast.Call(args=[ast.Constant(value=str(name)), *_]) if ast.unparse(node.func) in (
                    "__import__",
                    "import_module",
                    "importlib.import_module",
                ):
                    yield node, name

    def names(self) -> Iterator[tuple[int, str]]:
        """Line and full dotted name of everything used or imported, through any alias."""
        aliases: dict[str, str] = {}
        for node in ast.walk(self.tree):
            match node:
                case ast.Import(names=names):
                    for name in names:
                        top = name.name.partition(".")[0]
                        aliases[name.asname or top] = name.name if name.asname else top
                case ast.ImportFrom(level=0, module=str(module), names=names):
                    for name in names:
                        aliases[name.asname or name.name] = f"{module}.{name.name}"
                        yield node.lineno, f"{module}.{name.name}"
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute | ast.Name):
                first, dot, rest = ast.unparse(node).partition(".")
                if first in aliases:
                    yield node.lineno, aliases[first] + dot + rest


def modules(*folders: str) -> list[Module]:
    """Every Python file below these folders of the repository."""
    return [
        Module(path.relative_to(REPO).as_posix(), path.read_text(encoding="utf-8"))
        for folder in folders
        for path in sorted((REPO / folder).rglob("*.py"))
    ]
