"""Signatures in a chain: who held the key of control said so. Ed25519, by the key that control made for this alone.

A signed record carries `signature` in its body, base64, over the RFC 8785 bytes of the record without it: so it covers
its place, its time and the hash of all before it. Kinds:
- `evidence.checkpoint`: signed by `key`, which is the one in force from here on when it is the chain's first;
- `evidence.key`: `to` takes the place of `from`; signed by both (`proof` is the new one's), or by the new one alone
  when the old one is lost, which every verification then says;
- `evidence.pruned`: the records before `first` were let go; signed by `key` as a checkpoint is.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from egovctl.errors import CannotMeasure
from egovctl.evidence.record import Record, digest
from egovctl.i18n import tr

CHECKPOINT, KEY, PRUNED = "evidence.checkpoint", "evidence.key", "evidence.pruned"
SIGNED = (CHECKPOINT, KEY, PRUNED)
MARKS = ("signature", "proof")
Body = Callable[[Record], dict[str, Any]]


@dataclass(frozen=True)
class Signer:
    """A private key; `public` is its public half as OpenSSH writes it, type and key.

    `path` is the file that it is in; without one nothing that it signs is noted.
    """

    private: Ed25519PrivateKey
    public: str
    path: Path | None = None

    @classmethod
    def read(cls, path: Path) -> Signer:
        """From a file as ssh-keygen writes it; CannotMeasure when it is missing, open to others, or no Ed25519 key."""
        try:
            if path.stat().st_mode & 0o077:
                raise CannotMeasure(
                    tr(
                        f"密钥 {path} 可被他人读取：请运行 chmod 0600 {path}",
                        f"key {path} can be read by others: run chmod 0600 {path}",
                    )
                )
            private = load_ssh_private_key(path.read_bytes(), None)
        except OSError as error:
            raise CannotMeasure(
                tr(f"密钥 {path} 无法读取：{error.strerror}", f"key {path} cannot be read: {error.strerror}")
            ) from None
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise CannotMeasure(_no_key(path)) from None
        if not isinstance(private, Ed25519PrivateKey):
            raise CannotMeasure(_no_key(path))
        text = private.public_key().public_bytes_raw()
        return cls(private, _openssh(text), path)

    def sign(self, record: Record) -> str:
        """The signature over the record without its marks."""
        return base64.b64encode(self.private.sign(message(record))).decode()


def _no_key(path: Path) -> str:
    return tr(f"{path} 不是无口令的 Ed25519 私钥", f"{path} is no Ed25519 private key without a passphrase")


def _openssh(raw: bytes) -> str:
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in (b"ssh-ed25519", raw))
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def fingerprint(public: str) -> str:
    """As `ssh-keygen -l` shows it; "?" for what is no key."""
    try:
        blob = base64.b64decode(public.split()[1], validate=True)
    except (IndexError, binascii.Error):
        return "?"
    return "SHA256:" + base64.b64encode(bytes.fromhex(digest(blob))).decode().rstrip("=")


def message(record: Record) -> bytes:
    """What is signed of a record: its bytes without its signatures."""
    return replace(record, body={name: value for name, value in record.body.items() if name not in MARKS}).line


def signed(signer: Signer, body: dict[str, Any]) -> Body:
    """The body of a checkpoint or of a pruning once its place is known, for `Chain.append`."""

    def made(place: Record) -> dict[str, Any]:
        whole = {**body, "key": signer.public}
        return whole | {"signature": signer.sign(replace(place, body=whole))}

    return made


def rotated(old: Signer | None, new: Signer, before: str) -> Body:
    """The body of a change of keys; `before` is the public half that the chain knows, `old` its private one or None."""

    def made(place: Record) -> dict[str, Any]:
        whole: dict[str, Any] = {"from": before, "to": new.public}
        place = replace(place, body=whole)
        marks = {"proof": new.sign(place)} | ({"signature": old.sign(place)} if old else {})
        return whole | marks

    return made


@lru_cache(maxsize=64)
def _public(text: str) -> Ed25519PublicKey | None:
    try:
        found = load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    return found if isinstance(found, Ed25519PublicKey) else None


def _good(public: Any, mark: Any, data: bytes) -> bool:
    key = _public(public) if isinstance(public, str) else None
    if key is None or not isinstance(mark, str):
        return False
    try:
        key.verify(base64.b64decode(mark, validate=True), data)
    except (InvalidSignature, binascii.Error):
        return False
    return True


@dataclass
class Signatures:
    """What the signatures say while the records go by. `count` is the last record that is signed, -1 without one;
    `lost` changes of keys were made without the old key."""

    key: str = ""
    since: int = -1
    count: int = -1
    lost: list[int] = field(default_factory=list)

    def fault(self, record: Record) -> str:
        """Take the next record; what is wrong with its signature, or ""."""
        if record.kind not in SIGNED:
            return ""
        body, data = record.body, message(record)
        if record.kind == KEY:
            return self._rotation(record, data)
        public = body.get("key")
        if self.key and public != self.key:
            return tr(
                f"记录 {record.seq} 由另一密钥 {fingerprint(str(public))} 签名，此处应是 {fingerprint(self.key)}",
                f"record {record.seq} is signed with another key, {fingerprint(str(public))}, where "
                f"{fingerprint(self.key)} is in force",
            )
        if not _good(public, body.get("signature"), data):
            return tr(f"记录 {record.seq} 的签名不符", f"the signature of record {record.seq} is not good")
        if not self.key:
            self.key, self.since = str(public), record.seq
        self.count = record.seq
        return ""

    def _rotation(self, record: Record, data: bytes) -> str:
        body = record.body
        before, after = body.get("from"), body.get("to")
        if self.key and before != self.key:
            return tr(
                f"记录 {record.seq} 要换下的密钥不是在用的那一个",
                f"record {record.seq} replaces a key that is not the one in force",
            )
        if not _good(after, body.get("proof"), data):
            return tr(
                f"记录 {record.seq} 的新密钥没有自己的签名",
                f"record {record.seq} brings a key that did not sign for itself",
            )
        if "signature" not in body:
            self.lost.append(record.seq)
        elif not _good(before, body["signature"], data):
            return tr(
                f"记录 {record.seq} 换了密钥，而旧密钥的签名不符",
                f"record {record.seq} changes the key, and the old key's signature is not good",
            )
        self.key, self.since, self.count = str(after), record.seq, record.seq
        return ""
