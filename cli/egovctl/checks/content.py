"""Reading the content files: checks, checklists and drills, of the suite and of the city's own folder.

A broken file does not stop the others: it is named, and whatever needs it gets an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from egovctl.checks.model import Check, Checklist
from egovctl.errors import UsageError
from egovctl.i18n import both, pick, told, tr
from egovctl.paths import Inventory
from egovctl.plan.sentences import in_words
from egovctl.plan.source import Loader

M = TypeVar("M", bound=BaseModel)
KINDS = {
    "check": {"zh": "检查项", "en": "check"},
    "checklist": {"zh": "检查清单", "en": "checklist"},
    "drill": {"zh": "演练", "en": "drill"},
    "application": {"zh": "应用", "en": "application"},
    "standard": {"zh": "标准", "en": "standard"},
    "register": {"zh": "登记", "en": "register"},
    "risk": {"zh": "风险评估表", "en": "risk table"},
    "entitlements": {"zh": "授权清单", "en": "list of entitlements"},
    "recovery": {"zh": "恢复等级表", "en": "recovery table"},
}
CONTENT = Path(__file__).resolve().parent.parent / "content"


@dataclass(frozen=True)
class Shelf(Generic[M]):
    """The entries of one kind by id, and the files that could not be read: id as the file's name says → why."""

    kind: str
    entries: dict[str, M] = field(default_factory=dict)
    broken: dict[str, dict[str, str]] = field(default_factory=dict)

    def get(self, name: str) -> M:
        """UsageError with what there is, or with file and line of what is wrong in it."""
        if name in self.entries:
            return self.entries[name]
        if name in self.broken:
            raise UsageError(pick(self.broken[name]))
        known = ", ".join(sorted(self.entries)) or tr("无", "none")
        raise UsageError(
            tr(
                f"没有名为 {name} 的{pick(KINDS[self.kind])}；现有：{known}",
                f"{self.kind} {name} is not known; there is: {known}",
            )
        )


def checks(inventory: Inventory | None = None) -> Shelf[Check]:
    """All checks; a city's own (inventories/<city>/content/checks) stand beside the suite's."""
    return read_shelf("check", Check, _folders("checks", inventory))


def checklists(inventory: Inventory | None = None) -> Shelf[Checklist]:
    """All checklists, likewise."""
    return read_shelf("checklist", Checklist, _folders("checklists", inventory))


def folders_of_drills(inventory: Inventory | None = None) -> tuple[Path, ...]:
    """Where drills are described."""
    return _folders("drills", inventory)


def folders_of_applications(inventory: Inventory | None = None) -> tuple[Path, ...]:
    """Where the questions to a restored service are."""
    return _folders("applications", inventory)


def folders_of_standards(inventory: Inventory | None = None) -> tuple[Path, ...]:
    """Where standards are listed."""
    return _folders("standards", inventory)


def _folders(kind: str, inventory: Inventory | None) -> tuple[Path, ...]:
    own = () if inventory is None else (inventory.root / "content" / kind,)
    return (CONTENT / kind, *own)


@lru_cache(maxsize=32)
def read_shelf(kind: str, model: type[M], folders: tuple[Path, ...]) -> Shelf[M]:
    """Read every *.yml of the folders; an id must be its file's name and unique."""
    shelf: Shelf[M] = Shelf(kind)
    for path in _files(folders):
        if path.stem in shelf.entries:
            raise UsageError(
                tr(
                    f"{path}：名为 {path.stem} 的{KINDS[kind]['zh']}已经有了；请另取名称",
                    f"{path}: {kind} {path.stem} is there already; give it another name",
                )
            )
        try:
            entry = _read(path, model)
        except UsageError as error:
            shelf.broken[path.stem] = both(error)
        else:
            shelf.entries[path.stem] = entry
    return shelf


def _files(folders: tuple[Path, ...]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.glob("*.yml"))


def _read(path: Path, model: type[M]) -> M:
    try:
        text = path.read_text(encoding="utf-8")
        data = yaml.load(text, Loader=Loader)  # noqa: S506 - a safe one
        entry = model.model_validate(data)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(
            told(f"{path}:{line}: 不是 YAML：{error.problem}", f"{path}:{line}: not YAML: {error.problem}")
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(told(f"{path}:1: 不是 YAML：{error}", f"{path}:1: not YAML: {error}")) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        place = f"{path}:{_line_of(text, first['loc'])}"
        why = in_words(first)
        raise UsageError(
            told(f"{place}: {where or '文件'} 有误：{why.zh}", f"{place}: {where or 'the file'}: {why.en}")
        ) from None
    if getattr(entry, "id", None) != path.stem:
        raise UsageError(
            told(
                f"{path}:1: id 必须是 {path.stem}，与文件名相同",
                f"{path}:1: id must be {path.stem}, as the file is called",
            )
        )
    return entry


def _line_of(text: str, where: tuple[int | str, ...]) -> int:
    """The line of the deepest key of `where` that is in the text; 1 when none is."""
    node = yaml.compose(text, Loader=Loader)
    line = 1
    for key in where:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
        else:
            break
    return line
