"""Render one city: pure, contacts nobody, holds no secret. The result is written by write.py in one go."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.keys import PLACEHOLDER
from egovctl.paths import Inventory, project_root
from egovctl.plan import City, Host, Plan, load
from egovctl.plan.policy import lan_services, policy_of
from egovctl.plan.source import read_source
from egovctl.render.bundle import Bundle, FileSpec, load_bundles
from egovctl.render.enrolled import read_enrolled, require_control
from egovctl.render.shaping import shaped_links

PROTOCOL = 1
SNMP_USER = "egov"  # snmpd makes it, the exporter uses it
HEADER = "Made by egovctl render from the city's plan. Changes made here are undone by the next apply."


@dataclass
class HostFiles:
    """What one host shall have: `files` maps a path to its bytes, `manifest` describes them for the apply."""

    manifest: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class LogSender:
    """A host that may send logs: its name, the address that it sends from, and its certificate's fingerprint."""

    name: str
    address: str
    fingerprint: str


@dataclass(frozen=True)
class Rendered:
    """A rendered city, in memory."""

    inventory: Inventory
    plan: Plan
    city: City
    enrolled: Mapping[str, Mapping[str, str]]
    hosts: dict[str, HostFiles]


def render_city(inventory: Inventory) -> Rendered:
    """Everything for the managed hosts, and for control where administrators are planned.

    Raises UsageError for a bad plan, bundle or template, or a lost deploy key.
    """
    plan, city = load(inventory)
    bundles = load_bundles(project_root() / "playbooks" / "roles")
    _require_known(inventory, plan, bundles)
    enrolled = read_enrolled(inventory)
    managed = [host for host in city.hosts.values() if "managed" in host.groups]
    require_control(inventory, enrolled, [host.name for host in managed])
    configured = [*managed, *(host for host in city.hosts.values() if plan.administrators and _is_control(host))]
    policy = policy_of(city)
    lans = {lan.hosts[0]: lan for lan in city.lans}
    shared = {
        "plan": plan,
        "city": city,
        "policy": policy,
        "enrolled": enrolled,
        "header": HEADER,
        "backup_clients": sorted(host.name for host in managed if "backup_clients" in host.groups),
        "snmp_user": SNMP_USER,
        "administrators": plan.administrators,
        "log_senders": log_senders(managed, enrolled),
    }
    templates = {bundle.name: _environment(bundle.folder / "templates", bundle.folder.parent) for bundle in bundles}
    hosts = {}
    for host in configured:
        services = [service for service in plan.services if host.name in service.hosts and service.backup]
        lan = lans.get(host.name)
        context = {
            **shared,
            "host": host,
            # A tunnel's interface and its addresses are made by what makes the tunnel.
            "interfaces": [item for item in host.interfaces if item.medium == "line"],
            "outsides": [host.outside] if host.outside else [],
            "tunnels": host.tunnels,
            "shaped": shaped_links(host),
            "backups": services,
            "lan": lan,
            "lan_services": lan_services(lan) if lan else (),
            "rules": policy.rules_for(host, lan),
            "names": known_names(city, host),
        }
        chosen = [bundle for bundle in bundles if bundle.applies_to(host)]
        hosts[host.name] = _render_host(host, city, chosen, context, templates)
    return Rendered(inventory, plan, city, enrolled, hosts)


def _require_known(inventory: Inventory, plan: Plan, bundles: tuple[Bundle, ...]) -> None:
    """UsageError with file and line when a site's `manage` names what is no bundle."""
    known = {bundle.name for bundle in bundles if bundle.spec.hosts != "control"}  # control is no router of a site
    for i, site in enumerate(plan.sites):
        for j, name in enumerate(site.manage or ()):
            if name not in known:
                place = read_source(inventory.plan_dir / "city.yml").at(("sites", i, "manage", j))
                there = ", ".join(sorted(known))
                raise UsageError(
                    tr(
                        f"{place}: 站点 {site.name} 的 manage 中 {name} 不是配置包；现有：{there}；什么也没有生成",
                        f"{place}: site {site.name} has {name} in manage, which is no bundle; there is: {there}; "
                        "nothing was rendered",
                    )
                )


def secret_names(inventory: Inventory) -> list[str]:
    """Every secret that the rendered files of the city refer to, sorted."""
    return secret_names_of(render_city(inventory))


def secret_names_of(rendered: Rendered) -> list[str]:
    """The same, of a city that is rendered already."""
    return sorted({n for host in rendered.hosts.values() for entry in host.manifest["files"] for n in entry["secrets"]})


def _is_control(host: Host) -> bool:
    return host.role == "control" and host.platform == "linux"


def _environment(*folders: Path) -> jinja2.Environment:
    """Templates of the bundle's own; another role's by its path below roles/."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - configuration files, not HTML; the plan's strings are held to narrow patterns
    )
    environment.filters["engine_id"] = engine_id
    return environment


def engine_id(host: Host) -> str:
    """The host's SNMP engine ID in hex: net-snmp's enterprise number and eight octets of its own (RFC 3411, 5).

    Made from the name, so that localised keys can be rendered before the host has ever answered.
    """
    return "80001f8805" + hashlib.sha256(f"egov:{host.name}".encode()).hexdigest()[:16]


def log_senders(managed: list[Host], enrolled: Mapping[str, Mapping[str, str]]) -> list[LogSender]:
    """Who may send logs to the NOC: managed hosts whose key for it is enrolled."""
    prints = {name: keys["syslog_sha256"] for name, keys in enrolled.items() if "syslog_sha256" in keys}
    senders = [host for host in managed if host.name in prints and host.manages("rsyslog")]
    return [LogSender(host.name, host.address_v4, prints[host.name]) for host in senders]


def known_names(city: City, host: Host) -> list[Host]:
    """The hosts whose names the host's resolver knows: the centre's and its own county's; at the NOC, all.

    Not all everywhere: then the files of a city would grow with the square of its sites.
    """
    return [
        other
        for other in city.hosts.values()
        if host.role == "noc" or other.role not in ("access", "hub", "switch") or other.county == host.county
    ]


def _render_host(
    host: Host,
    city: City,
    bundles: list[Bundle],
    context: Mapping[str, Any],
    templates: Mapping[str, jinja2.Environment],
) -> HostFiles:
    manifest: dict[str, Any] = {
        "protocol": PROTOCOL,
        "host": host.name,
        "inventory": city.inventory,
        "plan_revision": city.plan_revision,
        "packages": {},
        "users": {},
        "folders": [],
        "files": [],
        "units": [],
        "sysctl": {},
        "confirm": [bundle.name for bundle in bundles if bundle.spec.confirm],
        "order": [],
    }
    result = HostFiles(manifest)
    for bundle in bundles:
        _add_bundle(result, bundle, {**bundle.defaults, **context}, templates[bundle.name])
    manifest["order"] = _order(manifest["files"])
    return result


def _add_bundle(result: HostFiles, bundle: Bundle, context: Mapping[str, Any], environment: jinja2.Environment) -> None:
    spec, manifest, name = bundle.spec, result.manifest, bundle.name
    manifest["packages"][name] = list(spec.packages)
    if spec.users:
        manifest["users"][name] = list(spec.users)
    if spec.sysctl:
        manifest["sysctl"][name] = dict(sorted(spec.sysctl.items()))
    manifest["folders"].extend({**folder.model_dump(), "bundle": name} for folder in spec.folders)
    for file_spec in spec.files:
        for item, path in _each(file_spec.each, file_spec.path, context):
            content = _content(bundle, file_spec, {**context, "item": item, "sysctl": spec.sysctl}, environment)
            result.files[path] = content
            manifest["files"].append(_file_entry(path, content, file_spec, name, item))
    for unit in spec.units:
        for _, unit_name in _each(unit.each, unit.name, context):
            manifest["units"].append(
                {"name": unit_name, "enabled": unit.enabled, "active": unit.active, "bundle": name}
            )


def _each(each: str | None, path: str, context: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """(item, path with {item} filled in by its name) for each item of the list, or once."""
    if each is None:
        yield None, path
        return
    for item in context[each]:
        yield item, path.replace("{item}", _name_of(item))


def _name_of(item: Any) -> str:
    return item if isinstance(item, str) else str(getattr(item, "name", None) or item.interface)


def _content(bundle: Bundle, spec: FileSpec, context: Mapping[str, Any], environment: jinja2.Environment) -> bytes:
    if spec.copy_from is not None:
        source = (bundle.folder / "files" / spec.copy_from).resolve()
        try:
            return source.read_bytes()
        except OSError as error:
            raise UsageError(
                tr(
                    f"{source}：无法读取（{error.strerror}）；它应随角色 {bundle.name} 提供",
                    f"{source}: cannot be read ({error.strerror}); role {bundle.name} ships it",
                )
            ) from None
    name = spec.template or f"{Path(spec.path).name}.j2"
    file = bundle.folder / "templates" / name
    try:
        return environment.get_template(name).render(context).encode()
    except jinja2.TemplateSyntaxError as error:
        place, why = f"{file}:{error.lineno}", error.message
        raise UsageError(tr(f"{place}: {why}；什么也没有生成", f"{place}: {why}; nothing was rendered")) from None
    except jinja2.TemplateNotFound:
        raise UsageError(
            tr(f"{file}：缺少这个模板；什么也没有生成", f"{file}: this template is missing; nothing was rendered")
        ) from None
    except (jinja2.TemplateError, TypeError, KeyError, AttributeError, ValueError) as error:
        place, host = f"{file}:{_line_of(error, file)}", context["host"].name
        raise UsageError(
            tr(
                f"{place}: {error}（主机 {host}）；什么也没有生成",
                f"{place}: {error} (for {host}); nothing was rendered",
            )
        ) from None


def _line_of(error: BaseException, file: Path) -> int:
    """The template's line that the traceback passed last; jinja2 maps compiled frames back to it."""
    line, frame = 1, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == str(file):
            line = frame.tb_lineno
        frame = frame.tb_next
    return line


def _file_entry(path: str, content: bytes, spec: FileSpec, bundle: str, item: Any) -> dict[str, Any]:
    filled = [action.replace("{item}", _name_of(item)) if item is not None else action for action in spec.actions]
    entry: dict[str, Any] = {
        "path": path,
        "mode": spec.mode,
        "owner": spec.owner,
        "group": spec.group,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bundle": bundle,
        "secrets": sorted({match[1].decode() for match in PLACEHOLDER.finditer(content)}),
        "actions": filled,
    }
    if spec.validate_with:
        entry["validate"] = spec.validate_with
    return entry


def _order(files: list[dict[str, Any]]) -> list[str]:
    """Actions in the order of the bundles; the reload of systemd itself comes first."""
    seen: dict[str, None] = {}
    for entry in files:
        for action in entry["actions"]:
            seen.setdefault(action)
    first = [action for action in seen if action == "daemon-reload"]
    return [*first, *(action for action in seen if action != "daemon-reload")]
