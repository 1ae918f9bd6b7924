"""SNMPv3 keys, digests and ciphers: RFC 3414 (A.2, 6, 8), RFC 3826, RFC 7860 and two ways to stretch a short AES key.

AES192 and AES256 stretch as Blumenthal's draft says; AES192C and AES256C as Reeder's draft for 3DES says, which Cisco
and others follow. Only a digest shorter than the key makes a difference.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher as OpenCipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from egov_exporters.snmp.config import Auth

SALT_SIZE = 8
STRETCHED = 1 << 20  # octets of repeated password that are hashed (RFC 3414 A.2)
DIGESTS = {  # hashlib's name, and the octets of the HMAC that a message carries
    "MD5": ("md5", 12),
    "SHA": ("sha1", 12),
    "SHA224": ("sha224", 16),
    "SHA256": ("sha256", 24),
    "SHA384": ("sha384", 32),
    "SHA512": ("sha512", 48),
}
AES_KEY_SIZES = {"AES": 16, "AES192": 24, "AES192C": 24, "AES256": 32, "AES256C": 32}
DES_KEY_SIZE = 16  # 8 octets of key and 8 that go into the initialisation vector

_INNER = bytes(octet ^ 0x36 for octet in range(256))
_OUTER = bytes(octet ^ 0x5C for octet in range(256))
_CLOCK = struct.Struct(">II")


class Cipher(Protocol):
    """The privacy protocol with the key of one user at one engine."""

    def salt(self, boots: int, number: int) -> bytes:
        """The privacy parameters of a message; `number` must not come twice."""
        ...

    def encrypt(self, plain: bytes, boots: int, time: int, salt: bytes) -> bytes:
        """The octets of the encrypted scopedPDU."""
        ...

    def decrypt(self, secret: bytes, boots: int, time: int, salt: bytes) -> bytes:
        """What was encrypted, padding included. Raises ValueError when the size cannot be right."""
        ...


class Authenticator:
    """HMAC with one key. Both hash states after the key are kept, so a message costs two copies and its own octets."""

    __slots__ = ("_inner", "_outer", "blank", "size")

    def __init__(self, digest: str, key: bytes) -> None:
        name, self.size = DIGESTS[digest]
        self._inner, self._outer = _hash(name), _hash(name)
        padded = key.ljust(self._inner.block_size, b"\0")  # a key is a digest: never longer than a block
        self._inner.update(padded.translate(_INNER))
        self._outer.update(padded.translate(_OUTER))
        self.blank = bytes(self.size)

    def sign(self, message: bytes) -> bytes:
        """Given the message with zeros in place of its digest: the digest."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()[: self.size]


class AesCipher:
    """AES in CFB mode with 128-bit feedback (RFC 3826). See `Cipher`."""

    __slots__ = ("_algorithm",)

    def __init__(self, key: bytes) -> None:
        self._algorithm = AES(key)

    def salt(self, boots: int, number: int) -> bytes:
        """See `Cipher.salt`: the number in 64 bits."""
        return (number & 0xFFFFFFFFFFFFFFFF).to_bytes(SALT_SIZE, "big")

    def encrypt(self, plain: bytes, boots: int, time: int, salt: bytes) -> bytes:
        """See `Cipher.encrypt`."""
        return OpenCipher(self._algorithm, CFB(_CLOCK.pack(boots, time) + salt)).encryptor().update(plain)

    def decrypt(self, secret: bytes, boots: int, time: int, salt: bytes) -> bytes:
        """See `Cipher.decrypt`."""
        return OpenCipher(self._algorithm, CFB(_CLOCK.pack(boots, time) + salt)).decryptor().update(secret)


class DesCipher:
    """DES in CBC mode (RFC 3414 8), by way of 3DES with three equal keys, which is the same. See `Cipher`."""

    __slots__ = ("_algorithm", "_mask")

    def __init__(self, key: bytes) -> None:
        self._algorithm = TripleDES(key[:8] * 3)
        self._mask = int.from_bytes(key[8:], "big")

    def salt(self, boots: int, number: int) -> bytes:
        """See `Cipher.salt`: the boots and 32 bits of the number."""
        return _CLOCK.pack(boots, number & 0xFFFFFFFF)

    def encrypt(self, plain: bytes, boots: int, time: int, salt: bytes) -> bytes:
        """See `Cipher.encrypt`; filled up to a multiple of 8 octets."""
        padded = plain + bytes(-len(plain) % 8)
        return OpenCipher(self._algorithm, self._mode(salt)).encryptor().update(padded)

    def decrypt(self, secret: bytes, boots: int, time: int, salt: bytes) -> bytes:
        """See `Cipher.decrypt`."""
        if len(secret) % 8:
            raise ValueError("not a multiple of 8 octets")
        return OpenCipher(self._algorithm, self._mode(salt)).decryptor().update(secret)

    def _mode(self, salt: bytes) -> CBC:
        return CBC((int.from_bytes(salt, "big") ^ self._mask).to_bytes(8, "big"))


@dataclass(frozen=True, slots=True)
class Keys:
    """One user's keys at one engine; None where the security level needs none."""

    authenticator: Authenticator | None = None
    cipher: Cipher | None = None


def keys_for(auth: Auth, engine_id: bytes) -> Keys:
    """The keys of the user that `auth` names at this engine."""
    if auth.security_level == "noAuthNoPriv":
        return Keys()
    digest = auth.auth_protocol
    authenticator = Authenticator(digest, localise(password_to_key(auth.password, digest), engine_id, digest))
    if auth.security_level == "authNoPriv":
        return Keys(authenticator)
    key = privacy_key(auth.priv_password, digest, auth.priv_protocol, engine_id)
    return Keys(authenticator, DesCipher(key) if auth.priv_protocol == "DES" else AesCipher(key))


@lru_cache(maxsize=256)
def password_to_key(password: str, digest: str) -> bytes:
    """A password's key, which is the same for all engines. It takes milliseconds, hence once for all devices."""
    return stretch(password.encode(), digest)


def stretch(password: bytes, digest: str) -> bytes:
    """The digest of the password repeated up to a megabyte (RFC 3414 A.2). `password` must not be empty."""
    whole, rest = divmod(STRETCHED, len(password))
    return _hash(DIGESTS[digest][0], password * whole + password[:rest]).digest()


def localise(key: bytes, engine_id: bytes, digest: str) -> bytes:
    """The user's key at one engine (RFC 3414 2.6)."""
    return _hash(DIGESTS[digest][0], key + engine_id + key).digest()


def privacy_key(password: str, digest: str, cipher: str, engine_id: bytes) -> bytes:
    """The localised key of a privacy protocol, as long as it needs it."""
    key = localise(password_to_key(password, digest), engine_id, digest)
    if cipher == "DES":
        return key[:DES_KEY_SIZE]
    size = AES_KEY_SIZES[cipher]
    more: Callable[[bytes], bytes] = (
        (lambda short: localise(stretch(short, digest), engine_id, digest))
        if cipher.endswith("C")
        else (lambda short: _hash(DIGESTS[digest][0], short).digest())
    )
    while len(key) < size:
        key += more(key)
    return key[:size]


def _hash(name: str, data: bytes = b"") -> hashlib._Hash:
    """A hash object also where a policy forbids MD5 and SHA-1 for new uses."""
    return hashlib.new(name, data, usedforsecurity=False)
