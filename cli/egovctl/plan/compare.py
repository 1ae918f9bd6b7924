"""What is different between two plans: sites, links, addresses, services, and the city itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from egovctl.plan.derived import City
from egovctl.plan.models import Administrator, Plan, Service, Site

# An entry's fields as plain JSON values; a tuple is a set of names whose order means nothing.
Fields = Mapping[str, Any]
SECTIONS = ("city", "sites", "links", "addresses", "services")


@dataclass(frozen=True)
class Change:
    """One field of one entry that both plans have."""

    name: str
    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Section:
    """One kind of thing; `added` and `removed` are entries with their fields, in plan order."""

    added: Mapping[str, Fields]
    removed: Mapping[str, Fields]
    changed: tuple[Change, ...]

    @property
    def empty(self) -> bool:
        return not (self.added or self.removed or self.changed)


def compare(old: tuple[Plan, City], new: tuple[Plan, City]) -> dict[str, Section]:
    """The sections of SECTIONS, each with what the second plan adds, removes and changes."""
    before, after = _entries(*old), _entries(*new)
    return {name: _section(before[name], after[name]) for name in SECTIONS}


@dataclass(frozen=True)
class Move:
    """An uplink that leads elsewhere now; its addresses and its lower interface stay."""

    host: str
    interface: str
    before: str
    after: str


@dataclass(frozen=True)
class Meaning:
    """What the change asks for on hosts. `changed` have other links, addresses, neighbours or services than before;
    files of others may change too, where they list the city's sites.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    moved: tuple[Move, ...]


def meaning(old: City, new: City) -> Meaning:
    """Which hosts come, go, and have another part than before; in plan order."""
    both = [name for name in new.hosts if name in old.hosts]
    ways = {(link.child, link.child_interface): link.parent for link in old.links}
    moved = [
        Move(link.child, link.child_interface, before, link.parent)
        for link in new.links
        if (before := ways.get((link.child, link.child_interface), link.parent)) != link.parent
    ]
    return Meaning(
        added=tuple(name for name in new.hosts if name not in old.hosts),
        removed=tuple(name for name in old.hosts if name not in new.hosts),
        changed=tuple(name for name in both if old.hosts[name] != new.hosts[name]),
        moved=tuple(moved),
    )


def _section(before: Mapping[str, Fields], after: Mapping[str, Fields]) -> Section:
    changed = [
        Change(name, field, fields.get(field), after[name].get(field))
        for name, fields in before.items()
        if name in after
        for field in dict.fromkeys((*fields, *after[name]))
        if fields.get(field) != after[name].get(field)
    ]
    return Section(
        added={name: fields for name, fields in after.items() if name not in before},
        removed={name: fields for name, fields in before.items() if name not in after},
        changed=tuple(changed),
    )


def _entries(plan: Plan, city: City) -> dict[str, dict[str, Fields]]:
    return {
        "city": _city(plan),
        "sites": {site.name: _site(site) for site in plan.sites},
        "links": {
            f"{link.child} -> {link.parent}": {
                "mbps": link.mbps,
                "child_interface": link.child_interface,
                "parent_interface": link.parent_interface,
            }
            for link in city.links
        },
        "addresses": _addresses(city),
        "services": {service.name: _service(service) for service in plan.services},
    }


def _city(plan: Plan) -> dict[str, Fields]:
    entries: dict[str, Fields] = {
        "city": _flat(plan.city.model_dump(mode="json")),
        "addressing": plan.addressing.model_dump(mode="json"),
    }
    entries.update({f"county {county.name}": _flat(county.model_dump(mode="json")) for county in plan.counties})
    entries.update({f"administrator {item.name}": _administrator(item) for item in plan.administrators})
    entries.update({f"retired {item.name}": item.model_dump(mode="json", exclude={"name"}) for item in plan.retired})
    return entries


def _administrator(person: Administrator) -> Fields:
    fields = _flat(person.model_dump(mode="json", exclude={"name", "ssh_keys"}))
    return {**fields, "ssh_keys": tuple(sorted(person.public_keys))}


def _site(site: Site) -> Fields:
    """A site without its uplinks and addresses, which are sections of their own."""
    fields = _flat(site.model_dump(mode="json", exclude={"name", "uplinks", "addresses", "hosts", "routers"}))
    if site.kind != "core":
        del fields["interconnect_mbps"]
    fields["routers"] = tuple(sorted(site.router_names))
    fields["hosts"] = tuple(sorted(f"{host.name} ({host.role}, {host.platform})" for host in site.hosts))
    return fields


def _service(service: Service) -> Fields:
    fields = _flat(service.model_dump(mode="json", exclude={"name", "hosts", "rto", "rpo"}))
    return {
        **{key: tuple(sorted(value)) if isinstance(value, list) else value for key, value in fields.items()},
        "rto_seconds": service.rto,
        "rpo_seconds": service.rpo,
        "hosts": tuple(sorted(service.hosts)),
    }


def _addresses(city: City) -> dict[str, Fields]:
    entries: dict[str, Fields] = {}
    for host in city.hosts.values():
        entries[f"host {host.name}"] = {"v4": host.address_v4, "v6": host.address_v6}
    for lan in city.lans:
        entries[f"lan {lan.site}"] = {"v4": str(lan.v4), "v6": str(lan.v6)}
    for link in city.links:
        entries[f"link {link.child} -> {link.parent}"] = {"v4": str(link.v4), "v6": str(link.v6)}
    return entries


def _flat(data: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings as dotted keys: {"title": {"zh": ...}} → {"title.zh": ...}."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, dict):
            flat.update({f"{key}.{inner}": item for inner, item in _flat(value).items()})
        else:
            flat[key] = value
    return flat


def as_json(sections: Mapping[str, Section]) -> dict[str, Any]:
    """The sections as plain data with stable keys: added and removed with all fields, changed as from and to."""
    return {
        name: {
            "added": [{"name": entry, **_plain(fields)} for entry, fields in section.added.items()],
            "removed": [{"name": entry, **_plain(fields)} for entry, fields in section.removed.items()],
            "changed": [
                {"name": item.name, "field": item.field, **_plain({"from": item.before, "to": item.after})}
                for item in section.changed
            ],
        }
        for name, section in sections.items()
    }


def _plain(fields: Fields) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}
