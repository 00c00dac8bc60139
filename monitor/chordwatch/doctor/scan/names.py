"""What the names of a module stand for, as far as its text alone decides. Pure; no import of the code.

A name counts as known only when the nearest scope binds it once. Anything else stays unknown, and the rules keep
silent about what they do not know.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Literal

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SCOPES = (ast.Module, *FUNCTIONS, ast.Lambda, ast.ClassDef, *COMPREHENSIONS)
#: How many names, one bound to the other, are followed.
DEPTH = 20


class Kind(Enum):
    """What Celery makes of an expression."""

    SIGNATURE = auto()
    GROUP = auto()
    CHAIN = auto()
    CHORD = auto()
    RESULT = auto()


@dataclass(frozen=True, slots=True)
class Binding:
    """How a scope gives a name its meaning; `node` is the value, the iterable, or the definition."""

    how: Literal["value", "element", "import", "definition", "opaque"]
    node: ast.AST | None = None
    dotted: str = ""


OPAQUE = Binding("opaque")


class Module:
    """One parsed file: its nodes with their parents, and the names that its scopes bind."""

    def __init__(self, path: Path, tree: ast.Module) -> None:
        self.path = path
        self.tree = tree
        parts = [part.replace(".", "_") for part in path.absolute().with_suffix("").parts[1:]]
        self.is_package = parts[-1:] == ["__init__"]
        #: The folders and the name of the module: the end of it is the name under which it is imported.
        self.parts = tuple(parts[:-1] if self.is_package else parts)
        self.nodes = list(ast.walk(tree))
        #: Each node's parent, and the field of the parent in which it stands.
        self.parents = {
            child: (node, field)
            for node in self.nodes
            for field, value in ast.iter_fields(node)
            for child in (value if isinstance(value, list) else [value])
            if isinstance(child, ast.AST)
        }
        self.uses = Counter(node.id for node in self.nodes if isinstance(node, ast.Name))
        #: What Celery makes of an expression, as found before: see canvas.kind().
        self.kinds: dict[ast.AST, Kind | None] = {}
        self._scopes: defaultdict[ast.AST, defaultdict[str, list[Binding]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for node in self.nodes:
            for name, binding in _bindings(node, self):
                self._scopes[self._home(node)][name].append(binding)
                if isinstance(node, ast.Global):
                    self._scopes[tree][name].append(binding)  # some function may set it at any time

    def ancestors(self, node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
        """Yield what encloses `node`, nearest first, with the field through which it does."""
        while node in self.parents:
            node, field = self.parents[node]
            yield node, field

    def scopes(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield the scopes in which a name at `node` is looked up, nearest first."""
        nested = False
        for scope, field in self.ancestors(node):
            # Decorators, defaults and annotations belong to the scope around the function.
            inside = field == "body" or isinstance(scope, COMPREHENSIONS)
            if isinstance(scope, SCOPES) and inside and not (nested and isinstance(scope, ast.ClassDef)):
                yield scope
                nested = True

    def functions(self, node: ast.AST) -> list[Function]:
        """Return the functions in whose bodies `node` stands, nearest first."""
        return [
            scope for scope, field in self.ancestors(node) if isinstance(scope, FUNCTIONS) and field == "body"
        ]

    def binding_scopes(self, name: ast.Name) -> Iterator[ast.AST]:
        """Yield the scopes that bind the name, nearest first."""
        return (
            scope for scope in self.scopes(name) if scope in self._scopes and name.id in self._scopes[scope]
        )

    def binding(self, name: ast.Name) -> Binding | None:
        """Return what binds the name, None if nothing here does, OPAQUE if more than one thing does."""
        for scope in self.binding_scopes(name):
            found = self._scopes[scope][name.id]
            return found[0] if len(set(found)) == 1 else OPAQUE
        return None

    def value(self, expression: ast.AST | None, depth: int = DEPTH) -> ast.AST | None:
        """Follow names to the expression or definition that they stand for, else return what was given."""
        if isinstance(expression, ast.NamedExpr):
            return self.value(expression.value, depth)
        if not isinstance(expression, ast.Name) or not depth:
            return expression
        binding = self.binding(expression)
        if binding is None or binding.node is None:
            return expression
        if binding.how == "element":
            return self._element(binding.node, depth - 1) or expression
        return self.value(binding.node, depth - 1)

    def dotted(self, expression: ast.AST | None) -> str:
        """Return the full name of what was imported, or an empty string."""
        attributes: list[str] = []
        for _ in range(DEPTH):
            while isinstance(expression, ast.Attribute):
                attributes.append(expression.attr)
                expression = expression.value
            binding = self.binding(expression) if isinstance(expression, ast.Name) else None
            if binding is None or binding.how not in {"import", "value"}:
                return ""
            if binding.how == "import":
                return ".".join((binding.dotted, *reversed(attributes)))
            expression = binding.node
        return ""

    def _element(self, iterable: ast.AST, depth: int) -> ast.AST | None:
        """Return an expression for what an iteration yields, when it is written out."""
        value = self.value(iterable, depth)
        if isinstance(value, ast.ListComp | ast.SetComp | ast.GeneratorExp):
            return self.value(value.elt, depth)
        if isinstance(value, ast.List | ast.Tuple | ast.Set) and value.elts:
            return self.value(value.elts[0], depth)
        return None

    def _home(self, node: ast.AST) -> ast.AST:
        """Return the scope in which a binding at `node` takes effect."""
        if isinstance(node, ast.arguments):
            return self.parents[node][0]
        walrus = isinstance(self.parents.get(node, (None, ""))[0], ast.NamedExpr)
        for scope in self.scopes(node):
            if not (walrus and isinstance(scope, COMPREHENSIONS)):
                return scope
        return self.tree


def _bindings(node: ast.AST, module: Module) -> Iterator[tuple[str, Binding]]:
    """Yield the names that one node binds."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            whole = alias.name if alias.asname else alias.name.partition(".")[0]
            yield alias.asname or whole, Binding("import", dotted=whole)
    elif isinstance(node, ast.ImportFrom):
        package = _package(node, module)
        for alias in node.names:
            yield alias.asname or alias.name, Binding("import", dotted=f"{package}.{alias.name}")
    elif isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        yield node.name, Binding("definition", node)
    elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id, _assigned(node, module)
    else:
        yield from ((name, OPAQUE) for name in _unknown(node))


def _unknown(node: ast.AST) -> list[str]:
    """Return the names that a node binds to what the text does not say."""
    if isinstance(node, ast.arguments):
        every = [*node.posonlyargs, *node.args, *node.kwonlyargs, node.vararg, node.kwarg]
        return [argument.arg for argument in every if argument]
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return [node.name] if node.name else []
    return node.names if isinstance(node, ast.Global | ast.Nonlocal) else []


def _package(node: ast.ImportFrom, module: Module) -> str:
    if not node.level:
        return node.module or ""
    up = node.level - module.is_package
    base = module.parts[: len(module.parts) - up]
    return ".".join((*base, *filter(None, [node.module])))


def _assigned(target: ast.Name, module: Module) -> Binding:
    """Return what a name is bound to where it stands as a target."""
    parent, field = module.parents[target]
    if isinstance(parent, ast.Assign) or (isinstance(parent, ast.AnnAssign | ast.NamedExpr) and parent.value):
        return Binding("value", parent.value)
    if isinstance(parent, ast.For | ast.AsyncFor | ast.comprehension) and field == "target":
        return Binding("element", parent.iter)
    return OPAQUE
