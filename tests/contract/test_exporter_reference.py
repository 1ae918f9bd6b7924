"""Drop-in means: the same series, labels, values, types and help texts as snmp_exporter 0.21 for the same agent.

If this fails, boards and alerts made for snmp_exporter's if_mib would lose series or show other values.
Debian ships snmp_exporter without a configuration, and its generator needs MIB files that Debian may not ship; so the
reference module is written out below, column by column, as the generator makes it from IF-MIB.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from exporter_lab import COMMUNITY, exporter, fetch, free_port, need, parse, process, switch, v2c_config, wait_for

from egov_exporters.snmp.oid import dotted
from egov_exporters.snmp.profiles import load_profiles

IF_ENTRY, IFX_ENTRY = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
SCALARS = {"sysUpTime": "1.3.6.1.2.1.1.3", "ifNumber": "1.3.6.1.2.1.2.1"}
# IF-MIB (RFC 2863), as `name type` by column number
IF_COLUMNS = {
    1: "ifIndex gauge",
    3: "ifType EnumAsInfo",
    4: "ifMtu gauge",
    5: "ifSpeed gauge",
    6: "ifPhysAddress PhysAddress48",
    7: "ifAdminStatus gauge",
    8: "ifOperStatus gauge",
    9: "ifLastChange gauge",
    10: "ifInOctets counter",
    11: "ifInUcastPkts counter",
    12: "ifInNUcastPkts counter",
    13: "ifInDiscards counter",
    14: "ifInErrors counter",
    15: "ifInUnknownProtos counter",
    16: "ifOutOctets counter",
    17: "ifOutUcastPkts counter",
    18: "ifOutNUcastPkts counter",
    19: "ifOutDiscards counter",
    20: "ifOutErrors counter",
    21: "ifOutQLen gauge",
    22: "ifSpecific OctetString",
}
IFX_COLUMNS = {
    2: "ifInMulticastPkts counter",
    3: "ifInBroadcastPkts counter",
    4: "ifOutMulticastPkts counter",
    5: "ifOutBroadcastPkts counter",
    6: "ifHCInOctets counter",
    7: "ifHCInUcastPkts counter",
    8: "ifHCInMulticastPkts counter",
    9: "ifHCInBroadcastPkts counter",
    10: "ifHCOutOctets counter",
    11: "ifHCOutUcastPkts counter",
    12: "ifHCOutMulticastPkts counter",
    13: "ifHCOutBroadcastPkts counter",
    14: "ifLinkUpDownTrapEnable gauge",
    15: "ifHighSpeed gauge",
    16: "ifPromiscuousMode gauge",
    17: "ifConnectorPresent gauge",
    19: "ifCounterDiscontinuityTime gauge",
}
LOOKUPS = {"ifAlias": f"{IFX_ENTRY}.18", "ifDescr": f"{IF_ENTRY}.2", "ifName": f"{IFX_ENTRY}.1"}


def expected_columns() -> dict[str, tuple[str, str]]:
    """OID → (name, type) of all table columns."""
    rows = [(IF_ENTRY, IF_COLUMNS), (IFX_ENTRY, IFX_COLUMNS)]
    return {
        f"{root}.{number}": (text.split()[0], text.split()[1])
        for root, columns in rows
        for number, text in columns.items()
    }


def test_profile_is_the_whole_of_if_mib() -> None:
    """The profile holds exactly these names, OIDs and types."""
    profile = load_profiles()["if_mib"]
    (table,) = profile.tables
    assert {dotted(column.oid): (column.name, column.type) for column in table.columns} == expected_columns()
    assert {column.name: dotted(column.oid) for column in profile.scalars} == SCALARS
    assert {label.label: dotted(label.oid) for label in table.labels} == LOOKUPS


def reference_config(community: str) -> dict[str, object]:
    """snmp_exporter 0.21's configuration for if_mib. Texts come from our profile: MIB files cannot be shipped."""
    profile = load_profiles()["if_mib"]
    (table,) = profile.tables
    helps = {column.name: f"{column.help} - {dotted(column.oid)}" for column in (*profile.scalars, *table.columns)}
    enum = next(dict(column.enum) for column in table.columns if column.name == "ifType")
    lookups = [
        {"labels": ["ifIndex"], "labelname": label, "oid": oid, "type": "DisplayString"}
        for label, oid in LOOKUPS.items()
    ]
    metrics: list[dict[str, object]] = [
        {"name": name, "oid": oid, "type": "gauge", "help": helps[name]} for name, oid in SCALARS.items()
    ]
    for oid, (name, kind) in expected_columns().items():
        metric: dict[str, object] = {"name": name, "oid": oid, "type": kind, "help": helps[name]}
        metric |= {"indexes": [{"labelname": "ifIndex", "type": "gauge"}], "lookups": lookups}
        if kind == "EnumAsInfo":
            metric["enum_values"] = enum
        metrics.append(metric)
    module = {"walk": ["1.3.6.1.2.1.2", "1.3.6.1.2.1.31.1.1"], "get": ["1.3.6.1.2.1.1.3.0"], "metrics": metrics}
    return {"if_mib": module | {"version": 2, "auth": {"community": community}}}


@contextlib.contextmanager
def reference(folder: Path, community: str) -> Iterator[str]:
    """Debian's snmp_exporter with the reference module; gives its base URL."""
    binary = need("prometheus-snmp-exporter", "prometheus-snmp-exporter")
    config, output = folder / "snmp.yml", folder / "reference.log"
    config.write_text(yaml.dump(reference_config(community)))
    port = free_port(socket.SOCK_STREAM)
    argv = [binary, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"]
    with process(argv, output) as child:
        base = f"http://127.0.0.1:{port}"
        wait_for(lambda: _listening(port), child, output)
        yield base


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def reference_page(base: str, target: str) -> str:
    """What snmp_exporter says of a target."""
    status, body, _ = fetch(f"{base}/snmp?target={target}&module=if_mib")
    assert status == 200, body
    return body.decode()


OWN = (  # what the reference does not tell; the parser takes _total off
    *("snmp_table_complete", "snmp_table_age_seconds"),
    *("snmp_implausible_deltas", "snmp_counter_discontinuities"),
)


@pytest.mark.parametrize("uptime", ["4321.09", "1000000000"], ids=["young", "counters-beyond-2^53"])
def test_same_series_and_values_for_the_switch(tmp_path: Path, uptime: str) -> None:
    """A frozen 48-port switch: every series and value equal, also where Counter64 has passed 2^53."""
    with (
        switch(tmp_path, "--frozen-at", uptime) as target,
        exporter(tmp_path, v2c_config(public_v2=COMMUNITY)) as ours,
        reference(tmp_path, COMMUNITY) as base,
    ):
        status, text = ours.scrape(target)
        assert status == 200, text
        mine, theirs = parse(text), parse(reference_page(base, target))
    assert mine.series.pop(("snmp_module_success", frozenset({("module", "if_mib")}))) == 1
    assert {key: value for key, value in mine.series.items() if key[0] not in OWN} == theirs.series
    assert len(theirs.series) == 2 + 48 * (len(IF_COLUMNS) + len(IFX_COLUMNS))
    for name in theirs.types:
        assert (mine.types[name], mine.helps[name]) == (theirs.types[name], theirs.helps[name])


def test_same_series_for_net_snmp(tmp_path: Path) -> None:
    """A real agent with the machine's own interfaces; values move, so the series and the still values are compared."""
    snmpd = need("snmpd", "snmpd")
    port, config, output = free_port(), tmp_path / "snmpd.conf", tmp_path / "snmpd.log"
    config.write_text(f"rocommunity {COMMUNITY} 127.0.0.1\nagentaddress udp:127.0.0.1:{port}\n")
    target = f"127.0.0.1:{port}"
    argv = [snmpd, "-f", "-Lo", "-C", "-c", str(config), "-p", str(tmp_path / "snmpd.pid"), "-I", "-smux"]
    with (
        process(argv, output) as child,
        exporter(tmp_path, v2c_config(public_v2=COMMUNITY)) as ours,
        reference(tmp_path, COMMUNITY) as base,
    ):
        wait_for(lambda: ours.scrape(target, seconds=2)[0] == 200, child, output)
        mine, theirs = parse(ours.scrape(target)[1], "snmp_"), parse(reference_page(base, target), "snmp_")
    assert mine.series.keys() == theirs.series.keys()
    for key, value in theirs.series.items():
        if mine.types[key[0]] == "gauge" and key[0] != "sysUpTime":
            assert mine.series[key] == value, key


def test_reference_is_what_we_claim() -> None:
    """The comparison is with 0.21, the version that Debian 12 ships."""
    binary = need("prometheus-snmp-exporter", "prometheus-snmp-exporter")
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    assert "version 0.2" in said.stdout + said.stderr
