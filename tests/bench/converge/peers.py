"""The other programs: their environments, and the playbooks that an author would write with them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from city import REPOSITORY
from desired import DAEMON_RELOAD, Wanted, task_name

from egovctl.paths import Inventory
from egovctl.transport import control_prefix

HERE = Path(__file__).resolve().parent
TOOLS = REPOSITORY / ".tools"
ITEM = "{{ item.%s }}"


def environment(name: str) -> Path:
    """A virtual environment of the bench's own for one peer, from its lock; made at first use. Returns its bin/."""
    folder, lock = TOOLS / f"bench-{name}", HERE / f"requirements-{name}.lock"
    mark = folder / ".ready"
    if not mark.is_file() or mark.read_bytes() != lock.read_bytes():
        print(f"== Python environment of {name}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "pip"), "install", "-qq", "--require-hashes", "-r", str(lock)]
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
        shutil.copyfile(lock, mark)
    return folder / "bin"


def version(binary: Path, package: str) -> str:
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run(
        [str(binary / "python"), "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def mitogen_strategies(binary: Path) -> Path:
    """Where ansible finds mitogen's strategy plugins."""
    code = "import ansible_mitogen, pathlib; print(pathlib.Path(ansible_mitogen.__file__).parent / 'plugins/strategy')"
    return Path(
        subprocess.run([str(binary / "python"), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    )


# --- ansible ---------------------------------------------------------------------------------------------------------


def ansible_inventory(inventory: Inventory, wanted: Mapping[str, Wanted], folder: Path, target: Path) -> None:
    """A plain inventory: the same user, sudo and ssh_config as ours; what a host shall be as host variables."""
    hosts: dict[str, Any] = {}
    for name in wanted:
        description = json.loads((folder / name / "host.json").read_text(encoding="utf-8"))
        by_spec: dict[str, list[Any]] = {}
        for item in description["files"]:
            by_spec.setdefault(item["spec"], []).append(item)
        hosts[name] = {
            "bench_files": by_spec,
            "bench_folders": description["folders"],
            "bench_units": description["units"],
            "bench_packages": description["packages"],
            "bench_actions": {item["task"]: item["names"] for item in description["tasks"]},
            "bench_look": description["look"],
            "bench_act": description["act"],
            "bench_archive": str(folder / name / "all.tar"),
        }
    variables = {
        "ansible_user": "egov-deploy",
        "ansible_become": True,
        "ansible_ssh_common_args": f"-F {inventory.ssh_config}",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    target.touch(mode=0o600)
    target.write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}), encoding="utf-8")


def ansible_config(target: Path, sockets: Path, binary: Path | None = None) -> None:
    """The tuned settings: those of the project's own ansible.cfg; with mitogen's strategy where `binary` is its."""
    lines = [
        "[defaults]",
        "host_key_checking = true",
        "gathering = explicit",
        "forks = 25",
        "timeout = 15",
        "interpreter_python = /usr/bin/python3",
        "display_skipped_hosts = false",
        "retry_files_enabled = false",
    ]
    if binary is not None:
        lines += [f"strategy_plugins = {mitogen_strategies(binary)}", "strategy = mitogen_linear"]
    lines += [
        "[ssh_connection]",
        "pipelining = true",
        "ssh_args = -o ControlMaster=auto -o ControlPersist=600s",
        f"control_path_dir = {sockets}",
    ]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def files_playbook(wanted: Mapping[str, Wanted]) -> list[dict[str, Any]]:
    """One `copy` task a file, as people write it; of what a host has several of (interfaces, backups) one with a loop.

    Handlers do what follows from a change, in the manifest's order; then the units.
    """
    specs: dict[str, set[str]] = {}
    order: dict[str, None] = {}
    for host in wanted.values():
        for entry in host.manifest.files:
            specs.setdefault(host.spec[entry.path], set()).update(map(task_name, entry.actions))
        order.update(dict.fromkeys(map(task_name, host.manifest.order)))
    first = [DAEMON_RELOAD] if DAEMON_RELOAD in order else []
    handlers = [_handler(task) for task in (*first, *(task for task in order if task != DAEMON_RELOAD))]
    ask = "dpkg-query -W -f '${db:Status-Status}\\n' {{ bench_packages | join(' ') }}"
    # apt's own module would first install its Python bindings on every host.
    packages = {"name": "Packages", "ansible.builtin.command": ask, "changed_when": False}
    state = {"state": "directory", **_owned()}
    folders = {
        "name": "Folders",
        "ansible.builtin.file": {"path": ITEM % "path", **state},
        "loop": "{{ bench_folders }}",
    }
    copies = [_copy(spec, sorted(notify)) for spec, notify in specs.items()]
    service = {
        "name": ITEM % "name",
        "enabled": ITEM % "enabled",
        "state": "{{ item.active | ternary('started', 'stopped') }}",
    }
    units = {"name": "Units", "ansible.builtin.systemd_service": service, "loop": "{{ bench_units }}"}
    flush = {"name": "What follows from changes", "ansible.builtin.meta": "flush_handlers"}
    tasks = [packages, folders, *copies, flush, units]
    return [{"name": "File by file", "hosts": "all", "gather_facts": False, "tasks": tasks, "handlers": handlers}]


def _owned() -> dict[str, str]:
    return {"mode": ITEM % "mode", "owner": ITEM % "owner", "group": ITEM % "group"}


def _copy(spec: str, notify: list[str]) -> dict[str, Any]:
    copy = {"src": ITEM % "src", "dest": ITEM % "path", **_owned()}
    condition = {"loop": f"{{{{ bench_files[{spec!r}] | default([]) }}}}", "loop_control": {"label": ITEM % "path"}}
    return {"name": f"File {spec}", "ansible.builtin.copy": copy, **condition, **({"notify": notify} if notify else {})}


def _handler(task: str) -> dict[str, Any]:
    verb = task.partition(":")[0]
    if task == DAEMON_RELOAD:
        return {"name": task, "ansible.builtin.systemd_service": {"daemon_reload": True}}
    loop = {"loop": f"{{{{ bench_actions[{task!r}] | default([]) }}}}"}
    if verb == "run":
        return {"name": task, "ansible.builtin.command": "{{ item }}", **loop}
    state = "reloaded" if verb == "reload" else "restarted"
    return {"name": task, "ansible.builtin.systemd_service": {"name": "{{ item }}", "state": state}, **loop}


def bulk_playbook() -> list[dict[str, Any]]:
    """Ansible's best bulk form: one plain command that compares all contents and needs no Python on the host; the
    archive, its unpacking and the actions only where something differs."""
    differs = "bench_seen.stdout | trim | length > 0"
    act = (
        "changed='{{ bench_seen.stdout | replace('\\r', '') | split | join(' ') }}'\n"
        "tar -xzp -C / -f /var/tmp/egov-bench.tar && rm /var/tmp/egov-bench.tar\n{{ bench_act }}"
    )
    archive = {"src": "{{ bench_archive }}", "dest": "/var/tmp/egov-bench.tar", "mode": "0600"}
    tasks = [
        {"name": "Look", "ansible.builtin.raw": "{{ bench_look }}", "register": "bench_seen", "changed_when": False},
        {"name": "Archive", "ansible.builtin.copy": archive, "when": differs},
        {"name": "Unpack and act", "ansible.builtin.raw": act, "when": differs},
    ]
    return [{"name": "All at once", "hosts": "all", "gather_facts": False, "tasks": tasks}]


def write_playbook(plays: list[dict[str, Any]], target: Path) -> None:
    target.write_text(yaml.safe_dump(plays, sort_keys=False, width=1000), encoding="utf-8")


# --- pyinfra ---------------------------------------------------------------------------------------------------------


def pyinfra_files(inventory: Inventory, wanted: Mapping[str, Wanted], folder: Path, target: Path) -> None:
    """Its list of hosts. pyinfra knows no HostKeyAlias, so it gets the known keys by address; it runs in control's
    network, where it needs no proxy, which is to its advantage."""
    proxied = bool(control_prefix(inventory))
    config = inventory.ssh_config.read_text(encoding="utf-8")
    lines = [line for line in config.splitlines() if not (proxied and line.split()[:1] == ["ProxyCommand"])]
    (target.parent / "ssh_config").write_text("\n".join(lines) + "\n", encoding="utf-8")
    keys = dict(
        line.split(" ", 1)
        for line in (inventory.build / "control" / "known_hosts").read_text(encoding="utf-8").splitlines()
    )
    addresses = _addresses(config)
    known = target.parent / "known_hosts"
    known.write_text("".join(f"{addresses[name]} {keys[name]}\n" for name in wanted), encoding="utf-8")
    data = {
        "ssh_config_file": str(target.parent / "ssh_config"),
        "ssh_known_hosts_file": str(known),
        "ssh_strict_host_key_checking": "yes",
        "ssh_allow_agent": False,
        "ssh_look_for_keys": False,
    }
    given = {"data": data, "hosts": {name: {"bench_folder": str(folder)} for name in wanted}}
    target.write_text(json.dumps(given), encoding="utf-8")


def _addresses(config: str) -> dict[str, str]:
    found, name = {}, ""
    for line in config.splitlines():
        words = line.split()
        if words[:1] == ["Host"]:
            name = words[1]
        elif words[:1] == ["HostName"]:
            found[name] = words[1]
    return found
