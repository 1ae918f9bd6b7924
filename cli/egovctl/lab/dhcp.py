"""The untrusted network's address server in the lab: DHCP over IPv4 (RFC 2131), addresses and nothing else.

    python -m egovctl.lab.dhcp --interface internet --server 203.0.113.254/24

It stands in for a carrier of mobile data. A client keeps its address as long as the lab is up; there is no router and
no name server to offer. Nonsense is met with silence.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface

import click

COOKIE = b"\x63\x82\x53\x63"
HEADER = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s")
REQUEST, REPLY, ETHERNET = 1, 2, 1
DISCOVER, OFFER, WANTED, ACKNOWLEDGED = 1, 2, 3, 5
MASK, LEASE, KIND, SERVER, END, PAD = 1, 51, 53, 54, 255, 0
LEASE_SECONDS = 600
FIRST = 200  # of the network's addresses, so that fixed ones stay below


class Leases:
    """Addresses by hardware address, in the order in which clients came."""

    def __init__(self, server: IPv4Interface) -> None:
        self.server = server
        self._leases: dict[bytes, IPv4Address] = {}

    def of(self, hardware: bytes) -> IPv4Address | None:
        """The client's address, a new one for a new client; None when there is none left."""
        if hardware not in self._leases:
            address = self.server.network.network_address + FIRST + len(self._leases)
            if address >= self.server.ip or address not in self.server.network:
                return None
            self._leases[hardware] = address
        return self._leases[hardware]


def answer(message: bytes, leases: Leases) -> bytes | None:
    """The reply to one message; None when it is not for us, or is nonsense."""
    if len(message) < HEADER.size + len(COOKIE) or message[HEADER.size : HEADER.size + 4] != COOKIE:
        return None
    fields = HEADER.unpack_from(message)
    operation, kind, length, _, transaction = fields[:5]
    if (operation, kind, length) != (REQUEST, ETHERNET, 6):
        return None
    wanted = dict(_options(message[HEADER.size + 4 :])).get(KIND)
    reply = {bytes([DISCOVER]): OFFER, bytes([WANTED]): ACKNOWLEDGED}.get(wanted or b"")
    address = leases.of(fields[11][:6]) if reply else None
    if reply is None or address is None:
        return None
    server, none = leases.server, bytes(4)
    head = HEADER.pack(
        *(REPLY, ETHERNET, 6, 0, transaction, 0, 0x8000),
        *(none, address.packed, server.ip.packed, none, fields[11], bytes(64), bytes(128)),
    )
    options = {KIND: bytes([reply]), SERVER: server.ip.packed, LEASE: struct.pack("!I", LEASE_SECONDS)}
    options[MASK] = server.netmask.packed
    listed = b"".join(bytes([code, len(value)]) + value for code, value in options.items())
    return head + COOKIE + listed + bytes([END])


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(code, value) of each option (RFC 2132); ends at the first that is cut off."""
    place = 0
    while place + 1 < len(data) and data[place] != END:
        if data[place] == PAD:
            place += 1
            continue
        code, length = data[place], data[place + 1]
        if place + 2 + length > len(data):
            return
        yield code, data[place + 2 : place + 2 + length]
        place += 2 + length


@click.command()
@click.option("--interface", required=True)
@click.option("--server", required=True, help="This server's address with its length.")
def main(interface: str, server: str) -> None:
    """Answer for ever. Replies are broadcast: the client has no address yet."""
    leases = Leases(IPv4Interface(server))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        link.bind(("", 67))
        while True:
            message, _ = link.recvfrom(4096)
            if (reply := answer(message, leases)) is not None:
                link.sendto(reply, ("255.255.255.255", 68))


if __name__ == "__main__":
    main()
