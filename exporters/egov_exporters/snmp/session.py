"""What the walk needs from an SNMP session, whatever the version and the library behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from egov_exporters.snmp.ber import Varbind
from egov_exporters.snmp.oid import Oid

TOO_BIG = 1
ERROR_NAMES = {
    1: "tooBig",
    2: "noSuchName",
    3: "badValue",
    4: "readOnly",
    5: "genErr",
    6: "noAccess",
    13: "resourceUnavailable",
    16: "authorizationError",
}


class SessionError(Exception):
    """The target gave no usable reply. `str(error)` completes the sentence "TARGET ..."."""


class NoAnswer(SessionError):
    """Nothing came back."""


class Rejected(SessionError):
    """The target answered that it does not accept us (wrong credentials, context or security level)."""


class BadReply(SessionError):
    """Something came back that is not a reply to the request."""


class AgentError(Exception):
    """The agent replied with an error status; `index` is the variable it complains about, from 1, or 0."""

    def __init__(self, status: int, index: int) -> None:
        super().__init__(ERROR_NAMES.get(status, f"error status {status}"))
        self.status = status
        self.index = index


@dataclass(slots=True)
class Traffic:
    """Datagrams of one session; `sent` includes `retried`."""

    sent: int = 0
    retried: int = 0

    def add(self, other: Traffic) -> None:
        """Count these as well."""
        self.sent += other.sent
        self.retried += other.retried


class Session(Protocol):
    """One conversation with one target. Every call raises SessionError or AgentError."""

    traffic: Traffic

    async def get(self, oids: list[Oid]) -> list[Varbind]:
        """The values of these instances, exceptions such as noSuchObject included."""
        ...

    async def get_bulk(self, oids: list[Oid], repetitions: int, once: int = 0) -> list[Varbind]:
        """Up to `repetitions` successors of each OID, row by row; the agent may send fewer.

        Of the first `once` OIDs (GetBulk's non-repeaters) one successor each, before all others.
        """
        ...
