import re
from xml.etree import ElementTree

import pytest
from document_parts import estimate, mean, undefined
from hypothesis import given
from hypothesis import strategies as st

from workers.reports.bars import Bar, bar_chart
from workers.reports.creation_share import creation_share, share_bar
from workers.reports.curves import CurveText, Guide, Series, curve_chart
from workers.reports.glossary import REGIMES
from workers.reports.nats import positions
from workers.reports.regimes import regime_bar
from workers.reports.scales import Logarithmic
from workers.reports.svg import element
from workers.reports.verdict_curve import verdict_curve

TEXT = CurveText("chart", "A <title>", "A & description", "k")


def rectangles(drawing):
    """(class, left, width) of every filled box, in per cent."""
    return [
        (box.get("class").split()[-1], float(box.get("x")[:-1]), float(box.get("width")[:-1]))
        for box in ElementTree.fromstring(drawing).iter("rect")
        if "fill" in box.get("class").split()
    ]


def test_attributes_and_children_are_escaped():
    drawn = element("text", "<b>", class_='"x"')
    assert drawn == '<text class="&#34;x&#34;">&lt;b&gt;</text>'


def test_the_share_bar_divides_the_gain():
    assert rectangles(share_bar(0.35, 0.5, decision={})) == [
        ("created", 0.0, 35.0),
        ("undetermined", 35.0, 15.0),
        ("elicited", 50.0, 50.0),
    ]
    assert rectangles(share_bar(0.0, 0.0, decision={})) == [("elicited", 0.0, 100.0)]
    assert rectangles(share_bar(None, None, decision={})) == []


def test_an_undefined_share_says_why():
    missing = undefined("no gain", "share")
    share = creation_share({"lower": missing, "upper": missing}, {})
    assert share.missing == "no gain"


@given(st.dictionaries(st.sampled_from(sorted(REGIMES)), st.integers(0, 500), min_size=1))
def test_the_regimes_fill_the_bar_in_proportion(regimes):
    bar = regime_bar(regimes)
    if sum(regimes.values()) == 0:
        assert bar is None
        return
    drawn = rectangles(bar.drawing)
    assert {css: width for css, _, width in drawn} == {
        name: pytest.approx(100 * count / bar.total, abs=2e-3) for name, count in regimes.items() if count
    }
    assert sum(width for _, _, width in drawn) == pytest.approx(100, abs=0.01)
    assert [part.prompts for part in bar.parts] == [regimes[name] for name in REGIMES if name in regimes]


def test_a_bar_runs_from_zero_to_its_value():
    chart = bar_chart("gain", [Bar("a", mean(1.0, 0.0), "x"), Bar("b", mean(-0.5, 0.0), "y")], unit="reward")
    (_, left, width), (_, other_left, other_width) = (rectangles(row.drawing)[0] for row in chart.rows)
    assert width == pytest.approx(2 * other_width, abs=0.01)
    assert left == pytest.approx(other_left + other_width, abs=0.01)


def test_bars_without_any_value_say_why_once():
    chart = bar_chart("nats", [Bar(n, undefined("truncated_support"), "x") for n in "ab"], unit="nats")
    assert chart.missing.startswith("truncated support")
    assert chart.rows[0].reading.value == "not defined"


def curve(points, guides=()):
    series = [Series("candidate", "candidate", points)]
    return str(curve_chart(series, Logarithmic(1, 64), [1, 8, 64], guides, TEXT))


def test_curve_points_lie_where_they_should():
    drawn = curve(((1.0, estimate(0.0)), (8.0, estimate(0.5)), (64.0, estimate(1.0))))
    (points,) = re.findall(r'<polyline points="([^"]*)"', drawn)
    assert points == "0.0,1000.0 500.0,500.0 1000.0,0.0"


def test_the_band_follows_the_interval_and_skips_what_is_undefined():
    drawn = curve(((1.0, estimate(0.2, 0.1)), (8.0, undefined("k > n")), (64.0, estimate(0.5, 0.1))))
    outer, inner = re.findall(r'<polygon points="([^"]*)"', drawn)
    assert outer == "0.0,700.0 1000.0,400.0 1000.0,600.0 0.0,900.0"
    assert inner == ""
    assert "nan" not in drawn


def test_the_inner_band_is_the_sampling_interval():
    exact = {**estimate(0.5, 0.4), "sampling_std_error": 0.1}
    _, inner = re.findall(r'<polygon points="([^"]*)"', curve(((1.0, exact), (64.0, exact))))
    # 0.5 ± 1.96 · 0.1
    assert inner == "0.0,304.0 1000.0,304.0 1000.0,696.0 0.0,696.0"


def test_a_chart_has_a_title_and_a_description():
    drawn = ElementTree.fromstring(curve(((1.0, estimate(0.5)),), [Guide(8, "K_use = 8")]))
    ids = drawn.get("aria-labelledby").split()
    texts = {child.get("id"): child.text for child in drawn if child.get("id")}
    assert [texts[i] for i in ids] == ["A <title>", "A & description"]
    assert "K_use = 8" in [text.text for text in drawn.iter("text")]


def test_positions_without_a_value_are_marked_and_explained():
    points = [
        {"position": 0, "estimate": estimate(1.0, unit="nats")},
        {"position": 1, "estimate": undefined("truncated_support")},
    ]
    found = positions({"by_position": points})
    assert "×" in found.drawing
    assert found.missing.startswith("truncated support")
    assert positions({"by_position": points[1:]}) is None


def test_the_verdict_curve_is_sorted_and_marks_what_was_asked():
    points = [
        {"k_probe": 256, "label": "creation", "creation_share_lower": 0.9, "creation_share_upper": 1.0},
        {"k_probe": 16, "label": "inconclusive", "creation_share_lower": None},
    ]
    curve_points = verdict_curve(points, {"budget": {"k_probe": 256}})
    assert [(p.k_probe, p.asked, p.term.name) for p in curve_points] == [
        ("16", False, "Inconclusive"),
        ("256", True, "Creation"),
    ]
    assert curve_points[0].share == "no gain to divide"
