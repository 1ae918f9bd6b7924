"""An operator's message centre in the lab: speaks SMPP 3.4, takes what the SMS service hands over, and keeps it.

    python -m egovctl.lab.smsc --listen 10.64.2.10:2775 --log /run/egov-lab/lab/smsc.jsonl --plan DIR --secret-file F

It stands in for a centre that no lab can reach. Who logs in with another user or password is refused. Each message that
is taken is a line of JSON in the log, long ones a line a part: when, from, to, what. A receipt of delivery follows
where one is asked for: `DELIVRD`, or `UNDELIV` for numbers that end in 404.
"""

from __future__ import annotations

import hmac
import itertools
import json
import os
import socketserver
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import click

from egovctl.paths import Inventory
from egovctl.plan import City, Plan, load_plan
from egovctl.plan.models import Smsc

SECRET = "sms_smsc_password"  # noqa: S105 - the name, not the value
PASSWORD_LENGTH = 8  # of a password SMPP carries no more
LONGEST = 65_536
BINDS = {1, 2, 9}  # receiver, transmitter, transceiver
SUBMIT, DELIVER, UNBIND, ENQUIRE = 0x04, 0x05, 0x06, 0x15
ANSWER = 0x80000000
GOOD, UNKNOWN_COMMAND, BAD_LOGIN = 0x00, 0x03, 0x0E
UCS2, USER_DATA_HEADER = 8, 0x40
LOST = "404"  # numbers that end so are never reached


@dataclass(frozen=True)
class Submitted:
    """What a submit_sm says. `part`: (reference, parts, number) of a long message, else None."""

    sender: str
    to: str
    coding: int
    text: str
    part: tuple[int, int, int] | None
    receipt: bool


def planned_smsc(plan: Plan) -> Smsc | None:
    """The message centre of the service that provides sms; None when there is none."""
    return next((service.sms.smsc for service in plan.services if service.sms), None)


def smsc_listens_at(plan: Plan, city: City) -> str:
    """ADDRESS:PORT that the lab runs it at: where the plan's centre is at control's own address; else ""."""
    centre = planned_smsc(plan)
    if centre is None:
        return ""
    at_control = any(host.role == "control" and host.address_v4 == str(centre.host) for host in city.hosts.values())
    return f"{centre.host}:{centre.port}" if at_control else ""


def read_submit(body: bytes) -> Submitted:
    """A submit_sm's body. Raises ValueError or IndexError when it is none."""
    rest = memoryview(body)

    def word() -> str:
        nonlocal rest
        end = bytes(rest).index(0)
        found, rest = bytes(rest[:end]).decode("ascii"), rest[end + 1 :]
        return found

    def octet() -> int:
        nonlocal rest
        found, rest = rest[0], rest[1:]
        return found

    word()  # the type of service
    octet(), octet()
    sender = word()
    octet(), octet()
    to = word()
    esm = octet()
    octet(), octet(), word(), word()
    receipt = octet()
    octet()
    coding = octet()
    octet()
    length = octet()
    data = bytes(rest[:length])
    if len(data) != length:
        raise ValueError("short")
    part = None
    if esm & USER_DATA_HEADER:
        head, data = data[1 : data[0] + 1], data[data[0] + 1 :]
        if len(head) == 5 and head[:2] == b"\x00\x03":  # an 8-bit reference of concatenation
            part = (head[2], head[3], head[4])
    text = data.decode("utf-16-be" if coding == UCS2 else "latin-1")
    return Submitted(sender, to, coding, text, part, bool(receipt & 1))


def receipt(message: Submitted, identity: str, now: float) -> bytes:
    """The body of the deliver_sm that says what became of a message."""
    lost = message.to.endswith(LOST)
    stamp = time.strftime("%y%m%d%H%M", time.localtime(now))
    state, error = ("UNDELIV", "001") if lost else ("DELIVRD", "000")
    text = (
        f"id:{identity} sub:001 dlvrd:{'000' if lost else '001'} submit date:{stamp} done date:{stamp}"
        f" stat:{state} err:{error} text:"
    ).encode()
    addresses = b"\x01\x01" + message.to.encode() + b"\0\x01\x01" + message.sender.encode() + b"\0"
    return b"\0" + addresses + b"\x04\0\0\0\0\0\0\0\0" + bytes([len(text)]) + text


def serve(centre: Smsc, address: tuple[str, int], log: Path, secret_file: Path) -> None:
    """Answer for ever."""
    numbers, writing = itertools.count(int(time.time())), threading.Lock()

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.bound, self.asked = False, itertools.count(1)
            while (head := self.rfile.read(16)) and len(head) == 16:
                length, command, _, sequence = struct.unpack(">4I", head)
                if not 16 <= length <= LONGEST:
                    return
                body = self.rfile.read(length - 16)
                if command & ANSWER:
                    continue
                self._command(command, sequence, body)
                if command == UNBIND or not self.bound:
                    return

        def _command(self, command: int, sequence: int, body: bytes) -> None:
            if command in BINDS:
                user, password = (part.decode("latin-1") for part in body.split(b"\0")[:2])
                secret = secret_file.read_text(encoding="utf-8").strip() if secret_file.exists() else ""
                good = hmac.compare_digest(password.encode(), secret[:PASSWORD_LENGTH].encode())
                self.bound = bool(secret) and user == centre.user and good
                self._send(command | ANSWER, GOOD if self.bound else BAD_LOGIN, sequence, b"egov-lab\0")
            elif command == SUBMIT and self.bound:
                message, identity = read_submit(body), str(next(numbers))
                _keep(message)
                self._send(command | ANSWER, GOOD, sequence, identity.encode() + b"\0")
                if message.receipt:
                    self._send(DELIVER, GOOD, next(self.asked), receipt(message, identity, time.time()))
            elif command in (ENQUIRE, UNBIND) and self.bound:
                self._send(command | ANSWER, GOOD, sequence, b"")
            else:
                self._send(ANSWER, UNKNOWN_COMMAND, sequence, b"")

        def _send(self, command: int, status: int, sequence: int, body: bytes) -> None:
            self.wfile.write(struct.pack(">4I", 16 + len(body), command, status, sequence) + body)

    def _keep(message: Submitted) -> None:
        line = {"at": time.time(), "from": message.sender, "to": message.to, "text": message.text}
        line |= {"coding": message.coding, "part": message.part}
        with writing, log.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    Server(address, Session).serve_forever()


@click.command()
@click.option("--listen", required=True)
@click.option("--log", type=click.Path(path_type=Path), required=True)
@click.option("--plan", "folder", type=click.Path(path_type=Path), required=True)
@click.option("--secret-file", type=click.Path(path_type=Path), required=True)
def main(listen: str, log: Path, folder: Path, secret_file: Path) -> None:
    """Serve the plan's message centre until it is killed."""
    centre = planned_smsc(load_plan(Inventory(folder)))
    if centre is None:
        raise click.ClickException("the plan has no service that provides sms")
    host, _, port = listen.rpartition(":")
    serve(centre, (host, int(port)), log, secret_file)


if __name__ == "__main__":
    main()
