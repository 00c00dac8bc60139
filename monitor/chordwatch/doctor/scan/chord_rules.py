"""Rules about how a chord is put together and sent. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from chordwatch.doctor.finding import Finding, Severity
from chordwatch.doctor.scan.canvas import (
    DEPTH,
    argument,
    ending,
    kind,
    leaves,
    members,
    signature_call,
    spreads,
    steps,
)
from chordwatch.doctor.scan.names import Kind, Module
from chordwatch.doctor.scan.rule import finding
from chordwatch.doctor.scan.tasks import Project, Task, is_true

#: Methods of a chord that the result of a sent one does not have.
ONLY_UNSENT = frozenset(
    {"apply_async", "delay", "apply", "on_error", "link", "link_error", "set", "clone", "freeze"}
)
SENDS = frozenset({"apply_async", "delay"})


def chord_sent_twice(module: Module, _project: Project) -> Iterator[Finding]:
    """`chord(header)(body)` has sent the chord; what it returns cannot be sent or linked."""
    for node in module.nodes:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        sent = module.value(node.func.value)
        if (
            node.func.attr in ONLY_UNSENT
            and isinstance(sent, ast.Call)
            and kind(module, sent.func) is Kind.CHORD
        ):
            yield finding(
                module,
                node,
                "chord_sent_twice",
                "error",
                f"chord(header)(body) sends the chord and returns a result, which has no {node.func.attr}(): "
                "AttributeError after the chord was sent, and a caller that tries again sends it once more.",
                "Write chord(header, body).apply_async(), or chord(header)(body) alone.",
            )


def chord_callback_keyword(module: Module, project: Project) -> Iterator[Finding]:
    """`chord(header, callback=...)` has no body."""
    for use in project.chords[module]:
        if isinstance(use.node, ast.Call) and any(keyword.arg == "callback" for keyword in use.node.keywords):
            reason = "chord() has no argument callback; it is taken for an option and never runs."
            if use.body is None:
                reason = "chord() has no argument callback, so this chord has no body: AttributeError when it is sent."
            severity: Severity = "warning" if use.body is not None else "error"
            yield finding(module, use.node, "chord_callback_keyword", severity, reason, "Write body=.")


def chord_without_body(module: Module, project: Project) -> Iterator[Finding]:
    """`chord(header).delay()` and `chord(header)()` have nothing to call."""
    for use in project.chords[module]:
        node = use.node
        if use.body is not None or not isinstance(node, ast.Call) or spreads(node):
            continue
        if any(keyword.arg == "callback" for keyword in node.keywords):
            continue
        sending = _sending(module, node)
        if sending is not None and not sending.args and not sending.keywords:
            yield finding(
                module,
                node,
                "chord_without_body",
                "error",
                "The chord is sent without a body: AttributeError, and nothing is sent.",
                "Give it a body, chord(header, body); use group(header) if there is none.",
            )


def _sending(module: Module, chord: ast.Call) -> ast.Call | None:
    """Return the call by which the chord is sent where it is made."""
    parent, field = module.parents[chord]
    if isinstance(parent, ast.Attribute) and parent.attr in SENDS:
        parent, field = module.parents[parent]
    elif isinstance(parent, ast.Attribute):
        return None
    return parent if isinstance(parent, ast.Call) and field == "func" else None


def none_in_header(module: Module, project: Project) -> Iterator[Finding]:
    """A None in a header list is published as a task without a name, and counts."""
    for use in project.chords[module]:
        if kind(module, use.header) is Kind.GROUP or not _untouched(module, use.header):
            continue  # a group refuses None: AttributeError, nothing sent
        for member in members(module, use.header):
            if isinstance(member, ast.Constant) and member.value is None:
                yield finding(
                    module,
                    member,
                    "none_in_header",
                    "error",
                    "None in a chord's header is sent as a task whose name is null. No worker knows it, it is never "
                    "counted, and the callback never runs.",
                    "Leave the missing part out of the list, or send a task that does nothing.",
                )


def _untouched(module: Module, header: ast.AST | None) -> bool:
    """Return whether a literal behind a name cannot have been changed before the chord got it."""
    return not isinstance(header, ast.Name) or module.uses[header.id] <= 2  # noqa: PLR2004  # set once, used once


def not_a_signature(module: Module, project: Project) -> Iterator[Finding]:
    """A part or a body that was sent or run already, or a body that is the task itself."""
    for use in project.chords[module]:
        for member in members(module, use.header):
            yield from _part(module, project, member)
        if use.body is not None:
            yield from _callback(module, project, use.body)


def _part(module: Module, project: Project, member: ast.expr) -> Iterator[Finding]:
    if kind(module, member) is Kind.RESULT:
        yield finding(
            module,
            member,
            "not_a_signature",
            "error",
            "The part is the result of a task that is sent here already, not a signature: AttributeError when the "
            "chord is sent, while the task runs outside of it.",
            "Write task.s(...) in place of task.delay(...) or task.apply_async(...).",
        )
    elif isinstance(member, ast.Call) and _bare(project, module, member.func) is not None:
        yield finding(
            module,
            member,
            "not_a_signature",
            "error",
            "The task runs here, at once, and what it returns is sent as a part of the chord. No worker knows such a "
            "task, it is never counted, and the callback never runs.",
            "Write task.s(...) in place of task(...).",
        )


def _callback(module: Module, project: Project, body: ast.AST) -> Iterator[Finding]:
    sent = kind(module, body) is Kind.RESULT
    called = isinstance(body, ast.Call) and _bare(project, module, body.func) is not None
    if sent or called or _bare(project, module, body) is not None:
        what = "was sent already" if sent else "runs here, at once" if called else "is the task itself"
        yield finding(
            module,
            body,
            "not_a_signature",
            "error",
            f"The body {what}; it is no signature: AttributeError, and the chord is not sent.",
            "Write task.s().",
        )


def _bare(project: Project, module: Module, expression: ast.AST) -> Task | None:
    """Return the task that the expression names itself, without `.s()`."""
    named = isinstance(expression, ast.Name | ast.Attribute)
    return project.task(module, expression) if named else None


def callback_takes_no_result(module: Module, project: Project) -> Iterator[Finding]:
    """The body's function cannot take the list of results as its first argument."""
    for use in project.chords[module]:
        made = signature_call(module, use.body)
        task = project.task(module, made) if made is not None else None
        if made is None or task is None or not _plain_call(made) or _made_immutable(module, use.body):
            continue
        allowed = task.signature()
        if allowed is None or "base" in task.options:
            continue
        try:
            allowed.bind(None, *made.args, **{keyword.arg: None for keyword in made.keywords if keyword.arg})
        except TypeError as error:
            yield finding(
                module,
                use.body or use.node,
                "callback_takes_no_result",
                "error",
                f"The body gets the list of results as its first argument, and {task.name} cannot be called like "
                f"that: {error}. The parts run, the callback never does.",
                f"Give {task.name} such a parameter, or write {task.name}.si(...).",
            )


def _plain_call(made: ast.Call) -> bool:
    return isinstance(made.func, ast.Attribute) and made.func.attr == "s" and not spreads(made)


def _made_immutable(module: Module, body: ast.AST | None) -> bool:
    for _ in range(DEPTH):
        body = module.value(body)
        if not isinstance(body, ast.Call) or not isinstance(body.func, ast.Attribute):
            return False
        if any(keyword.arg in {"immutable", None} for keyword in body.keywords):
            return True
        body = body.func.value
    return True  # nobody writes this; say nothing about it


def ignored_in_complex_header(module: Module, project: Project) -> Iterator[Finding]:
    """Parts without a result in a header of which one part ends in a group: joining waits for ever."""
    for use in project.chords[module]:
        parts = list(members(module, use.header))
        if not any(_ends_in_group(module, part) for part in parts):
            continue
        for leaf in (leaf for part in parts for leaf in leaves(module, ending(module, part))):
            task = project.task(module, leaf)
            if _ignores(module, leaf) or (task is not None and is_true(task.options.get("ignore_result"))):
                yield finding(
                    module,
                    leaf,
                    "ignored_in_complex_header",
                    "error",
                    "A part of the header is a chain or a chord that ends in a group, so the worker that counts the "
                    "last part waits for every result. This one has ignore_result: it waits for ever and blocks a "
                    "pool slot.",
                    "Remove ignore_result from the tasks of this header, or flatten the header.",
                )


def _ends_in_group(module: Module, part: ast.AST) -> bool:
    """Return whether Celery makes a result of several results of the part. A group itself it flattens."""
    return kind(module, part) in {Kind.CHAIN, Kind.CHORD} and kind(module, ending(module, part)) is Kind.GROUP


def _ignores(module: Module, leaf: ast.Call) -> bool:
    """Return whether `.set(ignore_result=True)` follows the signature where it is made."""
    method, _ = module.parents[leaf]
    call = module.parents[method][0] if isinstance(method, ast.Attribute) and method.attr == "set" else None
    return isinstance(call, ast.Call) and is_true(argument(call, 99, "ignore_result"))


def nested_header(module: Module, project: Project) -> Iterator[Finding]:
    """A chord, or a chain with a group, within a header: some failures in it do not reach the outer chord."""
    for use in project.chords[module]:
        for part in members(module, use.header):
            if kind(module, part) is Kind.CHAIN and _ends_in_group(module, part):
                what = "a task before the group at the end of this chain"
            elif kind(module, part) is Kind.CHORD or _has_group(module, part):
                what = "a task in the header of this inner chord"
            else:
                continue
            yield finding(
                module,
                part,
                "nested_header",
                "note",
                f"If {what} fails, Celery does not tell the outer chord, whose callback then never runs.",
                "Flatten the header, or let the inner tasks return their errors instead of raising them.",
            )


def _has_group(module: Module, part: ast.AST) -> bool:
    return kind(module, part) is Kind.CHAIN and any(
        kind(module, step) in {Kind.GROUP, Kind.CHORD} for step in steps(module, part)
    )


def lazy_part_dropped(module: Module, _project: Project) -> Iterator[Finding]:
    """`add_to_chord(task.s(), lazy=True)` whose signature nobody keeps: counted, never sent."""
    for node in module.nodes:
        call = node.value if isinstance(node, ast.Expr) else None
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            continue
        lazy = call.func.attr == "add_to_chord" and is_true(argument(call, 1, "lazy"))
        if lazy and isinstance(argument(call, 0, "sig"), ast.Call):
            yield finding(
                module,
                call,
                "lazy_part_dropped",
                "error",
                "add_to_chord(..., lazy=True) counts one more part and leaves it to you to send it. Nothing keeps the "
                "signature here, so it is never sent and the callback never runs.",
                "Leave lazy out, or keep what add_to_chord() returns and call delay() on it.",
            )


RULES = (
    chord_sent_twice,
    chord_callback_keyword,
    chord_without_body,
    not_a_signature,
    none_in_header,
    ignored_in_complex_header,
    lazy_part_dropped,
    callback_takes_no_result,
    nested_header,
)
