"""pyinfra, its best bulk form: one operation that looks at all files and unpacks the archive on its standard input.

It proves the content of files only: not modes, owners, folders, units or packages. Nothing is validated or undone.
"""

import json
from pathlib import Path

from pyinfra import host
from pyinfra.operations import server

wanted = json.loads((Path(host.data.bench_folder) / host.name / "host.json").read_text())
script = f"""changed=$({wanted["look"]})
[ -n "$changed" ] || exit 0
base64 -d | tar -xzp -C /
changed=$(echo $changed)
{wanted["act"]}"""

server.shell(name="All files at once", commands=[script], _stdin=wanted["archive"], _sudo=True)
