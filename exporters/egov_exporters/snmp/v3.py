"""SNMP v3 sessions through pysnmp. One pysnmp engine per auth: users of the same name but other keys never meet.

pysnmp checks the digest and the time window, discovers engine IDs and re-synchronises after a reboot of the device.
It costs some 0.15 ms of CPU per value; a later engine replaces it behind the same `Session`.
"""

from __future__ import annotations

import socket
from typing import Any

from pyasn1.type.univ import ObjectIdentifier
from pysnmp.hlapi.v3arch import asyncio as hlapi
from pysnmp.proto import errind
from pysnmp.smi.rfc1902 import ObjectIdentity, ObjectType

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import Cell, Varbind
from egov_exporters.snmp.config import Auth
from egov_exporters.snmp.oid import Oid
from egov_exporters.snmp.session import AgentError, BadReply, NoAnswer, Rejected, SessionError, Traffic

TIMEOUT, RETRIES = 2, 2  # seconds, times. Constant: pysnmp remembers a target per address and timeout

AUTH_PROTOCOLS = {
    "MD5": hlapi.USM_AUTH_HMAC96_MD5,
    "SHA": hlapi.USM_AUTH_HMAC96_SHA,
    "SHA224": hlapi.USM_AUTH_HMAC128_SHA224,
    "SHA256": hlapi.USM_AUTH_HMAC192_SHA256,
    "SHA384": hlapi.USM_AUTH_HMAC256_SHA384,
    "SHA512": hlapi.USM_AUTH_HMAC384_SHA512,
}
PRIV_PROTOCOLS = {  # AES192 and AES256 extend the key as Blumenthal's draft says, the C forms as Cisco does (Reeder)
    "DES": hlapi.USM_PRIV_CBC56_DES,
    "AES": hlapi.USM_PRIV_CFB128_AES,
    "AES192": hlapi.USM_PRIV_CFB192_AES_BLUMENTHAL,
    "AES256": hlapi.USM_PRIV_CFB256_AES_BLUMENTHAL,
    "AES192C": hlapi.USM_PRIV_CFB192_AES,
    "AES256C": hlapi.USM_PRIV_CFB256_AES,
}
REJECTIONS: dict[type[errind.ErrorIndication], str] = {
    errind.UnknownUserName: "does not know the user",
    errind.UnknownSecurityName: "does not know the user",
    errind.WrongDigest: "rejects the authentication (wrong password or protocol)",
    errind.AuthenticationFailure: "rejects the authentication (wrong password or protocol)",
    errind.AuthenticationError: "rejects the authentication (wrong password or protocol)",
    errind.DecryptionError: "rejects the encryption (wrong priv_password or priv_protocol)",
    errind.UnsupportedSecurityLevel: "does not offer this security level to the user",
    errind.NoSuchContext: "does not know the context",
    errind.NotInTimeWindow: "insists on another engine time (are two devices sharing one engine ID?)",
    errind.UnknownEngineID: "does not accept its own engine ID",
}


def user_data(auth: Auth) -> hlapi.UsmUserData:
    """The user of `auth` in pysnmp's form, with only the keys that its security level needs."""
    options: dict[str, Any] = {}
    if auth.security_level != "noAuthNoPriv":
        options |= {"authKey": auth.password, "authProtocol": AUTH_PROTOCOLS[auth.auth_protocol]}
    if auth.security_level == "authPriv":
        options |= {"privKey": auth.priv_password, "privProtocol": PRIV_PROTOCOLS[auth.priv_protocol]}
    return hlapi.UsmUserData(auth.username, **options)  # noqa: S509 - the level is the operator's choice


class V3Engine:
    """What all v3 sessions of one auth share: the pysnmp engine, the user and the context.

    pysnmp remembers an address's engine ID for minutes and would stay deaf to a replaced device that long; so once an
    address that used to answer gives nothing, the engine is `stale`, and the next scrape makes a new one.
    """

    def __init__(self, auth: Auth) -> None:
        self.engine = hlapi.SnmpEngine()
        self.user = user_data(auth)
        self.context = hlapi.ContextData(contextName=auth.context_name.encode())
        self.known: set[tuple[str, int]] = set()
        self.stale = False
        self._traffic: dict[tuple[str, int], list[Traffic]] = {}
        self.engine.observer.register_observer(self._count, "rfc3412.sendPdu")

    def _count(self, engine: object, point: object, variables: dict[str, Any], context: object) -> None:
        """pysnmp calls this for each datagram it sends."""
        address = tuple(variables["transportAddress"])[:2]
        for traffic in self._traffic.get((str(address[0]), int(address[1])), ()):
            traffic.sent += 1

    def watch(self, address: tuple[str, int], traffic: Traffic) -> None:
        """Count datagrams to `address` into `traffic`. Two scrapes of one address at a time both count all of them."""
        self._traffic.setdefault(address, []).append(traffic)

    def unwatch(self, address: tuple[str, int], traffic: Traffic) -> None:
        """Stop counting."""
        watchers = [other for other in self._traffic.get(address, ()) if other is not traffic]
        if watchers:
            self._traffic[address] = watchers
        else:
            self._traffic.pop(address, None)

    def close(self) -> None:
        """Give up the sockets."""
        if self.engine.transport_dispatcher:
            self.engine.close_dispatcher()


class V3Session:
    """See `session.Session`. Make one with `open_v3`."""

    def __init__(self, shared: V3Engine, target: Any, address: tuple[str, int]) -> None:
        self._shared = shared
        self._target = target
        self._address = address
        self._requests = 0
        self._replied = False
        self.traffic = Traffic()
        shared.watch(address, self.traffic)

    async def get(self, oids: list[Oid]) -> list[Varbind]:
        """See `Session.get`."""
        return await self._exchange(hlapi.get_cmd, (), oids)

    async def get_bulk(self, oids: list[Oid], repetitions: int) -> list[Varbind]:
        """See `Session.get_bulk`."""
        return await self._exchange(hlapi.bulk_cmd, (0, repetitions), oids)

    def close(self) -> None:
        """See `Session.close`."""
        if self._replied:
            self._shared.known.add(self._address)
        elif self._address in self._shared.known:
            self._shared.stale = True
        self._shared.unwatch(self._address, self.traffic)

    async def _exchange(self, command: Any, numbers: tuple[int, ...], oids: list[Oid]) -> list[Varbind]:
        shared = self._shared
        names = [ObjectType(ObjectIdentity(oid)) for oid in oids]
        before = self.traffic.sent
        try:
            indication, status, index, varbinds = await command(
                shared.engine, shared.user, self._target, shared.context, *numbers, *names, lookupMib=False
            )
        except Exception as why:  # pysnmp raises many kinds for hostile replies; none may end the exporter
            raise BadReply(f"sent a reply that pysnmp cannot take ({type(why).__name__})") from None
        self.traffic.retried += max(self.traffic.sent - before - 1, 0) if self._requests else 0
        self._requests += 1
        if indication:
            raise _session_error(indication)
        self._replied = True
        if int(status):
            raise AgentError(int(status), int(index))
        return [to_varbind(name, value) for name, value in varbinds]


def _session_error(indication: object) -> SessionError:
    """pysnmp's error indication as ours; its own text is not shown, for it may quote what was sent."""
    if isinstance(indication, errind.RequestTimedOut):
        return NoAnswer("does not answer (with SNMP v3 a wrong user or password can also look like this)")
    for kind, sentence in REJECTIONS.items():
        if isinstance(indication, kind):
            return Rejected(sentence)
    return BadReply(f"answered with {type(indication).__name__}")


def to_varbind(name: Any, value: Any) -> Varbind:
    """A pysnmp pair as a Varbind with raw octets; of an unknown type there are none, and decoding drops it."""
    oid = tuple(name.get_oid() if hasattr(name, "get_oid") else name)
    tags = value.tagSet.superTags
    tag = tags[-1].tagClass | tags[-1].tagId
    if tag in ber.EXCEPTIONS or tag == ber.NULL:
        return Varbind(oid, Cell(tag, b""))
    if isinstance(value, ObjectIdentifier):
        return Varbind(oid, Cell(tag, ber.oid_octets(tuple(value))))
    if hasattr(value, "asOctets"):
        return Varbind(oid, Cell(tag, value.asOctets()))
    try:
        return Varbind(oid, Cell(tag, ber.integer_octets(int(value))))
    except (TypeError, ValueError):
        return Varbind(oid, Cell(tag, b""))


async def open_v3(address: tuple[str, int], family: socket.AddressFamily, shared: V3Engine) -> V3Session:
    """Given a resolved address: a session. Raises NoAnswer when there is no route."""
    kind = hlapi.Udp6TransportTarget if family == socket.AF_INET6 else hlapi.UdpTransportTarget
    try:
        target = await kind.create(address, timeout=TIMEOUT, retries=RETRIES)
    except Exception as why:
        raise NoAnswer(f"cannot be reached ({type(why).__name__})") from None
    return V3Session(shared, target, address)
