"""Localised SNMPv3 keys (RFC 3414 appendix A.2, with SHA-256 as RFC 7860 says)."""

from __future__ import annotations

import hashlib
from functools import lru_cache

EXPANDED = 1_048_576  # octets of repeated password that are hashed; RFC 3414 A.2
AES128_KEY = 16  # octets of the localised key that CFB128-AES-128 uses; RFC 3826, 3.1.2.1


@lru_cache(maxsize=64)
def master_key(password: str, algorithm: str = "sha256") -> bytes:
    """The password, repeated to a mebioctet, hashed (RFC 3414 A.2). ValueError for an empty or short password."""
    octets = password.encode()
    if len(octets) < 8:
        raise ValueError("an SNMPv3 password has at least 8 octets (RFC 3414, 11.2)")
    repeated = (octets * (EXPANDED // len(octets) + 1))[:EXPANDED]
    return hashlib.new(algorithm, repeated).digest()


def localised_key(password: str, engine_id: bytes, algorithm: str = "sha256") -> bytes:
    """The user's key on one engine: it is of no use on any other (RFC 3414, 2.6)."""
    master = master_key(password, algorithm)
    return hashlib.new(algorithm, master + engine_id + master).digest()


def authentication_key(password: str, engine_id: bytes) -> bytes:
    """For usmHMAC192SHA256AuthProtocol: 32 octets (RFC 7860)."""
    return localised_key(password, engine_id)


def privacy_key_aes128(password: str, engine_id: bytes) -> bytes:
    """For CFB128-AES-128 beside SHA-256 authentication: the first 16 octets of the localised key."""
    return localised_key(password, engine_id)[:AES128_KEY]
