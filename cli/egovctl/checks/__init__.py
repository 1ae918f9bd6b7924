"""Checks: statements that are true when all is well. Collectors observe, the judge judges, the engine runs both."""

from egovctl.checks.context import Context, open_context, require_network
from egovctl.checks.engine import Run, run_checklist, run_checks
from egovctl.checks.model import Check, Checklist, Result, Status

__all__ = [
    "Check",
    "Checklist",
    "Context",
    "Result",
    "Run",
    "Status",
    "open_context",
    "require_network",
    "run_checklist",
    "run_checks",
]
