"""How a request becomes a datagram and a datagram a reply, whatever the version of SNMP."""

from __future__ import annotations

from typing import Protocol


class Again(Exception):
    """Something was learned of the device (its engine, its clock): seal the same request again and send it."""


class Security(Protocol):
    """The security of one device: v2c's community, or the user-based model of v3 (RFC 3414)."""

    def seal(self, request_id: int, pdu: bytes) -> bytes:
        """Given a PDU, from its tag on, whose request id is `request_id`: the datagram."""
        ...

    def open(self, data: bytes) -> bytes:
        """Given a datagram: the response PDU in it, from its tag on.

        Raises BadMessage (it is dropped, and counted), Again, or Rejected (the scrape ends).
        """
        ...

    def doubt(self) -> None:
        """The device has fallen silent: what was learned of it may be another's."""
        ...
