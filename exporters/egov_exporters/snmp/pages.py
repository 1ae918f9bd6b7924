"""The pages for people: a form, and what a target gives. Whatever a device says is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from egov_exporters.snmp.explain import Explained
from egov_exporters.snmp.scrape import Told

HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>SNMP exporter</title>
<meta name="viewport" content="width=device-width"><style>
body{font:16px/1.5 system-ui,"Noto Sans CJK SC",sans-serif;max-width:90rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.2rem .5rem;text-align:left;vertical-align:top}
td.n{text-align:right}input{font:inherit}.bad{color:#8a3300;font-weight:600}code{overflow-wrap:anywhere}
</style></head><body>
"""
FORM = """<h1>SNMP exporter</h1><p>Version {version}. / 版本 {version}。</p>
<form action="/snmp"><label>Target / 目标 <input name="target" required
 placeholder="192.0.2.1 or [2001:db8::1]:161"></label>
<label>Auth / 凭据名 <input name="auth" value=""></label>
<label>Module / 模块 <input name="module" value="if_mib" list="modules"></label>
<datalist id="modules">{options}</datalist>
<button>Scrape / 采集</button> <button formaction="/explain">Explain / 说明</button></form>
<p>Modules / 模块: {modules}</p>
<p><a href="/metrics">Metrics of the exporter itself / 采集器自身的指标</a></p></body></html>
"""


def index(version: str, modules: Sequence[str]) -> str:
    """The form."""
    options = "".join(f'<option value="{escape(name)}">' for name in modules)
    return HEAD + FORM.format(version=escape(version), options=options, modules=escape(", ".join(modules)))


def explained(target: str, auth: str, told: Told) -> str:
    """What was found on a target, module by module."""
    parts = [HEAD, f"<h1>{escape(target)}</h1><p>Auth / 凭据名: {escape(auth)}</p>"]
    if told.failure:
        parts.append(f'<p class="bad">{escape(target)} {escape(told.failure)}</p>')
    if told.identity:
        one = told.identity
        parts.append(
            f"<p>Family / 设备类别: <b>{escape(one.family)}</b>. module=auto: {escape(', '.join(one.profiles))}; "
            f"{one.in_flight} requests at a time / 同时请求数 {one.in_flight}</p>"
        )
    for name, rows in told.modules:
        parts.append(f"<h2>{escape(name)}</h2>")
        parts.append(_table(rows_of(rows)))
    parts.append('<p><a href="/">Back / 返回</a></p></body></html>\n')
    return "".join(parts)


TITLES = ("Metric / 指标", "Object / 对象", "Rows / 行", "Series / 序列", "State / 状态", "Example / 示例")


def rows_of(found: Iterable[Explained]) -> list[tuple[str, ...]]:
    """The cells of the table, for a page or a terminal."""
    rows: list[tuple[str, ...]] = []
    for one in found:
        state = "" if one.complete else one.note or "incomplete"
        rows.append(
            (
                str(one.metric),
                f"{one.source} {one.oid}".strip(),
                str(one.rows),
                str(one.series),
                state,
                str(one.example),
            )
        )
    return rows


def _table(rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{title}</th>" for title in TITLES)
    body = []
    for metric, source, given, series, state, example in rows:
        body.append(
            f"<tr><td>{escape(metric)}</td><td><code>{escape(source)}</code></td><td class=n>{given}</td>"
            f'<td class=n>{series}</td><td class="bad">{escape(state)}</td><td><code>{escape(example)}</code></td></tr>'
        )
    return f"<table><tr>{head}</tr>{''.join(body)}</table>"
