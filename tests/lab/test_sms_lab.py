"""Text messages of departments, to the operator's centre: a person on a department's LAN sends, real Kannel carries.

If these fail, a department's notice never leaves the city, or leaves it garbled, or one department uses up what all
have; or the NOC's alerts do not go out by Kannel when the city's gateway is down.
"""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from egovctl.lab.names import LabNames
from egovctl.lab.processes import SMSC_LOG
from egovctl.lab.users import ensure_user_namespace
from egovctl.plan import load

pytestmark = pytest.mark.lab
HOST, TOOL = "shared-services", "/usr/local/lib/egov/egov-sms"
NOTICE = (
    "请{name}于明日9时参加防汛视频调度会，地点为县政务中心三楼会议室，请提前十分钟到场签到并调试终端，"
    "确需请假的报县应急管理局值班室，联系人王工。"
)
METRICS = "/var/lib/prometheus/node-exporter/egov_sms.prom"


def carried(city_lab: Any) -> list[dict[str, Any]]:
    """What the operator's centre took, a line a part."""
    log = LabNames.of(city_lab.inventory).run / SMSC_LOG
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []


def until(true: Callable[[], bool], what: Callable[[], object], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, what()
        time.sleep(0.3)


def ask(
    city_lab: Any, site: str, key: str, what: str, data: dict[str, Any] | None = None
) -> tuple[int, dict[str, Any]]:
    """The service's answer to a computer on the department's LAN. The key is handed over by standard input."""
    _, city = load(city_lab.inventory)
    place = ensure_user_namespace(city_lab.inventory, city, site)
    given = json.dumps({"at": city.hosts[HOST].address_v4, "user": site, "key": key, "what": what, "data": data})
    command = ["nsenter", f"--net={place.namespace}", "--", sys.executable, str(Path(__file__))]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    code, body = json.loads(done.stdout)
    return code, body


@pytest.fixture
def nothing_sent(city_lab: Any) -> Iterator[None]:
    """Nobody has sent anything today, whatever ran here before; and no alert speaks of a quota when this is over."""
    _, city = load(city_lab.inventory)
    begin = (
        "systemctl stop egov-sms && rm -f /var/lib/egov-sms/log/*.jsonl && systemctl start egov-sms"
        # The unit is active before it listens.
        " && curl -sSkf -o /dev/null -m 5 --retry 60 --retry-delay 1 --retry-connrefused"
        f" https://{city.hosts[HOST].address_v4}:8443/health"
    )
    city_lab.on(HOST, begin)
    yield
    city_lab.on(HOST, begin)


@pytest.mark.usefixtures("nothing_sent")
def test_a_department_sends_within_its_quota_and_reads_what_became_of_it(city_lab: Any) -> None:
    key = city_lab.on(HOST, f"{TOOL} key minqin-health").stdout.strip()
    before = len(carried(city_lab))
    message = {"id": "flood-1", "to": "13900000001", "text": NOTICE, "values": {"name": "陈工"}}

    code, answer = ask(city_lab, "minqin-health", key, "/messages", message)
    assert (code, answer["parts"]) == (202, 2), answer
    assert answer["state"] in ("sent", "submitted", "delivered"), "a report may be quicker than the answer"
    until(lambda: len(carried(city_lab)) >= before + 2, lambda: carried(city_lab)[before:])
    parts = sorted(carried(city_lab)[before:], key=lambda item: item["part"][2])
    assert "".join(item["text"] for item in parts) == "【武威政务】" + NOTICE.replace("{name}", "陈工")
    assert {(item["coding"], item["to"], item["from"]) for item in parts} == {(8, "13900000001", "1065900000")}
    assert [item["part"][1:] for item in parts] == [[2, 1], [2, 2]] and len(parts[0]["text"]) == 67

    def state(identity: str) -> str:
        return str(ask(city_lab, "minqin-health", key, f"/messages/{identity}")[1]["state"])

    until(lambda: state("flood-1") == "delivered", lambda: state("flood-1"))
    code, answer = ask(city_lab, "minqin-health", key, "/messages", message)
    assert code == 200 and answer["repeated"], "a repeated request is answered, not sent again"
    lost = {"id": "flood-2", "to": "13900000404", "text": "收到请回复"}
    assert ask(city_lab, "minqin-health", key, "/messages", lost)[0] == 202
    until(lambda: state("flood-2") == "undelivered", lambda: state("flood-2"))

    # The plan gives it three parts a day.
    code, answer = ask(city_lab, "minqin-health", key, "/messages", {**lost, "id": "flood-3"})
    assert (code, answer["error"]) == (429, "day") and "今日限额 3 条已用 3 条" in answer["zh"], answer
    assert "3 of today's quota of 3 parts are used" in answer["en"]
    assert ask(city_lab, "minqin-health", "x" + key, "/messages", lost)[0] == 401
    assert ask(city_lab, "education", key, "/quota")[0] == 401, "a key is its own department's"
    assert len(carried(city_lab)) == before + 3

    log = city_lab.on(HOST, f"{TOOL} log minqin-health").stdout
    assert [line.split()[2:] for line in log.splitlines()][-2:] == [
        ["flood-1", "139****0001", "parts=2", "delivered"],
        ["flood-2", "139****0404", "parts=1", "undelivered"],
    ]
    assert "minqin-health today 3 of 3, this month 3 of 3000" in city_lab.on(HOST, f"{TOOL} quota").stdout
    metrics = city_lab.on(HOST, f"systemctl start egov-sms-probe.service; cat {METRICS}").stdout.splitlines()
    assert 'egov_sms_refused_total{department="minqin-health",reason="day"} 1' in metrics
    assert 'egov_sms_quota_used_parts{department="minqin-health",period="day"} 3' in metrics
    assert "egov_sms_answering 1" in metrics and "egov_sms_centre_online 1" in metrics
    kept = city_lab.on(
        HOST, "cd /var/lib/egov-sms && cat log/*.jsonl; journalctl -u 'egov-*box' -u egov-sms -o cat"
    ).stdout
    assert "13900000001" not in kept and "防汛" not in kept and key not in kept, "no number and no text is kept"


def test_only_departments_reach_it_and_only_over_tls(city_lab: Any) -> None:
    _, city = load(city_lab.inventory)
    address = city.hosts[HOST].address_v4
    probe = f"timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/8443' && echo open"
    assert city_lab.on("noc", probe, check=False).stdout == ""
    inside = city_lab.on(HOST, f"curl -s -m 5 http://{address}:8443/quota; echo $?").stdout
    assert inside.strip() in ("52", "56"), "it speaks TLS or not at all"
    ports = city_lab.on(HOST, "ss -Hltn 'sport = :13000 or sport = :13001 or sport = :8453'").stdout
    assert len(ports.splitlines()) == 3 and all("127.0.0.1:" in line for line in ports.splitlines()), ports


def test_an_alert_goes_out_by_kannel_when_the_citys_gateway_is_down(city_lab: Any) -> None:
    """The backup node's dead-man with its own configuration, but for a gateway at which nobody listens."""
    before = len(carried(city_lab))
    look = (
        "rm -rf /root/look && mkdir /root/look"
        ' && sed -E \'s#http://[0-9.]+:(9096|8090)#http://127.0.0.1:9#; s/"silence": [0-9]+/"silence": 0/\''
        " /etc/egov/deadman.json > /root/look/c.json"
        " && for n in 1 2; do python3 -I -B /usr/local/lib/egov/notify deadman --config /root/look/c.json"
        " --state /root/look; sleep 1; done; rm -rf /root/look"
    )
    city_lab.on("backup", look)
    until(lambda: len(carried(city_lab)) > before, lambda: "nothing came")
    (message,) = carried(city_lab)[before:]
    assert message["coding"] == 8 and message["part"] is None and message["to"].startswith("1000000000")
    assert message["text"].startswith(("监测中断：", "No sign of life of the NOC")), message
    assert len(message["text"]) <= 70


def _client(given: dict[str, Any]) -> None:
    """What a department's program does; runs on the user's computer."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    data = None if given["data"] is None else json.dumps(given["data"]).encode()
    word = base64.b64encode(f"{given['user']}:{given['key']}".encode()).decode()
    request = urllib.request.Request(f"https://{given['at']}:8443{given['what']}", data)
    request.add_header("Authorization", f"Basic {word}")
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            print(json.dumps([answer.status, json.load(answer)]))
    except urllib.error.HTTPError as refused:
        print(json.dumps([refused.code, json.load(refused)]))


if __name__ == "__main__":
    _client(json.load(sys.stdin))
