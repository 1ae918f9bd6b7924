"""SNMP v2c: the community around a PDU (RFC 1901)."""

from __future__ import annotations

from egov_exporters.snmp.ber import (
    OCTET_STRING,
    RESPONSE,
    SEQUENCE,
    VERSION_2C,
    BadMessage,
    encode_integer,
    encode_length,
    encode_tlv,
    read_tlv,
)

LONG_HEADER = 4  # octets of a SEQUENCE's tag and length where it has 256 to 65,535 octets, as nearly every reply has


class Community:
    """See `security.Security`."""

    def __init__(self, community: bytes) -> None:
        self._head = encode_integer(VERSION_2C) + encode_tlv(OCTET_STRING, community)
        self._expected = self._head + bytes((RESPONSE,))
        self._pdu_at = LONG_HEADER + len(self._head)

    def seal(self, request_id: int, pdu: bytes) -> bytes:
        """See `Security.seal`."""
        head = self._head
        return b"\x30" + encode_length(len(head) + len(pdu)) + head + pdu

    def open(self, data: bytes) -> bytes:
        """See `Security.open`. The community of a reply says nothing that the request's id does not say better."""
        pdu = self._pdu_at
        if (
            data[:2] == b"\x30\x82"
            and data[LONG_HEADER : pdu + 1] == self._expected
            and (data[2] << 8 | data[3]) + LONG_HEADER == len(data)
        ):
            return data[pdu:]
        tag, at, end = read_tlv(data, 0, len(data))
        if tag != SEQUENCE or end != len(data):
            raise BadMessage("not one SNMP message")
        if data[at : at + 3] != b"\x02\x01\x01":
            raise BadMessage("not SNMP v2c")
        tag, _, at = read_tlv(data, at + 3, end)
        if tag != OCTET_STRING or at >= end or data[at] != RESPONSE:
            raise BadMessage("not a response")
        return data[at:]

    def doubt(self) -> None:
        """See `Security.doubt`. A community knows nothing."""
