"""What an expression is in Celery's terms: a signature, group, chain, chord, or the result of a sent one. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from chordwatch.doctor.scan.names import Kind, Module

CHORD = frozenset({"celery.chord", "celery.canvas.chord", "celery.canvas._chord"})
GROUP = frozenset({"celery.group", "celery.canvas.group"})
CHAIN = frozenset({"celery.chain", "celery.canvas.chain", "celery.canvas._chain"})
SIGNATURE = frozenset({"celery.signature", "celery.canvas.signature", "celery.Signature", "celery.subtask"})
RESULT = frozenset(
    {f"{place}.{name}" for place in ("celery", "celery.result") for name in ("AsyncResult", "GroupResult")}
)
#: Methods of a task that make a signature of it, and of a signature that return it or its like.
MAKES_SIGNATURE = frozenset({"s", "si", "signature", "subtask"})
KEEPS_KIND = frozenset({"set", "clone", "on_error"})
#: Keywords of Celery's apply_async; that of multiprocessing's pools knows none of them but `args`.
SEND_OPTIONS = frozenset(
    {
        *("kwargs", "task_id", "producer", "link", "link_error", "countdown", "eta", "expires", "retry"),
        *("retry_policy", "queue", "exchange", "routing_key", "priority", "serializer", "compression"),
        *("headers", "ignore_result", "time_limit", "soft_time_limit", "shadow"),
    }
)
DEPTH = 30
#: How many lists, groups and chains are taken apart for one chord.
MOST_PARTS = 200


#: The classes and functions of Celery that make what they are named after.
MADE_BY = {
    name: made
    for names, made in (
        (CHORD, Kind.CHORD),
        (GROUP, Kind.GROUP),
        (CHAIN, Kind.CHAIN),
        (SIGNATURE, Kind.SIGNATURE),
        (RESULT, Kind.RESULT),
    )
    for name in names
}
#: What can still be sent, linked and combined.
CANVAS = frozenset({Kind.SIGNATURE, Kind.GROUP, Kind.CHAIN, Kind.CHORD})


@dataclass(frozen=True, slots=True)
class ChordUse:
    """One chord in the text: `chord(...)`, or `group | body`. None: the text does not say."""

    node: ast.Call | ast.BinOp
    header: ast.AST | None
    body: ast.AST | None


def kind(module: Module, expression: ast.AST | None, depth: int = DEPTH) -> Kind | None:
    """Return what the expression is, None if the text does not decide it."""
    value = module.value(expression)
    if not isinstance(value, ast.Call | ast.BinOp) or not depth:
        return None
    if value not in module.kinds:
        module.kinds[value] = None  # for a name that leads back here
        module.kinds[value] = _kind(module, value, depth - 1)
    return module.kinds[value]


def _kind(module: Module, value: ast.Call | ast.BinOp, depth: int) -> Kind | None:
    if isinstance(value, ast.BinOp):
        return _piped(module, value, depth) if isinstance(value.op, ast.BitOr) else None
    if (name := module.dotted(value.func)) in MADE_BY:
        return MADE_BY[name]
    if isinstance(value.func, ast.Attribute):
        return _of_method(module, value, value.func, depth)
    called = kind(module, value.func, depth)
    # Calling a signature runs it here; calling a canvas sends it.
    return Kind.RESULT if called in CANVAS - {Kind.SIGNATURE} else None


def _piped(module: Module, pipe: ast.BinOp, depth: int) -> Kind | None:
    left, right = kind(module, pipe.left, depth), kind(module, pipe.right, depth)
    if left is Kind.GROUP and right in CANVAS - {Kind.GROUP}:
        return Kind.CHORD
    return Kind.CHAIN if left in CANVAS or right in CANVAS else None


def _of_method(module: Module, call: ast.Call, method: ast.Attribute, depth: int) -> Kind | None:
    if method.attr in MAKES_SIGNATURE:
        return Kind.SIGNATURE
    if method.attr in KEEPS_KIND:
        return kind(module, method.value, depth)
    if method.attr in {"delay", "send_task", "AsyncResult"}:
        return Kind.RESULT
    if method.attr == "restore" and module.dotted(method.value) in RESULT:
        return Kind.RESULT
    if method.attr == "apply_async":
        sent = kind(module, method.value, depth) in CANVAS or _is_celerys(call)
        return Kind.RESULT if sent else None
    return None


def _is_celerys(call: ast.Call) -> bool:
    """Tell Celery's apply_async(args, kwargs) from the apply_async(function, args) of a pool of processes."""
    keywords = {keyword.arg for keyword in call.keywords}
    if call.args:
        return isinstance(call.args[0], ast.Tuple | ast.List)
    return "func" not in keywords and (not keywords or bool(keywords & (SEND_OPTIONS | {"args"})))


def chord_uses(module: Module) -> Iterator[ChordUse]:
    """Yield each chord of the module."""
    for node in module.nodes:
        if isinstance(node, ast.Call) and module.dotted(node.func) in CHORD:
            yield ChordUse(node, argument(node, 0, "header"), _body(module, node))
        elif isinstance(node, ast.BinOp) and kind(module, node) is Kind.CHORD:
            yield ChordUse(node, node.left, node.right)


def _body(module: Module, call: ast.Call) -> ast.AST | None:
    """Return the body that the chord is made with, or called with at once."""
    body = argument(call, 1, "body")
    parent, field = module.parents[call]
    if body is None and isinstance(parent, ast.Call) and field == "func":
        return argument(parent, 0, "body")
    return body


def argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    """Return an argument of the call by its place or its name, None if it is absent or hidden in `*` or `**`."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    before = call.args[: position + 1]
    if len(before) <= position or any(isinstance(given, ast.Starred) for given in before):
        return None
    return before[position]


def spreads(call: ast.Call) -> bool:
    """Return whether `*` or `**` hides arguments of the call."""
    return any(isinstance(given, ast.Starred) for given in call.args) or any(
        keyword.arg is None for keyword in call.keywords
    )


class Visited(set[ast.AST]):
    """What one walk through a canvas has taken apart: each thing once, so many things at most."""

    def enters(self, node: ast.AST | None) -> bool:
        """Return whether to take `node` apart."""
        if node is None or node in self or len(self) >= MOST_PARTS:
            return False
        self.add(node)
        return True


def members(module: Module, header: ast.AST | None, visited: Visited | None = None) -> Iterator[ast.expr]:
    """Yield the expressions of the tasks that a header, a group or a list of signatures is made of."""
    value = module.value(header)
    visited = Visited() if visited is None else visited
    if not visited.enters(value):
        return
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        for element in value.elts:
            if isinstance(element, ast.Starred):
                yield from members(module, element.value, visited)
            else:
                yield from _branches(element)
    elif isinstance(value, ast.ListComp | ast.SetComp | ast.GeneratorExp):
        yield from _branches(value.elt)
    elif isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add | ast.Mult):
        yield from members(module, value.left, visited)
        yield from members(module, value.right, visited)
    elif isinstance(value, ast.Call) and kind(module, value) is Kind.GROUP:
        yield from _of_group(module, value, visited)
    elif (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id in {"list", "tuple"}
    ):
        yield from members(module, argument(value, 0, ""), visited)


def _of_group(module: Module, call: ast.Call, visited: Visited) -> Iterator[ast.expr]:
    if module.dotted(call.func) not in GROUP:  # group(...).set(...)
        if isinstance(call.func, ast.Attribute):
            yield from members(module, call.func.value, visited)
    elif len(call.args) == 1 and kind(module, call.args[0]) is None:
        yield from members(module, call.args[0], visited)
    else:
        yield from call.args


def _branches(expression: ast.expr) -> Iterator[ast.expr]:
    """Yield both ends of a conditional expression."""
    waiting = [expression]
    while waiting:
        one = waiting.pop()
        if isinstance(one, ast.IfExp):
            waiting += [one.orelse, one.body]
        else:
            yield one


def steps(module: Module, chain: ast.AST | None, visited: Visited | None = None) -> Iterator[ast.expr]:
    """Yield the steps of a chain, `chain(a, b)` or `a | b`."""
    value = module.value(chain)
    visited = Visited() if visited is None else visited
    if not visited.enters(value):
        return
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr):
        for side in (value.left, value.right):
            if kind(module, side) is Kind.CHAIN:
                yield from steps(module, side, visited)
            else:
                yield side
    elif isinstance(value, ast.Call) and module.dotted(value.func) in CHAIN:
        single = len(value.args) == 1 and isinstance(value.args[0], ast.List | ast.Tuple)
        yield from members(module, value.args[0], visited) if single else value.args
    elif (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in KEEPS_KIND
    ):
        yield from steps(module, value.func.value, visited)


def leaves(module: Module, expression: ast.AST | None, visited: Visited | None = None) -> Iterator[ast.Call]:
    """Yield the calls that make the signatures of single tasks, `task.s(...)`, anywhere within a canvas."""
    value = module.value(expression)
    visited = Visited() if visited is None else visited
    found = kind(module, value)
    if found in CANVAS - {Kind.SIGNATURE}:
        if visited.enters(value):
            for part in _taken_apart(module, value, found):
                yield from leaves(module, part, visited)
    elif (made := signature_call(module, value)) is not None:
        yield made


def _taken_apart(module: Module, value: ast.AST | None, found: Kind | None) -> Iterator[ast.expr | None]:
    if found is Kind.CHAIN:
        yield from steps(module, value)
    elif found is Kind.GROUP:
        yield from members(module, value)
    elif isinstance(value, ast.BinOp):
        yield from (value.left, value.right)
    elif isinstance(value, ast.Call) and module.dotted(value.func) in CHORD:
        yield from members(module, argument(value, 0, "header"))
        yield argument(value, 1, "body")
    elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        yield value.func.value  # chord(...).set(...)


def ending(module: Module, part: ast.AST) -> ast.AST | None:
    """Return what a header waits for in one of its parts: the last step of a chain, the body of a chord."""
    value = module.value(part)
    found = kind(module, value)
    if found is Kind.CHAIN:
        return next(reversed(list(steps(module, value))), None)
    if found is Kind.CHORD and isinstance(value, ast.Call):
        return argument(value, 1, "body")
    return value.right if found is Kind.CHORD and isinstance(value, ast.BinOp) else value


def signature_call(module: Module, expression: ast.AST | None) -> ast.Call | None:
    """Return the call `task.s(...)` behind `.set(...)` and the like, None if there is none."""
    for _ in range(DEPTH):
        expression = module.value(expression)
        if not isinstance(expression, ast.Call) or not isinstance(expression.func, ast.Attribute):
            return None
        if expression.func.attr in MAKES_SIGNATURE:
            return expression
        expression = expression.func.value if expression.func.attr in KEEPS_KIND else None
    return None
