"""The general path's session: one request at a time over the wire."""

from __future__ import annotations

from egov_exporters.snmp.ber import (
    GET,
    GET_BULK,
    BadMessage,
    Pdu,
    Response,
    Varbind,
    decode_pdu,
    encode_pdu,
    oid_octets,
)
from egov_exporters.snmp.oid import Oid
from egov_exporters.snmp.session import AgentError, BadReply, Traffic
from egov_exporters.snmp.wire import Peer, Volley, Wire


class Dialogue:
    """See `session.Session`."""

    def __init__(self, wire: Wire, peer: Peer) -> None:
        self._wire, self._peer = wire, peer
        self.traffic = Traffic()

    async def get(self, oids: list[Oid]) -> list[Varbind]:
        """See `Session.get`."""
        return await self._exchange(encode_pdu(GET, [oid_octets(oid) for oid in oids]))

    async def get_bulk(self, oids: list[Oid], repetitions: int, once: int = 0) -> list[Varbind]:
        """See `Session.get_bulk`."""
        return await self._exchange(encode_pdu(GET_BULK, [oid_octets(oid) for oid in oids], once, repetitions))

    async def _exchange(self, request: Pdu) -> list[Varbind]:
        volley = self._wire.start(self._peer, [request])
        try:
            await volley.done
        finally:
            self._wire.forget(volley)
            self.traffic.add(volley.traffic)
        response = _response(volley)
        if response.error_status:
            raise AgentError(response.error_status, response.error_index)
        return response.varbinds


def _response(volley: Volley) -> Response:
    try:
        response = decode_pdu(volley.replies[0])
    except BadMessage as why:
        raise BadReply(f"sent a malformed reply ({why})") from None
    if response.request_id != volley.first_id:
        raise BadReply("sent a reply to another request")
    return response
