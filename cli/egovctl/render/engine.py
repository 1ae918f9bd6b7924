"""Render one city: pure, contacts nobody, holds no secret. The result is written by write.py in one go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.paths import Inventory, project_root
from egovctl.plan import City, Host, Plan, load
from egovctl.plan.policy import lan_services, policy_of
from egovctl.plan.routing import TRANSIT_ROLES
from egovctl.plan.source import read_source
from egovctl.render.backups import backup_quotas, measured_backups, narrowest_links
from egovctl.render.bundle import Bundle, FileSpec, load_bundles
from egovctl.render.enrolled import read_enrolled, require_control
from egovctl.render.flows import SitePrefixes
from egovctl.render.lookups import backed_up, by_role, known_names, left_out, stanzas_of
from egovctl.render.mail import mail_of
from egovctl.render.notify import notify_config
from egovctl.render.rehearsals import WORK, offsite_pull_seconds, promised_backups, rehearsals
from egovctl.render.shaping import shaped_links
from egovctl.render.sms import sms_backups, sms_of
from egovctl.render.topology import topology_for_rules
from egovctl.render.watch import link_names, watched
from egovctl.render.websites import websites_config
from egovctl.render.workshop import Workshop

PROTOCOL = 1
SNMP_USER = "egov"  # snmpd makes it, the exporter uses it
TEXTFILES = "/etc/egov/{bundle}.textfiles"  # what a bundle's programs tell node_exporter: egov-watch reads them all
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
    stanzas = stanzas_of(plan, city)
    tellers = [host for host in managed if {"notifier", "deadman"} & set(host.groups)]
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
        "by_role": by_role(city),
        "backup_quotas": backup_quotas(plan, city),
        "rehearsals": rehearsals(plan, city),
        "control_work": WORK,
        "pull_seconds": offsite_pull_seconds(plan),
        "promised_backups": promised_backups(plan, city),
        "stanzas": stanzas,
        "topology": topology_for_rules(plan, city),
        "notify": notify_config(plan, city),
        "mail": mail_of(plan),
        "tellers": tellers,
        "sms": sms_of(plan, city, tellers),
        "websites": websites_config(plan, city),
    }
    # Whatever a host needs of the whole city is looked up, never searched for: a city has thousands of hosts.
    sites = {site.name: site for site in plan.sites}
    names, backups, excluded = known_names(city), backed_up(plan), left_out(plan)
    thin, links = narrowest_links(plan, city), link_names(city)
    clusters = {stanza.host.name: stanza for stanza in stanzas}
    prefixes = SitePrefixes(plan, city)
    workshop = Workshop.of(bundles)
    hosts = {}
    for host in configured:
        lan = lans.get(host.name)
        context = {
            **shared,
            "host": host,
            "site": sites[host.site],
            # A tunnel's interface and its addresses are made by what makes the tunnel.
            "interfaces": [item for item in host.interfaces if item.medium == "line"],
            "outsides": [host.outside] if host.outside else [],
            "tunnels": host.tunnels,
            "shaped": shaped_links(host),
            "backups": backups.get(host.name, []),
            "thin_mbps": thin.get(host.name),
            "measured_backups": measured_backups(backups.get(host.name, [])),
            "sms_backups": sms_backups(backups.get(host.name, [])),
            "left_out": excluded.get(host.name, []),
            "stanza": clusters.get(host.name),
            "lan": lan,
            "lan_services": lan_services(lan) if lan else (),
            "rules": policy.rules_for(host, lan),
            "watched": watched(host, city, links, enrolled, plan.city.time_servers),
            "names": names.all if host.role == "noc" else names.of_county[host.county],
            "flows": prefixes.seen_from(host) if host.role in TRANSIT_ROLES else None,
        }
        chosen = [bundle for bundle in bundles if bundle.applies_to(host)]
        hosts[host.name] = _render_host(host, city, chosen, context, workshop)
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


def log_senders(managed: list[Host], enrolled: Mapping[str, Mapping[str, str]]) -> list[LogSender]:
    """Who may send logs to the NOC: managed hosts whose key for it is enrolled."""
    prints = {name: keys["syslog_sha256"] for name, keys in enrolled.items() if "syslog_sha256" in keys}
    senders = [host for host in managed if host.name in prints and host.manages("rsyslog")]
    return [LogSender(host.name, host.address_v4, prints[host.name]) for host in senders]


def _render_host(
    host: Host,
    city: City,
    bundles: list[Bundle],
    context: Mapping[str, Any],
    workshop: Workshop,
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
        "settled": {bundle.name: bundle.spec.settled for bundle in bundles if bundle.spec.settled},
        "order": [],
    }
    result = HostFiles(manifest)
    for bundle in bundles:
        _add_bundle(result, bundle, {**bundle.defaults, **context}, workshop)
    manifest["order"] = _order(manifest["files"])
    return result


def _add_bundle(result: HostFiles, bundle: Bundle, context: Mapping[str, Any], workshop: Workshop) -> None:
    spec, manifest, name = bundle.spec, result.manifest, bundle.name
    manifest["packages"][name] = list(spec.packages)
    if spec.users:
        manifest["users"][name] = list(spec.users)
    if spec.sysctl:
        manifest["sysctl"][name] = dict(sorted(spec.sysctl.items()))
    manifest["folders"].extend({**folder.model_dump(), "bundle": name} for folder in spec.folders)
    for file_spec in spec.files:
        for item, path in _each(file_spec.each, file_spec.path, context):
            content = _content(bundle, file_spec, {**context, "item": item, "sysctl": spec.sysctl}, workshop)
            result.files[path] = content
            manifest["files"].append(_file_entry(path, content, file_spec, name, item, workshop))
    told = [path for textfile in spec.textfiles for _, path in _each(textfile.each, textfile.name, context)]
    if told:
        path = TEXTFILES.format(bundle=name)
        result.files[path] = "".join(f"{line}\n" for line in (f"# {HEADER}", *told)).encode()
        entry = _file_entry(path, result.files[path], FileSpec(path=path), name, None, workshop)
        manifest["files"].append(entry)
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


def _content(bundle: Bundle, spec: FileSpec, context: Mapping[str, Any], workshop: Workshop) -> bytes:
    if spec.copy_from is not None:
        return workshop.shipped(bundle, spec.copy_from)
    name = spec.template or f"{spec.path.rpartition('/')[2]}.j2"
    environment = workshop.templates[bundle.name]
    try:
        return environment.get_template(name).render(context).encode()
    except jinja2.TemplateSyntaxError as error:
        place, why = f"{_template(bundle, name)}:{error.lineno}", error.message
        raise UsageError(tr(f"{place}: {why}；什么也没有生成", f"{place}: {why}; nothing was rendered")) from None
    except jinja2.TemplateNotFound:
        file = _template(bundle, name)
        raise UsageError(
            tr(f"{file}：缺少这个模板；什么也没有生成", f"{file}: this template is missing; nothing was rendered")
        ) from None
    except (jinja2.TemplateError, TypeError, KeyError, AttributeError, ValueError) as error:
        file = _template(bundle, name)
        place, host = f"{file}:{_line_of(error, file)}", context["host"].name
        raise UsageError(
            tr(
                f"{place}: {error}（主机 {host}）；什么也没有生成",
                f"{place}: {error} (for {host}); nothing was rendered",
            )
        ) from None


def _template(bundle: Bundle, name: str) -> Path:
    return bundle.folder / "templates" / name


def _line_of(error: BaseException, file: Path) -> int:
    """The template's line that the traceback passed last; jinja2 maps compiled frames back to it."""
    line, frame = 1, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == str(file):
            line = frame.tb_lineno
        frame = frame.tb_next
    return line


def _file_entry(
    path: str, content: bytes, spec: FileSpec, bundle: str, item: Any, workshop: Workshop
) -> dict[str, Any]:
    digest, secrets = workshop.marks(content)
    filled = [action.replace("{item}", _name_of(item)) if item is not None else action for action in spec.actions]
    entry: dict[str, Any] = {
        "path": path,
        "mode": spec.mode,
        "owner": spec.owner,
        "group": spec.group,
        "sha256": digest,
        "bundle": bundle,
        "secrets": list(secrets),
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
