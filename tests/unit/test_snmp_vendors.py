"""Small devices of each vendor, made up here: what the shipped profiles make of them, line by line.

Recordings of real devices are measured elsewhere (tests/bench/snmp_accuracy.py); these run everywhere.
"""

from __future__ import annotations

import asyncio

import pytest
from test_snmp_walk import Device

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import Cell
from egov_exporters.snmp.decode import decode
from egov_exporters.snmp.explain import explain
from egov_exporters.snmp.expose import render
from egov_exporters.snmp.oid import Oid, parse_oid
from egov_exporters.snmp.profiles import load_profiles
from egov_exporters.snmp.walk import Harvest, read_profile

NAME = "1.3.6.1.2.1.47.1.1.1.1.7"
HUAWEI, HUAWEI_OPTICS = "1.3.6.1.4.1.2011.5.25.31.1.1.1.1", "1.3.6.1.4.1.2011.5.25.31.1.1.3.1"
H3C, H3C_DEVICE = "1.3.6.1.4.1.25506.2.6.1.1.1.1", "1.3.6.1.4.1.25506.8.35.9.1"
CISCO, CISCO_SENSOR = "1.3.6.1.4.1.9.9", "1.3.6.1.4.1.9.9.91.1.1.1.1"
FORTI, APC, HIK, ZTE = (
    "1.3.6.1.4.1.12356.101",
    "1.3.6.1.4.1.318.1.1.1",
    "1.3.6.1.4.1.50001.1",
    "1.3.6.1.4.1.3902.1082.10",
)
UPS, LLDP, HR, SENSOR = "1.3.6.1.2.1.33.1", "1.0.8802.1.1.2.1", "1.3.6.1.2.1.25", "1.3.6.1.2.1.99.1.1.1"
RUIJIE, PIM = "1.3.6.1.4.1.4881.1.1.10.2", "1.3.6.1.2.1.157.1.2.1"


def cell(value: int | str | bytes | Oid) -> Cell:
    """INTEGER, string or OBJECT IDENTIFIER."""
    if isinstance(value, int):
        return Cell(ber.INTEGER, ber.integer_octets(value))
    if isinstance(value, tuple):
        return Cell(ber.OBJECT_IDENTIFIER, ber.oid_octets(value))
    return Cell(ber.OCTET_STRING, value.encode() if isinstance(value, str) else value)


def read(module: str, values: dict[str, int | str | bytes | Oid]) -> Harvest:
    """What is read of a device with these objects, and one far behind them."""
    table = {parse_oid(oid): cell(value) for oid, value in values.items()} | {(2, 39, 1): cell(0)}
    harvest = Harvest()
    asyncio.run(read_profile(Device(table), load_profiles()[module], harvest))
    return harvest


def shown(module: str, values: dict[str, int | str | bytes | Oid]) -> list[str]:
    """The series of the device; nothing may be counted as wrong."""
    decoded = decode(load_profiles()[module], read(module, values))
    assert not decoded.problems
    return [line for line in render(decoded.families).decode().splitlines() if not line.startswith("#")]


def test_huawei() -> None:
    """A board that works, a port without a processor, optics in either unit, an empty cage."""
    assert shown(
        "huawei_vrp",
        {
            f"{NAME}.9": "MPU Board 0",
            f"{NAME}.11": "GE0/0/1",
            f"{NAME}.12": "GE0/0/2",
            f"{HUAWEI}.2.9": 3,
            f"{HUAWEI}.2.11": 3,
            f"{HUAWEI}.5.9": 44,
            f"{HUAWEI}.5.11": 0,
            f"{HUAWEI}.6.9": 95,
            f"{HUAWEI}.6.11": 0,
            f"{HUAWEI}.7.9": 36,
            f"{HUAWEI}.7.11": 0,
            f"{HUAWEI}.8.9": 95,
            f"{HUAWEI}.8.11": 0,
            f"{HUAWEI}.11.9": 40,
            f"{HUAWEI}.11.11": 0,
            f"{HUAWEI_OPTICS}.7.11": 18_966,
            f"{HUAWEI_OPTICS}.7.12": 7,
            f"{HUAWEI_OPTICS}.8.11": 100,
            f"{HUAWEI_OPTICS}.8.12": -523,
            f"{HUAWEI_OPTICS}.8.13": -1,
        },
    ) == [
        'egov_device_cpu_ratio{entity="MPU Board 0",index="9"} 0.44',
        'egov_device_memory_used_ratio{entity="MPU Board 0",index="9"} 0.36',
        'egov_device_temperature_celsius{entity="MPU Board 0",index="9"} 40',
        'egov_optics_bias_current_amperes{entity="GE0/0/1",index="11"} 0.018966',
        'egov_optics_bias_current_amperes{entity="GE0/0/2",index="12"} 0.007',
        'egov_optics_receive_power_dbm{entity="GE0/0/1",index="11"} -10.0',
        'egov_optics_receive_power_dbm{entity="GE0/0/2",index="12"} -5.23',
    ]


def test_h3c() -> None:
    """A board at rest is shown, an entity without memory is not; a supply that is not there is not down."""
    assert shown(
        "h3c_comware",
        {
            f"{NAME}.42": "Board 0",
            f"{H3C}.6.42": 0,
            f"{H3C}.6.43": 0,
            f"{H3C}.8.42": 13,
            f"{H3C}.8.43": 0,
            f"{H3C}.12.42": 65_535,
            f"{H3C}.12.43": -5,
            f"{H3C_DEVICE}.1.1.2.1": 2,
            f"{H3C_DEVICE}.2.1.2.1": 1,
            f"{H3C_DEVICE}.2.1.2.2": 3,
        },
    ) == [
        'egov_device_cpu_ratio{entity="Board 0",index="42"} 0.0',
        'egov_device_fan_up{index="1"} 0',
        'egov_device_memory_used_ratio{entity="Board 0",index="42"} 0.13',
        'egov_device_power_supply_up{index="1"} 1',
        'egov_device_temperature_celsius{entity="",index="43"} -5',
    ]


def test_cisco() -> None:
    """A processor named by another table, sensors in the units they say, one that is broken, a fan tray."""
    assert shown(
        "cisco",
        {
            f"{NAME}.7051": "cpu R0/0",
            f"{NAME}.24": "Fan 1",
            f"{CISCO}.109.1.1.1.1.2.7": 7051,
            f"{CISCO}.109.1.1.1.1.8.7": 2,
            f"{CISCO_SENSOR}.1.1094": 8,
            f"{CISCO_SENSOR}.2.1094": 8,
            f"{CISCO_SENSOR}.3.1094": 0,
            f"{CISCO_SENSOR}.4.1094": 23_769,
            f"{CISCO_SENSOR}.5.1094": 1,
            f"{CISCO_SENSOR}.1.1097": 14,
            f"{CISCO_SENSOR}.2.1097": 9,
            f"{CISCO_SENSOR}.3.1097": 1,
            f"{CISCO_SENSOR}.4.1097": -70,
            f"{CISCO_SENSOR}.5.1097": 1,
            f"{CISCO_SENSOR}.1.1099": 8,
            f"{CISCO_SENSOR}.2.1099": 9,
            f"{CISCO_SENSOR}.3.1099": 0,
            f"{CISCO_SENSOR}.4.1099": 0,
            f"{CISCO_SENSOR}.5.1099": 3,
            f"{CISCO}.117.1.4.1.1.1.24": 3,
        },
    ) == [
        'egov_device_cpu_ratio{entity="cpu R0/0",index="7"} 0.02',
        'egov_device_fan_up{entity="Fan 1",index="24",table="fru"} 0',
        'egov_device_sensor_ok{entity="",index="1094",table="sensor"} 1',
        'egov_device_sensor_ok{entity="",index="1097",table="sensor"} 1',
        'egov_device_sensor_ok{entity="",index="1099",table="sensor"} 0',
        'egov_device_temperature_celsius{entity="",index="1094",table="sensor"} 23.769000000000002',
        'egov_optics_power_dbm{entity="",index="1097"} -7.0',
    ]


def test_fortigate() -> None:
    """Numbers in texts, told apart by names; a sensor that is missing says -1."""
    sensors = {"1": ("CPU ON-DIE Temperature", "51.569"), "2": ("Fan 1", "3800"), "3": ("DTS CPU Temp", "-1")}
    values: dict[str, int | str | bytes | Oid] = {f"{FORTI}.4.1.4.0": 33}
    for row, (name, value) in sensors.items():
        values |= {f"{FORTI}.4.3.2.1.2.{row}": name, f"{FORTI}.4.3.2.1.3.{row}": value, f"{FORTI}.4.3.2.1.4.{row}": 0}
    assert shown("fortigate", values) == [
        'egov_device_fan_speed_rpm{entity="Fan 1",index="2"} 3800.0',
        "egov_device_memory_used_ratio 0.33",
        *(f'egov_device_sensor_ok{{entity="{name}",index="{row}"}} 1' for row, (name, _) in sensors.items()),
        'egov_device_temperature_celsius{entity="CPU ON-DIE Temperature",index="1"} 51.569',
    ]


def test_ups_by_the_standard_mib() -> None:
    """The objects under their own names, and what they mean under the common ones."""
    assert shown("ups_mib", {f"{UPS}.2.3.0": 12, f"{UPS}.4.1.0": 5, f"{UPS}.4.4.1.5.1": 110}) == [
        "egov_ups_battery_runtime_seconds 720.0",
        "egov_ups_on_battery 1",
        "egov_ups_on_bypass 0",
        'egov_ups_output_load_ratio{line="1"} 1.1',
        "egov_ups_output_up 1",
        "upsEstimatedMinutesRemaining 12",
        'upsOutputPercentLoad{line="1"} 110',
        "upsOutputSource 5",
    ]


@pytest.mark.parametrize(("tenths", "value"), [({f"{APC}.2.3.1.0": 995}, "0.995"), ({}, "0.99")])
def test_apc_tenths_before_whole_numbers(tenths: dict[str, int | str | bytes | Oid], value: str) -> None:
    """And nothing is counted as a duplicate."""
    assert shown("apc_powernet", {f"{APC}.2.2.1.0": 99} | tenths) == [f"egov_ups_battery_charge_ratio {value}"]


def test_hikvision_disks_with_either_index() -> None:
    """One number, as the MIB says, or two, as recorders answer; a lost disk is down."""
    assert shown("hikvision", {f"{HIK}.241.1.2.1.0": "Disk 1", f"{HIK}.241.1.3.1.0": 6, f"{HIK}.241.1.4.2": 1}) == [
        'egov_device_disk_free_bytes{entity="",index="2"} 1048576.0',
        'egov_device_disk_up{entity="Disk 1",index="1.0"} 0',
    ]


def test_camera_that_gives_texts() -> None:
    """Percent as words."""
    assert shown("hikvision", {"1.3.6.1.4.1.39165.1.7.0": "12 PERCENT", "1.3.6.1.4.1.39165.1.11.0": "75 %"}) == [
        "egov_device_cpu_ratio 0.12",
        "egov_device_memory_used_ratio 0.75",
    ]


def test_zte_cards() -> None:
    """Rack, shelf and slot are one index; the card's type names it in every table."""
    assert shown("zte", {f"{ZTE}.1.2.4.1.4.1.1.4": "SMXA", f"{ZTE}.10.2.1.6.1.2.1.1.4": 43}) == [
        'egov_device_temperature_celsius{entity="SMXA",index="1.1.4"} 43'
    ]


def test_ruijie() -> None:
    """The whole device and its slots in one metric."""
    values: dict[str, int | str | bytes | Oid] = {
        f"{RUIJIE}.36.1.1.3.0": 7,
        f"{RUIJIE}.36.1.2.1.2.1": "slot 1",
        f"{RUIJIE}.36.1.2.1.5.1": 9,
        f"{RUIJIE}.1.1.43.1.4.1.1.1": 4,
        f"{RUIJIE}.1.1.43.1.4.1.1.2": 1,
    }
    assert shown("ruijie", values) == [
        "egov_device_cpu_ratio 0.07",
        'egov_device_cpu_ratio{entity="slot 1",index="1"} 0.09',
        'egov_device_fan_up{index="1.1.1"} 1',
    ]


def test_memory_of_hosts_is_in_bytes() -> None:
    """Units come from the row, and only memory is memory."""
    values: dict[str, int | str | bytes | Oid] = {}
    for row, kind, used in ((1, 2, 1_000), (31, 4, 77)):
        values |= {
            f"{HR}.2.3.1.2.{row}": parse_oid(f"{HR}.2.1.{kind}"),
            f"{HR}.2.3.1.3.{row}": f"part {row}",
            f"{HR}.2.3.1.4.{row}": 4_096,
            f"{HR}.2.3.1.6.{row}": used,
        }
    lines = shown("host_resources", values)
    assert 'egov_device_memory_used_bytes{entity="part 1",index="1"} 4096000.0' in lines
    assert 'egov_device_disk_used_bytes{entity="part 31",index="31"} 315392.0' in lines
    assert len([line for line in lines if line.startswith("egov_")]) == 2


def test_neighbours() -> None:
    """A chassis by its address, a port by its name; the time mark is no label."""
    rest = "12345.7.1"
    assert shown(
        "lldp",
        {
            f"{LLDP}.3.7.1.3.7": "GE0/0/7",
            f"{LLDP}.4.1.1.5.{rest}": b"\x00\x11\x22\x33\x44\xff",
            f"{LLDP}.4.1.1.7.{rest}": "Ethernet1\0",
            f"{LLDP}.4.1.1.9.{rest}": "core",
        },
    ) == [
        'lldpRemSysName{lldpLocPortDesc="",lldpLocPortId="GE0/0/7",lldpRemChassisId="0x0011223344FF",'
        'lldpRemIndex="1",lldpRemLocalPortNum="7",lldpRemPortDesc="",lldpRemPortId="Ethernet1",lldpRemSysName="core"} 1'
    ]


def test_pim_neighbours() -> None:
    """Type and length stand before an address in the index."""
    assert shown("multicast", {f"{PIM}.6.3.1.4.10.0.0.2": 500, "1.3.6.1.2.1.31.1.1.1.1.3": "eth3"}) == [
        'pimNeighborUpTime{ifName="eth3",pimNeighborAddress="10.0.0.2",pimNeighborAddressType="ipv4",'
        'pimNeighborIfIndex="3"} 500'
    ]


def test_explain() -> None:
    """What each metric found, how much of it is served, an example; what the device does not have is there too."""
    values: dict[str, int | str | bytes | Oid] = {f"{H3C}.12.42": 65_535, f"{H3C}.12.43": 30, f"{NAME}.43": "sensor 1"}
    rows = {row.metric: row for row in explain(load_profiles()["h3c_comware"], read("h3c_comware", values))}
    temperature, fan = rows["egov_device_temperature_celsius"], rows["egov_device_fan_up"]
    assert (temperature.rows, temperature.series, temperature.complete) == (2, 1, True)
    assert temperature.example == '{entity="sensor 1",index="43"} 30'
    assert temperature.source == "HH3C-ENTITY-EXT-MIB::hh3cEntityExtTemperature"
    assert (fan.rows, fan.series, fan.complete, fan.example) == (0, 0, True, "")


def test_explain_of_a_device_that_fell_silent() -> None:
    """Nothing was read: that is said, and it is no error."""
    assert {row.note for row in explain(load_profiles()["lldp"], Harvest())} == {"not_read"}
