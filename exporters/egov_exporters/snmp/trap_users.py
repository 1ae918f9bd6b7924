"""Keys of version 3 users, localized for each engine ID that sends (RFC 3414, 2.6); pysnmp's names for protocols."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from pysnmp.entity import config

from egov_exporters.snmp.config import Auth
from egov_exporters.snmp.keys import Authenticator, localise, password_to_key, privacy_key

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


@dataclass(frozen=True, slots=True)
class Localized:
    """The keys of a user, who has authentication, at one engine. `cipher` is empty without encryption."""

    digest: bytes
    cipher: bytes
    authenticator: Authenticator


class UserKeys:
    """Remembers the keys at `size` engines; the longest unused go first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._localized: OrderedDict[tuple[str, bytes], Localized] = OrderedDict()

    def localized(self, auth: Auth, engine: bytes) -> Localized:
        """The keys of `auth`, which has authentication, at the engine with this ID."""
        place = (auth.name, engine)
        found = self._localized.get(place)
        if found is None:
            found = self._localized[place] = _make(auth, engine)
            if len(self._localized) > self._size:
                self._localized.popitem(last=False)
        else:
            self._localized.move_to_end(place)
        return found


def _make(auth: Auth, engine: bytes) -> Localized:
    digest = auth.auth_protocol
    key = localise(password_to_key(auth.password, digest), engine, digest)
    private = auth.security_level == "authPriv"
    cipher = privacy_key(auth.priv_password, digest, auth.priv_protocol, engine) if private else b""
    return Localized(key, cipher, Authenticator(digest, key))
