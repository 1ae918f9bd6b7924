"""The user-based security model of SNMPv3 (RFC 3414) for one device and one user: see `security.Security`.

The device's engine is learned from its report to a first, empty request, and its clock from what it signs. A report
about the clock must be signed and answer our request; then the clock is taken as it is, also backwards: the id under
the digest makes it an answer to this very request. Reports that cannot be signed (an engine or a user that is not
known) change no clock that was ever authenticated.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Hashable
from itertools import count
from typing import NoReturn

from egov_exporters.snmp.ber import RESPONSE, BadMessage
from egov_exporters.snmp.config import Auth
from egov_exporters.snmp.engine import Engine, Engines
from egov_exporters.snmp.security import Again
from egov_exporters.snmp.session import Rejected
from egov_exporters.snmp.v3message import (
    AUTH,
    MAX_NUMBER,
    PRIV,
    REPORT,
    Message,
    Shape,
    discovery,
    parse,
    report_oid,
    request_id,
    scoped_pdu,
)

MAX_ENGINE_ID = 32  # octets
MAX_ENGINES = 4  # kept for one address
MAX_ASKED = 128  # requests that may wait at a time; older ones are forgotten
LEARNINGS = 2  # engines that one request may be told of

_USM, _CONTEXTS = bytes.fromhex("2b060106030f0101"), bytes.fromhex("2b060106030c01")
NOT_IN_TIME, UNKNOWN_ENGINE = _USM + b"\x02", _USM + b"\x04"
OTHER_TIME = "insists on another engine time (are two devices sharing one engine ID?)"
OTHER_ENGINE = "does not accept its own engine ID"
REJECTIONS = {  # names in usmStats (RFC 3414) and snmpTargetObjects (RFC 3413), without the instance
    _USM + b"\x01": "does not offer this security level to the user",
    NOT_IN_TIME: OTHER_TIME,
    _USM + b"\x03": "does not know the user",
    UNKNOWN_ENGINE: OTHER_ENGINE,
    _USM + b"\x05": "rejects the authentication (wrong password or protocol)",
    _USM + b"\x06": "rejects the encryption (wrong priv_password or priv_protocol)",
    _CONTEXTS + b"\x04": "does not offer the context now",
    _CONTEXTS + b"\x05": "does not know the context",
}
REFUSED = "refuses the request with a report that is not known here"


class _Asked:
    """A request under way: what it was sealed for, and which reports about it are still to be expected."""

    __slots__ = ("engine", "generation", "learned", "spare", "synchronised", "unanswered")

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.generation = 0
        self.unanswered = 0  # sealings for this engine and generation
        self.spare = 1  # reports that may repeat what we know: answers to older sealings, and a doubled datagram
        self.learned = 0
        self.synchronised = False


class Usm:
    """See `security.Security`. `open` takes replies to what was sealed, each once; the caller compares addresses."""

    def __init__(
        self, address: Hashable, auth: Auth, engines: Engines | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._address, self._auth, self._engines, self._clock = address, auth, engines, clock
        self._user, self._context = auth.username.encode(), auth.context_name.encode()
        self._current: Engine | None = None
        self._known: dict[bytes, Engine] = {}
        self._asked: dict[int, _Asked] = {}
        self._numbers = count(secrets.randbits(64))  # salts (RFC 3826 3.1.4.1)
        self._shape: Shape | None = None

    @property
    def engine_id(self) -> bytes:
        """The device's engine ID; empty until it is known."""
        return b"" if self._current is None else self._current.engine_id

    def doubt(self) -> None:
        """The device has fallen silent: ask it for its engine again, with the next request.

        It may have been replaced by one that says nothing about a wrong engine ID. What was authenticated is kept.
        """
        self._current = None

    def seal(self, request_id: int, pdu: bytes) -> bytes:
        """See `Security.seal`. `request_id` is from 0 to 2^31 - 1."""
        engine = self._current
        asked = self._asked.get(request_id)
        if asked is None:
            asked = self._remember(request_id)
        if asked.engine is engine and (engine is None or asked.generation == engine.generation):
            asked.unanswered += 1
        else:
            asked.spare += asked.unanswered
            asked.engine, asked.unanswered = engine, 1
        if engine is None:
            return discovery(request_id)
        asked.generation = engine.generation
        return engine.seal(request_id, pdu, next(self._numbers), self._clock())

    def open(self, data: bytes) -> bytes:
        """See `Security.open`."""
        shape = self._shape
        message = None if shape is None else shape.read(data)
        shaped = message is not None
        if message is None:
            message = parse(data)
        asked = self._asked.get(message.message_id)
        if asked is None:
            raise BadMessage("no answer to a request of ours")
        engine, level = asked.engine, message.flags & (AUTH | PRIV)
        ours = engine is not None and message.engine_id == engine.engine_id and message.user == self._user
        if level & AUTH:
            if engine is None or not ours:
                raise BadMessage("signed by somebody else")
            engine.verify(data, message)
        plain, at = data, message.data_at
        if level & PRIV:
            if engine is None or level == PRIV:
                raise BadMessage("encrypted but not signed")
            plain, at = engine.decrypt(data, message), 0
        usual = b"" if engine is None else engine.context
        name, at, inner, end = scoped_pdu(plain, at, len(plain), bool(level & PRIV), usual, self._context)
        if plain[at] == REPORT:
            self._reported(message, asked, report_oid(plain, at, end))
        if plain[at] != RESPONSE or engine is None or not ours or level != engine.level or name != self._context:
            raise BadMessage("not a response to what was asked, or less secure")
        if request_id(plain, inner, end) != message.message_id:
            raise BadMessage("another request's id inside")
        if level:
            engine.hear(message.boots, message.time, self._clock())
        del self._asked[message.message_id]
        if not shaped:
            self._shape = Shape(data)
        if engine is not self._current and engine.authentic and not (self._current and self._current.authentic):
            self._current = engine  # somebody who cannot sign had spoken of another one
        if engine is self._current and self._engines is not None:
            self._engines.note(self._address, engine.engine_id)
        return plain[at:end]

    def _remember(self, number: int) -> _Asked:
        if len(self._asked) >= MAX_ASKED:
            del self._asked[next(iter(self._asked))]
        asked = self._asked[number] = _Asked()
        return asked

    def _reported(self, message: Message, asked: _Asked, name: bytes) -> NoReturn:
        """A report, signed and checked if it has the flag. Raises Again, Rejected or BadMessage."""
        engine, kind = asked.engine, name if name in REJECTIONS else name[:-1]
        if message.flags & AUTH and engine is not None:
            if kind == NOT_IN_TIME:
                self._other_time(message, asked, engine)
            engine.hear(message.boots, message.time, self._clock())
        elif engine is None or kind == UNKNOWN_ENGINE:
            self._other_engine(message, asked)
        elif message.engine_id not in (b"", engine.engine_id) or (kind == NOT_IN_TIME and engine.level):
            raise BadMessage("a report that only its engine could send, and signed")
        del self._asked[message.message_id]
        raise Rejected(REJECTIONS.get(kind, REFUSED))

    def _other_time(self, message: Message, asked: _Asked, engine: Engine) -> NoReturn:
        """The engine, signed: your time is not mine."""
        if asked.synchronised:
            self._repeated(message, asked, OTHER_TIME)
        if asked.generation == engine.generation:
            engine.set_clock(message.boots, message.time, self._clock())
            engine.authentic = True
            engine.generation += 1
        if message.boots == MAX_NUMBER:  # it accepts nobody any more (RFC 3414 2.2.2)
            del self._asked[message.message_id]
            raise Rejected(OTHER_TIME)
        asked.synchronised = True
        asked.unanswered = max(asked.unanswered - 1, 0)
        raise Again

    def _other_engine(self, message: Message, asked: _Asked) -> NoReturn:
        """Somebody at the address, unsigned: I am this engine."""
        if not 1 <= len(message.engine_id) <= MAX_ENGINE_ID:
            raise BadMessage("no engine ID")
        if asked.engine is not None and asked.engine.engine_id == message.engine_id:
            self._repeated(message, asked, OTHER_ENGINE)
        if asked.learned >= LEARNINGS:
            del self._asked[message.message_id]
            raise Rejected(OTHER_ENGINE)
        asked.learned += 1
        asked.unanswered = max(asked.unanswered - 1, 0)
        engine = self._known.get(message.engine_id)
        if engine is None:
            engine = Engine(message.engine_id, self._auth)
            self._known[message.engine_id] = engine
        engine.guess(message.boots, message.time, self._clock())
        self._current = engine
        if len(self._known) > MAX_ENGINES:
            spare = [one for one in self._known.values() if one is not engine]
            del self._known[min(spare, key=lambda one: one.authentic).engine_id]
        raise Again

    def _repeated(self, message: Message, asked: _Asked, sentence: str) -> NoReturn:
        """A report that tells nothing new: late, doubled, or the device is stubborn."""
        if asked.spare > 0:
            asked.spare -= 1
            raise BadMessage("a report that was late")
        del self._asked[message.message_id]
        raise Rejected(sentence)
