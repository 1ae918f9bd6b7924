"""Collect what a NOC host installs: the exporter's wheels, by hash, into build/wheelhouse/. Does nothing when current.

DIGEST names the content; the noc role installs into a folder of that name, so an old and a new exporter never mix.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
TARGET = PROJECT / "build" / "wheelhouse"
LOCK = PROJECT / "requirements-exporter.lock"


def digest() -> str:
    """A name for the lock, the project file and every source file of the exporter, 12 hexadecimal digits."""
    total = hashlib.sha256()
    sources = [path for path in (PROJECT / "exporters" / "egov_exporters").rglob("*") if path.suffix in (".py", ".yml")]
    for path in [LOCK, PROJECT / "pyproject.toml", *sorted(sources)]:
        total.update(f"{path.relative_to(PROJECT)}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()[:12]


def _clean_setuptools() -> None:
    for folder in (PROJECT / "build" / "lib", *(PROJECT / "build").glob("bdist.*")):
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Build the wheelhouse unless the one there has the same digest."""
    wanted = digest()
    stamp = TARGET / "DIGEST"
    if stamp.is_file() and stamp.read_text() == wanted:
        print(f"wheelhouse {wanted} is current")
        return
    staged = TARGET.with_name("wheelhouse.new")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq"]
    fetch = ["download", "--require-hashes", "--only-binary", ":all:", "-d", str(staged), "-r", str(LOCK)]
    subprocess.run([*pip, *fetch], check=True)
    _clean_setuptools()  # what an earlier build left there would be packed again
    own = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(staged), str(PROJECT)]
    subprocess.run([*pip, *own], check=True)
    _clean_setuptools()
    shutil.copy(LOCK, staged)
    with tarfile.open(staged / "wheelhouse.tar", "w") as archive:
        for path in sorted(staged.glob("*.whl")):
            archive.add(path, path.name)
        archive.add(LOCK, LOCK.name)
    (staged / "DIGEST").write_text(wanted)
    shutil.rmtree(TARGET, ignore_errors=True)
    staged.rename(TARGET)
    print(f"wheelhouse {wanted}: {len(list(TARGET.glob('*.whl')))} wheels")


if __name__ == "__main__":
    main()
