"""A site leaves: whether it may, what control forgets of it, what is kept, and the record of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from egovctl.apply import unproven
from egovctl.apply.enrolment import read_record
from egovctl.errors import UsageError
from egovctl.evidence import open_chain
from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.plan import City, Plan, load
from egovctl.plan.models import ServicesFile, Site
from egovctl.plan.source import read_source

NEEDED = ("core", "noc", "backup", "offsite")
RETIRED = "retired"  # the folder beside the enrolled hosts' records
BACKUP_BUNDLE = "borgmatic"
WIPED = ("removed", "units", "sysctls", "secrets")


@dataclass(frozen=True)
class Retirement:
    """A site that may go. `hosts` are those that the suite configures; `repositories` those with backups.

    `planned` is false when the plan has it among the retired already: then nobody can reach its hosts any more.
    """

    site: str
    number: int
    hosts: tuple[str, ...]
    watched: tuple[str, ...]
    repositories: tuple[str, ...]
    planned: bool


@dataclass(frozen=True)
class Row:
    """One line of what became of it; `how` is removed, removing or kept."""

    how: str
    what: tuple[str, str]
    where: str
    until: tuple[str, str]


def retirement(inventory: Inventory, name: str) -> Retirement:
    """The site called `name`; UsageError with a sentence for each reason why it cannot go."""
    if not name:
        raise UsageError(tr("请写明站点：-e retire_site=名称", "say which site: -e retire_site=NAME"))
    plan, city = load(inventory)
    for item in plan.retired:
        if item.name == name:
            return Retirement(name, item.number, (name,), (), _had_backups(inventory, (name,)), planned=False)
    try:
        site = plan.site(name)
    except KeyError:
        raise UsageError(
            tr(f"规划中没有站点 {name}；请检查 retire_site", f"the plan has no site {name}; check retire_site")
        ) from None
    services = ServicesFile.model_validate(read_source(inventory.plan_dir / "services.yml").data)
    if reasons := refusals(plan, services, site):
        raise UsageError("\n".join(reasons))
    return _of(inventory, city, site)


def _of(inventory: Inventory, city: City, site: Site) -> Retirement:
    here = [host for host in city.hosts.values() if host.site == site.name]
    hosts = tuple(host.name for host in here if "managed" in host.groups)
    return Retirement(
        site=site.name,
        number=site.number,
        hosts=hosts,
        watched=tuple(host.name for host in here if host.name not in hosts),
        repositories=_had_backups(inventory, hosts),
        planned=True,
    )


def _had_backups(inventory: Inventory, hosts: Sequence[str]) -> tuple[str, ...]:
    """Those whose repository has a passphrase: its services may have moved away since."""
    return tuple(host for host in hosts if (inventory.secrets / f"borg_passphrase_{host}").is_file())


def refusals(plan: Plan, services: ServicesFile, site: Site) -> list[str]:
    """Why the site cannot go, a sentence each. `services` is as written: who is meant by all-departments may leave."""
    name, found = site.name, []
    if site.kind in NEEDED:
        found.append(
            tr(f"{name} 是 {site.kind} 站点，城市不能没有它", f"{name} is the {site.kind}; the city cannot do without")
        )
    below = [other.name for other in plan.sites if any(up.to in site.router_names for up in other.uplinks)]
    if below:
        listed = ", ".join(below)
        found.append(
            tr(
                f"{name} 是 {listed} 的上联；请先改接或停用它们",
                f"{name} is the way up of {listed}; move their uplinks or retire them first",
            )
        )
    for service in services.services:
        if service.owner == name:
            found.append(
                tr(
                    f"{name} 仍是服务 {service.name} 的责任单位；请先在 services.yml 中移交",
                    f"{name} still owns service {service.name}; give it another owner in services.yml first",
                )
            )
        if here := [host for host in service.hosts if host in site.router_names]:
            found.append(
                tr(
                    f"服务 {service.name} 仍运行在 {here[0]} 上；请先在 services.yml 中移走",
                    f"service {service.name} still runs on {here[0]}; move it away in services.yml first",
                )
            )
    return found


def note_wiped(inventory: Inventory, revision: str, host: str, result: Mapping[str, Any]) -> None:
    """Put on record that a host has nothing of ours any more: it cannot be asked again."""
    what = {key: [str(item) for item in result.get(key, ())] for key in WIPED}
    key = read_record(inventory, host).get("borg_ed25519", "")
    open_chain(inventory, revision).append("host.retired", {"host": host, "borg_ed25519": key, **what})


def wiped(inventory: Inventory, host: str) -> dict[str, list[str]] | None:
    """What `note_wiped` has on record for the host as it is enrolled, or was last; None: it was not visited since.

    Its own key tells one life of a host from the next: a host that is enrolled again makes a new one.
    """
    key = read_record(inventory, host).get("borg_ed25519") or _retired_key(inventory, host)
    for item in reversed(list(open_chain(inventory).records("host.retired"))):
        if item.body["host"] == host:
            return {name: item.body[name] for name in WIPED} if item.body["borg_ed25519"] == key else None
    return None


def _retired_key(inventory: Inventory, host: str) -> str:
    path = inventory.enrolled_dir / RETIRED / f"{host}.yml"
    data = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return str(data.get("borg_ed25519", "")) if isinstance(data, dict) else ""


def forget(inventory: Inventory, host: str) -> list[str]:
    """Control's own traces of a host: its record moves to enrolled/retired/, the way in for a first contact goes.

    Returns the files that were moved or removed. Done twice, the second time there is nothing.
    """
    done = []
    record = inventory.enrolled_dir / f"{host}.yml"
    if record.is_file():
        target = record.parent / RETIRED / record.name
        target.parent.mkdir(exist_ok=True)
        record.replace(target)
        done.append(str(record))
    key = inventory.state / "first_contact_known_hosts" / host
    if key.is_file():
        key.unlink()
        done.append(str(key))
    if _forget_contact(inventory.first_contact, host):
        done.append(f"{inventory.first_contact}: {host}")
    return done


def _forget_contact(path: Path, host: str) -> bool:
    if not path.is_file():
        return False
    note = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    hosts = note.get("hosts")
    if not isinstance(hosts, dict) or host not in hosts:
        return False
    del hosts[host]
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        yaml.safe_dump(note, stream, sort_keys=False)
    beside.replace(path)
    return True


def own_secrets(build: Path, host: str) -> list[str]:
    """Secrets that the rendered files of this host alone refer to, but what opens its backups: those are kept."""
    used: dict[str, set[str]] = {}
    backups: set[str] = set()
    for path in build.glob("*/manifest.json"):
        for entry in json.loads(path.read_text(encoding="utf-8"))["files"]:
            used.setdefault(path.parent.name, set()).update(entry.get("secrets", ()))
            if entry["bundle"] == BACKUP_BUNDLE:
                backups.update(entry.get("secrets", ()))
    others = {name for other, names in used.items() if other != host for name in names}
    return sorted(used.get(host, set()) - others - backups)


def record(inventory: Inventory, gone: Retirement, on: date) -> list[Row]:
    """Forget the site on control, put it into evidence, and say what was removed and what is kept."""
    plan, _ = load(inventory)
    visited = {host: what for host in gone.hosts if (what := wiped(inventory, host)) is not None}
    forgotten = {host: forget(inventory, host) for host in gone.hosts}
    for host in gone.hosts:
        unproven.clear(inventory, host)
    secrets = {host: own_secrets(inventory.build, host) for host in gone.hosts}
    for names in secrets.values():
        for name in names:
            (inventory.secrets / name).unlink(missing_ok=True)
    body = {
        "site": gone.site,
        "number": gone.number,
        "on": on.isoformat(),
        "hosts": list(gone.hosts),
        "wiped": visited,
        "not_reached": [host for host in gone.hosts if host not in visited],
        "forgotten": [item for items in forgotten.values() for item in items],
        "secrets_removed": [name for names in secrets.values() for name in names],
        "kept": [f"/srv/borg/{host}" for host in gone.repositories],
    }
    open_chain(inventory, plan.revision).append("site.retired", body)
    return [row for host in gone.hosts for row in _rows(inventory, gone, host, visited, secrets[host])]


NOW = ("已完成", "done")
NEXT = ("规划移除该站点后的 site.yml", "by site.yml, once the plan is without it")


def _rows(inventory: Inventory, gone: Retirement, host: str, wiped: Mapping[str, Any], secrets: list[str]) -> list[Row]:
    rows = []
    if host in wiped:
        rows.append(Row("removed", ("密钥、单元、文件、部署用户", "keys, units, files, deploy user"), host, NOW))
    else:
        until = ("未能连上：请在别处销毁其磁盘", "not reached: destroy its disk")
        rows.append(Row("kept", ("密钥与配置", "keys and configuration"), host, until))
    rows.append(Row("removed", ("登记记录", "enrolment record"), f"enrolled/{RETIRED}/{host}.yml", NOW))
    for name in secrets:
        rows.append(Row("removed", ("它独用的密钥", "a secret of its own"), name, NOW))
    rows += [
        Row("removing", ("路由、BGP 邻居、隧道", "routes, BGP neighbours, tunnels"), "routers", NEXT),
        Row("removing", ("防火墙集合、名称", "firewall sets, names"), "all hosts", NEXT),
        Row("removing", ("监测目标", "Prometheus targets"), ", ".join((host, *gone.watched)), NEXT),
    ]
    if host in gone.repositories:
        until = ("直到人工删除", "until somebody deletes it")
        rows += [
            Row("removing", ("备份写入权限", "permission to write backups"), "borg authorized_keys", NEXT),
            Row("kept", ("备份仓库", "backup repository"), f"/srv/borg/{host}", until),
            Row("kept", ("打开它的口令", "passphrase that opens it"), f"borg_passphrase_{host}", until),
        ]
    rows += [
        Row("kept", ("指标", "metrics"), "Prometheus", ("noc_retention", "noc_retention")),
        Row("kept", ("证据", "evidence"), f".egov/{inventory.name}/evidence", ("永久", "for ever")),
        Row("kept", ("编号", "number"), str(gone.number), ("永不再用", "never used again")),
    ]
    return rows


HOW = {"removed": ("已移除", "removed"), "removing": ("将移除", "to go"), "kept": ("保留", "kept")}


def table(rows: list[Row]) -> list[str]:
    """The rows as lines of text, in columns."""
    from rich.cells import cell_len

    cells = [(tr(*HOW[row.how]), tr(*row.what), row.where, tr(*row.until)) for row in rows]
    widths = [max(cell_len(line[column]) for line in cells) for column in range(3)]
    return [
        "  ".join(
            [*(text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=False)), line[3]]
        )
        for line in cells
    ]


def plan_edit(gone: Retirement, on: date) -> list[str]:
    """What the person has to write into the plan now; nothing when that is done."""
    if not gone.planned:
        return []
    return [
        tr(
            f"现在请编辑 plan/city.yml：删去站点 {gone.site}，并在 retired: 下加上",
            f"Now edit plan/city.yml: take out site {gone.site}, and add under retired:",
        ),
        f"  - {{number: {gone.number}, name: {gone.site}, on: {on.isoformat()}}}",
        tr("然后运行 playbooks/site.yml。", "then run playbooks/site.yml."),
    ]
