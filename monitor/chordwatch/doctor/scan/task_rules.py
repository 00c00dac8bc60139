"""Rules about what a task does that its chord cannot bear, and about queues. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from chordwatch.doctor.finding import Finding
from chordwatch.doctor.scan.canvas import MAKES_SIGNATURE, argument, kind
from chordwatch.doctor.scan.names import FUNCTIONS, Function, Kind, Module
from chordwatch.doctor.scan.rule import finding, last_name
from chordwatch.doctor.scan.tasks import Project, Task, is_true

WAITS = frozenset({"get", "join", "join_native", "wait", "collect"})
SENDS = frozenset({"delay", "apply_async", *MAKES_SIGNATURE})
QUEUE = frozenset({"kombu.Queue", "kombu.entity.Queue"})
#: What kombu's Queue takes (kombu.Queue.attrs and __init__); it swallows every other keyword in silence.
QUEUE_OPTIONS = frozenset(
    {
        *("name", "exchange", "routing_key", "channel", "bindings", "on_declared", "alias", "no_declare"),
        *(
            "queue_arguments",
            "binding_arguments",
            "consumer_arguments",
            "durable",
            "exclusive",
            "auto_delete",
        ),
        *("no_ack", "expires", "message_ttl", "max_length", "max_length_bytes", "max_priority"),
    }
)
#: What Django and pytest call in every process.
ALWAYS_RUN = frozenset({"ready", "pytest_configure"})


def waits_in_task(module: Module, project: Project) -> Iterator[Finding]:
    """A task that waits for the result of another one."""
    for task in project.tasks[module]:
        for node in task.own_nodes():
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr not in WAITS or kind(module, node.func.value) is not Kind.RESULT:
                continue
            if _allowed(module, node):
                reason = (
                    "The task keeps its pool slot while it waits for another task. When all slots wait like this, "
                    "none is left to run what they wait for, and a chord they belong to hangs."
                )
            else:
                reason = (
                    f"{node.func.attr}() on a result within a task: RuntimeError in a prefork, solo or thread pool "
                    "(the part fails and the callback never runs); elsewhere it may block the pool."
                )
            fix = "Make a chain or a chord of the two, or return self.replace(signature)."
            yield finding(module, node, "waits_in_task", "warning", reason, fix)


def _allowed(module: Module, call: ast.Call) -> bool:
    """Return whether Celery was told not to refuse to wait here."""
    for keyword in call.keywords:
        if keyword.arg == "disable_sync_subtasks":
            return isinstance(keyword.value, ast.Constant) and keyword.value.value is False
    return any(
        isinstance(item.context_expr, ast.Call) and last_name(item.context_expr.func) == "allow_join_result"
        for outer, _ in module.ancestors(call)
        if isinstance(outer, ast.With | ast.AsyncWith)
        for item in outer.items
    )


def ignore_in_task(module: Module, project: Project) -> Iterator[Finding]:
    """A task that raises Ignore is never counted by its chord."""
    for task, node, raised in _raised(module, project, "Ignore"):
        where = project.in_headers.get(task.node)
        used = f" It stands in the header at {where}." if where else ""
        yield finding(
            module,
            node,
            "ignore_in_task",
            "error" if where else "warning",
            f"{task.name} raises {last_name(raised)}. A part that does is never counted, and its chord waits for "
            f"ever.{used}",
            "Return a value that means nothing was done.",
        )


def reject_requeue(module: Module, project: Project) -> Iterator[Finding]:
    """A task that rejects itself with requeue=True comes back at once, without end."""
    for task, node, _ in _raised(module, project, "Reject"):
        call = node.exc if isinstance(node, ast.Raise) else None
        looks = any(
            isinstance(inner, ast.Constant) and inner.value == "redelivered" for inner in task.own_nodes()
        )
        if isinstance(call, ast.Call) and is_true(argument(call, 1, "requeue")) and not looks:
            yield finding(
                module,
                node,
                "reject_requeue",
                "warning",
                f"{task.name} rejects its message with requeue=True: it is delivered again at once, without a limit, "
                "and its chord waits as long.",
                "Use self.retry() with max_retries.",
            )


def _raised(module: Module, project: Project, name: str) -> Iterator[tuple[Task, ast.Raise, ast.expr]]:
    for task in project.tasks[module]:
        for node in task.own_nodes():
            if not isinstance(node, ast.Raise) or node.exc is None:
                continue
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            dotted = module.dotted(raised)
            if dotted.startswith("celery.") and dotted.rpartition(".")[2] == name:
                yield task, node, raised


def returns_result(module: Module, project: Project) -> Iterator[Finding]:
    """A task that returns the result object of another one: it is done before the other has run."""
    for task in project.tasks[module]:
        if is_true(task.options.get("ignore_result")) and task.node not in project.in_headers:
            continue  # nobody waits for it or reads what it returns
        for node in task.own_nodes():
            if not isinstance(node, ast.Return):
                continue
            value = module.value(node.value)
            if kind(module, value) is Kind.RESULT:
                reason = (
                    f"{task.name} returns the result object of another task, so it counts as done before the other "
                    "has run, and its own result is only the other's id. A chord does not wait for the other: as a "
                    "part it counts at once, as a callback it ends the chord."
                )
            elif any(kind(module, one) is Kind.RESULT for one in _held(value)):
                reason = (
                    f"{task.name} returns result objects of other tasks within a list or dictionary. JSON cannot "
                    "encode them: the task fails after it did its work, although the others run."
                )
            else:
                continue
            fix = "Hand over with raise self.replace(signature), or return the id if nobody needs to wait."
            yield finding(module, node, "returns_result", "warning", reason, fix)


def _held(value: ast.AST | None) -> list[ast.expr]:
    """Return what a returned list or dictionary holds."""
    if isinstance(value, ast.List | ast.Tuple):
        return value.elts
    if isinstance(value, ast.ListComp):
        return [value.elt]
    return value.values if isinstance(value, ast.Dict) else []


def max_retries_caught(module: Module, _project: Project) -> Iterator[Finding]:
    """`except MaxRetriesExceededError` around `retry(exc=...)`, which raises that `exc` instead."""
    for node in module.nodes:
        if not isinstance(node, ast.Try):
            continue
        with_error = [call for call in _calls(node.body, "retry") if _raises_its_error(module, call)]
        for handler in node.handlers:
            if with_error and _catches_only_exceeded(module, handler):
                yield finding(
                    module,
                    handler,
                    "max_retries_caught",
                    "warning",
                    "retry(exc=...) raises exc itself when the retries are used up, never MaxRetriesExceededError: "
                    "this handler never runs, the task fails and so does its chord.",
                    "Leave exc out of retry(), or catch the class of exc, or ask "
                    "self.request.retries >= self.max_retries.",
                )


def _calls(statements: list[ast.stmt], method: str) -> Iterator[ast.Call]:
    """Yield the calls of `something.method(...)` in the statements, but not in functions defined there."""
    waiting: list[ast.AST] = list(statements)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
            yield node
        if not isinstance(node, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
            waiting.extend(ast.iter_child_nodes(node))


def _raises_its_error(module: Module, call: ast.Call) -> bool:
    error = argument(call, 2, "exc")
    value = module.value(error)
    made = value.func if isinstance(value, ast.Call) else value
    nothing = error is None or (isinstance(value, ast.Constant) and value.value is None)
    return not nothing and last_name(made) != "MaxRetriesExceededError"


def _catches_only_exceeded(module: Module, handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return all(_is_exceeded(module, one) for one in caught)


def _is_exceeded(module: Module, caught: ast.expr | None) -> bool:
    if last_name(caught) == "MaxRetriesExceededError" and isinstance(caught, ast.Attribute):
        return True  # self.MaxRetriesExceededError, exceptions.MaxRetriesExceededError
    dotted = module.dotted(caught)
    return dotted.startswith("celery.") and dotted.endswith(".MaxRetriesExceededError")


def retry_swallowed(module: Module, project: Project) -> Iterator[Finding]:
    """`except Exception` around `self.retry()` or `self.replace()`, which work by raising."""
    for task in project.tasks[module]:
        for node in task.own_nodes():
            if not isinstance(node, ast.Try):
                continue
            calls = [call for method in ("retry", "replace") for call in _calls(node.body, method)]
            own = [call for call in calls if _is_own(task, call) and _raised_into(module, call, node)]
            swallowing = _first_that_catches(node.handlers)
            if own and swallowing is not None and not _leaves(swallowing):
                method = last_name(own[0].func)
                yield finding(
                    module,
                    swallowing,
                    "retry_swallowed",
                    "warning",
                    f"self.{method}() works by raising, and this handler swallows what it raises: the task counts as "
                    "finished with what it returns now, and what it sent before runs all the same.",
                    f"Call self.{method}() outside of the try block, or raise celery's Retry and Ignore on.",
                )


def _is_own(task: Task, call: ast.Call) -> bool:
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    own = isinstance(owner, ast.Name) and bool(task.itself) and owner.id == task.itself
    return own and not any(keyword.arg in {"throw", None} for keyword in call.keywords)


def _raised_into(module: Module, call: ast.Call, block: ast.Try) -> bool:
    """Return whether what the call raises meets the handlers of `block` first."""
    for outer, field in module.ancestors(call):
        if outer is block:
            return field == "body"
        if isinstance(outer, ast.Try) and field == "body" and outer.handlers:
            return False
    return False


def _first_that_catches(handlers: list[ast.ExceptHandler]) -> ast.ExceptHandler | None:
    """Return the handler that catches Retry by a base class of it, None if one before it names it."""
    for handler in handlers:
        caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        names = {last_name(one) for one in caught}
        if names & {"Retry", "Ignore", "TaskPredicate", "CeleryError"}:
            return None
        if handler.type is None or names & {"Exception", "BaseException"}:
            return handler
    return None


def _leaves(handler: ast.ExceptHandler) -> bool:
    """Return whether the handler may raise, or retries by itself."""
    calls = [call for method in ("retry", "replace") for call in _calls(handler.body, method)]
    return bool(calls) or any(
        isinstance(node, ast.Raise) for inner in handler.body for node in ast.walk(inner)
    )


def task_in_function(module: Module, project: Project) -> Iterator[Finding]:
    """A task that exists only in processes that call the function around it."""
    if module.path.name.startswith("test_") or module.path.name == "conftest.py":
        return
    for task in project.tasks[module]:
        around = module.functions(task.node)
        if task.decorator is None or not around or _registers(module, task, around):
            continue
        sent = any(
            isinstance(node, ast.Attribute) and node.attr in SENDS and module.value(node.value) is task.node
            for node in ast.walk(around[0])
        )
        yield finding(
            module,
            task.node,
            "task_in_function",
            "warning" if sent else "note",
            f"The task {task.name} is registered only in a process that calls {around[-1].name}(). A worker that did "
            "not refuses it as unregistered, and a chord with it in the header never finishes.",
            "Define the task at the top of a module that the workers import.",
        )


def _registers(module: Module, task: Task, around: list[Function]) -> bool:
    """Return whether the function around the task is there to register it, as far as the text says."""
    outermost = around[-1]
    if outermost.name in ALWAYS_RUN or any(function.decorator_list for function in around):
        return True
    root: ast.AST | None = task.decorator
    while isinstance(root, ast.Attribute | ast.Call):
        root = root.func if isinstance(root, ast.Call) else root.value
    local = isinstance(root, ast.Name) and any(scope in around for scope in module.binding_scopes(root))
    return local or _called_on_import(module, outermost) or _given_away(task, around[0])


def _called_on_import(module: Module, function: Function) -> bool:
    """Return whether the module itself calls the function, or decorates something with it."""
    calls = (node.func for node in module.nodes if isinstance(node, ast.Call) and not module.functions(node))
    decorators = (one for node in module.nodes if isinstance(node, FUNCTIONS) for one in node.decorator_list)
    return any(module.value(used) is function for used in (*calls, *decorators))


def _given_away(task: Task, around: Function) -> bool:
    """Return whether the function returns the task: it makes tasks for somebody else."""
    return any(
        isinstance(node, ast.Return) and isinstance(node.value, ast.Name) and node.value.id == task.name
        for node in ast.walk(around)
    )


def queue_option_unknown(module: Module, _project: Project) -> Iterator[Finding]:
    """A keyword that kombu's Queue swallows without a word."""
    for node in module.nodes:
        if not (isinstance(node, ast.Call) and module.dotted(node.func) in QUEUE):
            continue
        for keyword in node.keywords:
            if keyword.arg is not None and keyword.arg not in QUEUE_OPTIONS:
                fix = (
                    "Write max_priority= to let the queue's messages have priorities, or consumer_arguments="
                    '{"x-priority": ...} to prefer its consumers.'
                    if keyword.arg == "priority"
                    else "Look up the name of the option in kombu's documentation of Queue."
                )
                yield finding(
                    module,
                    keyword.value,
                    "queue_option_unknown",
                    "warning",
                    f"Queue takes no {keyword.arg}; kombu ignores it without a word.",
                    fix,
                )


RULES = (
    ignore_in_task,
    waits_in_task,
    returns_result,
    max_retries_caught,
    retry_swallowed,
    reject_requeue,
    task_in_function,
    queue_option_unknown,
)
