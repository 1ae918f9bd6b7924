"""Thirty days of a city's series: all that a Prometheus on the played city holds, written into blocks by promtool.

Nothing is listed here by hand: Prometheus scrapes the played hosts by the NOC's rules for some minutes, and each series
that it has then, raw or recorded, gets a past. Signals that a board draws over time have a sample as often as rules are
evaluated; all other series have fewer than in truth, for the disk's and the time's sake (`OTHERS`).
"""

from __future__ import annotations

import json
import math
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from played_city import Played, asked, configure, hosts_of, prometheus, until
from ports import free_port
from promtool import PROJECT, program

from egovctl.boards import read_boards
from egovctl.signals import read_catalogue

DAY = 86400
BLOCK = 54 * 3600  # what Prometheus compacts to within a few days
HEAD = 7200  # what is newer is left to the Prometheus that is measured, with some minutes between: nothing overlaps
CHARTED, OTHERS = 15, 300  # seconds between samples
COUNTED = ("_total", "_sum", "_count", "_bucket", "Octets", "Pkts", "Errors", "_seconds_count")
ABOUT = "about.json"


@dataclass(frozen=True)
class Series:
    """One series: how it is written, its value and what it gains in a second, as they were seen."""

    text: str
    name: str
    value: float
    gain: float
    number: int
    step: int

    @property
    def counts(self) -> bool:
        return ":" not in self.name and self.name.endswith(COUNTED) and self.gain > 0

    def values(self, times: Sequence[int], begin: int) -> list[str]:
        """Its values at these times, as text."""
        if self.counts:
            # It grows by what was seen, by day more than by night.
            swing, phase, gain = self.gain * DAY / 13, self.number % 97, self.gain
            return [
                f"{self.value + gain * (at - begin) + swing * (1 + math.sin(at * math.tau / DAY + phase)):.0f}"
                for at in times
            ]
        if self.name == "site:state:max" and self.number % 10 == 0:
            # Each tenth site is out for ten minutes a day, at an hour of its own.
            hour = self.number // 10 % 24 * 3600
            return ["0" if 0 <= at % DAY - hour < 600 else "1" for at in times]
        if float(self.value).is_integer():
            return [f"{self.value:g}"] * len(times)
        # A day's course, with a little noise: digits that change, as those of real measurements do.
        course = _course(self.step, self.number)
        return [f"{self.value * course[at % DAY // self.step]:.6g}" for at in times]


_COURSES: dict[tuple[int, int], list[float]] = {}


def _course(step: int, number: int) -> list[float]:
    """Factors over a day; thirty-one different ones are enough."""
    key = (step, number % 31)
    if key not in _COURSES:
        _COURSES[key] = [
            0.6 + 0.35 * math.sin(math.tau * at / DAY + key[1]) + 0.05 * math.sin(at * at * (key[1] + 1) / 7e3)
            for at in range(0, DAY, step)
        ]
    return _COURSES[key]


def seen(played: Played, folder: Path, seconds: float) -> list[Series]:
    """What Prometheus holds of the played city once its rules have been evaluated for so long."""
    folder.mkdir(parents=True, exist_ok=True)
    everything = '{__name__=~".+",__name__!~"ALERTS.*"}'
    number = free_port()
    with hosts_of(played) as address:
        configure(folder, played, address, number)
        with prometheus(folder, number) as (url, _):
            until(lambda: len(asked(url, "link:receive_bits:rate2m")) > 10, "rates should be there", 240)
            time.sleep(seconds)
            before = {_text(sample["metric"]): sample["value"] for sample in asked(url, everything)}
            time.sleep(30)
            after = asked(url, everything)
    charted = charted_signals()
    found = []
    for number, sample in enumerate(sorted(after, key=lambda sample: _text(sample["metric"]))):
        text, (at, value) = _text(sample["metric"]), sample["value"]
        then = before.get(text, (at, value))
        spent = float(at) - float(then[0])
        gain = (float(value) - float(then[1])) / spent if spent > 0 else 0.0
        if math.isfinite(float(value)):
            name = sample["metric"]["__name__"]
            found.append(Series(text, name, float(value), gain, number, CHARTED if name in charted else OTHERS))
    return found


def charted_signals() -> set[str]:
    """What some board shows over a range."""
    boards = read_boards(PROJECT / "dashboards", read_catalogue(PROJECT / "dashboards"))
    panels = [panel for board in boards.values() for panel in board.panels if panel.kind in ("lines", "timeline")]
    return {shown.signal for panel in panels for shown in panel.show}


def _text(metric: dict[str, str]) -> str:
    inner = ",".join(
        f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in metric.items() if key[:2] != "__"
    )
    return f"{metric['__name__']}{{{inner}}}"


def spans(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The blocks' times, as Prometheus aligns them."""
    at = begin
    while at < end:
        following = min(end, (at // BLOCK + 1) * BLOCK)
        yield at, following
        at = following


def write(path: Path, series: Sequence[Series], span: tuple[int, int], begin: int) -> int:
    """One block's samples as OpenMetrics; gives how many."""
    count = 0
    times = {step: range(-(-span[0] // step) * step, span[1], step) for step in {one.step for one in series}}
    texts = {step: [str(at) for at in found] for step, found in times.items()}
    with path.open("w", encoding="utf-8") as stream:
        before = ""
        for one in series:
            if one.name != before:
                stream.write(f"# TYPE {one.name} unknown\n")
                before = one.name
            values = one.values(times[one.step], begin)
            stream.write(
                "".join([f"{one.text} {value} {at}\n" for value, at in zip(values, texts[one.step], strict=True)])
            )
            count += len(values)
        stream.write("# EOF\n")
    return count


def back_fill(folder: Path, played: Played, days: float, told: Callable[[str], object] = print) -> dict[str, Any]:
    """Blocks under folder/data and what is in them under folder/about.json; gives the latter.

    While promtool makes one block, the samples of the next are written.
    """
    begun = time.monotonic()
    series = seen(played, folder / "seen", 120)
    told(f"  {len(series)} series seen")
    end = (int(time.time()) - 900) // HEAD * HEAD
    begin = int(end - days * DAY) // HEAD * HEAD
    count, running = 0, None
    for number, span in enumerate(spans(begin, end)):
        path = folder / f"samples{number % 2}.om"
        count += write(path, series, span, begin)
        _done(running)
        told(f"  {count:,} samples, {time.monotonic() - begun:.0f} s")
        command = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", "-q", "--max-block-duration=54h"]
        running = (subprocess.Popen([*command, str(path), str(folder / "data")], stdout=subprocess.DEVNULL), path)
    _done(running)
    topology = played.topology
    about = {
        "sites": len(topology.places),
        "hosts": len(topology.hosts),
        "links": len(topology.links),
        "days": days,
        "begin": begin,
        "end": end,
        "series": len(series),
        "recorded": sum(":" in one.name for one in series),
        "charted": sum(one.step == CHARTED for one in series),
        "steps": [CHARTED, OTHERS],
        "samples": count,
        "seconds": round(time.monotonic() - begun),
        **sizes(folder / "data"),
    }
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    return about


def _done(running: tuple[subprocess.Popen[bytes], Path] | None) -> None:
    if running is not None:
        assert running[0].wait() == 0, f"promtool could not read {running[1]}"
        running[1].unlink()


def sizes(data: Path) -> dict[str, int]:
    """Blocks, their bytes, and the bytes of chunks alone, which are the samples."""
    blocks = [path.parent for path in data.glob("*/meta.json")]
    chunks = [path.stat().st_size for block in blocks for path in (block / "chunks").iterdir()]
    whole = [path.stat().st_size for block in blocks for path in block.rglob("*") if path.is_file()]
    held = sum(json.loads((block / "meta.json").read_text())["stats"]["numSamples"] for block in blocks)
    return {"blocks": len(blocks), "bytes": sum(whole), "chunk_bytes": sum(chunks), "held": held}
