"""How a rule of the scan says what it found. Pure."""

from __future__ import annotations

import ast

from chordwatch.doctor.finding import Finding, Severity
from chordwatch.doctor.scan.names import Module
from chordwatch.text import plain


def finding(  # noqa: PLR0917  # the fields of a Finding, in their order
    module: Module, node: ast.AST, rule: str, severity: Severity, reason: str, fix: str
) -> Finding:
    """Return a finding at the line of `node`; names from the code in `reason` and `fix` are made plain here."""
    where = f"{plain(str(module.path), 300)}:{getattr(node, 'lineno', 0)}"
    return Finding(rule, severity, where, plain(reason, 600), plain(fix, 600))


def last_name(expression: ast.AST | None) -> str:
    """Return the last part of a dotted expression: `c` of `a.b.c`."""
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""
