"""The tasks of a project, as its text defines them, and where chords use them. Pure; no import of the code."""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeGuard

from chordwatch.doctor.scan.canvas import ChordUse, chord_uses, leaves, members
from chordwatch.doctor.scan.names import FUNCTIONS, Function, Module
from chordwatch.doctor.scan.rule import last_name

DECORATORS = frozenset(
    {
        "celery.shared_task",
        "celery.app.shared_task",
        "celery.task",
        "celery.task.task",
        "celery.decorators.task",
    }
)
BASES = frozenset(
    {"celery.Task", "celery.app.task.Task", "celery.app.Task", "celery.task.Task", "celery.task.base.Task"}
)
#: Libraries whose objects have a decorator `task` too.
OTHERS = frozenset(
    {
        *("airflow", "dagster", "dramatiq", "fabric", "huey", "invoke", "locust"),
        *("prefect", "procrastinate", "robocorp", "rocketry", "taskiq"),
    }
)


@dataclass(frozen=True, slots=True)
class Task:
    """One task: `body` is the function that runs; `options` the keywords of its decorator or its class."""

    module: Module
    name: str
    node: Function | ast.ClassDef
    body: Function
    decorator: ast.expr | None
    options: dict[str, ast.expr]

    @property
    def takes_self(self) -> bool:
        """Whether the first parameter is the task itself."""
        return isinstance(self.node, ast.ClassDef) or is_true(self.options.get("bind"))

    @property
    def itself(self) -> str:
        """The name of the parameter that is the task itself, or an empty string."""
        first = [*self.body.args.posonlyargs, *self.body.args.args][:1]
        return first[0].arg if self.takes_self and first else ""

    def own_nodes(self) -> Iterator[ast.AST]:
        """Yield what runs when the task runs, without the functions that it defines."""
        waiting: list[ast.AST] = list(self.body.body)
        while waiting:
            node = waiting.pop()
            yield node
            if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                waiting.extend(ast.iter_child_nodes(node))

    def signature(self) -> inspect.Signature | None:
        """Return how the task may be called, None if something else than the decorator can change that."""
        plain = isinstance(self.node, ast.ClassDef) or len(self.node.decorator_list) == 1
        within_class = any(isinstance(outer, ast.ClassDef) for outer, _ in self.module.ancestors(self.node))
        return _signature(self.body, drop=self.takes_self) if plain and not within_class else None


class Project:
    """All modules of a scan, their tasks, and which tasks stand in headers of chords."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = list(modules)
        self.chords: dict[Module, list[ChordUse]] = {
            module: list(chord_uses(module)) for module in self.modules
        }
        self.tasks: dict[Module, list[Task]] = {module: list(_tasks(module)) for module in self.modules}
        every = [task for tasks in self.tasks.values() for task in tasks]
        self._of_node: dict[ast.AST, Task] = {task.node: task for task in every}
        self._named: defaultdict[str, list[Task]] = defaultdict(list)
        for task in every:
            self._named[task.name].append(task)
        #: The tasks that some chord has in its header, with the first place that says so.
        self.in_headers: dict[ast.AST, str] = {}
        for module, node, part in self._parts():
            for leaf in leaves(module, part):
                used = self.task(module, leaf)
                if used is not None:
                    self.in_headers.setdefault(used.node, f"{module.path.name}:{node.lineno}")

    def task(self, module: Module, expression: ast.AST | None) -> Task | None:
        """Return the task that an expression names, or that a call `task.s(...)` makes a signature of."""
        if isinstance(expression, ast.Call) and isinstance(expression.func, ast.Attribute):
            expression = expression.func.value
        value = module.value(expression)
        here = self._of_node.get(value) if value is not None else None
        if here is not None:
            return here
        *package, name = module.dotted(value).split(".")
        fitting = [
            (_common(task.module.parts, module.parts), task)
            for task in self._named.get(name, [])
            if package and task.module.parts[-len(package) :] == tuple(package)
        ]
        # Several modules may bear the name, each in a folder that is a sys.path of its own: the nearest is meant.
        nearest = [task for common, task in fitting if common == max(common for common, _ in fitting)]
        return nearest[0] if len(nearest) == 1 else None

    def _parts(self) -> Iterator[tuple[Module, ast.Call | ast.BinOp, ast.AST]]:
        for module in self.modules:
            for use in self.chords[module]:
                yield from ((module, use.node, part) for part in members(module, use.header))
            for node in module.nodes:
                if _adds_to_chord(node):
                    yield module, node, node.args[0]


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Return how many leading parts two modules have in common."""
    return next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _adds_to_chord(node: ast.AST) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "add_to_chord"
        and bool(node.args)
    )


def is_true(expression: ast.AST | None) -> bool:
    """Return whether the expression is the literal True."""
    return isinstance(expression, ast.Constant) and expression.value is True


def _tasks(module: Module) -> Iterator[Task]:
    for node in module.nodes:
        if isinstance(node, FUNCTIONS):
            for decorator in node.decorator_list:
                call = decorator if isinstance(decorator, ast.Call) else None
                if _makes_task(module, call.func if call else decorator):
                    keywords = call.keywords if call else []
                    options = {keyword.arg: keyword.value for keyword in keywords if keyword.arg}
                    yield Task(module, node.name, node, node, decorator, options)
                    break
        elif isinstance(node, ast.ClassDef) and _is_task_class(module, node):
            yield from _of_class(module, node)


def _of_class(module: Module, node: ast.ClassDef) -> Iterator[Task]:
    runs = [inner for inner in node.body if isinstance(inner, FUNCTIONS) and inner.name == "run"]
    options = {
        target.id: inner.value
        for inner in node.body
        if isinstance(inner, ast.Assign)
        for target in inner.targets
        if isinstance(target, ast.Name)
    }
    for run in runs[:1]:
        yield Task(module, node.name, node, run, None, options)


def _makes_task(module: Module, decorator: ast.expr) -> bool:
    if module.dotted(decorator) in DECORATORS:
        return True
    return (
        isinstance(decorator, ast.Attribute)
        and decorator.attr == "task"
        and _may_be_app(module, decorator.value)
    )


def _may_be_app(module: Module, owner: ast.expr) -> bool:
    """Return False if the text says that the owner is no Celery application."""
    if not isinstance(owner, ast.Name | ast.Attribute | ast.Call):
        return False
    root = module.dotted(owner).partition(".")[0]
    value = module.value(owner)
    if isinstance(value, ast.Call):
        library, maker = module.dotted(value.func).partition(".")[0], last_name(value.func)
        # A class of another name makes something else; a function may well make the application.
        return library not in OTHERS and ("celery" in maker.lower() or not maker[:1].isupper())
    return root not in OTHERS


def _is_task_class(module: Module, node: ast.ClassDef, depth: int = 10) -> bool:
    for base in node.bases:
        if module.dotted(base) in BASES:
            return True
        value = module.value(base)
        if isinstance(value, ast.ClassDef) and value is not node and depth:
            if _is_task_class(module, value, depth - 1):
                return True
        elif (
            isinstance(base, ast.Attribute)
            and base.attr == "Task"
            and "app" in ast.unparse(base.value).lower()
        ):
            return True
    return False


def _signature(function: Function, *, drop: bool) -> inspect.Signature | None:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    required = len(positional) - len(given.defaults)
    kinds = inspect.Parameter
    parameters = [
        _parameter(
            argument,
            kinds.POSITIONAL_ONLY if number < len(given.posonlyargs) else kinds.POSITIONAL_OR_KEYWORD,
            required=number < required,
        )
        for number, argument in enumerate(positional)
    ]
    if given.vararg:
        parameters.append(_parameter(given.vararg, kinds.VAR_POSITIONAL))
    parameters.extend(
        _parameter(argument, kinds.KEYWORD_ONLY, required=default is None)
        for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    )
    if given.kwarg:
        parameters.append(_parameter(given.kwarg, kinds.VAR_KEYWORD))
    if drop and not positional:
        return None
    return inspect.Signature(parameters[1:] if drop else parameters)


def _parameter(
    argument: ast.arg, kind: inspect._ParameterKind, *, required: bool = True
) -> inspect.Parameter:
    default = inspect.Parameter.empty if required else None
    return inspect.Parameter(argument.arg, kind, default=default)
