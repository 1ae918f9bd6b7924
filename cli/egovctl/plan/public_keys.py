"""What an administrator's public SSH key must be, read from the key itself and not from its label (RFC 4253, 6.6)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from egovctl.i18n import tr

ED25519 = "ssh-ed25519"
TOKEN = "sk-ssh-ed25519@openssh.com"  # noqa: S105 - a key type: on a FIDO token, which asks for a touch and a PIN
RSA = "ssh-rsa"
ED25519_BYTES = 32
RSA_BITS = 3072


@dataclass(frozen=True)
class PublicKey:
    """A key without its comment. `token` says that it lives on a FIDO token, which can verify its owner."""

    kind: str
    text: str

    @property
    def token(self) -> bool:
        return self.kind == TOKEN


def read_public_key(text: str) -> PublicKey:
    """The key of one line as `ssh-keygen` prints it; ValueError says in one sentence why it is not taken."""
    words = text.split(" ")
    kind = words[0]
    if kind not in (ED25519, TOKEN, RSA):
        raise ValueError(
            tr(
                f"密钥类型只能是 {ED25519}、{TOKEN} 或 {RSA}，请写 .pub 文件的那一行",
                f"a key is of type {ED25519}, {TOKEN} or {RSA}; write the line of the .pub file",
            )
        )
    try:
        blob = base64.b64decode(words[1], validate=True) if len(words) in (2, 3) else b""
        fields = _fields(blob)
    except (binascii.Error, ValueError):
        fields = []
    if len(fields) < 2 or fields[0] != kind.encode():
        raise ValueError(tr(f"不是完整的 {kind} 公钥", f"this is no whole {kind} public key"))
    _sized(kind, fields[1:])
    return PublicKey(kind, f"{kind} {words[1]}")


def _sized(kind: str, fields: list[bytes]) -> None:
    if kind == RSA:
        bits = int.from_bytes(fields[1], "big").bit_length() if len(fields) == 2 else 0
        if bits < RSA_BITS:
            raise ValueError(
                tr(
                    f"RSA 密钥只有 {bits} 位；至少需要 {RSA_BITS} 位，最好改用 {ED25519}",
                    f"this RSA key has {bits} bits; it needs {RSA_BITS}, and {ED25519} is better",
                )
            )
    elif len(fields[0]) != ED25519_BYTES or len(fields) != (2 if kind == TOKEN else 1):
        raise ValueError(tr(f"不是完整的 {kind} 公钥", f"this is no whole {kind} public key"))


def _fields(blob: bytes) -> list[bytes]:
    """The blob's strings, each with its length in front; ValueError when one is cut."""
    fields, at = [], 0
    while at < len(blob):
        length = int.from_bytes(blob[at : at + 4], "big")
        field = blob[at + 4 : at + 4 + length]
        if len(field) != length or at + 4 > len(blob):
            raise ValueError
        fields.append(field)
        at += 4 + length
    return fields
