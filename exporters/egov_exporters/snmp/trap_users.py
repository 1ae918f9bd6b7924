"""Keys of version 3 users: made from their passwords once, localized for each engine ID that sends (RFC 3414, A.2)."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from pysnmp.entity import config
from pysnmp.proto.rfc1902 import OctetString

from egov_exporters.snmp.config import Auth

DIGESTS = {"MD5": "md5", "SHA": "sha1", "SHA224": "sha224", "SHA256": "sha256", "SHA384": "sha384", "SHA512": "sha512"}
DIGEST_OCTETS = {"MD5": 12, "SHA": 12, "SHA224": 16, "SHA256": 24, "SHA384": 32, "SHA512": 48}
AUTH_PROTOCOLS = {
    "MD5": config.USM_AUTH_HMAC96_MD5,
    "SHA": config.USM_AUTH_HMAC96_SHA,
    "SHA224": config.USM_AUTH_HMAC128_SHA224,
    "SHA256": config.USM_AUTH_HMAC192_SHA256,
    "SHA384": config.USM_AUTH_HMAC256_SHA384,
    "SHA512": config.USM_AUTH_HMAC384_SHA512,
}
PRIV_PROTOCOLS = {  # AES192 and AES256 extend the key as Blumenthal's draft says, the C forms as Cisco does (Reeder)
    "DES": config.USM_PRIV_CBC56_DES,
    "AES": config.USM_PRIV_CFB128_AES,
    "AES192": config.USM_PRIV_CFB192_AES_BLUMENTHAL,
    "AES256": config.USM_PRIV_CFB256_AES_BLUMENTHAL,
    "AES192C": config.USM_PRIV_CFB192_AES,
    "AES256C": config.USM_PRIV_CFB256_AES,
}


class Localized(NamedTuple):
    """The keys of a user at one engine; empty where the security level needs none."""

    digest: bytes
    cipher: bytes


class UserKeys:
    """Makes and remembers keys: the slow ones (a megabyte hashed) a user, the localized ones of `size` engines."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._masters: dict[Auth, tuple[OctetString, OctetString | None]] = {}
        self._localized: OrderedDict[tuple[str, bytes], Localized] = OrderedDict()

    def localized(self, auth: Auth, engine: bytes) -> Localized:
        """The keys of `auth`, which has authentication, at the engine with this ID."""
        found = self._localized.get((auth.name, engine))
        if found is not None:
            self._localized.move_to_end((auth.name, engine))
            return found
        made = self._make(auth, OctetString(engine))
        self._localized[auth.name, engine] = made
        if len(self._localized) > self._size:
            self._localized.popitem(last=False)
        return made

    def _make(self, auth: Auth, engine: OctetString) -> Localized:
        digest, cipher = self._master(auth)
        protocol = AUTH_PROTOCOLS[auth.auth_protocol]
        key = config.AUTH_SERVICES[protocol].localize_key(digest, engine).asOctets()
        if cipher is None:
            return Localized(key, b"")
        service = config.PRIV_SERVICES[PRIV_PROTOCOLS[auth.priv_protocol]]
        return Localized(key, service.localize_key(protocol, cipher, engine).asOctets())

    def _master(self, auth: Auth) -> tuple[OctetString, OctetString | None]:
        if auth not in self._masters:
            protocol = AUTH_PROTOCOLS[auth.auth_protocol]
            digest = config.AUTH_SERVICES[protocol].hash_passphrase(auth.password.encode())
            cipher = None
            if auth.security_level == "authPriv":
                service = config.PRIV_SERVICES[PRIV_PROTOCOLS[auth.priv_protocol]]
                cipher = service.hash_passphrase(protocol, auth.priv_password.encode())
            self._masters[auth] = (digest, cipher)
        return self._masters[auth]
