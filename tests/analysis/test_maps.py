"""Maps over two axes, bands between two variables, and the segments of a protocol in charts over time."""

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from bokeh.models import BoxAnnotation, CustomJS, DataRange1d, Range1d, Slider
from holoviews import render

import qbsweep  # noqa: F401  for `ds.qb`
from qbsweep.errors import QbsweepError
from qbsweep.figures.chart import Shade, against
from qbsweep.figures.gallery import charts, of_result
from qbsweep.figures.interactive import still
from qbsweep.figures.maps import Map, edges, map_of
from qbsweep.figures.print import draw
from qbsweep.figures.standalone import embedded

Make = Callable[..., xr.Dataset]
J, RATIO = np.geomspace(0.25, 4, 21), np.linspace(0, 1.5, 31)


@pytest.fixture
def hill(synthetic: Make) -> xr.Dataset:
    """Energies with a maximum at J = 1, ratio = 0.4 with one battery, at an edge with two."""
    away = np.log(J)[:, None] ** 2
    energy = np.exp(-np.stack([away + (RATIO - 0.4) ** 2, away + RATIO]))
    return synthetic(energy, {"N": [1, 2], "J": J, "gamma_ratio": RATIO})


def test_cells_lie_around_their_values() -> None:
    for values, logarithmic in ((RATIO, False), (J, True)):
        found = edges(values, logarithmic)
        assert ((found[:-1] < values) & (values < found[1:])).all()
    np.testing.assert_allclose(edges(J, True)[1:] / edges(J, True)[:-1], J[1] / J[0])


def test_the_contour_encloses_what_is_near_an_optimum_inside(hill: xr.Dataset) -> None:
    drawn = map_of(hill, "energy_terminal", "J", "gamma_ratio")
    surface = drawn.surface({"N": 0})
    assert surface.z.shape == (31, 21)
    np.testing.assert_allclose(surface.optimum, (1, 0.4))
    (line,) = surface.contour
    np.testing.assert_allclose(np.log(line[:, 0]) ** 2 + (line[:, 1] - 0.4) ** 2, -np.log(0.99), atol=6e-3)
    edge = drawn.surface({"N": 1})
    assert edge.optimum is None
    assert not edge.contour
    assert [one.optimum is None for one in drawn.surfaces()] == [False, True]
    assert drawn.logy is False
    assert drawn.chart.logx is True


def test_points_that_may_not_be_used_are_holes(hill: xr.Dataset) -> None:
    hill["status"][0, 10, 8] = 2
    hill["status"][0, 3, 3] = 3
    surface = map_of(hill, "energy_terminal", "J", "gamma_ratio").surface({"N": 0})
    assert np.argwhere(np.isnan(surface.z)).tolist() == [[3, 3], [8, 10]]
    assert surface.optimum != (1, 0.4)


def test_maps_are_drawn_everywhere(hill: xr.Dataset) -> None:
    figure = hill.qb.plot("energy_terminal", "J", y="gamma_ratio")
    assert [dim.name for dim in figure.kdims] == ["N"]
    drawn = map_of(hill, "energy_terminal", "J", "gamma_ratio")
    assert draw(drawn).axes[0].get_xlabel().startswith("coupling")
    page = embedded(drawn)
    (redraw,) = page.select({"type": CustomJS})
    assert [len(z) for z in redraw.args["z"]] == [651, 651]
    assert [len(x) for x in redraw.args["xs"]] == [1, 0]
    assert render(still(map_of(hill.sel(N=1), "energy_terminal", "J", "gamma_ratio"))).title.text.startswith("terminal")


def test_a_page_has_as_many_cells_as_it_can_carry(hill: xr.Dataset) -> None:
    small, told = map_of(hill, "energy_terminal", "J", "gamma_ratio").thinned(1000)
    assert small.chart.x_values.size * small.y_values.size * 5 <= 1000
    assert told == "Thinned for this page: 14 of 21 values of J, 14 of 31 values of gamma_ratio, 1 of 2 values of N."
    assert map_of(hill, "energy_terminal", "J", "gamma_ratio").thinned(60_000)[1] == ""


def test_a_sweep_over_two_numbers_has_a_map(hill: xr.Dataset) -> None:
    (found,) = (chart for chart in charts(hill) if isinstance(chart, Map))
    assert found.name == "energy_terminal-J-gamma_ratio"
    assert not [chart for chart in charts(hill.isel(gamma_ratio=[0, 1])) if isinstance(chart, Map)]


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        ("J", "J", "two different axes"),
        ("J", "N", "which `N` is not"),
        ("J", "seed", "`energy_terminal` has no axis|unknown|no axis of `energy_terminal`|axis"),
    ],
)
def test_what_cannot_be_mapped(hill: xr.Dataset, x: str, y: str, told: str) -> None:
    with pytest.raises(QbsweepError, match=told):
        hill.isel(N=[0]).qb.plot("energy_terminal", x, y=y)


def test_a_band_is_drawn_between_two_variables(synthetic: Make) -> None:
    values = np.exp(np.random.default_rng(2).standard_normal((2, 9, 50)))
    found = synthetic(values, {"N": [1, 2], "J": np.geomspace(0.5, 2, 9), "seed": np.arange(50)}).qb.ensemble()
    (chart,) = of_result(found)
    assert (chart.variable, chart.x, chart.by, chart.band) == ("median", "J", ("N",), ("lower", "upper"))
    for line, N in zip(chart.lines(), (1, 2), strict=True):
        assert line.band is not None
        np.testing.assert_array_equal(line.band[0], found["lower"].sel(N=N))
        np.testing.assert_array_equal(line.band[1], found["upper"].sel(N=N))
    assert len(draw(chart).axes[0].collections) == 2
    embedded(chart.thinned(1000)[0])
    widget = found.expand_dims(r=[0.0, 1.0]).qb.plot("median", "J", by="N", band=("lower", "upper"))
    assert [dim.name for dim in widget.kdims] == ["r"]
    embedded(against(found.expand_dims(r=[0.0, 1.0]), "median", "J", by=("N",), band=("lower", "upper")))


def in_time(protocol: list[dict[str, Any]]) -> xr.Dataset:
    times, off = np.linspace(0, 20, 41), [4.0, 8.0, 12.0]
    ds = xr.Dataset(
        {"energy_t": (("switch_off", "time"), np.ones((3, 41))), "status": ("switch_off", np.ones(3, np.int8))},
        {"switch_off": off, "time": times},
    )
    return ds.assign_attrs(protocol=json.dumps(protocol))


PROTOCOL = [{"until": "switch_off"}, {"until": 16, "drive": [1, 0]}, {"drive": [0, 0], "coupling": 0}]


def test_segments_are_shaded_for_the_value_that_is_shown() -> None:
    chart = against(in_time(PROTOCOL), "energy_t", "time", by=())
    for place, off in enumerate((4.0, 8.0, 12.0)):
        assert chart.shades({"switch_off": place}) == [Shade(off, 16, False), Shade(16, 20, True)]
    lines = against(in_time(PROTOCOL), "energy_t", "time", by=("switch_off",))
    assert lines.shades() == [Shade(16, 20, True)]  # the others begin at another time in every line
    assert against(in_time([{"drive": [1, 1]}]), "energy_t", "time").shades() == []
    assert against(in_time(PROTOCOL).drop_attrs(), "energy_t", "time").shades() == []
    assert [patch.get_label() for patch in draw(chart).axes[0].patches] == ["", ""]


def test_shades_follow_the_widgets_of_a_page() -> None:
    page = embedded(against(in_time(PROTOCOL), "energy_t", "time", by=()))
    (redraw,) = page.select({"type": CustomJS})
    assert all(isinstance(box, BoxAnnotation) for box in redraw.args["boxes"])
    assert [[tuple(edge) for edge in some] for some in redraw.args["edges"]] == [
        [(off, 16.0), (16.0, 20.0)] for off in (4.0, 8.0, 12.0)
    ]


def test_a_map_goes_before_its_cuts(hill: xr.Dataset) -> None:
    first, *rest = charts(hill)
    assert isinstance(first, Map)
    assert not any(isinstance(chart, Map) for chart in rest)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"band": ("a", "b")}, "variable of `band` 'a' is not known"),
        ({"band": "lower"}, "`band` must be two variables, but is 'lower'"),
        ({"titel": "x"}, "did you mean 'title'?"),
        ({"y": "gamma_ratio", "band": ("status", "status")}, "option of a map 'band' is not known"),
        ({"y": "gamma_ratio", "level": 1.0}, "option of a map 'level' is not known"),
    ],
)
def test_options_that_there_are_not(hill: xr.Dataset, options: dict[str, Any], told: str) -> None:
    with pytest.raises(QbsweepError, match=re.escape(told)):
        hill.qb.plot("energy_terminal", "J", **options)


def test_rounding_is_not_magnified(synthetic: Make) -> None:
    rounded = 0.7 * (1 + 1e-15 * np.arange(9))
    for values, constant in ((rounded, True), (np.linspace(0.7, 0.8, 9), False), (np.zeros(9), False)):
        chart = against(synthetic(values, {"n_th": np.arange(9.0)}), "energy_terminal", "n_th", logy=False)
        for model in (render(still(chart)), embedded(chart)):
            if constant:
                assert (model.y_range.start, model.y_range.end) == pytest.approx((0.665, 0.735))
        assert isinstance(model.y_range, Range1d if constant else DataRange1d)


def test_a_slider_has_one_name(synthetic: Make) -> None:
    values = np.arange(1.0, 14)
    ds = synthetic(np.ones((13, 3)), {"gamma_ratio": values, "J": [1.0, 2, 3]})
    (slider,) = embedded(against(ds, "energy_terminal", "J")).select({"type": Slider})
    assert slider.title == "Γ / (2J): 1"
    (redraw,) = embedded(against(ds, "energy_terminal", "J")).select({"type": CustomJS})
    assert redraw.args["titles"][0][2] == "Γ / (2J): 3"
