"""How well the checks' cases hold their expressions: each is changed in one place, and some case must notice.

A mutant is another operator, constant, text, negation, or any for all (and back), in `expression`, `partial`,
`measured` or `tells`. It is killed when one of the check's cases (tests/unit/*_cases.py) then has another status.
Prints the survivors and the score; exit 1 below 95 %.

    python tests/bench/mutation.py [--only CHECK ...] [--least 0.95]
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
import as_planned_cases
import facts_cases
import measured_cases
import register_cases
import service_cases
import website_cases

from egovctl.checks import content
from egovctl.checks.collect.registers import facts
from egovctl.checks.facts import decode
from egovctl.checks.judge import BadExpression, judge_among, names_of
from egovctl.checks.model import Check
from egovctl.checks.registers.entries import KINDS

FIELDS = ("tells", "measured", "expression", "partial")
TOKEN = re.compile(
    r"(?P<text>'[^']*')|(?P<number>\b\d+(?:\.\d+)?\b)|(?P<word>\.(?:all|exists)\()|(?P<operator>&&|\|\||[=!<>]=|[<>!])"
)
OTHER = {
    "&&": ("||",),
    "||": ("&&",),
    "==": ("!=",),
    "!=": ("==",),
    "<=": ("<", ">"),
    ">=": (">", "<"),
    "<": ("<=", ">="),
    ">": (">=", "<="),
    "!": ("",),
    ".all(": (".exists(",),
    ".exists(": (".all(",),
}
Facts = dict[str, Any]


def mutants(expression: str) -> Iterator[tuple[str, str]]:
    """(what was changed, the changed expression) for each place."""
    for found in TOKEN.finditer(expression):
        old = found.group()
        for new in replacements(found.lastgroup or "", old):
            yield f"{old} → {new} at {found.start()}", expression[: found.start()] + new + expression[found.end() :]
    if expression != "true":
        yield "negated", f"!({expression})"


def replacements(kind: str, old: str) -> tuple[str, ...]:
    if kind == "text":
        return (f"'{old[1:-1]}~'",)
    if kind == "number" and "." in old:
        return repr(float(old) * 1.001 or 1.0), repr(float(old) * 0.999 or -1.0)
    if kind == "number":
        return str(int(old) + 1), f"({int(old)} - 1)"
    return OTHER[old]


def cases_of(check: Check) -> Iterator[Facts]:
    """Facts of every case that there is of a check."""
    name, subject = check.id, {"name": "h", "role": "access", "managed": True, "router": True}
    if name in facts_cases.RED:
        for change in (
            None,
            *facts_cases.RED[name],
            *facts_cases.GREEN.get(name, []),
            *facts_cases.UNKNOWN.get(name, []),
        ):
            seen: Facts = {}
            for number, group in enumerate(check.collect.sections):
                answers = facts_cases.answers_of(group, change if number == 0 else None)
                seen |= decode("h", group, answers, facts_cases.AT)
            yield {"subject": subject, "planned": facts_cases.PLANNED, "seen": seen}
    elif name in register_cases.RED:
        changes = [None, *register_cases.RED[name], *register_cases.GREEN.get(name, [])]
        changes += [change for other, _, change in register_cases.OTHER if other == name]
        changes += [register_cases.not_kept(kind) for kind in check.collect.sections if kind in KINDS]
        for change in changes:
            given = register_cases.GOOD if change is None else change(register_cases.GOOD)
            found = facts(given, check.collect.sections)
            assert isinstance(found, dict), found
            yield {"subject": subject, **found}
    for module in (measured_cases, as_planned_cases, service_cases, website_cases):
        if name not in module.GOOD:
            continue
        changes = [None, *module.RED[name], *(change for other, _, change in module.OTHER if other == name)]
        for change in changes:
            planned, seen = module.case(name, change)
            yield {"subject": getattr(module, "SUBJECT", subject), "planned": planned, "seen": seen}
        for change in getattr(module, "GREEN", {}).get(name, []):
            planned, seen = module.case(name, change)
            about = getattr(module, "SUBJECTS", {}).get(name, getattr(module, "SUBJECT", subject))
            yield {"subject": about, "planned": planned, "seen": seen}


def status(check: Check, known: Facts) -> str:
    """The status of one case; that an expression fails is one too."""
    try:
        return judge_among(check, known)[0].value
    except BadExpression:
        return "broken"


def survivors(check: Check) -> tuple[int, list[str]]:
    """How many mutants a check has, and those that no case notices."""
    bare = check.model_copy(update={"show": {}})
    known = [names_of(case) for case in cases_of(check)]
    right = [status(bare, case) for case in known]
    count, left = 0, []
    for name in FIELDS:
        expression = getattr(check, name)
        for what, mutant in mutants(expression) if expression and expression != "true" else ():
            count += 1
            changed = bare.model_copy(update={name: mutant})
            if all(status(changed, case) == good for case, good in zip(known, right, strict=True)):
                left.append(f"{check.id} {name}: {what}")
    return count, left


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="these checks only")
    parser.add_argument("--least", type=float, default=0.95, help="the score that must be reached")
    args = parser.parse_args()
    begun, total, left = time.monotonic(), 0, []
    for name, check in sorted(content.checks().entries.items()):
        if args.only and name not in args.only:
            continue
        count, alive = survivors(check)
        total += count
        left += alive
        for line in alive:
            print(f"survives: {line}", flush=True)
    score = 1 - len(left) / total if total else 0.0
    worst = Counter(line.split()[0] for line in left).most_common(5)
    print(
        f"{total} mutants, {total - len(left)} killed: {score:.1%} ({time.monotonic() - begun:.0f} s); alive most: "
        f"{', '.join(f'{name} {count}' for name, count in worst) or 'none'}"
    )
    return 0 if score >= args.least else 1


if __name__ == "__main__":
    sys.exit(main())
