"""YAML with line numbers: plain data, and where each piece of it stands.

Only plain scalars are taken, written as JSON writes them: a tag such as `!vault`, an alias, a Jinja expression or
an octal number is refused, since the plan is read by people and programs that know none of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from egovctl.errors import UsageError
from egovctl.i18n import tr

KeyPath = tuple[str | int, ...]
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# The plan's own data is six levels deep; the limit keeps hostile nesting from exhausting the stack.
MAX_DEPTH = 20
DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})\Z")
FRACTION = re.compile(r"-?[0-9]{1,18}\.[0-9]{1,18}\Z")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
TAG = "tag:yaml.org,2002:"


class PlanError(UsageError):
    """The plan is wrong; each of `faults` is one sentence that begins with file:line."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


@dataclass
class Source:
    """One YAML file as data, with the line of every key path in it. `shown` is the file as a person would name it."""

    shown: str
    data: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def at(self, where: KeyPath) -> str:
        """`file:line` of the key path, or of its nearest ancestor that stands in the file."""
        place = tuple(where)
        while place and place not in self.lines:
            place = place[:-1]
        return f"{self.shown}:{self.lines.get(place, 1)}"

    def fault(self, line: int, sentence: str) -> PlanError:
        """A PlanError with this one sentence, on one line whatever the sentence quotes."""
        return PlanError([f"{self.shown}:{line}: {' '.join(sentence.split())}"])


def read_source(path: Path) -> Source:
    """The file's data and lines; raises PlanError for what is missing, not YAML, not plain, or said twice."""
    source = Source(_shown(path))
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise source.fault(1, tr("文件不存在", "the file is missing")) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise source.fault(
            line, tr("不是 UTF-8 文本；请另存为 UTF-8", "not UTF-8 text; save the file as UTF-8")
        ) from None
    except OSError as error:
        raise source.fault(1, tr(f"无法读取（{error.strerror}）", f"cannot be read ({error.strerror})")) from None
    return parse_source(source.shown, text)


def parse_source(shown: str, text: str) -> Source:
    """The same for text that came from elsewhere; `shown` is what faults call it."""
    source = Source(shown)
    try:
        _refuse_depth_and_aliases(source, text)
        node = yaml.compose(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = error.problem or error.context
        raise source.fault(mark.line + 1 if mark else 1, tr(f"不是 YAML：{why}", f"not YAML: {why}")) from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise source.fault(line, tr(f"不是 YAML：{error.reason}", f"not YAML: {error.reason}")) from None
    if node is None:
        raise source.fault(1, tr("文件是空的", "the file is empty"))
    source.data = _construct(source, node, ())
    return source


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _refuse_depth_and_aliases(source: Source, text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, yaml.AliasEvent):
            sentence = tr(
                f"不允许别名 *{event.anchor}；请写出值", f"alias *{event.anchor} is not allowed; write the value"
            )
            raise source.fault(_line(event), sentence)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            sentence = tr(f"嵌套超过 {MAX_DEPTH} 层", f"nested more than {MAX_DEPTH} levels deep")
            raise source.fault(_line(event), sentence)


def _line(item: Any) -> int:
    """The line that a node or event begins on, counted from 1."""
    return int(item.start_mark.line) + 1


def _construct(source: Source, node: Any, where: KeyPath) -> Any:
    source.lines.setdefault(where, _line(node))
    if isinstance(node, yaml.MappingNode) and node.tag == f"{TAG}map":
        return _construct_mapping(source, node, where)
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{TAG}seq":
        return [_construct(source, item, (*where, i)) for i, item in enumerate(node.value)]
    return _construct_scalar(source, node)


def _construct_mapping(source: Source, node: Any, where: KeyPath) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = _line(key_node)
        if not isinstance(key_node, yaml.ScalarNode):
            raise source.fault(line, tr("键必须是普通的词", "a key must be a plain word"))
        key = key_node.value
        if key in result:
            raise source.fault(
                line, tr(f"键 {key!r} 写了两次；请去掉一个", f"key {key!r} is given twice; take one out")
            )
        source.lines[(*where, key)] = line
        result[key] = _construct(source, value_node, (*where, key))
    return result


def _construct_scalar(source: Source, node: Any) -> Any:
    line, value = _line(node), node.value
    match node.tag.removeprefix(TAG) if isinstance(node, yaml.ScalarNode) else None:
        case "str":
            if "{{" in value or "{%" in value:
                sentence = tr(
                    "规划中不允许 Jinja 表达式；请写出值",
                    "a Jinja expression is not allowed in the plan; write the value",
                )
                raise source.fault(line, sentence)
            return value
        case "int" if DECIMAL.match(value):
            return int(value)
        case "float" if FRACTION.match(value):
            return float(value)
        case "bool" if value in ("true", "false"):
            return value == "true"
        case "null":
            return None
        case "timestamp" if DAY.match(value):
            return value
        case "int" | "float" | "bool" as kind:
            sentence = tr(
                f"{value!r} 有两种读法；请写{' true 或 false' if kind == 'bool' else '普通十进制数'}，若是文字请加引号",
                f"{value!r} can be read in two ways; write {'true or false' if kind == 'bool' else 'plain decimal'}, "
                "or put it in quotes as a word",
            )
            raise source.fault(line, sentence)
        case _:
            sentence = tr(
                f"这里不允许 {node.tag!r}；请只写普通值", f"{node.tag!r} is not allowed here; write plain values only"
            )
            raise source.fault(line, sentence)
