"""Render one city: pure, contacts nobody, holds no secret. The result is written by write.py in one go."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from egovctl.errors import UsageError
from egovctl.paths import Inventory, project_root
from egovctl.plan import City, Host, Plan, load
from egovctl.render.bundle import Bundle, FileSpec, load_bundles
from egovctl.render.enrolled import read_enrolled
from egovctl.render.policy import policy

PROTOCOL = 1
SNMP_USER = "egov"  # snmpd makes it, the exporter uses it
SECRET = re.compile(r"@secret:([a-z0-9_.-]+)(?::([a-z0-9-]+):([0-9a-f]+))?@")
HEADER = "Made by egovctl render from the city's plan. Changes made here are undone by the next apply."


@dataclass
class HostFiles:
    """What one host shall have: `files` maps a path to its bytes, `manifest` describes them for the apply."""

    manifest: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Rendered:
    """A rendered city, in memory."""

    inventory: Inventory
    plan: Plan
    city: City
    enrolled: Mapping[str, Mapping[str, str]]
    hosts: dict[str, HostFiles]


def render_city(inventory: Inventory, only: frozenset[str] | None = None) -> Rendered:
    """Everything for the managed hosts (or `only` those); raises UsageError for a bad plan, bundle or template."""
    plan, city = load(inventory)
    bundles = load_bundles(project_root() / "playbooks" / "roles")
    enrolled = read_enrolled(inventory)
    clients = frozenset(name for service in plan.services if service.backup for name in service.hosts)
    shared = {
        "plan": plan,
        "city": city,
        "policy": policy(city, clients),
        "enrolled": enrolled,
        "header": HEADER,
        "backup_clients": sorted(clients),
        "snmp_user": SNMP_USER,
    }
    templates = {bundle.name: _environment(bundle.folder / "templates") for bundle in bundles}
    hosts = {}
    for host in city.hosts.values():
        if "managed" not in host.groups or (only is not None and host.name not in only):
            continue
        services = [service for service in plan.services if host.name in service.hosts and service.backup]
        context = {
            **shared,
            "host": host,
            "interfaces": host.interfaces,
            "backups": services,
            "self_enrolled": enrolled.get(host.name, {}),
        }
        chosen = [bundle for bundle in bundles if bundle.applies_to(host, host.name in clients)]
        hosts[host.name] = _render_host(host, city, chosen, context, templates)
    return Rendered(inventory, plan, city, enrolled, hosts)


def secret_names(inventory: Inventory) -> list[str]:
    """Every secret that the rendered files of the city refer to, sorted."""
    rendered = render_city(inventory)
    return sorted(
        {name for host in rendered.hosts.values() for entry in host.manifest["files"] for name in entry["secrets"]}
    )


def _environment(folder: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
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
        "absent": [],
        "units": [],
        "sysctl": {},
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
    for folder in spec.folders:
        for _, path in _each(folder.each, folder.path, context):
            entry = {"path": path, "mode": folder.mode, "owner": folder.owner, "group": folder.group}
            manifest["folders"].append({**entry, "bundle": name})
    for file_spec in spec.files:
        for item, path in _each(file_spec.each, file_spec.path, context):
            content = _content(bundle, file_spec, {**context, "item": item, "sysctl": spec.sysctl}, environment)
            result.files[path] = content
            manifest["files"].append(_file_entry(path, content, file_spec, name, item))
    manifest["absent"].extend({"path": path, "bundle": name} for path in spec.absent)
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
    return item if isinstance(item, str) else str(item.name)


def _content(bundle: Bundle, spec: FileSpec, context: Mapping[str, Any], environment: jinja2.Environment) -> bytes:
    if spec.copy_from is not None:
        source = (bundle.folder / "files" / spec.copy_from).resolve()
        try:
            return source.read_bytes()
        except OSError as error:
            raise UsageError(f"{source}: cannot be read ({error.strerror}); role {bundle.name} ships it") from None
    name = spec.template or f"{Path(spec.path).name}.j2"
    file = bundle.folder / "templates" / name
    try:
        return environment.get_template(name).render(context).encode()
    except jinja2.TemplateSyntaxError as error:
        raise UsageError(f"{file}:{error.lineno}: {error.message}; nothing was rendered") from None
    except jinja2.TemplateNotFound:
        raise UsageError(f"{file}: this template is missing; nothing was rendered") from None
    except (jinja2.TemplateError, TypeError, KeyError, AttributeError, ValueError) as error:
        where = _line_of(error, file)
        raise UsageError(f"{file}:{where}: {error} (for {context['host'].name}); nothing was rendered") from None


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
        "secrets": sorted({match[1] for match in SECRET.finditer(content.decode("utf-8", "replace"))}),
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
