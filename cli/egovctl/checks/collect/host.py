"""The host collector: one pass a host for all the checks of a run, hosts at the same time."""

from __future__ import annotations

from importlib import resources
from typing import Any

from egovctl import transport
from egovctl.checks.collect.base import Facts, Observed, Request
from egovctl.checks.collect.decode import decode
from egovctl.checks.context import Context
from egovctl.checks.expected import not_ours, planned_host, units
from egovctl.checks.model import NotApplicable
from egovctl.errors import CannotMeasure
from egovctl.i18n import told

COMMAND_SECONDS = 8
HOST_SECONDS = 45
PROTOCOL = 1


def collect(context: Context, requests: list[Request]) -> list[Observed]:
    """Facts for each request's hosts; a host that does not answer gives its exception, the others go on.

    A host is not asked about what the plan leaves to others on it.
    """
    sections: dict[str, set[str]] = {}
    for request in requests:
        for host in request.subjects:
            if not_ours(context.city.hosts[host], request.collect.sections) is None:
                sections.setdefault(host, set()).update(request.collect.sections)
    answers = transport.each(sections, lambda host: _look(context, host, sorted(sections[host])))
    return [
        {host: _facts(context, host, request.collect.sections, answers.get(host, {})) for host in request.subjects}
        for request in requests
    ]


def _look(context: Context, host: str, sections: list[str]) -> dict[str, Any]:
    program = resources.files("egovctl.checks.collect").joinpath("onhost.py").read_text(encoding="utf-8")
    params = {
        "sections": sections,
        "units": _asked_units(context, host, sections),
        "seconds": COMMAND_SECONDS,
    }
    answer = transport.run_python(context.inventory, host, program, params, timeout=HOST_SECONDS)
    if not isinstance(answer, dict) or answer.get("protocol") != PROTOCOL or "answers" not in answer:
        raise CannotMeasure(
            told(f"{host}：采集程序的协议版本不同", f"{host}: the collecting program speaks another protocol")
        )
    return dict(answer["answers"])


def _asked_units(context: Context, host: str, sections: list[str]) -> list[str]:
    if "units" not in sections:
        return []
    active, inactive = units(context, context.city.hosts[host])
    return [*active, *inactive]


def _facts(context: Context, name: str, sections: tuple[str, ...], answers: dict[str, Any] | Exception) -> Facts:
    host = context.city.hosts[name]
    if reason := not_ours(host, sections):
        return reason
    if isinstance(answers, Exception):
        return answers
    try:
        asked = _asked_units(context, name, list(sections))
        seen: dict[str, Any] = {}
        for section in sections:
            seen |= decode(section, context.city, host, answers, asked)
        return {"planned": planned_host(context, host, sections), "seen": seen}
    except (CannotMeasure, NotApplicable) as error:
        return error
