"""Evidence for an inspector: the chains with what verifies them away from here, in one ZIP file."""

from __future__ import annotations

import base64
import os
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from egovctl.errors import CannotMeasure
from egovctl.evidence.chain import Chain
from egovctl.evidence.record import digest, is_record, parse
from egovctl.evidence.signing import CHECKPOINT, message
from egovctl.evidence.verify import Head, read_lines
from egovctl.i18n import tr

OLDEST = (1980, 1, 1, 0, 0, 0)  # of every file in it: the same evidence gives the same bundle


def export(chains: Iterable[Chain], key: str, target: Path, named: Mapping[str, Path] | None = None) -> dict[str, Head]:
    """Write the bundle, whole or not at all; the heads of the chains in it. CannotMeasure when there is no room.

    `named`: files that records name, by their SHA-256; they are called by it in the bundle's folder `named`.
    """
    files: dict[str, bytes] = {}
    more = {f"named/{sha256}": path for sha256, path in (named or {}).items()}
    heads: dict[str, Head] = {}
    for chain in chains:
        lines = read_lines(chain.path)[0]
        files[chain.path.name] = b"".join(line + b"\n" for line in lines)
        heads[chain.writer] = _head(lines)
        files |= _checkpoint(chain.writer, lines)
    files["heads.txt"] = "".join(f"{writer} {head}\n" for writer, head in heads.items()).encode()
    if key:
        files["key.txt"] = f"{key}\n".encode()
        files["key.pem"] = load_ssh_public_key(key.encode()).public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
    folder = resources.files("egovctl.content").joinpath("evidence")
    files |= {name: folder.joinpath(name).read_bytes() for name in ("README.txt", "verify.py")}
    known = {name: digest(data) for name, data in files.items()} | {name: name.partition("/")[2] for name in more}
    sums = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(known.items()))
    _write(target, {**files, "SHA256SUMS": sums.encode(), **more})
    return heads


def _head(lines: list[bytes]) -> Head:
    last = next((parse(line) for line in reversed(lines) if is_record(line)), None)
    return Head(0, "0" * 64) if last is None else Head(last.seq + 1, last.hash)


def _checkpoint(writer: str, lines: list[bytes]) -> dict[str, bytes]:
    """What was signed last and its signature, as files."""
    for line in reversed(lines):
        if CHECKPOINT.encode() in line and is_record(line) and (record := parse(line)).kind == CHECKPOINT:
            mark = base64.b64decode(str(record.body.get("signature")))
            return {f"{writer}.checkpoint": message(record), f"{writer}.sig": mark}
    return {}


def _write(target: Path, files: Mapping[str, bytes | Path]) -> None:
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(beside, "x", zipfile.ZIP_DEFLATED) as bundle:
            for name, data in sorted(files.items()):
                entry = zipfile.ZipInfo(name, OLDEST)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                if isinstance(data, bytes):
                    bundle.writestr(entry, data)
                    continue
                with data.open("rb") as source, bundle.open(entry, "w", force_zip64=True) as copy:
                    shutil.copyfileobj(source, copy)
        beside.chmod(0o600)
        beside.replace(target)
    except OSError as error:
        why = error.strerror or error
        raise CannotMeasure(tr(f"{target} 无法写入：{why}", f"{target} cannot be written: {why}")) from None
    finally:
        beside.unlink(missing_ok=True)
