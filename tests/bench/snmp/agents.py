"""Simulated switches for the bench: every address of 127.0.0.0/8 is one, all answered from one socket.

    python tests/bench/snmp/agents.py --community public --v3 noc:auth-password:priv-password [--port 1161]

The address says what is behind it: 127.48.x.y has 48 ports, 127.148.x.y the same in a family that bears several
requests at a time, 127.50.x.y has 500; any other is not answered. It prints one line of JSON when it is ready, then
reads commands from standard input, one a line, each answered by a line of JSON; it ends with its input:

    counts | reset | freeze [SECONDS] | thaw | delay MILLISECONDS | loss SHARE | reboot

Values change once a second, so a reply is worked out once a second and then only gets each request's id. Delayed
replies do not wait for each other. Its passwords are toys of the bench: nothing real may be given here.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from agent_usm import AUTH, LARGEST, PRIV, User, Usm
from answers import Malformed, answer, expect, integer, read
from mib import KNOWN, Mib, length, switch

SMALL, FAMILY, LARGE = 48, 148, 50  # second octet of an address
PORTS = {SMALL: 48, FAMILY: 48, LARGE: 500}
KEPT_REPLIES = 20_000
V2C_OVERHEAD = 4 + 3 + 4 + 6 + 6 + 4  # octets around the bindings of a v2c reply, at most, but for the community
SEED = 20_261
BATCH = 64  # datagrams that are read before anything else is looked at


@dataclass
class Counts:
    """Of one community or user. `in_flight`: the most requests of one target that waited for their reply at a time."""

    requests: int = 0
    request_octets: int = 0
    replies: int = 0
    reply_octets: int = 0
    lost: int = 0
    in_flight: int = 0


def mibs() -> dict[int, Mib]:
    """What is behind the addresses, by second octet."""
    return {SMALL: switch(PORTS[SMALL]), FAMILY: switch(PORTS[FAMILY], KNOWN), LARGE: switch(PORTS[LARGE])}


class Responder:
    """Datagram → reply, for all addresses. Knows nothing of sockets."""

    def __init__(self, behind: Mapping[int, Mib], communities: list[bytes], users: list[User]) -> None:
        self.mibs = behind
        self.communities = frozenset(communities)
        self.usm = Usm(users)
        self.frozen: int | None = None
        self._second = -1
        self._kept: dict[tuple[int, int, int, bytes], bytes] = {}

    def reply(self, data: bytes, address: bytes, now: float) -> tuple[bytes, bytes]:
        """(community or user, reply). Raises Malformed when nothing is to be said."""
        second = int(now) if self.frozen is None else self.frozen
        if second != self._second or len(self._kept) > KEPT_REPLIES:
            self._second = second
            self._kept.clear()
        place = address[1]
        if place not in self.mibs:
            raise Malformed("nobody at this address")
        at = 2 if data[1] < 0x80 else 2 + (data[1] & 0x7F)
        if data[at : at + 3] == b"\x02\x01\x03":
            return self.usm.handle(data, address, now, lambda kind, rest, room: self._rest(place, kind, rest, room))
        if data[at : at + 3] != b"\x02\x01\x01":
            raise Malformed("neither v2c nor v3")
        start, end = expect(data, at + 3, len(data), 0x04)
        community = data[start:end]
        if community not in self.communities:
            raise Malformed("unknown community")
        head = data[at:end]
        kind, at, end = read(data, end, len(data))
        _, after_id = integer(data, at, end)
        request_id = data[at:after_id]
        rest = self._rest(place, kind, data[after_id:end], LARGEST - V2C_OVERHEAD - 2 - len(community))
        size = len(request_id) + len(rest)
        pdu = b"\xa2" + length(size) + request_id + rest
        return community, b"\x30" + length(len(head) + len(pdu)) + head + pdu

    def _rest(self, place: int, kind: int, rest: bytes, room: int) -> bytes:
        key = (place, kind, room, rest)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = answer(self.mibs[place], self._second, kind, rest, room)
        return found


class Server:
    """The socket, the replies that wait, and the commands."""

    def __init__(self, responder: Responder, port: int) -> None:
        self.responder = responder
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")  # 0.0.0.0, yet not for the network
        self.socket.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_PKTINFO", 8), 1)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.socket.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
        self.socket.bind(("0.0.0.0", port))
        self.socket.setblocking(False)
        self.delay, self.loss = 0.0, 0.0
        self.counts: dict[str, Counts] = {}
        self._chance = random.Random(SEED)
        self._waiting: deque[tuple[float, bytes, list[tuple[int, int, bytes]], tuple[str, int], Counts, bytes]] = (
            deque()
        )
        self._outstanding: dict[tuple[int, bytes], int] = {}
        self._typed = b""

    def run(self) -> None:
        """Until standard input ends."""
        print(json.dumps({"port": self.socket.getsockname()[1]}), flush=True)
        while True:
            timeout = max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None
            ready, _, _ = select.select([self.socket, 0], [], [], timeout)
            if self._waiting:
                self._send_due()
            if self.socket in ready:
                self._receive()
            if 0 in ready and not self._commands():
                return

    def _receive(self) -> None:
        receive, send, handle = self.socket.recvmsg, self.socket.sendmsg, self.responder.reply
        now = time.monotonic()
        for _ in range(BATCH):
            try:
                data, where, _, sender = receive(65_535, 64)
            except BlockingIOError:
                return
            address = where[0][2][8:12]
            try:
                who, reply = handle(data, address, now)
            except (Malformed, IndexError):
                continue
            counts = self.counts.get(who.decode("latin-1")) or self.counts.setdefault(who.decode("latin-1"), Counts())
            counts.requests += 1
            counts.request_octets += len(data)
            if self.loss and self._chance.random() < self.loss:
                counts.lost += 1
                continue
            if self.delay:
                key = (id(counts), address)
                waiting = self._outstanding[key] = self._outstanding.get(key, 0) + 1
                counts.in_flight = max(counts.in_flight, waiting)
                due = time.monotonic() + self.delay
                self._waiting.append((due, reply, where, sender, counts, address))
                continue
            counts.replies += 1
            counts.reply_octets += len(reply)
            try:  # what came with the request says which address it was sent to: the reply goes out from there
                send([reply], where, 0, sender)
            except OSError:
                counts.lost += 1

    def _send_due(self) -> None:
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, reply, where, sender, counts, address = self._waiting.popleft()
            key = (id(counts), address)
            self._outstanding[key] -= 1
            if not self._outstanding[key]:
                del self._outstanding[key]
            counts.replies += 1
            counts.reply_octets += len(reply)
            try:
                self.socket.sendmsg([reply], where, 0, sender)
            except OSError:
                counts.lost += 1

    def _commands(self) -> bool:
        """Whether there is more to come."""
        typed = os.read(0, 4096)
        if not typed:
            return False
        *lines, self._typed = (self._typed + typed).split(b"\n")
        for line in lines:
            print(json.dumps(self._command(line.decode().split())), flush=True)
        return True

    def _command(self, words: list[str]) -> object:
        match words:
            case ["counts"]:
                return {name: asdict(counts) for name, counts in self.counts.items()}
            case ["reset"]:
                self.counts = {}
            case ["freeze"]:
                self.responder.frozen = int(time.monotonic())
            case ["freeze", seconds]:
                self.responder.frozen = int(seconds)
            case ["thaw"]:
                self.responder.frozen = None
            case ["delay", milliseconds]:
                self.delay = float(milliseconds) / 1000
            case ["loss", share]:
                self.loss = float(share)
            case ["reboot"]:
                self.responder.usm.reboot()
            case _:
                return {"error": f"unknown command {' '.join(words)!r}"}
        return {}


def user(text: str) -> User:
    """NAME, NAME:PASSWORD or NAME:PASSWORD:PRIV_PASSWORD; the level follows."""
    name, *passwords = (part.encode() for part in text.split(":"))
    level = (0, AUTH, AUTH | PRIV)[len(passwords)]
    return User(name, level, *passwords)


def main() -> None:
    parser = argparse.ArgumentParser(prog="agents.py")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--community", action="append", default=[])
    parser.add_argument("--v3", action="append", default=[], type=user, metavar="NAME[:PASSWORD[:PRIV_PASSWORD]]")
    options = parser.parse_args()
    responder = Responder(mibs(), [name.encode() for name in options.community], options.v3)
    try:
        Server(responder, options.port).run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
