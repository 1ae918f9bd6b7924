"""A bundle: what one role wants on a host, as data (playbooks/roles/<role>/bundle.yml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.plan import Host
from egovctl.plan.routing import TRANSIT_ROLES
from egovctl.plan.sentences import in_words

Selector = Literal[
    "managed",
    "router",
    "transit",
    "tunnel",
    "shaped",
    "lan_router",
    "leasing",
    "backup_client",
    "mariadb",
    "postgresql",
    "postgresql_backups",
    "backup",
    "offsite",
    "noc",
    "notifier",
    "deadman",
    "mail",
    "sms",
    "websites",
    "control",
]
Mode = Annotated[str, Field(pattern=r"^0[0-7]{3}$")]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileSpec(Model):
    """One file. `template` is rendered, `copy_from` is taken as it is; `each` repeats it over a list of the context.

    `validate_with` is run on the host with %s = the staged file; `actions` follow a change, see the manifest.
    """

    path: str
    template: str | None = None
    copy_from: str | None = Field(default=None, alias="copy")
    each: str | None = None
    mode: Mode = "0644"
    owner: str = "root"
    group: str = "root"
    validate_with: str | None = Field(default=None, alias="validate")
    actions: tuple[str, ...] = ()


class FolderSpec(Model):
    path: str
    mode: Mode = "0755"
    owner: str = "root"
    group: str = "root"


class UnitSpec(Model):
    name: str
    enabled: bool = True
    active: bool = True
    each: str | None = None


class TextfileSpec(Model):
    """A file that a program of the bundle leaves in node_exporter's folder; `each` repeats it, as for a file."""

    name: Annotated[str, Field(pattern=r"^egov_[a-z0-9_{}]+\.prom$")]
    each: str | None = None


class BundleSpec(Model):
    """A role's bundle.yml. `order` says when its actions run among the host's bundles, lowest first.

    `confirm`: a change of it can cut the host off, so the host undoes it unless control gets through anew.
    `settled`: a command that only reads, and exits with 0 when all that the role does beside files, units and packages
    is done; {wheelhouse} in it is the digest of control's wheelhouse. Without it, such tasks of a role would be left
    out on a host where nothing else differs.
    `textfiles`: what its programs tell node_exporter; it goes from the host when they do (role watch).
    """

    order: int
    hosts: Selector
    confirm: bool = False
    packages: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    folders: tuple[FolderSpec, ...] = ()
    files: tuple[FileSpec, ...] = ()
    units: tuple[UnitSpec, ...] = ()
    sysctl: dict[str, str] = {}
    textfiles: tuple[TextfileSpec, ...] = ()
    settled: str = ""


@dataclass(frozen=True)
class Bundle:
    """A bundle with the folder that its templates and defaults live in."""

    name: str
    folder: Path
    spec: BundleSpec
    defaults: Mapping[str, Any]

    def applies_to(self, host: Host) -> bool:
        """Whether this host, which is managed or control, gets the bundle: the plan leaves it in, and it fits."""
        if self.spec.hosts == "control":
            return host.role == "control"
        if not host.manages(self.name):
            return False
        match self.spec.hosts:
            case "managed":
                return True
            case "router":
                return host.router
            case "transit":
                return host.router and host.role in TRANSIT_ROLES
            case "tunnel":
                return bool(host.tunnels)
            case "shaped":
                return any(interface.shares for interface in host.interfaces)
            case "lan_router":
                return host.router and host.role != "core"
            case "leasing":
                return host.role in ("access", "hub")
            case "backup_client":
                return "backup_clients" in host.groups
            case "mariadb" | "postgresql" | "postgresql_backups" | "notifier" | "deadman" | "mail" | "sms" | "websites":
                return self.spec.hosts in host.groups
            case _:
                return host.role == self.spec.hosts


def load_bundles(roles: Path) -> tuple[Bundle, ...]:
    """All bundles under playbooks/roles, in order; UsageError names the file of a bad one."""
    bundles = []
    for path in sorted(roles.glob("*/bundle.yml")):
        folder = path.parent
        defaults_file = folder / "defaults" / "main.yml"
        defaults = yaml.safe_load(defaults_file.read_text(encoding="utf-8")) if defaults_file.is_file() else {}
        try:
            spec = BundleSpec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (ValidationError, yaml.YAMLError) as error:
            whole = {"type": "yaml", "loc": (), "msg": str(error)}
            first = error.errors()[0] if isinstance(error, ValidationError) else whole
            place, why = f"{path}: {'.'.join(map(str, first['loc']))}", in_words(first)
            raise UsageError(tr(f"{place} 有误：{why}", f"{place}: {why}")) from None
        bundles.append(Bundle(folder.name, folder, spec, defaults or {}))
    return tuple(sorted(bundles, key=lambda bundle: (bundle.spec.order, bundle.name)))
