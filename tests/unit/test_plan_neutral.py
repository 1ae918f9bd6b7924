"""The derived model says all that a router of any make needs: a printer for another one reads it and nothing else."""

from __future__ import annotations

import dataclasses
import json

import jinja2
import pytest

from egovctl.paths import Inventory
from egovctl.plan import City, Host, load
from egovctl.plan.policy import lan_services, policy_of

# A sketch of another make's configuration. Ports are numbered as they come, as on a router whose names are its own.
SKETCH = """\
{% for interface in host.interfaces %}
port {{ loop.index }}: {{ interface.description }}
 address {{ interface.v4 }} {{ interface.v6 }}{{ ' tunnel' if interface.medium == 'tunnel' }}
{% if interface.role == 'transit' %}
 cost {{ interface.cost }} towards {{ interface.peer_host }}, {{ interface.mbps }} Mbit/s
{% endif %}
{% for share in interface.shares %}
 queue {{ share.name }} {{ share.percent }} % dscp {{ share.dscp | join(' ') }}
{% endfor %}
{% endfor %}
{% for tunnel in host.tunnels %}
tunnel {{ tunnel.peer_host }} {{ tunnel.endpoint_v4 or 'called' }} {{ tunnel.endpoint_port or tunnel.listen_port }}
{% endfor %}
{% for peer in host.bgp %}
peer {{ peer.v4 }} {{ peer.v6 }}{{ ' client' if peer.client }}
{% endfor %}
{% for group in rules.groups %}
object-group {{ group.name }}: {{ (group.v4 + group.v6) | join(' ') }}
{% endfor %}
{% for way in ('into', 'from_lan', 'to_lan') %}
{% for rule in rules[way] %}
{{ way }} permit {{ rule.protocol }} {{ rule.source }} {{ rule.destination }} {{ rule.ports | join(',') }}
{% endfor %}
{% endfor %}
{% for service in offered %}
lan permit {{ service.protocol }} {{ service.ports | join(',') }}
{% endfor %}
"""


def sketch(city: City, host: Host) -> str:
    lan = next((item for item in city.lans if item.hosts[0] == host.name), None)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, autoescape=False)
    return environment.from_string(SKETCH).render(
        host=host, rules=policy_of(city).rules_for(host, lan), offered=lan_services(lan) if lan else ()
    )


@pytest.fixture(scope="module")
def city() -> City:
    return load(Inventory.find("lab"))[1]


@pytest.mark.parametrize("name", ["core1", "hub-minqin", "minqin-education", "town-caiqi", "noc"])
def test_another_make_is_printed_from_the_model_alone(city: City, name: str) -> None:
    """A fact that is missing here would have to be decided by a printer: two printers would decide it twice."""
    host = city.hosts[name]
    text = sketch(city, host)
    for interface in host.interfaces:
        assert f"address {interface.v4} {interface.v6}" in text
        if interface.role == "transit":
            assert f"cost {interface.cost} towards {interface.peer_host}, {interface.mbps} Mbit/s" in text
    for peer in host.bgp:
        assert f"peer {peer.v4} {peer.v6}" in text
    assert "into permit tcp control routers 22" in text
    if name == "minqin-education":
        assert "from_lan permit any vertical_education vertical_education" in text
        assert "object-group vertical_education: 10.64.104.0/24 10.64.221.0/24" in text
    if name == "town-caiqi":
        assert "tunnel hub-minqin 203.0.113.12 28804" in text
        assert "queue video 50 % dscp 34 36 38 46" in text


def test_no_word_of_one_platform_is_in_the_model(city: City) -> None:
    """Paths, units and programs belong to templates; of Linux only the interfaces' names are here."""
    text = json.dumps(dataclasses.asdict(city), default=str) + json.dumps(
        dataclasses.asdict(policy_of(city)), default=str
    )
    for word in ("/etc/", ".service", "nft", "vtysh", "networkd", "iifname", "wg-quick"):
        assert word not in text
