"""Comparing what a recorded device shows with two expectations: a JSON of an independent program, and the recording."""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from snmp_recordings import Line, Recorded

from egov_exporters.snmp.decode import Step, decode
from egov_exporters.snmp.detect import Identity
from egov_exporters.snmp.oid import Oid, dotted, parse_oid
from egov_exporters.snmp.profiles import load_profiles
from egov_exporters.snmp.schema import NUMBERS, Column, Profile, Table
from egov_exporters.snmp.values import CONVERSIONS, MANTISSA
from egov_exporters.snmp.walk import Harvest, read_profile

PORT_FIELDS = (
    *("ifName", "ifDescr", "ifAlias", "ifType", "ifMtu", "ifSpeed", "ifAdminStatus", "ifOperStatus"),
    *(f"if{way}{what}" for what in ("Octets", "UcastPkts", "MulticastPkts", "BroadcastPkts", "Errors", "Discards")
      for way in ("In", "Out")),
)  # fmt: skip
# What is compared with the JSON, by profile: processors, mempools, and classes of sensors. `state:NAME` is one table of
# states. The list is fixed: it does not follow what the profiles happen to read.
FIXED: dict[str, str] = {
    "apc_powernet": "temperature humidity charge runtime load frequency voltage current power "
    "state:upsBasicOutputStatus state:upsAdvBatteryReplaceIndicator",
    "cisco": "processors mempools temperature fanspeed voltage current power dbm state:ciscoEnvMonFanState "
    "state:ciscoEnvMonSupplyState state:ciscoEnvMonTemperatureState state:cefcFRUPowerOperStatus "
    "state:cefcFanTrayOperStatus",
    "entity_sensor": "temperature fanspeed voltage current power",
    "fortigate": "processors mempools temperature fanspeed voltage state:fgHwSensors state:fgHaStatsSyncStatus",
    "h3c_comware": "processors mempools temperature power state:hh3cdevMFanStatusTable state:hh3cdevMPowerStatusTable",
    "hikvision": "mempools state:hikDiskStatus",
    "host_resources": "processors mempools",
    "huawei_vrp": "processors mempools temperature voltage current power percent dbm state:hwEntityFanState",
    "linux": "temperature fanspeed",
    "power_ethernet": "power",
    "mikrotik": "temperature fanspeed voltage current power dbm",
    "ups_mib": "charge runtime load frequency voltage current power temperature state:upsBatteryStatusState "
    "state:upsOutputSourceState",
    "zte": "processors mempools temperature fanspeed voltage current power dbm state:zxAnEnvFanOperStatus "
    "state:zxAnPowerSupplyInVoltageStatus",
}
# Standard tables belong to their own profile, whatever the device's vendor; the rest belongs to the vendor's.
TREES = {
    "entity_sensor": "1.3.6.1.2.1.99",
    "host_resources": "1.3.6.1.2.1.25",
    "power_ethernet": "1.3.6.1.2.1.105",
    "ups_mib": "1.3.6.1.2.1.33",
}
UNITS = {"charge": 0.01, "load": 0.01, "humidity": 0.01, "percent": 0.01, "runtime": 60.0}
METRICS = {"temperature": "temperature", "fanspeed": "fan_speed", "voltage": "voltage", "current": "current",
           "power": "_watts", "dbm": "dbm", "charge": "charge", "load": "load", "frequency": "frequency",
           "humidity": "humidity", "percent": "ratio", "runtime": "_seconds"}  # fmt: skip
STATES = {1: "up", 2: "down", 3: "testing", 4: "unknown", 5: "dormant", 6: "notPresent", 7: "lowerLayerDown"}


class Served(NamedTuple):
    """What a device shows with one profile."""

    profile: Profile
    steps: list[Step]
    problems: Counter[str]


@dataclass
class Score:
    """Rows compared and rows that agree; the misses by name of the recording."""

    rows: int = 0
    agree: int = 0
    misses: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    recordings: set[str] = field(default_factory=set)

    def note(self, recording: str, good: bool, what: str) -> None:
        """One row."""
        self.rows += 1
        self.agree += good
        self.recordings.add(recording)
        if not good:
            self.misses[recording].append(what)

    def cells(self) -> str:
        """Recordings that agree wholly of all, rows that agree of all, as table cells."""
        whole = len(self.recordings) - len(self.misses)
        share = f"{100 * self.agree / self.rows:.1f} %" if self.rows else ""
        return f"{whole} of {len(self.recordings)} | {self.agree} of {self.rows} | {share}"


def serve(lines: dict[Oid, Line], identity: Identity) -> list[Served]:
    """Everything that a recorded device shows."""
    found = []
    for name in identity.profiles:
        profile, harvest = load_profiles()[name], Harvest()
        asyncio.run(read_profile(Recorded(lines), profile, harvest))
        trail: list[Step] = []
        problems = decode(profile, harvest, trail).problems
        found.append(Served(profile, trail, problems))
    return found


# Against the JSON


def ports(served: Served) -> dict[int, dict[str, Any]]:
    """What if_mib shows of each interface: metrics by name, labels beside them."""
    shown: dict[int, dict[str, Any]] = defaultdict(dict)
    for step in served.steps:
        if len(step.row) == 1 and step.row != (0,):
            port = shown[step.row[0]]
            port.update(dict(step.sample.labels.pairs))
            if step.column.type in NUMBERS:
                port[step.column.name] = step.sample.value
    return shown


def port_agrees(name: str, expected: Any, port: dict[str, Any]) -> bool:
    """Whether one field of one port is shown as the JSON says; 64-bit counters before 32-bit ones."""
    if name in ("ifDescr", "ifType"):
        return port.get(name) == str(expected)
    if name in ("ifName", "ifAlias"):  # that program puts the description where a device has none
        return (port.get(name) or port.get("ifDescr")) == str(expected)
    if name in ("ifAdminStatus", "ifOperStatus"):
        return STATES.get(port.get(name, 0)) == expected
    if name == "ifSpeed":
        return expected in (port.get("ifSpeed"), port.get("ifHighSpeed", 0) * 1_000_000)
    direction = re.sub(r"^if(In|Out)", r"ifHC\1", name)
    values = [port[one] for one in (direction, name) if one in port]
    return int(expected) % MANTISSA in values or (not values and int(expected) == 0)


def json_rows(data: dict[str, Any], profile: str) -> Iterator[tuple[str, str, float, str]]:
    """(what, OID, value in base units, part of the metric's name) of each thing on the profile's list."""
    wanted = FIXED[profile].split()
    for one in data.get("processors", ()) if "processors" in wanted else ():
        if belongs(one["processor_oid"], profile):
            yield "processor", one["processor_oid"], one["processor_usage"] * 0.01, "ratio"
    for one in data.get("mempools", ()) if "mempools" in wanted else ():
        used, share = one.get("mempool_used_oid"), one.get("mempool_perc_oid", "")
        if not belongs(used or share, profile):
            continue
        if used:
            yield "mempool", used, one["mempool_used"], "used_bytes"
        else:
            yield "mempool", share, one["mempool_perc"] * 0.01, "used_ratio"
    for one in data.get("sensors", ()):
        kind, klass, oid = one["sensor_type"], one["sensor_class"], one["sensor_oid"]
        if one.get("poller_type", "snmp") != "snmp" or not belongs(oid, profile):
            continue
        if klass == "state" and f"state:{kind}" in wanted:
            yield kind, oid, one["sensor_current"], "state"
        elif klass in wanted and klass in METRICS and one["sensor_current"] is not None:
            yield klass, oid, one["sensor_current"] * UNITS.get(klass, 1), METRICS[klass]


def belongs(oid: str, profile: str) -> bool:
    """Whether a thing is one of this profile's; Cisco's reads power over Ethernet itself, beside Cisco's own table."""
    if profile == "cisco" and oid.lstrip(".").startswith(f"{TREES['power_ethernet']}."):
        return True
    owner = next((name for name, tree in TREES.items() if oid.lstrip(".").startswith(f"{tree}.")), None)
    return owner == profile or (owner is None and profile not in TREES)


def against_json(data: dict[str, Any], served: list[Served], name: str, scores: dict[str, Score]) -> None:
    """Compare what the devices shows with its JSON."""
    for one in served:
        title = one.profile.name
        if title == "if_mib":
            shown = ports(one)
            for port in data.get("ports", ()):
                for key in PORT_FIELDS:
                    if port.get(key) is not None:
                        good = port_agrees(key, port[key], shown.get(port["ifIndex"], {}))
                        scores[title].note(name, good, f"{key} of {port['ifIndex']}: {port[key]}")
        if title in FIXED:
            where: dict[Oid, list[Step]] = defaultdict(list)
            for step in one.steps:
                where[(*step.column.oid, *step.row)].append(step)
            for what, oid, value, metric in json_rows(data, title):
                steps = where[parse_oid(oid)] if oid else []
                good = any(_as_json_says(step, value, metric) for step in steps)
                scores[title].note(
                    name, good, f"{what} {oid} {value}: {[(s.column.name, s.sample.value) for s in steps]}"
                )


def _as_json_says(step: Step, value: float, metric: str) -> bool:
    if metric == "state":
        states = step.column.true_for
        return states is not None and step.sample.value == int(value in states)
    return metric in step.column.name and math.isclose(step.sample.value, value, rel_tol=1e-6, abs_tol=1e-6)


# Against the recording


def against_recording(lines: dict[Oid, Line], served: list[Served], name: str, scores: dict[str, Score]) -> None:
    """Each cell of each object must be served as the file has it, or have a reason of the profile not to be."""
    for one in served:
        where = {(id(step.column), step.row): step for step in one.steps}
        names = {step.column.name for step in one.steps}
        objects: list[tuple[Column, Table | None]] = [(column, None) for column in one.profile.scalars]
        objects += [(column, table) for table in one.profile.tables if table.served for column in table.columns]
        for column, table in objects:
            for oid, line in _cells(lines, column.oid, table is None):
                row = oid[len(column.oid) :]
                for metric in column.metrics():
                    expected = _expected(metric, row, line, lines)
                    step = where.get((id(metric), row))
                    if expected is None or (step is None and metric.fallback and metric.name in names):
                        continue
                    good = step is not None and _same(metric, step, expected)
                    if good and step and table:
                        shown = dict(step.sample.labels.pairs)
                        good = all(_loose(shown[key]) == _loose(value) for key, value in _labels(table, row, lines))
                    scores[one.profile.name].note(name, good, f"{metric.name} {dotted(oid)} {line.text[:40]}: {step}")


def _labels(table: Table, row: Oid, lines: dict[Oid, Line]) -> Iterator[tuple[str, str]]:
    """The labels of a row as the file has them, where it is plain which line that is."""
    for label in (*table.labels, *table.lookups):
        index = row
        if label.via:
            index = (int(lines[(*label.via, *row)].text),) if (*label.via, *row) in lines else (-1,)
        if label.type == "DisplayString" and (label.key is None or len(table.index) == 1):
            line = lines.get((*label.oid, *index))
            yield label.label, _text(line) if line else ""


def _cells(lines: dict[Oid, Line], column: Oid, scalar: bool) -> Iterator[tuple[Oid, Line]]:
    if scalar:
        if (*column, 0) in lines:
            yield (*column, 0), lines[(*column, 0)]
        return
    for oid, line in lines.items():
        if len(oid) > len(column) and oid[: len(column)] == column:
            yield oid, line


def _expected(metric: Column, row: Oid, line: Line, lines: dict[Oid, Line]) -> float | str | None:
    """What the file says should be served for this cell; None where the profile wants the row left out."""
    for condition in metric.conditions:
        other = lines.get((*condition.oid, *row))
        shown = _text(other) if other else None
        holds = shown is not None and condition.holds(shown)
        if holds is not condition.keep:
            return None
    if metric.type == "DateAndTime":
        return _moment(line.cell.raw)
    if metric.type not in (*NUMBERS, "Float"):
        return _text(line)
    try:
        found = re.search(metric.parse, _text(line)) if metric.parse else None
        value = float(found.group(1) if found else line.text)
    except ValueError:
        return None  # not a number: the decoder counts it, nothing can be served
    if line.kind not in ("2", "65", "66", "67", "70") and not metric.parse and metric.type in NUMBERS:
        return None
    if value in metric.absent:
        return None
    if metric.true_for is not None:
        return float(value in metric.true_for)
    if metric.convert:
        value = CONVERSIONS[metric.convert](value)
    elif line.kind == "70":
        value = int(line.text) % MANTISSA
    return value * _factor(metric, row, lines)


def _moment(raw: bytes) -> float | None:
    """DateAndTime as seconds; None for what is none."""
    if len(raw) not in (8, 11):
        return None
    zone = f"{chr(raw[8])}{raw[9]:02}:{raw[10]:02}" if len(raw) == 11 else "+00:00"
    day = f"{int.from_bytes(raw[:2], 'big'):04}-{raw[2]:02}-{raw[3]:02}"
    text = f"{day}T{raw[4]:02}:{raw[5]:02}:{raw[6]:02}.{raw[7]}00{zone}"
    return datetime.fromisoformat(text).timestamp()


def _factor(metric: Column, row: Oid, lines: dict[Oid, Line]) -> float:
    factor = metric.scale
    if metric.scale_by:
        factor *= int(lines[(*metric.scale_by, *row)].text)
    if metric.units:
        factor *= 1_000.0 ** (int(lines[(*metric.units, *row)].text) - 9)
    if metric.digits:
        factor /= 10.0 ** int(lines[(*metric.digits, *row)].text)
    return factor


def _text(line: Line) -> str:
    if line.kind in ("4", "4x", "4e"):
        return line.cell.raw.decode("utf-8", "replace")
    return line.text.removeprefix(".") if line.kind == "6" else line.text


def _same(metric: Column, step: Step, expected: float | str) -> bool:
    if isinstance(expected, str):
        shown = dict(step.sample.labels.pairs).get(metric.name, "")
        if metric.type == "DisplayString":
            return shown == expected.replace("\ufffd", "") or _loose(shown) == _loose(expected)
        return step.sample.value == 1
    return math.isclose(step.sample.value, expected, rel_tol=1e-12, abs_tol=1e-15)


def _loose(text: str) -> str:
    """Runs of octets that are no UTF-8 have one mark in one decoder and several in another."""
    return re.sub("\ufffd+", "\ufffd", text)
