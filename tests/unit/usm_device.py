"""A device that speaks SNMPv3 as the RFCs say, made of pysnmp's parts: its ASN.1, its keys, its digests, its ciphers.

Nothing of ours is in it, so what it understands, and what we understand of it, is a second opinion.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import md5, sha1
from typing import Any

from pyasn1.codec.ber import decoder, encoder
from pyasn1.type import univ
from pysnmp.hlapi.v3arch import asyncio as hlapi  # first: pysnmp's modules import each other in a ring
from pysnmp.proto import error
from pysnmp.proto.api import v2c
from pysnmp.proto.mpmod.rfc3412 import ScopedPDU, SNMPv3Message
from pysnmp.proto.secmod.eso.priv import aes192, aes256
from pysnmp.proto.secmod.rfc3414 import localkey
from pysnmp.proto.secmod.rfc3414.auth.hmacmd5 import HmacMd5
from pysnmp.proto.secmod.rfc3414.auth.hmacsha import HmacSha
from pysnmp.proto.secmod.rfc3414.priv.des import Des
from pysnmp.proto.secmod.rfc3414.service import UsmSecurityParameters
from pysnmp.proto.secmod.rfc3826.priv.aes import Aes
from pysnmp.proto.secmod.rfc7860.auth.hmacsha2 import HmacSha2

from egov_exporters.snmp.config import Auth

SHA2 = {
    "SHA224": hlapi.USM_AUTH_HMAC128_SHA224,
    "SHA256": hlapi.USM_AUTH_HMAC192_SHA256,
    "SHA384": hlapi.USM_AUTH_HMAC256_SHA384,
    "SHA512": hlapi.USM_AUTH_HMAC384_SHA512,
}
SERVICES: dict[str, Any] = {"MD5": HmacMd5(), "SHA": HmacSha()} | {name: HmacSha2(oid) for name, oid in SHA2.items()}
SERVICE_IDS = {"MD5": HmacMd5.SERVICE_ID, "SHA": HmacSha.SERVICE_ID} | SHA2
HASHES = {"MD5": md5, "SHA": sha1} | {name: HmacSha2.HASH_ALGORITHM[oid] for name, oid in SHA2.items()}
CIPHERS: dict[str, Any] = {
    "DES": Des(),
    "AES": Aes(),
    "AES192": aes192.AesBlumenthal192(),
    "AES256": aes256.AesBlumenthal256(),
    "AES192C": aes192.Aes192(),
    "AES256C": aes256.Aes256(),
}
SIZES = {"MD5": 12, "SHA": 12, "SHA224": 16, "SHA256": 24, "SHA384": 32, "SHA512": 48}
LEVELS = {"noAuthNoPriv": 0, "authNoPriv": 1, "authPriv": 3}
STATS = (1, 3, 6, 1, 6, 3, 15, 1, 1)
LEVEL, TIME, USER, ENGINE, DIGEST, DECRYPTION = ((*STATS, number, 0) for number in range(1, 7))
SYS_NAME = (1, 3, 6, 1, 2, 1, 1, 5, 0)


@lru_cache(maxsize=256)
def oracle_key(password: str, digest: str) -> Any:
    """The key of a password, as pysnmp makes it (slowly)."""
    return localkey.hash_passphrase(password.encode(), HASHES[digest])


def oracle_auth_key(password: str, digest: str, engine_id: bytes) -> Any:
    """The localised key."""
    return localkey.localize_key(oracle_key(password, digest), univ.OctetString(engine_id), HASHES[digest])


@lru_cache(maxsize=256)
def oracle_priv_key(password: str, digest: str, cipher: str, engine_id: bytes) -> Any:
    """The localised key of a privacy protocol."""
    key = oracle_key(password, digest)
    return CIPHERS[cipher].localize_key(SERVICE_IDS[digest], key, univ.OctetString(engine_id))


@dataclass(frozen=True)
class Request:
    """A request as pysnmp reads it."""

    message_id: int
    flags: int
    engine_id: bytes
    boots: int
    time: int
    user: bytes
    salt: bytes
    context: tuple[bytes, bytes]
    pdu: Any
    request_id: int


@dataclass
class Device:
    """An authoritative engine. `now` is its clock in seconds; `auth` the only user it knows."""

    auth: Auth
    engine_id: bytes = bytes.fromhex("80001f8880e9630000d61ff449")
    boots: int = 3
    now: int = 5_000
    value: bytes = b"canary-name"
    heard: list[Request] = field(default_factory=list)

    @property
    def level(self) -> int:
        """The level it wants, as flags."""
        return LEVELS[self.auth.security_level]

    def answer(self, datagram: bytes) -> bytes:
        """What RFC 3414 3.2 makes of a request."""
        message, parameters = self._outer(datagram)
        flags = bytes(message["msgGlobalData"]["msgFlags"])[0]
        if bytes(parameters["msgAuthoritativeEngineId"]) != self.engine_id:
            return self.report(message_id(message), ENGINE)
        if bytes(parameters["msgUserName"]) != self.auth.username.encode():
            return self.report(message_id(message), USER)
        if flags & 3 != self.level:
            return self.report(message_id(message), LEVEL)
        try:
            request = self.read(datagram)
        except error.StatusInformation:
            return self.report(message_id(message), DIGEST)
        self.heard.append(request)
        if self.level and (request.boots != self.boots or abs(request.time - self.now) > 150):
            return self.report(request.message_id, TIME, level=1)
        return self.respond(request)

    def read(self, datagram: bytes) -> Request:
        """Check and decrypt a request. Raises pysnmp's StatusInformation for a wrong digest."""
        message, parameters = self._outer(datagram)
        flags = bytes(message["msgGlobalData"]["msgFlags"])[0]
        boots, time = (int(parameters[f"msgAuthoritativeEngine{name}"]) for name in ("Boots", "Time"))
        salt = bytes(parameters["msgPrivacyParameters"])
        if flags & 1:
            digest = parameters["msgAuthenticationParameters"]
            if len(digest) != SIZES[self.auth.auth_protocol]:
                raise error.StatusInformation
            SERVICES[self.auth.auth_protocol].authenticate_incoming_message(self._auth_key(), digest, datagram)
        if flags & 2:
            secret = message["msgData"]["encryptedPDU"]
            cipher = CIPHERS[self.auth.priv_protocol]
            plain = cipher.decrypt_data(self._priv_key(), (boots, time, univ.OctetString(salt)), secret)
            scoped, _ = decoder.decode(plain, asn1Spec=ScopedPDU())
        else:
            scoped = message["msgData"]["plaintext"]
        pdu = scoped["data"].getComponent()
        context = bytes(scoped["contextEngineId"]), bytes(scoped["contextName"])
        user = bytes(parameters["msgUserName"])
        engine_id = bytes(parameters["msgAuthoritativeEngineId"])
        number = int(pdu["request-id"])
        return Request(message_id(message), flags, engine_id, boots, time, user, salt, context, pdu, number)

    def respond(self, request: Request, level: int | None = None, **changes: Any) -> bytes:
        """A response with one value."""
        pdu = response_pdu(v2c.ResponsePDU(), changes.get("request_id", request.request_id), SYS_NAME, self.value)
        changes = {"context": request.context[1], "user": request.user} | changes
        return self.message(request.message_id, pdu, self.level if level is None else level, **changes)

    def report(self, number: int, oid: tuple[int, ...], level: int = 0, **changes: Any) -> bytes:
        """A report about a request."""
        return self.message(number, response_pdu(v2c.ReportPDU(), number, oid, 7), level, **changes)

    def message(self, number: int, pdu: Any, level: int, context: bytes = b"", **changes: Any) -> bytes:
        """A message of this engine."""
        engine_id = changes.get("engine_id", self.engine_id)
        boots, now = changes.get("boots", self.boots), changes.get("now", self.now)
        message = SNMPv3Message()
        message["msgVersion"] = 3
        header = message["msgGlobalData"]
        header["msgID"], header["msgMaxSize"], header["msgSecurityModel"] = number, 65_507, 3
        header["msgFlags"] = bytes((level,))
        scoped = ScopedPDU()
        scoped["contextEngineId"], scoped["contextName"] = engine_id, context
        scoped["data"].setComponentByType(pdu.tagSet, pdu, verifyConstraints=False)
        salt = b""
        if level & 2:
            secret, salt = CIPHERS[self.auth.priv_protocol].encrypt_data(
                self._priv_key(), (boots, now, None), encoder.encode(scoped)
            )
            message["msgData"]["encryptedPDU"] = secret
        else:
            message["msgData"]["plaintext"] = scoped
        parameters = UsmSecurityParameters()
        parameters["msgAuthoritativeEngineId"] = engine_id
        parameters["msgAuthoritativeEngineBoots"], parameters["msgAuthoritativeEngineTime"] = boots, now
        parameters["msgUserName"] = changes.get("user", self.auth.username.encode() if level else b"")
        blank = bytes(SIZES[self.auth.auth_protocol]) if level & 1 else b""
        parameters["msgAuthenticationParameters"], parameters["msgPrivacyParameters"] = blank, bytes(salt)
        message["msgSecurityParameters"] = encoder.encode(parameters)
        whole = bytes(encoder.encode(message))
        if level & 1:
            whole = SERVICES[self.auth.auth_protocol].authenticate_outgoing_message(self._auth_key(), whole)
        return whole

    def _outer(self, datagram: bytes) -> tuple[Any, Any]:
        message, rest = decoder.decode(datagram, asn1Spec=SNMPv3Message())
        assert rest == b"" and encoder.encode(message) == datagram  # written as DER would be
        parameters, rest = decoder.decode(bytes(message["msgSecurityParameters"]), asn1Spec=UsmSecurityParameters())
        assert rest == b""
        return message, parameters

    def _auth_key(self) -> Any:
        return oracle_auth_key(self.auth.password, self.auth.auth_protocol, self.engine_id)

    def _priv_key(self) -> Any:
        auth = self.auth
        return oracle_priv_key(auth.priv_password, auth.auth_protocol, auth.priv_protocol, self.engine_id)


def message_id(message: Any) -> int:
    """The id in the plain part."""
    return int(message["msgGlobalData"]["msgID"])


def response_pdu(pdu: Any, number: int, oid: tuple[int, ...], value: bytes | int) -> Any:
    """A response or report with one binding."""
    v2c.apiPDU.set_defaults(pdu)
    v2c.apiPDU.set_request_id(pdu, number)
    cell = v2c.OctetString(value) if isinstance(value, bytes) else v2c.Counter32(value)
    v2c.apiPDU.set_varbinds(pdu, [(v2c.ObjectIdentifier(oid), cell)])
    return pdu
