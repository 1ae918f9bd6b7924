"""The event loop that takes datagrams while the selector has them in hand."""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from egov_exporters.snmp.turns import DatagramLoop, Turns


@contextmanager
def loop_of_datagrams() -> Iterator[tuple[DatagramLoop, socket.socket, socket.socket]]:
    """A loop, a socket whose datagrams are to be taken, and one to send to it from."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        asyncio.Runner(loop_factory=DatagramLoop) as runner,
    ):
        taken.bind(("127.0.0.1", 0))
        taken.setblocking(False)
        sender.connect(taken.getsockname())
        loop = runner.get_loop()
        assert isinstance(loop, DatagramLoop)
        yield loop, taken, sender


def test_whoever_waits_is_told_by_the_taker() -> None:
    with loop_of_datagrams() as (loop, taken, sender):
        done: asyncio.Future[bytes] = loop.create_future()
        loop.take(taken, lambda _: done.set_result(taken.recv(100)))
        sender.send(b"one")
        assert loop.run_until_complete(asyncio.wait_for(done, 5)) == b"one"


def test_a_dialogue_goes_on_without_a_turn_of_the_loop() -> None:
    """Ten replies, each answered by the next request: the loop is woken once, at the end."""
    with loop_of_datagrams() as (loop, taken, sender):
        done: asyncio.Future[None] = loop.create_future()
        came: list[bytes] = []

        def take(_: int) -> None:
            came.append(taken.recv(100))
            if len(came) == 10:
                done.set_result(None)
            else:
                sender.send(b"%d" % len(came))

        loop.take(taken, take)
        turns = 0
        select = loop._turns.select

        def counted(timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            nonlocal turns
            turns += 1
            return select(timeout)

        loop._turns.select = counted  # type: ignore[method-assign]
        sender.send(b"0")
        loop.run_until_complete(done)
        assert came == [b"%d" % number for number in range(10)]
        assert turns <= 3


def test_a_flood_does_not_keep_timers_and_other_files_waiting() -> None:
    with loop_of_datagrams() as (loop, taken, sender):

        def take(_: int) -> None:
            taken.recv(100)
            sender.send(b"again")  # there is always another one

        async def others() -> bytes:
            here, there = socket.socketpair()
            with here, there:
                here.setblocking(False)
                loop.call_later(0.05, there.send, b"late")
                await asyncio.sleep(0.01)
                return await asyncio.wait_for(loop.sock_recv(here, 10), 5)

        loop.take(taken, take)
        sender.send(b"first")
        assert loop.run_until_complete(others()) == b"late"


def test_what_a_taker_breaks_is_logged_and_the_loop_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    with loop_of_datagrams() as (loop, taken, sender):
        done: asyncio.Future[None] = loop.create_future()

        def take(_: int) -> None:
            if taken.recv(100) == b"bad":
                raise ValueError("a bad one")
            done.set_result(None)

        loop.take(taken, take)
        sender.send(b"bad")
        sender.send(b"good")
        loop.run_until_complete(asyncio.wait_for(done, 5))
    assert "a bad one" in caplog.text


def test_nothing_is_taken_any_more_after_leaving() -> None:
    with loop_of_datagrams() as (loop, taken, sender):
        came: list[bytes] = []
        loop.take(taken, lambda _: came.append(taken.recv(100)))
        loop.leave(taken)
        loop.leave(taken)  # once more is no fault
        sender.send(b"one")
        loop.run_until_complete(asyncio.sleep(0.02))
        assert came == []


def test_streams_and_threads_work_as_ever() -> None:
    with loop_of_datagrams() as (loop, _, _):

        async def work() -> bytes:
            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(await reader.readline() * 100_000)  # more than a socket takes at once
                await writer.drain()
                writer.close()

            async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.write(b"hello\n")
                said = await reader.read()
                writer.close()
            return said + str(await asyncio.to_thread(os.getpid)).encode()

        assert loop.run_until_complete(asyncio.wait_for(work(), 20)) == b"hello\n" * 100_000 + str(os.getpid()).encode()


def test_a_selector_as_the_loop_wants_it() -> None:
    turns = Turns()
    here, there = socket.socketpair()
    with here, there:
        turns.register(here, selectors.EVENT_READ, "data")
        with pytest.raises(KeyError):
            turns.register(here, selectors.EVENT_READ)
        assert turns.select(0) == []
        there.send(b"x")
        ((key, events),) = turns.select(1)
        assert (key.data, events) == ("data", selectors.EVENT_READ)
        turns.modify(here, selectors.EVENT_READ | selectors.EVENT_WRITE, "both")
        ((key, events),) = turns.select(1)
        assert (key.data, events) == ("both", selectors.EVENT_READ | selectors.EVENT_WRITE)
        assert turns.get_key(here.fileno()) == key
        turns.unregister(here)
        with pytest.raises(KeyError):
            turns.get_key(here.fileno())
        assert turns.select(0.001) == []
    turns.close()
