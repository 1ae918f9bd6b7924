"""Is what came back what was there? Restored files against the manifest that was taken at backup time."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from egovctl.drill.causes import Cause
from egovctl.errors import CannotMeasure
from egovctl.i18n import told

BLOCK = 1 << 18
STEP = 500  # files between two words of progress


class NoManifest(CannotMeasure):
    """Nothing says what should have come back."""

    cause = Cause.MANIFEST_LOST


@dataclass(frozen=True)
class Manifest:
    """What was there when the backup was taken: path → entry. `paths` are those that the host was told to back up."""

    service: str
    host: str
    taken_at: str
    files: dict[str, dict[str, Any]]
    paths: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """NoManifest when it is missing or no manifest: then there is nothing to compare with."""
        try:
            return cls.parse(path.read_bytes())
        except FileNotFoundError:
            raise NoManifest(
                told(
                    "备份中没有清单，因此无从比对",
                    "the archive holds no manifest, so there is nothing to compare with",
                )
            ) from None
        except OSError:
            return cls.parse(b"")

    @classmethod
    def parse(cls, text: bytes) -> Manifest:
        """NoManifest when these bytes are none."""
        try:
            data = json.loads(text)
            files = {str(item["path"]): item for item in data["files"]}
            complete = all({"size", "mode", "owner", "group", "sha256"} <= set(item) for item in files.values())
            if len(files) != len(data["files"]) or not complete:
                raise ValueError
            paths = tuple(str(path) for path in data.get("paths", ()))
            return cls(str(data["service"]), str(data["host"]), str(data["taken_at"]), files, paths)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise NoManifest(
                told(
                    "备份中的清单无法读取，因此无从比对",
                    "the manifest in the archive cannot be read, so there is nothing to compare with",
                )
            ) from None


@dataclass
class Comparison:
    """Paths that differ. `changed` says how: content, size, mode, owner, kind, or that it cannot be read."""

    compared: int = 0
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether something was compared and all of it is the same."""
        return self.compared > 0 and not (self.missing or self.extra or self.changed)


def compare(
    manifest: Manifest,
    root: Path,
    paths: Iterable[str],
    archived: dict[str, dict[str, Any]],
    progress: Callable[[int, int], None] = lambda done, total: None,
    digest: Callable[[Path], str] = lambda path: digest_of(path),
) -> Comparison:
    """Compare the files under `root` (restored `paths`) with the manifest, content by SHA-256.

    Mode and owner are compared as the archive has them (`archived`: path → entry of borg's list): control does not
    have the users of the host, so the restored files cannot carry them. `digest` may know a file's already.
    """
    found = Comparison()
    restored = {name for path in paths for name in _files(root, path)}
    found.extra = sorted(restored - set(manifest.files))
    for number, (path, entry) in enumerate(manifest.files.items()):
        if number % STEP == 0:
            progress(number, len(manifest.files))
        if path not in restored:
            found.missing.append(path)
            continue
        found.compared += 1
        if fault := _content_fault(root / path.lstrip("/"), entry, digest) or _metadata_fault(
            archived.get(path), entry
        ):
            found.changed[path] = fault
    return found


def _files(root: Path, path: str) -> Iterator[str]:
    """The files and links at or under a restored path, as absolute paths of the host."""
    top = root / path.lstrip("/")
    if not top.is_dir() or top.is_symlink():
        if os.path.lexists(top):
            yield path
        return
    for folder, folders, files in os.walk(top):
        here = Path(folder)
        found = [here / name for name in files]
        found += [link for name in folders if (link := here / name).is_symlink()]
        for item in found:
            if stat.S_ISREG(mode := item.lstat().st_mode) or stat.S_ISLNK(mode):
                yield f"/{item.relative_to(root)}"


def _content_fault(path: Path, entry: dict[str, Any], digest: Callable[[Path], str]) -> str | None:
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            if "link" not in entry:
                return "kind"
            return None if hashlib.sha256(os.fsencode(path.readlink())).hexdigest() == entry["sha256"] else "content"
        if not stat.S_ISREG(status.st_mode) or "link" in entry:
            return "kind"
        if status.st_size != entry["size"]:
            return "size"
        return None if digest(path) == entry["sha256"] else "content"
    except OSError:
        return "unreadable"


def digest_of(path: Path) -> str:
    """SHA-256 of a file's content, hex."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            found.update(block)
    return found.hexdigest()


def _metadata_fault(archived: dict[str, Any] | None, entry: dict[str, Any]) -> str | None:
    if archived is None:
        return "not in the archive's list"
    if "link" not in entry and _octal(str(archived["mode"])) != entry["mode"]:
        return "mode"
    owner = (str(archived["user"]), str(archived["group"]))
    return None if owner == (entry["owner"], entry["group"]) else "owner"


def _octal(text: str) -> str:
    """ "-rwsr-x---" → "4750"."""
    bits = sum(0o400 >> position for position, letter in enumerate(text[1:10]) if letter not in "-ST")
    for position, letters, bit in ((3, "sS", 0o4000), (6, "sS", 0o2000), (9, "tT", 0o1000)):
        bits |= bit if text[position] in letters else 0
    return format(bits, "04o")
