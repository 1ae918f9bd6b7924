"""The text format: whatever a device puts into a name must come out of Prometheus' parser unchanged."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from egov_exporters.snmp.expose import Family, Labels, Sample, render

settings.register_profile("busy-machine", deadline=None)
settings.load_profile("busy-machine")

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)


@given(st.lists(texts, min_size=1, max_size=6, unique=True), st.integers(0, 2**53))
def test_label_values_survive(values: list[str], number: int) -> None:
    """Quotes, backslashes, newlines, anything: one series per value, each unchanged."""
    family = Family(
        "ifHCInOctets", "gauge", "help", [Sample(Labels((("ifAlias", value),)), number) for value in values]
    )
    (parsed,) = text_string_to_metric_families(render([family]).decode())
    assert [(sample.labels["ifAlias"], sample.value) for sample in parsed.samples] == [(v, number) for v in values]


@given(texts)
def test_a_name_cannot_forge_a_series(value: str) -> None:
    """A hostile alias stays inside its quotes: every line is a comment or starts with the metric's name."""
    page = render([Family("m", "gauge", "h", [Sample(Labels((("a", value),)), 1)])]).decode()
    assert page.count("\n") == 3
    assert page.split("\n")[2].startswith('m{a="') and page.endswith("} 1\n")


def test_layout() -> None:
    """Sorted by name, help escaped, no braces without labels, the second family of one name is dropped."""
    page = render(
        [
            Family("b", "counter", "two\nlines \\", [Sample(Labels(()), 1)]),
            Family("a", "gauge", "", [Sample(Labels((("x", "1"),)), 0.5)]),
            Family("b", "counter", "again", [Sample(Labels(()), 2)]),
        ]
    )
    assert page == b'# HELP a \n# TYPE a gauge\na{x="1"} 0.5\n# HELP b two\\nlines \\\\\n# TYPE b counter\nb 1\n'


def test_plus_keeps_order_and_what_is_there() -> None:
    """Labels stay sorted; a label that the row already has is not set twice."""
    labels = Labels((("ifIndex", "1"), ("ifName", "x")))
    assert labels.plus("ifMtu", "9").text == 'ifIndex="1",ifMtu="9",ifName="x"'
    assert labels.plus("ifIndex", "2") is labels
