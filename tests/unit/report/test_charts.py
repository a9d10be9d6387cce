"""Axes that hold what is drawn on them, and charts that stand in a page by themselves."""

import math
import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from maskmill.report import charts

NUMBERS = st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), max_size=8)
EVIL = '<img src=x onerror="alert(1)">&'


@given(NUMBERS)
def test_an_axis_holds_every_number_with_few_round_ascending_ticks(values):
    axis = charts.choose_axis(values)
    slack = 1e-6 * (axis.high - axis.low)
    assert all(axis.low - slack <= v <= axis.high + slack for v in values if math.isfinite(v))
    assert list(axis.ticks) == sorted(set(axis.ticks))
    assert 2 <= len(axis.ticks) <= 8
    assert len({axis.text(tick) for tick in axis.ticks}) == len(axis.ticks)


def test_a_place_on_an_axis_is_a_share_of_its_length_and_never_outside():
    axis = charts.choose_axis([0.0, 1.0])
    assert [axis.at(v) for v in (0.0, 0.5, 1.0)] == [0.0, 50.0, 100.0]
    assert (axis.at(-3.0), axis.at(7.0)) == (0.0, 100.0)
    assert not axis.holds(-3.0)


def test_zero_is_written_without_a_sign():
    assert charts.choose_axis([-0.04, 0.01]).text(0.0) == "0.00"
    assert "-0.00" not in [
        charts.choose_axis([-0.04, 0.01]).text(t) for t in charts.choose_axis([-0.04, 0.01]).ticks
    ]


def test_what_is_written_in_a_chart_is_escaped_and_the_chart_is_whole_xml():
    line = charts.Series(EVIL, [1, 2], [0.5, 0.6], 0)
    for drawn in (
        charts.line_chart([line], x=EVIL, y=EVIL),
        charts.column_chart([EVIL], [0.5], x=EVIL, y=EVIL),
        charts.reliability_diagram([0.5, 0.9], [0.4, 0.9], [0.2, 0.8]),
        charts.legend_mark(3),
    ):
        assert "<img" not in drawn
        ElementTree.fromstring(drawn)


def test_a_missing_value_is_a_gap_and_no_point():
    drawn = charts.line_chart(
        [charts.Series("a", [1, 2, 3], [0.5, math.nan, 0.7], 0)], x="step", y="score"
    )
    assert drawn.count("<circle") == 2
    assert "nan" not in drawn
    assert charts.column_chart(["a", "b"], [math.nan, 3.0], x="x", y="y").count("<rect") == 1


def test_no_two_of_twelve_styles_look_alike_and_no_two_of_six_differ_by_colour_alone():
    drawn = [str(charts.legend_mark(style)) for style in range(charts.STYLES)]
    assert len(set(drawn)) == charts.STYLES
    plain = [re.sub(r"series s\d", "", one) for one in drawn]
    assert len(set(plain)) == charts.STYLES


def test_an_honest_model_lies_on_the_diagonal_and_empty_bins_are_not_drawn():
    drawn = charts.reliability_diagram(
        [0.5, math.nan, 0.9], [0.5, math.nan, 0.9], [0.25, 0.0, 0.75]
    )
    circles = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"', drawn)
    honest = re.search(
        r'class="honest" x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)"', drawn
    ).groups()
    x1, y1, x2, y2 = map(float, honest)
    assert len(circles) == 2
    for x, y, _ in circles:
        assert math.isclose((float(x) - x1) / (x2 - x1), (float(y) - y1) / (y2 - y1), abs_tol=0.005)
    assert float(circles[1][2]) > float(circles[0][2])
