"""How the plan and its rendering grow with a city: seconds, processor time, memory and bytes at several sizes.

    .venv/bin/python tests/bench/plan_scale.py [--hosts 12,45,90,1000,5000]

Made-up cities of the shape of inventories/wuwei: a core pair, counties with hubs, departments, towns and villages
behind them, every fourth town over the internet; at least 30 files a host. Each size is measured in a process of its
own. Nobody is contacted. Past some 700 hosts a core has more links than Linux forwards multicast on, which the plan
refuses: that one rule is set aside here, and the output says so. Exit codes: 0 measured, 1 the goal was missed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "lab"))

from conftest import make_project  # noqa: E402

from egovctl.paths import Inventory  # noqa: E402
from egovctl.plan import load, rules  # noqa: E402
from egovctl.render import Rendered, render_city, write_build  # noqa: E402
from egovctl.render.enrolled import CONTROL  # noqa: E402

T = TypeVar("T")
SIZES = (12, 45, 90, 1000, 5000)
GOAL_HOSTS, GOAL_SECONDS, FILES_A_HOST = 5000, 30.0, 30
BEHIND_A_HUB = 26  # sites: with two uplinks and a LAN that makes 29 interfaces
CORE_LINKS = 5  # of a core, without its hubs: the other core and four sites
KINDS = ("department", "department", "village", "town")  # in turn, behind a hub
VERTICALS = ("education", "health", "finance", "transport", "housing")
EXTRA = "bench_extra"


def title(text: str) -> dict[str, str]:
    return {"zh": text, "en": text}


def both_cores(mbps: int) -> list[dict[str, Any]]:
    return [{"to": "core1", "mbps": mbps}, {"to": "core2", "mbps": mbps}]


def centre() -> list[dict[str, Any]]:
    """Six hosts: two cores, and the four sites that every city has."""
    attached = {"core1": {"v4": "198.18.0.1/15"}, "core2": {"v4": "198.18.0.2/15"}}
    sites: list[dict[str, Any]] = [
        {"number": 1, "name": "core", "kind": "core", "routers": ["core1", "core2"], "internet": attached}
    ]
    for number, (name, kind) in enumerate(
        (("noc", "noc"), ("backup", "backup"), ("video", "video"), ("shared-services", "services")), start=2
    ):
        sites.append({"number": number, "name": name, "kind": kind, "uplinks": both_cores(1000)})
    sites[1]["hosts"] = [{"name": "control", "role": "control", "index": 10}]
    return [{**site, "title": title(site["name"])} for site in sites]


def county(index: int, first: int, hosts: int) -> list[dict[str, Any]]:
    """A hub and what is behind it, `hosts` sites in all, numbered from `first`."""
    name, hub = f"county{index}", f"hub{index}"
    fixed = f"198.18.{index // 250 + 1}.{index % 250 + 1}/15"
    sites: list[dict[str, Any]] = [
        {"number": first, "name": hub, "kind": "hub", "uplinks": both_cores(500), "internet": {hub: {"v4": fixed}}}
    ]
    for place in range(1, hosts):
        kind = KINDS[place % len(KINDS)]
        site: dict[str, Any] = {
            "number": first + place,
            "name": f"{kind}{index}-{place}",
            "kind": kind,
            "uplinks": [{"to": hub, "mbps": 100 if kind == "department" else 20}],
        }
        if kind == "department" and place <= 2 * len(VERTICALS):
            site["vertical"] = VERTICALS[place // 2]
        if kind == "town" and place % 8 == 3:
            site["uplinks"][0]["via"] = "internet"
            site["internet"] = {site["name"]: {}}
        sites.append(site)
    return [{**site, "county": name, "title": title(site["name"])} for site in sites]


def city(hosts: int) -> dict[str, Any]:
    """A plan of so many managed hosts."""
    sites, counties = centre(), 0
    left, number = hosts - len(sites) - 1, 11
    while left:
        size = min(left, BEHIND_A_HUB + 1)
        sites += county(counties, number, size)
        left, number, counties = left - size, number + size, counties + 1
    names = [{"name": f"county{index}", "title": title(f"county{index}")} for index in range(counties)]
    pools = {
        "loopback_v4": "10.240.0.0/15",
        "transit_v4": "10.242.0.0/15",
        "lan_v4": "10.0.0.0/9",
        "v6": "2001:db8::/32",
    }
    verticals = [{"name": name, "title": title(name)} for name in VERTICALS]
    about = {"name": title("Bench"), "domain": "bench.example", "asn": 64600}
    return {
        "schema": 1,
        "city": about,
        "addressing": pools,
        "counties": names,
        "verticals": verticals,
        "sites": sites,
    }


def services() -> dict[str, Any]:
    """One that every host is part of, and one that few are."""
    promised = {"grade": 2, "availability": 99.5, "rto": "30m", "rpo": "1h"}
    everybody = ["core1", "core2", "noc", "video", "shared-services", "all-hubs", "all-departments", "all-towns"]
    few = {"engine": "borg", "paths": ["/srv/documents"], "schedule": "*:0/15"}
    all_of_them = {"engine": "borg", "paths": ["/etc/frr", "/etc/nftables.conf"], "schedule": "*:0/15"}
    listed = (("documents", ["shared-services"], few), ("network-configuration", everybody, all_of_them))
    return {
        "schema": 1,
        "services": [
            {"name": name, "title": title(name), "owner": "noc", "hosts": hosts, "backup": backup, **promised}
            for name, hosts, backup in listed
        ],
    }


def public_key(kind: str, name: str) -> str:
    """The shape of a public key that a host would have made."""
    digest = hashlib.sha256(name.encode()).digest()
    if kind == "wireguard":
        return base64.b64encode(digest).decode()
    blob = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + digest
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def lay_out(folder: Path, hosts: int) -> Inventory:
    """A project with this city in it, every host enrolled."""
    inventory = Inventory(make_project(folder, "scale") / "inventories" / "scale")
    for name, data in (("city", city(hosts)), ("services", services())):
        text = yaml.dump(data, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), allow_unicode=True)
        (inventory.plan_dir / f"{name}.yml").write_text(text, encoding="utf-8")
    os.environ["EGOV_PROJECT"] = str(folder)
    inventory.enrolled_dir.mkdir()
    for name in load(inventory)[1].hosts:
        kinds = (
            ("deploy_ed25519", "borg_restore_ed25519") if name == "control" else ("ssh_host_ed25519", "borg_ed25519")
        )
        keys = {kind: public_key(kind, name) for kind in kinds}
        if name != "control":
            keys["wireguard"] = public_key("wireguard", name)
        text = yaml.safe_dump({"host": name, **keys})
        (inventory.enrolled_dir / f"{name}.yml").write_text(text, encoding="utf-8")
    add_extra_files(folder, inventory)
    return inventory


def add_extra_files(project: Path, inventory: Inventory) -> None:
    """Harmless files for every host, so that none has fewer than FILES_A_HOST."""
    least = min(file_counts(render_city(inventory)))
    role = project / "playbooks" / "roles" / EXTRA
    (role / "templates").mkdir(parents=True)
    (role / "templates" / "extra.conf.j2").write_text("# {{ header }}\nhost = {{ host.name }}\n", encoding="utf-8")
    files = [
        {"path": f"/etc/egov-bench/{n:02d}.conf", "template": "extra.conf.j2"} for n in range(FILES_A_HOST - least)
    ]
    text = yaml.safe_dump({"order": 90, "hosts": "managed", "files": files})
    (role / "bundle.yml").write_text(text, encoding="utf-8")


def file_counts(rendered: Rendered) -> list[int]:
    """Files of each host but control, which is rendered too and has few."""
    return [len(host.files) for name, host in rendered.hosts.items() if name != CONTROL]


def timed(action: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """What it returns; wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = action()
    return result, {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def growth(rendered: Rendered) -> dict[str, int]:
    """Bytes of the city by kind of file (its name without what one host alone has)."""
    sizes: Counter[str] = Counter()
    for host in rendered.hosts.values():
        for entry in host.manifest["files"]:
            sizes[f"{entry['bundle']}: {Path(entry['path']).name.partition('-')[0]}"] += len(host.files[entry["path"]])
    return dict(sizes)


def one_size(hosts: int) -> dict[str, Any]:
    """Everything about one size, in this process."""
    hubs = sum(site["kind"] == "hub" for site in city(hosts)["sites"])
    set_aside = CORE_LINKS + hubs > rules.MULTICAST_INTERFACES
    if set_aside:
        rules.MULTICAST_INTERFACES = CORE_LINKS + hubs
    with tempfile.TemporaryDirectory() as name:
        inventory = lay_out(Path(name), hosts)
        _, loading = timed(lambda: load(inventory))
        rendered, rendering = timed(lambda: render_city(inventory))
        _, writing = timed(lambda: write_build(rendered))
        _, again = timed(lambda: write_build(rendered))
        sizes = file_counts(rendered)
        return {
            "hosts": len(sizes),
            "files": sum(sizes),
            "least": min(sizes),
            "set_aside": set_aside,
            "load": loading,
            "render": rendering,
            "write": writing,
            "unchanged": again,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "bytes": growth(rendered),
        }


def in_a_process(hosts: int) -> dict[str, Any]:
    argv = [sys.executable, str(Path(__file__).resolve()), "--one", str(hosts)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True)
    decoded: dict[str, Any] = json.loads(done.stdout)
    return decoded


def report(results: list[dict[str, Any]]) -> None:
    """Seconds at each size, then what grows faster than the city."""
    print("seconds of wall time (processor time); load is part of render, unchanged is a second write")
    print(
        f"{'hosts':>7}{'files':>9}{'load':>14}{'render':>16}{'write':>16}{'unchanged':>16}{'ms a host':>11}{'MiB':>7}"
    )
    for item in results:
        cells = [
            f"{item[key]['wall']:.2f} ({item[key]['cpu']:.2f})" for key in ("load", "render", "write", "unchanged")
        ]
        each = (item["render"]["wall"] + item["write"]["wall"]) * 1000 / item["hosts"]
        print(
            f"{item['hosts']:7}{item['files']:9}{cells[0]:>14}{cells[1]:>16}{cells[2]:>16}{cells[3]:>16}"
            f"{each:11.2f}{item['peak_mib']:7}{'  multicast rule set aside' if item['set_aside'] else ''}"
        )
    first, last = results[0], results[-1]
    if last["hosts"] > first["hosts"]:
        print(f"bytes a host that grow with the city, at {first['hosts']} and at {last['hosts']} hosts:")
        for name, size in sorted(last["bytes"].items(), key=lambda item: -item[1]):
            before, now = first["bytes"].get(name, 0) / first["hosts"], size / last["hosts"]
            if now > 1.5 * before and now > 100:
                print(f"  {name:40} {before:12.0f} {now:12.0f}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", default=",".join(map(str, SIZES)))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        json.dump(one_size(options.one), sys.stdout)
        return 0
    results = [in_a_process(int(word)) for word in options.hosts.split(",")]
    report(results)
    (REPOSITORY / "build" / "bench-plan-scale.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    goal = next((item for item in results if item["hosts"] == GOAL_HOSTS), None)
    if goal is None:
        return 0
    seconds = goal["render"]["wall"] + goal["write"]["wall"]
    met = seconds <= GOAL_SECONDS
    asked = f"{GOAL_HOSTS} hosts of at least {goal['least']} files in {GOAL_SECONDS:g} s"
    print(f"goal {'met' if met else 'MISSED'}: {asked}: {seconds:.1f} s")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
