"""Pictures: the numbers stand where they belong, and what cannot be drawn is left out."""

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from deid.audit.plane_plots import Strength, plane_plot, strength_plot
from deid.audit.plots import (
    Dot,
    Line,
    bar_plot,
    cmc_plot,
    histogram_plot,
    interval_plot,
    roc_plot,
)
from deid.audit.svg import SERIES, Axis, dash, marker

BAD = [math.nan, math.inf, -math.inf, None, "0.5", True, 10**400]
LEFT, RIGHT, TOP, BOTTOM = 64, 446, 14, 290


def measured(value, lower=None, upper=None):
    return {"value": value, "lower": lower, "upper": upper, "confidence": 0.95}


def parsed(drawn):
    """The picture as XML, which is stricter than HTML."""
    return ET.fromstring(drawn)


def of_class(picture, name):
    return [e for e in picture.iter() if name in (e.get("class") or "").split()]


def points(path):
    return np.array(
        [[float(n) for n in pair.split()] for pair in re.split("[ML]", path.get("d").rstrip("Z"))[1:]]
    )


def ends(line):
    return tuple(float(line.get(name)) for name in ("x1", "y1", "x2", "y2"))


def test_a_roc_curve_lies_where_its_rates_say():
    fpr, tpr = [0, 0.25, 0.5, 1], [0, 0.5, 0.9, 1]
    picture = parsed(roc_plot("k", "ROC", [Line("one", fpr, tpr, 1, "AUC 0.70")]))
    curve = points(next(e for e in of_class(picture, "curve") if e.tag == "path"))
    assert np.allclose(curve[:, 0], LEFT + np.array(fpr) * (RIGHT - LEFT), atol=0.01)
    assert np.allclose(curve[:, 1], BOTTOM - np.array(tpr) * (BOTTOM - TOP), atol=0.01)
    assert ends(of_class(picture, "chance")[0]) == (LEFT, BOTTOM, RIGHT, TOP)
    assert "one: AUC 0.70" in picture.findtext("desc")


def test_chance_of_a_cmc_curve_is_rank_over_gallery():
    picture = parsed(cmc_plot("k", "CMC", [Line("one", range(1, 11), np.linspace(0.2, 0.9, 10))], 40))
    curve = points(next(e for e in of_class(picture, "curve") if e.tag == "path"))
    assert np.allclose(curve[[0, -1], 1], [BOTTOM - 0.2 * 276, BOTTOM - 0.9 * 276], atol=0.01)
    chance = points(next(e for e in of_class(picture, "chance") if e.tag == "path"))
    assert np.allclose(chance[:, 1], [BOTTOM - 276 / 40, BOTTOM - 276 / 4], atol=0.01)


def test_heights_of_a_histogram_are_its_shares():
    picture = parsed(histogram_plot("k", "Scores", [0, 1, 2, 4], [0, 0.5, 0.5], [0.75, 0.25, 0]))
    impostors, genuine = (points(e) for e in of_class(picture, "bars") if e.tag == "path")
    scale = (BOTTOM - TOP) / (0.75 * 1.08)
    assert np.allclose(BOTTOM - impostors[[1, 3, 5], 1], np.array([0.75, 0.25, 0]) * scale, atol=0.01)
    assert np.allclose(BOTTOM - genuine[[1, 3, 5], 1], np.array([0, 0.5, 0.5]) * scale, atol=0.01)
    assert np.allclose(genuine[:, 0].max() - LEFT, RIGHT - LEFT)
    assert "impostor pairs 0.75, of genuine pairs 2.25" in picture.findtext("desc")
    fills = {e.get("fill") for e in of_class(picture, "bars")}
    assert fills == {"currentColor", "url(#k-hatch)"} and picture.find(".//*[@id='k-hatch']") is not None


def test_an_interval_spans_its_bounds_and_the_value_is_written():
    dots = [Dot("one", measured(0.6, 0.5, 0.8), 1), Dot("none", {"status": "not assessed", "reason": "x"})]
    picture = parsed(interval_plot("k", "AUC", dots, "AUC", low=0, high=1, chance=0.5))
    bar = ends(next(e for e in of_class(picture, "span") if e.get("y1") == e.get("y2")))
    assert np.allclose((bar[0], bar[2]), (12 + 0.5 * 436, 12 + 0.8 * 436), atol=0.01)
    assert all(math.isclose(ends(e)[0], 12 + 0.5 * 436) for e in of_class(picture, "chance"))
    texts = [e.text for e in picture.iter("text")]
    assert "0.60 (0.50 to 0.80)" in texts and texts.count("not assessed") == 1
    assert len(of_class(picture, "absent")) == 1 and len(of_class(picture, "missing")) == 2
    assert picture.findtext("desc") == "one: 0.60 (0.50 to 0.80); none: not assessed; chance: 0.50."


def test_the_axis_of_an_interval_plot_grows_to_hold_every_bound():
    drawn = interval_plot("k", "x", [Dot("a", measured(3, -2, 8))], "x", low=0, high=1, chance=None)
    bar = ends(next(e for e in of_class(parsed(drawn), "span") if e.get("y1") == e.get("y2")))
    assert (bar[0], bar[2]) == (12, 448)


def test_the_plane_has_a_point_per_release_and_a_line_where_utility_is_unknown():
    known = Dot("release", measured(0.7, 0.6, 0.8), 1, measured(0.9, 0.85, 0.95))
    picture = parsed(plane_plot("k", "Plane", [known, Dot("random", measured(0.8), 3)]))
    spans = [ends(e) for e in of_class(picture, "span")]
    across, up = Axis(0.45, 1, LEFT, RIGHT, ""), Axis(0.8, 1.05, BOTTOM, TOP, "")
    assert np.allclose(spans[0], (across.at(0.6), up.at(0.9), across.at(0.8), up.at(0.9)), atol=0.01)
    assert np.allclose(spans[1], (across.at(0.7), up.at(0.85), across.at(0.7), up.at(0.95)), atol=0.01)
    (random,) = (ends(e) for e in of_class(picture, "curve"))
    assert random[0] == random[2] and (random[1], random[3]) == (BOTTOM, TOP)
    assert "random: AUC 0.80, retained not estimated" in picture.findtext("desc")


def test_strengths_stand_between_chance_and_the_ceiling_in_their_order():
    points = [
        Strength("0", measured(0.9, 0.85, 0.95), measured(1, 1, 1)),
        Strength("0.5", measured(0.7, 0.6, 0.8), measured(0.9, 0.85, 0.95), own=True),
        Strength("1", measured(0.55, 0.45, 0.65), measured(0.8, 0.7, 0.9)),
        Strength("none", measured(0.6), None),
    ]
    picture = parsed(strength_plot("k", "Plane", points, "retained", points[0].reached))
    across, up = Axis(0.45 - 0.03, 0.95 + 0.03, LEFT, RIGHT, ""), Axis(0.68, 1.02, BOTTOM, TOP, "")
    way = points_of(picture)
    assert np.allclose(way[:, 0], [across.at(x) for x in (0.9, 0.7, 0.55)], atol=0.01)
    assert np.allclose(way[:, 1], [up.at(y) for y in (1, 0.9, 0.8)], atol=0.01)
    limits = {round(ends(line)[0], 1) for line in of_class(picture, "chance") if line.get("y2") == str(TOP)}
    assert limits == {round(across.at(x), 1) for x in (0.5, 0.9)}
    told = picture.findtext("desc")
    assert "strength 0.5 (this release): AUC 0.70 (0.60 to 0.80), retained 0.900 (0.850 to 0.950)" in told
    assert "none" not in told
    texts = [element.text for element in picture.iter("text")]
    assert "strength 0.5: that of this release" in texts and "strength 0, 1" in texts


def points_of(picture):
    return points(next(e for e in of_class(picture, "curve") if e.tag == "path"))


def test_names_of_near_strengths_stand_apart():
    points = [
        Strength("0", measured(0.9), measured(1.0)),
        Strength("0.33", measured(0.899), measured(0.999)),
        Strength("1", measured(0.55), measured(0.8)),
    ]
    picture = parsed(strength_plot("k", "Plane", points, "retained", points[0].reached))
    names = {each.text: each for each in of_class(picture, "label")}
    first, second = (float(names[name].get("y")) for name in ("0", "0.33"))
    assert second - first > 20
    assert names["0"].get("text-anchor") == names["1"].get("text-anchor") == "end"
    assert names["0.33"].get("text-anchor") is None


def test_a_plane_without_any_full_point_is_not_drawn():
    assert strength_plot("k", "t", [Strength("1", measured(0.6), None)], "retained", None) == ""


def test_bars_are_as_long_as_their_counts():
    picture = parsed(bar_plot("k", "Hits", [("a", 10), ("b", 5), ("c", 0)]))
    widths = [float(e.get("width")) for e in picture.iter("rect")]
    assert widths == [widths[0], widths[0] / 2, 0]


@pytest.mark.parametrize("value", BAD, ids=str)
def test_what_is_no_number_is_left_out(value):
    with_bad = roc_plot("k", "t", [Line("a", [0, value, 1], [0, 0.5, 1])])
    assert with_bad == roc_plot("k", "t", [Line("a", [0, 1], [0, 1])])
    assert roc_plot("k", "t", [Line("a", [value], [value])]) == ""
    assert histogram_plot("k", "t", [0, value, 2], [1, 0], [0, 1]) == ""
    assert parsed(histogram_plot("k", "t", [0, 1, 2], [1, value], [0, 1])) is not None
    dots = [Dot("a", measured(value, value, value)), Dot("b", measured(0.5, value, value))]
    drawn = interval_plot("k", "t", dots, "x", low=0, high=1, chance=0.5)
    assert "not assessed" in drawn and not re.search(r"\b(nan|inf)\b", drawn)
    assert plane_plot("k", "t", [Dot("a", measured(value), 0, measured(value))]) == ""
    assert bar_plot("k", "t", [("a", value)]) == ""


def test_nothing_one_point_and_unequal_lists_do_not_break():
    assert roc_plot("k", "t", []) == cmc_plot("k", "t", [], 10) == histogram_plot("k", "t", [], [], []) == ""
    assert roc_plot("k", "t", [Line("a", [], [])]) == bar_plot("k", "t", []) == plane_plot("k", "t", []) == ""
    assert interval_plot("k", "t", [], "x", low=0, high=1, chance=None) == ""
    assert histogram_plot("k", "t", [1, 1], [1], [1]) == histogram_plot("k", "t", [0, 1], [0], [0]) == ""
    for drawn in (
        roc_plot("k", "t", [Line("a", [0.5], [0.5])]),
        cmc_plot("k", "t", [Line("a", [1], [1])], None),
        cmc_plot("k", "t", [Line("a", [1], [1])], 1),
        roc_plot("k", "t", [Line("a", [0, 1], [0, 0.5, 1])]),
        histogram_plot("k", "t", [0, 1], [1], [1, 2, 3]),
        interval_plot("k", "t", [Dot("a", measured(0, 0, 0))], "x", low=0, high=0, chance=0),
        plane_plot("k", "t", [Dot("a", measured(1), 0, 1.0)]),
    ):
        assert parsed(drawn).tag == "svg"


def test_pictures_tell_their_name_and_take_colours_from_the_page():
    drawn = roc_plot("roc", "A <title>", [Line("a & b", [0, 1], [0, 1], 2)])
    picture = parsed(drawn)
    assert picture.get("role") == "img" and picture.get("aria-labelledby") == "roc-title roc-desc"
    assert picture.findtext("title") == "A <title>" and "a & b" in picture.findtext("desc")
    assert not re.search(r"#[0-9a-f]{3}|rgb|style=", drawn) and of_class(picture, "series-2")


def test_series_are_told_apart_without_colour():
    assert len({dash(number) for number in range(SERIES)}) == SERIES
    assert len({marker(number, 0, 0) for number in range(SERIES)}) == SERIES


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (1, 50, ["10", "20", "30", "40", "50"]),
        (-0.1, 0.1, ["-0.10", "-0.05", "0.00", "0.05", "0.10"]),
        (0, 0.13, ["0.000", "0.025", "0.050", "0.075", "0.100", "0.125"]),
        (0, 3e9, ["0", "500000000", "1000000000", "1500000000", "2000000000", "2500000000", "3000000000"]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert [shown for _, shown in Axis(low, high, 0, 1, "").ticks()] == expected
