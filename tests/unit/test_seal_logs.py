"""egov-seal-logs: a day is sealed once and as a whole, any later change is found, nothing unsealed is ever deleted.

If these fail, logs that somebody edited would pass as evidence, or six months of them would not be there.
"""

from __future__ import annotations

import datetime
import gzip
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PROGRAM = Path(__file__).resolve().parents[2] / "playbooks/roles/syslog_server/files/egov-seal-logs"
START = datetime.date(2026, 3, 1)


def _load() -> Any:
    loader = importlib.machinery.SourceFileLoader("egov_seal_logs", str(PROGRAM))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


seal_logs = _load()


class Store:
    """A store of logs in a folder, with a key of its own."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        for name in ("logs", "seals", "metrics"):
            (folder / name).mkdir()
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        words = key.with_suffix(".pub").read_text().split()
        (folder / "signers").write_text(f'egov-logs@noc namespaces="egov-logs" {words[0]} {words[1]}\n')
        self.settings = {
            "logs": str(folder / "logs"),
            "seals": str(folder / "seals"),
            "key": str(key),
            "signers": str(folder / "signers"),
            "identity": "egov-logs@noc",
            "metrics": str(folder / "metrics"),
            "hosts": ["core1", "noc"],
            "keep_days": 180,
            "max_bytes": 1 << 30,
            "when_full": "report",
            **changes,
        }
        self.config = folder / "config.json"
        self.write()

    def write(self, **changes: Any) -> None:
        self.settings.update(changes)
        self.config.write_text(json.dumps(self.settings))

    def log(self, number: int, host: str = "core1", text: str = "one\ntwo\n") -> Path:
        path = self.folder / "logs" / host / f"{day(number)}.log"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def run(self, do: str, number: int, *more: str) -> int:
        """The program on the day `number`; returns its exit code."""
        return int(seal_logs.main([do, "--config", str(self.config), "--today", day(number), *more]))

    def manifest(self, number: int) -> dict[str, Any]:
        return dict(json.loads(self.seal(number).read_bytes()))

    def seal(self, number: int) -> Path:
        return self.folder / "seals" / f"{day(number)}.json"

    def packed(self, number: int, host: str = "core1") -> Path:
        return self.folder / "logs" / host / f"{day(number)}.log.gz"

    def metric(self, name: str) -> float:
        text = "".join(path.read_text() for path in (self.folder / "metrics").iterdir())
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(line.split()[1])


def day(number: int) -> str:
    return (START + datetime.timedelta(days=number)).isoformat()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_a_closed_day_is_compressed_described_and_signed_and_todays_is_left_alone(store: Store) -> None:
    store.log(0)
    store.log(0, "noc", "three\n")
    today = store.log(1)
    assert store.run("seal", 1) == 0
    files = store.manifest(0)["files"]
    assert [(entry["path"], entry["lines"]) for entry in files] == [
        (f"core1/{day(0)}.log.gz", 2),
        (f"noc/{day(0)}.log.gz", 1),
    ]
    assert gzip.decompress(store.packed(0).read_bytes()) == b"one\ntwo\n"
    assert not store.packed(0).with_suffix("").exists() and today.read_text() == "one\ntwo\n"
    assert store.manifest(0)["previous"] is None and store.run("verify", 1) == 0
    assert store.metric("egov_log_seal_ok") == 1 and store.metric("egov_log_seal_days") == 1


def test_missed_days_are_caught_up_in_one_chain_and_a_day_without_logs_has_its_seal_too(store: Store) -> None:
    for number in (0, 1, 4):
        store.log(number)
    assert store.run("seal", 6) == 0
    for number in range(1, 6):
        before = seal_logs.hashlib.sha256(store.seal(number - 1).read_bytes()).hexdigest()
        assert store.manifest(number)["previous"] == {"day": day(number - 1), "sha256": before}
    assert [len(store.manifest(number)["files"]) for number in range(6)] == [1, 1, 0, 0, 1, 0]


def test_a_sealed_day_is_never_sealed_again(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.log(0)
    assert store.run("seal", 1) == 0
    before = {path: path.read_bytes() for path in store.folder.rglob("2026*")}
    assert store.run("seal", 1) == 0
    assert {path: path.read_bytes() for path in store.folder.rglob("2026*")} == before
    store.log(0, text="planted\n")
    assert store.run("seal", 1) == 1
    assert f"core1/{day(0)}.log appeared after its day was sealed" in capsys.readouterr().err
    assert store.seal(0).read_bytes() == before[store.seal(0)]


def test_nothing_to_seal_is_no_fault_and_says_so(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.log(1)
    assert store.run("seal", 1) == 0 and "no day is sealed yet" in capsys.readouterr().out


TAMPERED: dict[str, tuple[Callable[[Store], Any], str]] = {
    "file removed": (lambda s: s.packed(1).unlink(), "was sealed and is missing"),
    "file made anew": (lambda s: s.packed(1).write_bytes(gzip.compress(b"one\n")), "was changed after it was sealed"),
    "file of no seal": (lambda s: s.packed(1).with_name(f"{day(9)}.log.gz").write_bytes(b""), "is in no seal"),
    "seal removed": (lambda s: s.seal(1).unlink(), "does not follow"),
    "first seal removed": (lambda s: s.seal(0).unlink(), "which is missing"),
    "signature removed": (lambda s: s.seal(1).with_suffix(".json.sig").unlink(), "is not signed by the known key"),
    "seal of another day": (lambda s: s.seal(1).write_bytes(s.seal(0).read_bytes()), "cannot be read"),
    "empty seal": (lambda s: s.seal(2).write_bytes(b""), "cannot be read"),
    "list as a seal": (lambda s: s.seal(2).write_bytes(b"[]"), "cannot be read"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_done_to_it_is_named(store: Store, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        store.log(number)
    assert store.run("seal", 3) == 0
    tamper, words = TAMPERED[name]
    tamper(store)
    assert store.run("verify", 3) == 1
    assert words in capsys.readouterr().err
    assert store.run("seal", 4) in (1, 3) and store.metric("egov_log_seal_ok") == 0


def test_a_forged_seal_with_a_right_chain_needs_the_key(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Who can write the files and not read the key can recompute every hash, but not sign."""
    store.log(0)
    assert store.run("seal", 1) == 0
    forged = b"nothing happened\n"
    entry = store.manifest(0)["files"][0]
    store.packed(0).write_bytes(gzip.compress(forged, mtime=0))
    digest = seal_logs.hashlib.sha256
    packed = store.packed(0).read_bytes()
    entry.update(sha256=digest(packed).hexdigest(), size=len(packed), lines=1)
    entry.update(content_sha256=digest(forged).hexdigest(), content_size=len(forged))
    manifest = {**store.manifest(0), "files": [entry]}
    store.seal(0).write_bytes(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    assert store.run("verify", 1) == 1
    faults = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert faults == [f"error: the seal of {day(0)} is not signed by the known key"]


def test_cut_seals_show_against_a_head_that_was_kept(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.log(0)
    store.log(1)
    assert store.run("seal", 2) == 0
    head = capsys.readouterr().out.split("head ")[1].split(",")[0]
    for path in (store.seal(1), store.packed(1)):
        path.unlink()
    assert store.run("verify", 2) == 0
    assert store.run("verify", 2, "--head", head) == 1
    assert "not the one that the given head names" in capsys.readouterr().err


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("sealed"))
    for number in range(3):
        store.log(number, text=f"{number}\n" * 20)
        store.log(number, "noc")
    assert store.run("seal", 3) == 0
    return store


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_of_a_file_a_seal_or_a_signature_is_found(sealed: Store, data: st.DataObject) -> None:
    paths = sorted(path for path in sealed.folder.rglob("2026*") if path.is_file())
    path = data.draw(st.sampled_from(paths))
    whole = path.read_bytes()
    if path.suffix == ".sig":  # what stands around the base64 of a signature says nothing
        whole_text = whole.splitlines()[1:-1]
        place = data.draw(st.integers(len(whole.splitlines()[0]) + 1, whole.index(whole_text[-1]) - 1))
    else:
        place = data.draw(st.integers(0, len(whole) - 1))
    change = data.draw(st.integers(1, 255))
    if whole[place : place + 1] == b"\n" and path.suffix == ".sig":
        return
    try:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :])
        assert sealed.run("verify", 3) == 1
    finally:
        path.write_bytes(whole)


class Crash(BaseException):
    """Stands for power that goes: nothing may catch it."""


@pytest.mark.parametrize("nth", range(40))
def test_a_crash_at_any_step_leaves_no_half_seal_and_is_finished_later(
    store: Store, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    monkeypatch.setattr(seal_logs, "signature_of", lambda *_: b"signed")  # quicker, and beside the point here
    monkeypatch.setattr(seal_logs, "is_signed", lambda *_: True)
    store.write(keep_days=2)
    for number in range(4):
        store.log(number, text=f"{number}\n")
        store.log(number, "noc", f"n{number}\n")
    assert store.run("seal", 2) == 0
    calls = 0

    def counted(name: str) -> Callable[..., Any]:
        true = getattr(os, name)

        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == nth + 1:
                raise Crash
            return true(*arguments, **named)

        return call

    with monkeypatch.context() as patch:
        for name in ("rename", "replace", "unlink", "fsync", "utime"):
            patch.setattr(os, name, counted(name))
        try:
            store.run("seal", 4)
        except Crash:
            pass
        else:
            assert calls <= nth
    for path in (store.folder / "seals").glob("*.json"):
        assert json.loads(path.read_bytes())["day"] == path.stem
    assert store.run("seal", 4) == 0
    gone = {entry["day"] for number in range(4) for entry in store.manifest(number)["removed"]}
    assert gone == {day(0), day(1)}
    for number in range(4):
        assert store.packed(number).exists() == (day(number) not in gone)
    assert not list((store.folder / "logs").rglob("*.log")) and not list((store.folder / "logs").rglob("*.new"))


def test_what_is_past_its_time_goes_and_the_next_seal_says_so(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.write(keep_days=3)
    for number in range(6):
        store.log(number)
    assert store.run("seal", 2) == 0
    assert store.run("seal", 5) == 0
    assert "let go 2026-03-02 (age): 1 files" in capsys.readouterr().out
    removed = {number: [entry["day"] for entry in store.manifest(number)["removed"]] for number in range(5)}
    assert removed == {0: [], 1: [], 2: [day(0), day(1)], 3: [], 4: []}
    assert [store.packed(number).exists() for number in range(5)] == [False, False, True, True, True]
    assert store.run("verify", 5) == 0 and store.metric("egov_log_seal_days") == 3
    assert store.manifest(2)["removed"][0]["reason"] == "age"


def test_a_day_that_is_exactly_as_old_as_is_kept_stays(store: Store) -> None:
    store.write(keep_days=5)
    store.log(0)
    assert store.run("seal", 1) == 0
    for number, there in ((5, True), (6, False)):
        store.log(number - 1)
        assert store.run("seal", number) == 0
        assert store.packed(0).exists() == there


def test_above_its_room_nothing_is_deleted_and_it_is_an_error(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.write(max_bytes=50)
    for number in range(3):
        store.log(number)
    assert store.run("seal", 3) == 1
    assert "more than the 50 they may" in capsys.readouterr().err
    assert all(store.packed(number).exists() for number in range(3))


def test_where_the_oldest_may_go_early_only_sealed_days_go_and_the_seal_says_why(store: Store) -> None:
    store.write(max_bytes=2000, when_full="oldest")
    for number in range(4):
        store.log(number, text="".join(f"{number} {n * 7919}\n" for n in range(60)))
    unsealed = store.log(4, text="x" * 1900)
    store.run("seal", 4)
    reasons = {entry["reason"] for number in range(4) for entry in store.manifest(number)["removed"]}
    assert reasons == {"space"} and not store.packed(0).exists()
    assert unsealed.read_text() == "x" * 1900
    assert store.run("verify", 4) == 0


def test_a_clock_that_jumped_ahead_seals_nothing(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.log(0)
    assert store.run("seal", 500) == 3
    assert "is the clock right?" in capsys.readouterr().err
    assert store.metric("egov_log_seal_ok") == 0 and not list((store.folder / "seals").glob("*.json"))


def test_a_clock_that_went_back_is_told(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.log(0)
    assert store.run("seal", 2) == 0
    assert store.run("seal", 1) == 1 and "the clock went back" in capsys.readouterr().err


def test_without_its_key_nothing_is_sealed_or_touched(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    plain = store.log(0)
    Path(store.settings["key"]).unlink()
    assert store.run("seal", 1) == 3
    assert "does not sign" in capsys.readouterr().err
    assert plain.exists() and not store.seal(0).exists() and store.metric("egov_log_seal_ok") == 0


def test_a_bad_configuration_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert seal_logs.main(["seal", "--config", str(tmp_path / "none.json")]) == 3
    assert capsys.readouterr().err.startswith("error: ")
    for wrong in (["--head", "2026-03-01:abc"], ["--today", "tomorrow"]):
        with pytest.raises(SystemExit) as left:
            seal_logs.main(["verify", *wrong])
        assert left.value.code == 2


def test_metrics_tell_who_was_last_heard_and_what_waits_for_its_seal(store: Store) -> None:
    heard = store.log(0)
    os.utime(heard, (1_000_000, 1_000_000))
    assert store.run("metrics", 0) == 0
    text = (store.folder / "metrics" / "egov_log_arrival.prom").read_text()
    assert 'egov_log_last_timestamp_seconds{source="core1"} 1000000' in text
    assert 'egov_log_bytes{source="noc"} 0' in text and 'last_timestamp_seconds{source="noc"}' not in text
    assert store.metric("egov_log_unsealed_seconds") == 0
    assert store.run("metrics", 1) == 0
    ended = time.mktime((START + datetime.timedelta(days=1)).timetuple())
    assert store.metric("egov_log_unsealed_seconds") == pytest.approx(max(0.0, time.time() - ended), abs=60)
    assert store.run("seal", 1) == 0 and store.run("metrics", 1) == 0
    assert store.metric("egov_log_unsealed_seconds") == 0
    assert store.packed(0).stat().st_mtime == 1_000_000


def test_one_day_can_be_shown_to_an_inspector(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.log(0)
    assert store.run("seal", 1) == 0
    capsys.readouterr()
    assert store.run("verify", 1, "--day", day(0)) == 0
    digest = seal_logs.hashlib.sha256(b"one\ntwo\n").hexdigest()
    assert f"{digest}  2 lines  core1/{day(0)}.log.gz" in capsys.readouterr().out
    assert store.run("verify", 1, "--day", day(5)) == 1
