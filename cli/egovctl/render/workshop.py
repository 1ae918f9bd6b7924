"""What one rendering makes once for all hosts: compiled templates, files that roles ship, digests of equal files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.keys import PLACEHOLDER
from egovctl.plan import Host
from egovctl.render.backups import kib_per_second, spread
from egovctl.render.bundle import Bundle
from egovctl.render.topology import label_value


@dataclass
class Workshop:
    """What one rendering makes once and uses for every host: compiled templates, files that roles ship, digests."""

    templates: Mapping[str, jinja2.Environment]
    _shipped: dict[tuple[str, str], bytes] = field(default_factory=dict)
    _marks: dict[bytes, tuple[str, list[str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, bundles: Iterable[Bundle]) -> Workshop:
        """For one rendering of these bundles."""
        return cls({bundle.name: _environment(bundle.folder / "templates", bundle.folder.parent) for bundle in bundles})

    def shipped(self, bundle: Bundle, name: str) -> bytes:
        """A file that the role ships; UsageError names it when it cannot be read."""
        if (bundle.name, name) not in self._shipped:
            source = (bundle.folder / "files" / name).resolve()
            try:
                self._shipped[bundle.name, name] = source.read_bytes()
            except OSError as error:
                raise UsageError(
                    tr(
                        f"{source}：无法读取（{error.strerror}）；它应随角色 {bundle.name} 提供",
                        f"{source}: cannot be read ({error.strerror}); role {bundle.name} ships it",
                    )
                ) from None
        return self._shipped[bundle.name, name]

    def marks(self, content: bytes) -> tuple[str, list[str]]:
        """The digest of a file and the secrets that it refers to; many hosts have the same one."""
        if (found := self._marks.get(content)) is None:
            names = sorted({match[1].decode() for match in PLACEHOLDER.finditer(content)})
            found = self._marks[content] = (hashlib.sha256(content).hexdigest(), names)
        return found


def _environment(*folders: Path) -> jinja2.Environment:
    """Templates of the bundle's own; another role's by its path below roles/."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        auto_reload=False,  # made anew for each rendering
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - configuration files, not HTML; the plan's strings are held to narrow patterns
    )
    environment.filters["engine_id"] = engine_id
    environment.filters["kib_per_second"] = kib_per_second
    environment.filters["spread"] = spread
    environment.filters["quoted"] = label_value
    return environment


def engine_id(host: Host) -> str:
    """The host's SNMP engine ID in hex: net-snmp's enterprise number and eight octets of its own (RFC 3411, 5).

    Made from the name, so that localised keys can be rendered before the host has ever answered.
    """
    return "80001f8805" + hashlib.sha256(f"egov:{host.name}".encode()).hexdigest()[:16]
