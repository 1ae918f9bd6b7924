#!/usr/bin/env python3
"""Verify exported evidence away from the city: python3 verify.py CHAIN.jsonl [KEY] [COUNT:HASH ...]

KEY is the public key as enrolled (ssh-ed25519 AAAA...), COUNT:HASH are heads; both must be known from elsewhere.
Needs Python 3.8 or newer and OpenSSL 3; nothing of this city's software. Exit code: 0 whole, 1 not, 2 nothing given.
离线核验导出的证据：公钥与链头须取自别处。退出码：0 完整，1 不完整，2 未给出文件。
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tempfile
from typing import Any

DER = bytes.fromhex("302a300506032b6570032100")  # what stands before an Ed25519 public key in DER (RFC 8410)


def good(public: str, mark: str, text: bytes) -> bool:
    """Whether OpenSSL finds the signature good."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{folder}/{name}" for name in ("key", "mark", "text")]
        key = DER + base64.b64decode(public.split()[1])[-32:]
        for number, data in enumerate((key, base64.b64decode(mark), text)):
            with open(names[number], "wb") as stream:
                stream.write(data)
        argv = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", names[0], "-rawin"]
        return subprocess.run([*argv, "-in", names[2], "-sigfile", names[1]], capture_output=True).returncode == 0


def read(line: bytes) -> dict[str, Any]:
    """The record in a line; empty when there is none."""
    try:
        return dict(json.loads(line))
    except (ValueError, TypeError):
        return {}


def verify(lines: list[bytes], key: str, heads: dict[int, str]) -> str:
    """Print what is good; return what is not."""
    expected, before, current, signed, named, torn, first = -1, "0" * 64, "", -1, set(), [], 0
    prunings = [read(line).get("body", {}) for line in lines if b'"evidence.pruned"' in line]
    for number, line in enumerate(lines, 1):
        record = read(line)
        if not record:
            torn.append((number, hashlib.sha256(line).hexdigest()))
            continue
        if expected < 0:
            pruned = [b for b in prunings if (b.get("first"), b.get("before")) == (record["seq"], record["prev"])]
            expected, before = (record["seq"], record["prev"]) if pruned else (0, before)
            first = expected
            if heads.pop(first, before) != before:
                return f"line {number}: record {first} does not follow the head that was known"
        body, where = record["body"], f"line {number}: record {record['seq']}"
        if (record["seq"], record["prev"]) != (expected, before):
            return f"{where}: record {expected} after {before} belongs here"
        if record["kind"] == "evidence.torn":
            named |= {item["sha256"] for item in body["lines"]}
        if record["kind"] in ("evidence.checkpoint", "evidence.key", "evidence.pruned"):
            bare = {**record, "body": {k: v for k, v in body.items() if k not in ("signature", "proof")}}
            text = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
            by = body.get("key") or body["from"]
            if (current and by != current) or ("signature" in body and not good(by, body["signature"], text)):
                return f"{where}: not signed by the key in force"
            if "to" in body and not good(body["to"], body["proof"], text):
                return f"{where}: the new key did not sign for itself"
            current, signed = body.get("to", by), record["seq"]
        before, expected = hashlib.new(record.get("digest", "sha256"), line).hexdigest(), expected + 1
        if heads.pop(expected, before) != before:
            return f"{where}: not the record that was known"
    if lost := [number for number, mark in torn if mark not in named]:
        return f"line {lost[0]} is no record"
    if key and current != key:
        return f"signed with {current or 'no key'}, not with the known one"
    if late := [count for count in sorted(heads) if count > max(expected, 0)]:
        return f"the tail was cut: {late[-1]} records were known, {max(expected, 0)} are here"
    print(f"whole / 完整: head {expected}:{before}, signed up to record {signed} with {current or 'no key'}")
    if heads:
        print(f"heads of before record {first}, not compared / 早于现存记录，未核对: {sorted(heads)}")
    return ""


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print(__doc__)
        sys.exit(2)
    given = sys.argv[2:]
    known = {int(text.split(":")[0]): text.split(":")[1] for text in given if ":" in text}
    with open(sys.argv[1], "rb") as chain:
        fault = verify(
            chain.read().rstrip(b"\n").split(b"\n"), next((text for text in given if ":" not in text), ""), known
        )
    print(f"NOT WHOLE / 不完整: {fault}" if fault else "nothing was changed / 没有改动")
    sys.exit(1 if fault else 0)
