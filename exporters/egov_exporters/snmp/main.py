"""egov-snmp-exporter: reads the configuration, listens, and stops or reloads on signals."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import click
from aiohttp import web

from egov_exporters.snmp.config import Config, ConfigError, load_config
from egov_exporters.snmp.profiles import ProfileError, load_profiles
from egov_exporters.snmp.selfmetrics import package_version
from egov_exporters.snmp.web import Exporter

log = logging.getLogger("egov_snmp_exporter")

USAGE, CANNOT_SERVE = 2, 3
SHUTDOWN_SECONDS = 5.0


def parse_listen(text: str) -> tuple[str, int]:
    """HOST:PORT or [HOST]:PORT as a pair. Raises click.BadParameter."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise click.BadParameter(f"{text!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def reload(exporter: Exporter, path: Path) -> None:
    """Read the configuration again; a bad one is named in the log and the old one stays in use."""
    try:
        config = load_config(path)
    except ConfigError as why:
        exporter.metrics.reload_ok.set(0)
        log.error("configuration not reloaded, the old one stays in use: %s", why)
        return
    take(exporter, config)
    log.warning("configuration reloaded: %d auths", len(config.auths))


def take(exporter: Exporter, config: Config) -> None:
    """Use this configuration from now on."""
    exporter.take(config)
    exporter.metrics.reload_ok.set(1)
    exporter.metrics.reload_time.set(time.time())


def _quiet(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A stray datagram that upset a library: one line, without the datagram."""
    why = context.get("exception")
    log.warning("ignored in the background: %s", type(why).__name__ if why else context.get("message"))


async def serve(exporter: Exporter, path: Path, host: str, port: int) -> None:
    """Answer until SIGTERM or SIGINT; SIGHUP reloads. Raises OSError when the address cannot be had."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_quiet)
    take(exporter, exporter.config)
    runner = web.AppRunner(exporter.app(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, reload, exporter, path)
        addresses = ", ".join(f"{address[0]}:{address[1]}" for address in runner.addresses)
        log.warning("version %s listens on %s with %d auths", package_version(), addresses, len(exporter.config.auths))
        await stop.wait()
        log.warning("stopping")
    finally:
        await runner.cleanup()
        exporter.wire.close()


def _end(sentence: str, code: int) -> NoReturn:
    click.echo(f"error: {sentence}", err=True)
    sys.exit(code)


@click.command()
@click.option("--config", required=True, type=click.Path(path_type=Path), help="YAML file with `auths:`.")
@click.option("--listen", default="127.0.0.1:9116", show_default=True, help="HOST:PORT to answer HTTP on.")
@click.version_option(package_version(), prog_name="egov-snmp-exporter")
def main(config: Path, listen: str) -> None:
    """Prometheus exporter for SNMP devices; a drop-in for snmp_exporter's module if_mib."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    host, port = parse_listen(listen)
    try:
        exporter = Exporter(load_config(config), load_profiles())
    except (ConfigError, ProfileError) as why:
        _end(str(why), USAGE)
    try:
        asyncio.run(serve(exporter, config, host, port))
    except OSError as why:
        _end(f"cannot listen on {listen}: {why.strerror or why}", CANNOT_SERVE)


if __name__ == "__main__":
    main()
