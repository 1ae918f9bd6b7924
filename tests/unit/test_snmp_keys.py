"""SNMPv3 keys: the RFC's own examples, and pysnmp's for all the rest."""

from __future__ import annotations

import hmac
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyasn1.type import univ
from usm_device import CIPHERS, HASHES, oracle_auth_key, oracle_key, oracle_priv_key

from egov_exporters.snmp import keys
from egov_exporters.snmp.config import AUTH_PROTOCOL_NAMES, PRIV_PROTOCOL_NAMES
from egov_exporters.snmp.keys import AesCipher, Authenticator, DesCipher, localise, password_to_key, privacy_key

settings.register_profile("busy-machine", deadline=None)
settings.load_profile("busy-machine")

ENGINE_ID = bytes.fromhex("000000000000000000000002")


@pytest.mark.parametrize(
    ("digest", "key", "localised"),
    [
        ("MD5", "9faf3283884e92834ebc9847d8edd963", "526f5eed9fcce26f8964c2930787d82b"),
        ("SHA", "9fb5cc0381497b3793528939ff788d5d79145211", "6695febc9288e36282235fc7151f128497b38f3f"),
    ],
)
def test_rfc_3414_a_3(digest: str, key: str, localised: str) -> None:
    """The password `maplesyrup` at engine 2."""
    assert password_to_key("maplesyrup", digest).hex() == key
    assert localise(bytes.fromhex(key), ENGINE_ID, digest).hex() == localised


@pytest.mark.parametrize("digest", AUTH_PROTOCOL_NAMES)
@pytest.mark.parametrize("password", ["maplesyrup", "x", "密码" * 40, "64 octets " * 6 + "here"])
def test_keys_are_pysnmps(digest: str, password: str) -> None:
    """Passwords of all lengths, against the block of the hash and its ring buffer."""
    assert password_to_key(password, digest) == bytes(oracle_key(password, digest))
    ours = localise(password_to_key(password, digest), ENGINE_ID, digest)
    assert ours == bytes(oracle_auth_key(password, digest, ENGINE_ID))


@pytest.mark.parametrize(("digest", "cipher"), list(product(AUTH_PROTOCOL_NAMES, PRIV_PROTOCOL_NAMES)))
def test_privacy_keys_are_pysnmps(digest: str, cipher: str) -> None:
    """All pairs, those included in which the digest is shorter than the key."""
    ours = privacy_key("maplesyrup", digest, cipher, ENGINE_ID)
    size = 16 if cipher == "DES" else CIPHERS[cipher].KEY_SIZE
    theirs = bytes(oracle_auth_key("maplesyrup", digest, ENGINE_ID))[:16]
    if cipher != "DES":
        theirs = bytes(oracle_priv_key("maplesyrup", digest, cipher, ENGINE_ID))
    assert len(ours) == size and ours == theirs


def test_the_two_ways_to_stretch_differ_where_they_are_needed() -> None:
    """Blumenthal's and Reeder's ways agree exactly where nothing is stretched."""
    differ = {
        (digest, size)
        for digest, size in product(AUTH_PROTOCOL_NAMES, (192, 256))
        if privacy_key("maplesyrup", digest, f"AES{size}", ENGINE_ID)
        != privacy_key("maplesyrup", digest, f"AES{size}C", ENGINE_ID)
    }
    assert differ == {("MD5", 192), ("SHA", 192), ("MD5", 256), ("SHA", 256), ("SHA224", 256)}


@pytest.mark.parametrize("digest", AUTH_PROTOCOL_NAMES)
@given(key=st.binary(min_size=1, max_size=64), message=st.binary(max_size=300))
def test_digests_are_hmac(digest: str, key: bytes, message: bytes) -> None:
    """The kept states give what the standard library gives, again and again."""
    one = Authenticator(digest, key)
    for text in (message, b"", message):
        assert one.sign(text) == hmac.new(key, text, HASHES[digest]).digest()[: one.size]
    assert one.blank == bytes(one.size)


@given(key=st.binary(min_size=16, max_size=16), plain=st.binary(max_size=100), number=st.integers(0, 2**65))
def test_ciphers_are_pysnmps(key: bytes, plain: bytes, number: int) -> None:
    """pysnmp reads what we encrypt; we read it too; DES pads with less than 8 octets."""
    for name, cipher in (("AES", AesCipher(key)), ("DES", DesCipher(key))):
        salt = cipher.salt(7, number)
        secret = cipher.encrypt(plain, 7, 1_000_000, salt)
        theirs = CIPHERS[name].decrypt_data(
            univ.OctetString(key), (7, 1_000_000, univ.OctetString(salt)), univ.OctetString(secret)
        )
        assert len(salt) == 8 and len(secret) - len(plain) < (8 if name == "DES" else 1)
        assert theirs == cipher.decrypt(secret, 7, 1_000_000, salt) and theirs.startswith(plain)


def test_des_refuses_a_broken_block() -> None:
    """Not a multiple of 8 octets: ValueError, as `Cipher` says."""
    with pytest.raises(ValueError, match="8"):
        DesCipher(bytes(range(16))).decrypt(b"123456789", 1, 1, bytes(8))


def test_a_password_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand devices with one password cost one megabyte of hashing for each digest."""
    stretched: list[bytes] = []
    original = keys.stretch
    monkeypatch.setattr(keys, "stretch", lambda text, digest: stretched.append(text) or original(text, digest))
    password_to_key.cache_clear()
    for engine in range(1_000):
        localise(password_to_key("once", "SHA"), engine.to_bytes(8, "big"), "SHA")
    assert stretched == [b"once"]
