"""pyinfra, one operation a file. Runs in pyinfra's own environment; see ../peers.py for what host.json holds.

Restarts and reloads are plain shell operations, which ask no fact beforehand: the quickest that pyinfra has.
"""

import json
from pathlib import Path

from pyinfra import host
from pyinfra.operations import apt, files, server, systemd
from pyinfra.operations.util import any_changed

wanted = json.loads((Path(host.data.bench_folder) / host.name / "host.json").read_text())

apt.packages(name="Packages", packages=wanted["packages"], no_recommends=True, _sudo=True)

for item in wanted["folders"]:
    files.directory(
        name=f"Folder {item['path']}",
        path=item["path"],
        mode=item["mode"],
        user=item["owner"],
        group=item["group"],
        _sudo=True,
    )

done = {}
for item in wanted["files"]:
    done[item["path"]] = files.put(
        name=f"File {item['spec']}",
        src=item["src"],
        dest=item["path"],
        mode=item["mode"],
        user=item["owner"],
        group=item["group"],
        _sudo=True,
    )

for action in wanted["actions"]:
    changed = any_changed(*(done[path] for path in action["paths"]))
    server.shell(name=f"Action {action['name']}", commands=[action["command"]], _if=changed, _sudo=True)

for unit in wanted["units"]:
    systemd.service(
        name=f"Unit {unit['name']}",
        service=unit["name"],
        running=unit["active"],
        enabled=unit["enabled"],
        _sudo=True,
    )
