"""A Prometheus over samples of our own: OpenMetrics, made into blocks by promtool and served by the real thing."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ports import free_port
from promtool import program, promtool

# name with labels, and (second, value) in order
Samples = Iterable[tuple[str, Iterable[tuple[float, float]]]]


def backfill(folder: Path, samples: Samples, evaluation: str) -> Path:
    """Write the samples into blocks below the folder, beside a configuration that evaluates rules so often."""
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "samples.om"
    with text.open("w", encoding="utf-8") as stream:
        for name, values in samples:
            stream.writelines(f"{name} {value:g} {at:.3f}\n" for at, value in values)
        stream.write("# EOF\n")
    # One block for many months: promtool reads the whole file again for each.
    promtool("tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=8760h", "-q", text, folder / "data")
    text.unlink()
    content = f"global: {{scrape_interval: {evaluation}, evaluation_interval: {evaluation}}}\n"
    (folder / "prometheus.yml").write_text(content, encoding="utf-8")
    return folder


@contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """Its address, while it runs over what was written there."""
    address = f"127.0.0.1:{free_port()}"
    files = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    kept = "--storage.tsdb.retention.time=100y"
    with (folder / "log").open("ab") as log:
        command = [program("prometheus"), *files, kept, f"--web.listen-address={address}"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        limit = time.monotonic() + 60
        while not _ready(address):
            assert process.poll() is None and time.monotonic() < limit, (folder / "log").read_text()[-3000:]
            time.sleep(0.1)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
