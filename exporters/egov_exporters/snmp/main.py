"""egov-snmp-exporter: serves, and its tools for people: walk, explain, check-profile."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click
from aiohttp import web

from egov_exporters.snmp.config import Config, load_config
from egov_exporters.snmp.logs import LogFormatter
from egov_exporters.snmp.profiles import ProfileError, check_profile, load_profiles
from egov_exporters.snmp.secret_yaml import ConfigError
from egov_exporters.snmp.selfmetrics import package_version
from egov_exporters.snmp.tools import explain, walk
from egov_exporters.snmp.turns import DatagramLoop
from egov_exporters.snmp.web import Exporter
from egov_exporters.snmp.web_config import BasicAuth, WebConfig, load_web_config, server_context

log = logging.getLogger("egov_snmp_exporter")

FOUND_WRONG, USAGE, CANNOT_SERVE = 1, 2, 3
SHUTDOWN_SECONDS = 5.0


def parse_listen(text: str) -> tuple[str, int]:
    """HOST:PORT or [HOST]:PORT as a pair. Raises click.BadParameter."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise click.BadParameter(f"{text!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


@dataclass
class Service:
    """The exporter, and what a reload reads again."""

    exporter: Exporter
    path: Path
    web_path: Path | None = None

    def read_again(self) -> None:
        """Take the configuration as it is now. Raises ConfigError: the old one stays in use."""
        try:
            config = load_config(self.path)
            users = load_web_config(self.web_path).users if self.web_path else {}
        except ConfigError as why:
            self.exporter.metrics.reload_ok.set(0)
            log.error("configuration not reloaded, the old one stays in use: %s", why)
            raise
        if self.exporter.guard is not None:
            self.exporter.guard.use(users)
        self.take(config)
        log.warning("configuration reloaded: %d auths", len(config.auths))

    def on_signal(self) -> None:
        """SIGHUP: what was wrong is in the log."""
        try:
            self.read_again()
        except ConfigError:
            return

    def take(self, config: Config) -> None:
        """Use this configuration from now on."""
        self.exporter.take(config)
        self.exporter.metrics.reload_ok.set(1)
        self.exporter.metrics.reload_time.set(time.time())


def _quiet(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A stray datagram that upset a library: one line, without the datagram."""
    why = context.get("exception")
    log.warning("ignored in the background: %s", type(why).__name__ if why else context.get("message"))


async def serve(service: Service, listen: tuple[str, int], web_config: WebConfig, traps: list[tuple[str, int]]) -> None:
    """Answer until SIGTERM or SIGINT; SIGHUP reloads. Raises OSError when an address cannot be had."""
    exporter, loop = service.exporter, asyncio.get_running_loop()
    loop.set_exception_handler(_quiet)
    service.take(exporter.config)
    runner = web.AppRunner(exporter.app(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    async with AsyncExitStack() as stack:
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.callback(exporter.wire.close)
        context = server_context(web_config.tls) if web_config.tls else None
        server = await exporter.listen(runner, listen, context)
        stack.callback(server.close)
        if traps or os.environ.get("LISTEN_FDS"):
            await _hear(exporter, traps, stack)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, service.on_signal)
        addresses = ", ".join("{}:{}".format(*one.getsockname()[:2]) for one in server.sockets)
        log.warning("version %s listens on %s with %d auths", package_version(), addresses, len(exporter.config.auths))
        await stop.wait()
        log.warning("stopping")


async def _hear(exporter: Exporter, listen: list[tuple[str, int]], stack: AsyncExitStack) -> None:
    """Receive traps on these addresses and on the sockets that systemd passed."""
    # Here, and not above: pysnmp takes half a second and 30 MB, and who receives no traps needs none of it.
    from egov_exporters.snmp.trap_metrics import TrapMetrics
    from egov_exporters.snmp.trap_polls import TrapPolls
    from egov_exporters.snmp.traps import passed_sockets, print_line, serve_traps

    polls, registry = TrapPolls(exporter.wire, exporter.devices, print_line), exporter.metrics.registry
    registry.register(polls)
    receiver = await serve_traps(exporter.config.auths, [*passed_sockets(), *listen], TrapMetrics(registry), polls)
    stack.callback(receiver.close)
    exporter.on_take = lambda config: receiver.use(config.auths)
    log.warning("receives traps on %s", ", ".join(f"{host}:{port}" for host, port in receiver.addresses))


def _end(sentence: str, code: int) -> NoReturn:
    click.echo(f"error: {sentence}", err=True)
    sys.exit(code)


def _config(path: Path | None) -> Config:
    if path is None:
        _end("--config FILE is missing", USAGE)
    try:
        return load_config(path)
    except ConfigError as why:
        _end(str(why), USAGE)


CONFIG = click.option("--config", type=click.Path(path_type=Path), help="YAML file with `auths:`, and `targets:`.")
AUTH = click.option("--auth", default="", help="Name of an auth; else what the configuration sets for the target.")


@click.group(invoke_without_command=True)
@CONFIG
@click.option("--listen", default="127.0.0.1:9116", show_default=True, help="HOST:PORT to answer HTTP on.")
@click.option("--web-config", type=click.Path(path_type=Path), help="TLS and passwords, in exporter-toolkit's form.")
@click.option("--traps", multiple=True, help="HOST:PORT to receive traps and informs on (UDP); may come again.")
@click.option(
    "--in-flight", type=click.IntRange(1, 8), default=1, show_default=True,
    help="Requests that may wait at a device; more where its family's profile says so.",
)  # fmt: skip
@click.option("--check-config", is_flag=True, help="Say whether the files are good, and end.")
@click.version_option(package_version(), prog_name="egov-snmp-exporter")
@click.pass_context
def main(
    context: click.Context,
    config: Path | None,
    listen: str,
    web_config: Path | None,
    traps: tuple[str, ...],
    in_flight: int,
    check_config: bool,
) -> None:
    """Prometheus exporter for SNMP devices; a drop-in for snmp_exporter's module if_mib.

    Without a command it serves.
    """
    if context.invoked_subcommand is not None:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    address, heard = parse_listen(listen), [parse_listen(one) for one in traps]
    read = _config(config)
    try:
        web_read = load_web_config(web_config) if web_config else WebConfig(None, {})
        profiles = load_profiles()
    except (ConfigError, ProfileError) as why:
        _end(str(why), USAGE)
    if check_config:
        click.echo(f"{config}: good; {len(read.auths)} auths, {len(profiles)} modules")
        return
    guard = BasicAuth(web_read.users) if web_read.users else None
    exporter = Exporter(read, profiles, guard=guard, in_flight=in_flight)
    service = Service(exporter, config or Path(), web_config)
    exporter.read_again = service.read_again
    try:
        with asyncio.Runner(loop_factory=DatagramLoop) as runner:
            runner.run(serve(service, address, web_read, heard))
    except OSError as why:
        _end(f"cannot listen on {', '.join([listen, *traps])}: {why.strerror or why}", CANNOT_SERVE)


@main.command("walk")
@click.argument("target")
@click.argument("oid", default="1.3.6.1.2.1")
@CONFIG
@AUTH
def walk_command(target: str, oid: str, config: Path | None, auth: str) -> None:
    """What a device has below OID, one object a line, as it came."""
    _run(walk(_config(config), target, auth, oid))


@main.command("explain")
@click.argument("target")
@click.option("--module", default="auto", show_default=True, help="Modules with commas; auto: what its family has.")
@CONFIG
@AUTH
def explain_command(target: str, module: str, config: Path | None, auth: str) -> None:
    """What each module finds on a device, object by object."""
    _run(explain(_config(config), target, auth, module))


@main.command("check-profile")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def check_profile_command(files: tuple[Path, ...]) -> None:
    """Whether profile files are good; each fault is one line with its place."""
    faults = [fault for path in files for fault in check_profile(path)]
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        sys.exit(FOUND_WRONG)
    click.echo(f"{len(files)} good")


def _run(work: Any) -> None:
    """Run a tool; its sentence and exit code are the command's."""
    try:
        sentence, code = asyncio.run(work)
    except KeyboardInterrupt:
        sys.exit(130)
    if sentence:
        _end(sentence, code)


if __name__ == "__main__":
    main()
