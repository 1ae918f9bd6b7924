"""What waiting for a datagram costs by itself: a bare loop that sends, sleeps in epoll and receives.

    python tests/bench/snmp/wake.py

Prints microseconds of processor time a packet with one and with four requests under way; the answer comes 20 µs later.
"""

from __future__ import annotations

import multiprocessing
import select
import socket
import time

PACKETS, DELAY = 20_000, 20e-6
REQUEST, REPLY = b"y" * 100, b"x" * 1_000


def respond(source: socket.socket) -> None:
    """Answer until killed."""
    while True:
        _, sender = source.recvfrom(2_000)
        end = time.perf_counter() + DELAY
        while time.perf_counter() < end:
            pass
        source.sendto(REPLY, sender)


def cost(address: tuple[str, int], under_way: int) -> float:
    """Seconds of processor time a packet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking, select.epoll() as poll:
        asking.setblocking(False)
        poll.register(asking.fileno(), select.EPOLLIN)
        begun, received, sent = time.process_time(), 0, 0
        while sent < under_way:
            asking.sendto(REQUEST, address)
            sent += 1
        while received < PACKETS:
            poll.poll(-1, 256)
            for _ in range(under_way):
                try:
                    asking.recv(2_000)
                except BlockingIOError:
                    break
                received += 1
                if sent < PACKETS:
                    asking.sendto(REQUEST, address)
                    sent += 1
        return (time.process_time() - begun) / PACKETS


def main() -> None:
    """Both, twice in turn."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering:
        answering.bind(("127.0.0.1", 0))
        responder = multiprocessing.Process(target=respond, args=(answering,), daemon=True)
        responder.start()
        try:
            for under_way in (1, 4, 1, 4):
                print(f"{under_way} under way: {cost(answering.getsockname(), under_way) * 1e6:.1f} µs a packet")
        finally:
            responder.kill()


if __name__ == "__main__":
    main()
