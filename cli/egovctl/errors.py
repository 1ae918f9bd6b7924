"""What can go wrong, as a person reads it: one sentence, and the exit code that the design gives it."""

from __future__ import annotations


class EgovError(Exception):
    """A fault that a person can act on. `str(error)` is one sentence that says where and what to do."""

    exit_code = 3


class UsageError(EgovError):
    """The call or the plan is wrong (exit 2)."""

    exit_code = 2


class JudgedFailure(EgovError):
    """Something was measured, and it is not as it was promised (exit 1)."""

    exit_code = 1


class CannotMeasure(EgovError):
    """Nothing could be said about the thing: a host silent, a secret missing, no room (exit 3)."""

    exit_code = 3
