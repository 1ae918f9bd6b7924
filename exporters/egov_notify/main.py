"""egov-notify serve|deadman|check: the NOC's service, the backup node's look, and whether a configuration is good."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from pathlib import Path
from typing import NoReturn

from egov_notify.config import Config, ConfigError, load_config
from egov_notify.deadman import Watch, look
from egov_notify.service import Service
from egov_notify.store import Store
from egov_notify.web import listen_inside, listen_outside

USAGE, CANNOT = 2, 3
log = logging.getLogger("egov_notify")


def main() -> None:
    """Exit codes: 0 good, 2 usage or a bad configuration, 3 it cannot be done."""
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.WARNING, format="level=%(levelname)s msg=%(message)s", stream=sys.stderr)
    try:
        config = load_config(arguments.config)
        match arguments.command:
            case "serve":
                serve(config, arguments.state, arguments.listen, arguments.watch)
            case "deadman":
                watch = Watch(**json.loads(arguments.config.read_text(encoding="utf-8"))["watch"])
                look(config, watch, Store(arguments.state), arguments.metrics)
            case _:
                print(f"good; {len(config.recipients)} recipients")
    except (ConfigError, KeyError) as why:
        _end(str(why), USAGE)
    except OSError as why:
        _end(f"{why.filename or 'listening'}: {why.strerror or why}", CANNOT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="egov-notify", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("serve", "deadman", "check"):
        command = commands.add_parser(name)
        command.add_argument("--config", type=Path, required=True, help="what render made of the plan's contacts")
        if name != "check":
            command.add_argument("--state", type=Path, required=True, help="a folder of its own")
        if name == "serve":
            command.add_argument(
                "--listen", type=_address, default=("127.0.0.1", 9095), help="HOST:PORT for Alertmanager"
            )
            command.add_argument("--watch", type=_address, help="HOST:PORT for the backup node's look")
        if name == "deadman":
            command.add_argument("--metrics", type=Path, help="node_exporter's folder")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def serve(config: Config, state: Path, inside: tuple[str, int], outside: tuple[str, int] | None) -> None:
    """Hear and send until SIGTERM or SIGINT. Raises OSError when an address cannot be had."""
    service = Service(config, Store(state))
    servers = [listen_inside(service, inside)]
    if outside is not None:
        servers.append(listen_outside(service, outside))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    service.start()
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    log.warning(
        "listens on %s:%d, %d recipients, %d messages wait", *inside, len(config.recipients), len(service.state.waiting)
    )
    ended.wait()
    for server in servers:
        server.shutdown()
    service.stop()


def _end(sentence: str, code: int) -> NoReturn:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(code)
