"""egov-sms: text messages of departments.

  list            every account of the plan, and whether it has a key
  key SITE        makes a new key for a department and shows it, once
  lock SITE       takes a department's key away
  quota           what of the quotas is used, today and this month
  log [SITE]      the messages of this month and the last: when, whose, id, masked number, parts, state

The units run serve, init, fill, probe, wait and copy.
"""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

from egov_sms import admin, metrics
from egov_sms.book import Book
from egov_sms.config import Config, ConfigError, load_config
from egov_sms.kannel import Kannel
from egov_sms.service import Accounts, Service
from egov_sms.web import Server, listen_inside, listen_outside

USAGE, CANNOT = 2, 3
CONFIG = Path("/etc/egov/sms.json")
PATIENCE = 20.0
log = logging.getLogger("egov_sms")


def main() -> None:
    """Exit codes: 0 good, 2 usage or a bad configuration, 3 it cannot be done."""
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.WARNING, format="level=%(levelname)s msg=%(message)s", stream=sys.stderr)
    try:
        _run(arguments)
    except ConfigError as why:
        _end(str(why), USAGE)
    except admin.Wrong as why:
        _end(str(why), CANNOT)
    except OSError as why:
        _end(f"{why.filename or 'listening'}: {why.strerror or why}", CANNOT)


def _parser() -> argparse.ArgumentParser:
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="egov-sms", description=__doc__, formatter_class=shown)
    parser.add_argument("--config", type=Path, default=CONFIG, help="what render made of the plan")
    parser.add_argument("--home", type=Path, default=admin.HOME, help="where accounts and log are")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in ("list", "quota", "copy"):
        commands.add_parser(name)
    for name in ("key", "lock"):
        commands.add_parser(name).add_argument("site")
    commands.add_parser("log").add_argument("site", nargs="?")
    commands.add_parser("init").add_argument("name")
    filled = commands.add_parser("fill")
    filled.add_argument("credentials", type=Path)
    filled.add_argument("target", type=Path)
    commands.add_parser("wait").add_argument("port", type=int)
    commands.add_parser("probe").add_argument("--out", type=Path, required=True)
    commands.add_parser("serve").add_argument("--keys", type=Path, required=True, help="the unit's credentials")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    home: Path = arguments.home
    match arguments.command:
        case "init":
            admin.init(arguments.name, home)
        case "fill":
            admin.fill(arguments.credentials, arguments.target)
        case "wait":
            _wait(arguments.port)
        case "copy":
            admin.copy(home)
        case "log":
            _print(admin.logged(arguments.site, home))
        case command:
            _with_config(command, load_config(arguments.config), arguments)


def _with_config(command: str, config: Config, arguments: argparse.Namespace) -> None:
    home: Path = arguments.home
    match command:
        case "list":
            _print(admin.listed(config, home))
        case "quota":
            _print(admin.quotas(config, home))
        case "key":
            print(admin.new_key(config, arguments.site, home))
        case "lock":
            admin.lock(config, arguments.site, home)
        case "probe":
            address = (config.listen[0], config.port)
            metrics.write(arguments.out, metrics.probe(address, config.inside, admin.KEYS / "sms.crt"))
        case _:
            serve(config, home, arguments.keys)


def _print(lines: list[str]) -> None:
    sys.stdout.write("".join(line + "\n" for line in lines))


def _wait(port: int) -> None:
    """Until something listens at a port of the loopback. Raises Wrong."""
    limit = time.monotonic() + PATIENCE
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2):
                return
        except OSError:
            if time.monotonic() > limit:
                raise admin.Wrong(f"nothing listens at port {port} after {PATIENCE:.0f} s") from None
            time.sleep(0.1)


def serve(config: Config, home: Path, keys: Path) -> None:
    """Take messages until SIGTERM or SIGINT. Raises OSError when an address cannot be had or a file cannot be read."""
    book = Book(home / admin.LOG, time.time())
    if left := book.settle(time.time()):
        log.error("of %d messages nobody knows whether Kannel has them: they are on record as unknown", left)
    kannel = Kannel(
        config.kannel,
        config.status,
        f"http://127.0.0.1:{config.inside}/receipt",
        (keys / "password").read_text(encoding="utf-8").strip(),
    )
    salt = (home / admin.SALT).read_bytes().strip()
    service = Service(config, book, Accounts(home / admin.ACCOUNTS), kannel, salt)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(keys / "sms.crt", keys / "sms.key")
    servers: list[Server] = [listen_inside(service, ("127.0.0.1", config.inside))]
    servers += [listen_outside(service, (address, config.port), context) for address in config.listen]
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    log.warning(
        "listens on port %d, %d accounts, %d messages on record", config.port, len(config.accounts), len(book.entries)
    )
    ended.wait()
    for server in servers:
        server.shutdown()


def _end(sentence: str, code: int) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(code)
