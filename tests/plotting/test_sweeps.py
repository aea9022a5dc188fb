"""What pictures of sweeps promise: numbers summed up as said, divergence marked and not hidden, widths as by hand."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

import optviz
import surfaces
from optviz import plotting
from optviz.plotting import style
from optviz.plotting.maps import basins, cells, stability_boundary
from optviz.plotting.parallel_coordinates import scale, settings_table
from optviz.plotting.sweeps import rate_curves, sensitivity_bars
from optviz.plotting.swept import DIVERGED, by_factors, edges, quantile, title, what_was_equal

RATES = np.geomspace(1e-3, 1.0, 7)
BOWL = surfaces.QuadraticBowl()
ATTRS = {"optimizer": "gd", "surface": "quadratic_bowl", "num_steps": 100, "seed": 0}


def dataset(dims, values, diverged=None, attrs=ATTRS, **others):
    """A sweep as `optviz.sweep` gives it, with these final losses; those that are not finite diverged."""
    values = np.asarray(values, float)
    diverged = ~np.isfinite(values) if diverged is None else np.asarray(diverged)
    data = {"final_loss": (tuple(dims), values), "diverged": (tuple(dims), diverged)}
    return xr.Dataset(data | {k: (tuple(dims), v) for k, v in others.items()}, dims, attrs)


def beside(swept, **names):
    """Sweeps side by side, along a dimension of names."""
    ((dim, values),) = names.items()
    return xr.concat(swept, xr.Variable(dim, values), join="outer", combine_attrs="drop_conflicts")


@pytest.fixture(scope="module")
def rivals():
    axes = {"learning_rate": RATES}
    swept = [optviz.sweep(optviz.optimizer(name), BOWL, BOWL.start, 50, axes=axes) for name in ("gd", "adam")]
    return beside(swept, optimizer=["gd", "adam"])


@pytest.fixture(scope="module")
def plane():
    """Gradient descent, which is stable below 2 / condition number and nowhere else."""
    axes = {"learning_rate": np.geomspace(1e-2, 3, 24), "surface.condition_number": np.geomspace(1.0, 100.0, 25)}
    return optviz.sweep(optviz.optimizer("gd"), BOWL, BOWL.start, 100, axes=axes)


@pytest.fixture(scope="module")
def starts():
    axes = {"start.x1": np.linspace(-6, 6, 12), "start.x2": np.linspace(-6, 6, 13)}
    names = ["final_loss", "diverged", "nearest_minimum", "steps_to_tolerance"]
    gd, surface = optviz.optimizer("gd", learning_rate=0.015), surfaces.Himmelblau()
    return optviz.sweep(gd, surface, surface.start, 300, axes=axes, metrics=names)


@pytest.fixture(autouse=True)
def no_figure_left():
    yield
    plt.close("all")


PICTURES = {
    "rate curve": lambda swept, ax=None: plotting.plot_rate_curve(swept["rivals"], ax),
    "sensitivity": lambda swept, ax=None: plotting.plot_sensitivity(swept["rivals"], ax),
    "heat map": lambda swept, ax=None: plotting.plot_heat_map(
        swept["plane"], ax, x="surface.condition_number", y="learning_rate"
    ),
    "parallel coordinates": lambda swept, ax=None: plotting.plot_parallel_coordinates(swept["plane"], ax),
    "basins": lambda swept, ax=None: plotting.plot_basins(swept["starts"], ax, surface=surfaces.Himmelblau()),
}


@pytest.fixture
def real(rivals, plane, starts):
    return {"rivals": rivals, "plane": plane, "starts": starts}


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_gives_back_the_axes_it_was_given_and_makes_no_figure(real, picture):
    ax = Figure().subplots()
    assert PICTURES[picture](real, ax) is ax
    assert plt.get_fignums() == []
    ax.get_figure(root=True).draw_without_rendering()


@pytest.mark.parametrize("picture", PICTURES)
def test_without_axes_a_picture_makes_its_own_and_leaves_matplotlib_as_it_was(real, picture):
    before = dict(plt.rcParams)
    assert PICTURES[picture](real).get_figure(root=True).number in plt.get_fignums()
    assert dict(plt.rcParams) == before


NAN, INF = np.nan, np.inf
EXTREMES = {
    "all diverged": dataset({"learning_rate": RATES, "b1": [0.5, 0.9]}, np.full((7, 2), NAN)),
    "one point": dataset({"learning_rate": [0.1], "b1": [0.9]}, [[2.0]]),
    "one point, diverged": dataset({"learning_rate": [0.1], "b1": [0.9]}, [[INF]]),
    "all equal": dataset({"learning_rate": RATES, "b1": [0.5, 0.9]}, np.ones((7, 2))),
    "all zero": dataset({"learning_rate": RATES, "b1": [0.5, 0.9]}, np.zeros((7, 2))),
    "negative": dataset({"learning_rate": [0.1, 0.2], "b1": [0.5, 0.9]}, [[-1.0, -5.0], [INF, -1e9]]),
    "from 0 to 1e38": dataset({"learning_rate": [0.1, 0.2], "b1": [0.5, 0.9]}, [[0.0, 1e-38], [1.0, 1e38]]),
    "no flag": dataset({"learning_rate": [0.1, 0.2], "b1": [0.5, 0.9]}, [[1.0, NAN], [INF, 2.0]]).drop_vars("diverged"),
    "seeds apart": dataset(
        {"learning_rate": [0.1, 1.0], "b1": [0.5, 0.9], "seed": [0, 1]}, [[[1, NAN], [2, 3]], [[NAN, NAN], [0, 1]]]
    ),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_extreme_results_can_be_drawn(name):
    swept = EXTREMES[name]
    drawn = [
        plotting.plot_rate_curve(swept),
        plotting.plot_sensitivity(swept),
        plotting.plot_heat_map(swept, x="learning_rate", y="b1"),
        plotting.plot_basins(swept.assign(nearest_minimum=0 * swept.final_loss.fillna(0)), x="learning_rate", y="b1")
        if "seed" not in swept.dims and "1e38" not in name
        else None,
        plotting.plot_parallel_coordinates(swept, names=["learning_rate", "b1"]),
    ]
    for ax in drawn:
        if ax is not None:
            ax.get_figure(root=True).draw_without_rendering()


# Rate curves


def test_a_curve_holds_median_and_quantiles_over_the_seeds():
    values = np.random.default_rng(0).lognormal(size=(7, 20))
    (curve,) = rate_curves(dataset({"learning_rate": RATES, "seed": np.arange(20)}, values))
    for row, q in ((curve.low, 0.1), (curve.median, 0.5), (curve.high, 0.9)):
        np.testing.assert_allclose(row, np.quantile(values, q, axis=1))
    ax = plotting.plot_rate_curve(dataset({"learning_rate": RATES, "seed": np.arange(20)}, values))
    (band,) = (c for c in ax.collections if c.get_paths() and len(c.get_paths()[0].vertices) > 10)
    corners = band.get_paths()[0].vertices
    for rate, low, high in zip(RATES, curve.low, curve.high, strict=True):
        ends = corners[np.isclose(corners[:, 0], rate), 1]
        np.testing.assert_allclose([ends.min(), ends.max()], [low, high])


def test_a_quantile_between_a_finite_and_an_infinite_value_is_infinite_and_else_numpys():
    values = np.array([[1.0, 2.0, 3.0, INF], [1.0, 2.0, INF, INF], [-1.0, NAN, 5.0, NAN], [NAN, NAN, NAN, NAN]])
    np.testing.assert_array_equal(quantile(values, 0.5, axis=1), [2.5, INF, 2.0, NAN])
    np.testing.assert_array_equal(quantile(values, 1 / 3, axis=1)[:2], [2.0, 2.0])
    with np.errstate(over="raise"):
        assert quantile(np.array([-1e300, INF, INF]), 0.25, axis=0) == INF


def test_runs_that_diverged_are_marked_above_everything_and_never_hidden():
    values = np.array([3.0, 1.0, 0.1, 7e5, 2.0, NAN, INF])  # a diverged run may end finite, and low
    diverged = np.array([0, 0, 0, 1, 1, 1, 1], bool)
    ax = plotting.plot_rate_curve(dataset({"learning_rate": RATES}, values, diverged))
    (crosses,) = (c for c in ax.collections if len(c.get_offsets()) == diverged.sum())
    np.testing.assert_allclose(crosses.get_offsets()[:, 0], RATES[diverged])
    heights = crosses.get_offsets()[:, 1]
    line = next(line for line in ax.lines if line.get_label() == "gd").get_ydata()
    np.testing.assert_array_equal(np.isnan(line), diverged)
    assert (heights > np.nanmax(line)).all() and (heights < ax.get_ylim()[1]).all()
    strip = ax.patches[0].get_window_extent().transformed(ax.transData.inverted()).y0
    assert max(*ax.get_yticks(), *ax.get_yticks(minor=True)) <= strip * (1 + 1e-9) < heights.min()
    assert "diverged" in legend(ax)


def test_a_rate_at_which_a_few_seeds_diverge_keeps_its_line_and_has_a_faint_cross():
    values = np.ones((7, 10))
    values[5, :2], values[6, :9] = NAN, NAN
    swept = dataset({"learning_rate": RATES, "seed": np.arange(10)}, values)
    (curve,) = rate_curves(swept)
    np.testing.assert_allclose(curve.diverged, [0, 0, 0, 0, 0, 0.2, 0.9])
    assert np.isfinite(curve.median).tolist() == [True] * 6 + [False] and np.isinf(curve.high[5])
    assert "diverged (faint: some seeds)" in legend(plotting.plot_rate_curve(swept))


def test_a_metric_that_is_infinite_without_divergence_is_told_apart():
    swept = dataset({"learning_rate": RATES}, np.ones(7), steps=[INF, INF, 30, 20, 10, INF, NAN])
    swept["diverged"][-1] = True
    assert {"diverged", "not finite"} <= set(legend(plotting.plot_rate_curve(swept, metric="steps")))


def test_the_best_of_every_line_is_marked(rivals):
    ax = plotting.plot_rate_curve(rivals)
    dots = {tuple(np.ravel(line.get_xydata())) for line in ax.lines if len(line.get_xdata()) == 1}
    for curve in rate_curves(rivals):
        i = np.argmin(curve.median)
        assert any(np.allclose(dot, (curve.rates[i], curve.median[i])) for dot in dots)


def test_a_line_keeps_its_colour_whoever_its_rivals_are(rivals):
    ax = plotting.plot_rate_curve(rivals)
    swapped = plotting.plot_rate_curve(rivals.isel(optimizer=[1, 0]))
    for axes in (ax, swapped):
        drawn = {line.get_label(): line.get_color() for line in axes.lines if line.get_label() in ("gd", "adam")}
        assert drawn == style.colours(["gd", "adam"])


def test_rates_that_were_not_run_are_no_divergence():
    few = dataset({"learning_rate": RATES[:3]}, [3.0, 2.0, 1.0])
    all_of_them = dataset({"learning_rate": RATES}, np.arange(1.0, 8.0))
    swept = beside([few, all_of_them], optimizer=["a", "b"])
    short, long = rate_curves(swept)
    np.testing.assert_allclose(short.rates, RATES[:3])
    assert len(long.rates) == 7 and not short.diverged.any()
    assert len(settings_table(swept).metric) == 10
    found = plotting.good_region(swept)
    np.testing.assert_allclose(found.high, [RATES[2], RATES[6]])
    assert found.cut.all()


def test_a_sweep_that_keeps_whole_runs_has_no_more_lines():
    swept = dataset({"learning_rate": RATES}, np.arange(1.0, 8.0))
    swept["loss"] = (("step", "learning_rate"), np.ones((5, 7)))
    assert len(rate_curves(swept)) == 1
    assert plotting.good_region(swept).decades.shape == ()


# What was equal


def test_the_heading_says_what_was_equal_and_nothing_that_was_not(rivals):
    assert title(rivals) == "quadratic bowl" and title(rivals.sel(optimizer="adam")) == "adam on quadratic bowl"
    assert what_was_equal(rivals) == "50 steps"
    seeded = dataset({"learning_rate": RATES, "seed": np.arange(4), "b1": [0.9]}, np.ones((7, 4, 1)))
    assert what_was_equal(seeded) == "100 steps · median of 4 seeds · b1 = 0.9"
    ax = plotting.plot_rate_curve(seeded)
    assert ax.get_title(loc="left") == "gd on quadratic bowl"
    assert "band 10 to 90 %" in ax.texts[0].get_text().replace("\n", " ")


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# Scales


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [
        (np.geomspace(1e-4, 1, 9), True),
        ([1, 2, 4], True),
        ([1.0, 10.0], True),
        ([0.5, 0.9], False),
        (np.linspace(0.01, 1, 9), False),
        ([0.0, 0.1, 1.0], False),
        ([0.1], False),
        (optviz.log_uniform(200, b1=(1e-3, 1.0))["b1"], True),
        (np.random.default_rng(0).uniform(0.001, 1, 200), False),
    ],
)
def test_an_axis_is_logarithmic_where_its_values_are_spaced_by_factors(values, logarithmic):
    assert by_factors(np.asarray(values, float)) is logarithmic


@pytest.mark.parametrize("values", [np.geomspace(1e-3, 1, 4), np.linspace(0, 1, 4), np.array([0.5]), np.array([0.0])])
def test_every_cell_holds_its_value_and_ends_where_the_next_begins(values):
    borders = edges(values)
    assert len(borders) == len(values) + 1 and (borders[:-1] < values).all() and (values < borders[1:]).all()


# Heat maps


def test_the_boundary_runs_between_what_diverged_and_what_did_not(plane):
    found = cells(plane, "surface.condition_number", "learning_rate")
    borders = stability_boundary(found)
    assert len(borders) == np.sum(found.diverged[1:] != found.diverged[:-1]) + np.sum(
        found.diverged[:, 1:] != found.diverged[:, :-1]
    )
    x, y = edges(found.x), edges(found.y)
    for (x0, y0), (x1, y1) in borders:
        middle = np.sqrt(x0 * x1), np.sqrt(y0 * y1)
        step = (1.001, 1.0) if x0 == x1 else (1.0, 1.001)
        sides = [
            found.diverged[
                np.searchsorted(y, middle[1] * step[1] ** k) - 1, np.searchsorted(x, middle[0] * step[0] ** k) - 1
            ]
            for k in (-1, 1)
        ]
        assert sides[0] != sides[1]


def test_the_boundary_of_gradient_descent_on_a_quadratic_is_two_over_the_curvature(plane):
    found = cells(plane, "surface.condition_number", "learning_rate")
    points = stability_boundary(found).reshape(-1, 2)
    cell = np.log(found.y[1] / found.y[0]) + np.log(found.x[1] / found.x[0])
    # On the bowl of curvature 1 and kappa, from Boyd & Vandenberghe (2004), 9.3.2; a cell is the error of the grid.
    assert len(points) and (np.abs(np.log(points[:, 1] * points[:, 0] / 2)) < cell).all()


def test_cells_that_diverged_have_one_colour_and_no_other_cell_has_it(plane):
    ax = plotting.plot_heat_map(plane, x="surface.condition_number", y="learning_rate")
    found = cells(plane, "surface.condition_number", "learning_rate")
    (mesh,) = (c for c in ax.collections if hasattr(c, "get_coordinates"))
    colors = mesh.get_array()
    grey = np.isclose(colors, to_rgba(DIVERGED)[:3]).all(axis=-1)
    np.testing.assert_array_equal(grey, found.diverged)
    assert {"diverged", "edge of stability, measured"} <= set(legend(ax))


def test_the_best_cell_is_marked_and_ties_are_told():
    values = np.array([[3.0, 2.0], [1.0, NAN]])
    swept = dataset({"b1": [0.5, 0.9], "learning_rate": [0.01, 0.1]}, values)
    ax = plotting.plot_heat_map(swept, x="learning_rate", y="b1")
    (dot,) = (line for line in ax.lines if line.get_label().startswith("best"))
    assert tuple(np.ravel(dot.get_xydata())) == (0.01, 0.9) and dot.get_label() == "best: 1"
    equal = plotting.plot_heat_map(swept.fillna(1.0).assign(diverged=False & swept.diverged), x="learning_rate", y="b1")
    assert "best: 1, one of 2 equal" in legend(equal)


def test_seeds_of_a_cell_are_their_median_and_half_of_them_decide_that_it_diverged():
    values = [[[1.0, 2.0, 9.0, NAN], [1.0, 2.0, NAN, NAN]]]
    found = cells(dataset({"b1": [0.9], "learning_rate": [0.1, 0.2], "seed": range(4)}, values), "learning_rate", "b1")
    np.testing.assert_array_equal(found.values, [[5.5, INF]])
    np.testing.assert_array_equal(found.diverged, [[False, True]])


def test_theory_is_drawn_where_it_says(plane):
    kappa = plane["surface.condition_number"].values
    theory = {"2/κ": (kappa, 2 / kappa), "one rate": (kappa, 0.1)}
    ax = plotting.plot_heat_map(plane, x="surface.condition_number", y="learning_rate", theory=theory)
    drawn = {line.get_label(): line.get_xydata() for line in ax.lines}
    np.testing.assert_allclose(drawn["2/κ"], np.column_stack([kappa, 2 / kappa]))
    np.testing.assert_allclose(drawn["one rate"][:, 1], 0.1)
    assert set(theory) <= set(legend(ax))


# Good regions


def v_shape(rates, best=0.01, slope=2.0):
    """A loss that is 1e-3 at the best rate and grows by `slope` decades per decade away from it."""
    return 1e-3 * 10.0 ** (slope * np.abs(np.log10(rates / best)))


@pytest.mark.parametrize(("factor", "decades"), [(10.0, 1.0), (100.0, 2.0), (1.5, 0.0), (99.0, 1.8)])
def test_a_v_shaped_curve_is_as_wide_as_by_hand(factor, decades):
    """Ten rates a decade: a loss of slope 2 is within a factor of 10 for half a decade to each side."""
    rates = np.geomspace(1e-4, 1, 41)
    found = plotting.good_region(
        dataset({"learning_rate": rates}, v_shape(rates) * (1 - 1e-9)), factor=factor * (1 + 1e-6)
    )
    np.testing.assert_allclose(found.decades, decades, atol=1e-6)
    np.testing.assert_allclose([found.best, found.low * found.high], [0.01, 1e-4])
    assert not found.cut


@pytest.mark.parametrize(
    ("losses", "low", "high", "cut"),
    [
        ([11, 1, 1, NAN, 1, 1, 11], 1, 2, False),  # divergence ends a region
        ([9, 1, 50, 0.5, 1, 1, 1], 3, 6, True),  # as does a bad rate; the end of the sweep is told
        ([0, 1e-5, 1e-3, 5, 5, 5, 5], 0, 1, True),  # of zero, no factor
        ([-3, -4, -4 + 5e-5, -1, 0, 1, 2], 1, 2, False),
        ([NAN, INF, 2, NAN, INF, NAN, 1e3], 2, 2, False),
    ],
)
def test_a_region_is_the_unbroken_row_of_good_rates_around_the_best(losses, low, high, cut):
    found = plotting.good_region(dataset({"learning_rate": RATES}, losses))
    np.testing.assert_allclose([found.low, found.high], RATES[[low, high]])
    assert bool(found.cut) is cut


def test_the_order_of_the_rates_in_the_sweep_does_not_matter():
    swept = dataset({"learning_rate": RATES}, v_shape(RATES))
    mixed = swept.isel(learning_rate=[3, 0, 6, 2, 5, 1, 4])
    xr.testing.assert_allclose(plotting.good_region(mixed), plotting.good_region(swept))
    np.testing.assert_array_equal(rate_curves(mixed)[0].median, rate_curves(swept)[0].median)


def test_where_nothing_ends_finite_there_is_no_region():
    found = plotting.good_region(dataset({"learning_rate": RATES}, np.full(7, NAN)))
    assert all(np.isnan(found[name]) for name in ("best", "low", "high", "decades"))


def test_bars_go_from_low_to_high_and_the_widest_is_on_top():
    losses = [v_shape(RATES, slope=4.0), v_shape(RATES, slope=0.1), np.full(7, NAN)]
    swept = beside([dataset({"learning_rate": RATES}, row) for row in losses], optimizer=["adam", "gd", "lion"])
    ax = plotting.plot_sensitivity(swept)
    found = plotting.good_region(swept)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["gd", "adam", "lion"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    for name, bar in zip(["gd", "adam"], ax.patches, strict=False):
        at = found.sel(optimizer=name)
        np.testing.assert_allclose([bar.get_x(), bar.get_x() + bar.get_width()], [at.low, at.high])
    assert [text.get_text() for text in ax.texts][:3] == ["≥ 3.0 decades", "0.0 decades", "none is finite"]
    assert sensitivity_bars(swept, "learning_rate", "final_loss", 10.0, 1e-4)[0].label == "gd"


# Parallel coordinates


def test_every_setting_of_a_grid_and_of_a_random_design_is_one_line(plane):
    grid = settings_table(plane)
    assert len(grid.metric) == plane.final_loss.size and list(grid.columns) == list(plane.dims)
    for i in (0, 7, 100):
        at = plane.final_loss.sel({k: v[i] for k, v in grid.columns.items()})
        assert grid.metric[i] == (at if np.isfinite(grid.metric[i]) else INF)
    drawn = optviz.log_uniform(30, learning_rate=(1e-3, 1.0), b1=(0.1, 0.9))
    losses = np.arange(30.0)
    random = xr.Dataset({"final_loss": ("run", losses)}, {k: ("run", v) for k, v in drawn.items()}, ATTRS)
    table = settings_table(random)
    for name, values in drawn.items():
        np.testing.assert_array_equal(table.columns[name], values)
    np.testing.assert_array_equal(table.metric, losses)


def test_the_best_line_is_thick_and_last_and_divergence_thin_grey_and_behind(plane):
    ax = plotting.plot_parallel_coordinates(plane)
    behind, runs = ax.collections
    thick = next(line for line in ax.lines if line.get_label() == "best")
    assert behind.get_label() == "diverged" and len(behind.get_segments()) == int(plane.diverged.sum())
    np.testing.assert_allclose(behind.get_edgecolor()[0][:3], to_rgba(DIVERGED)[:3])
    assert behind.get_zorder() < runs.get_zorder() < thick.get_zorder()
    assert thick.get_linewidth() > 2 * max(*runs.get_linewidth(), *behind.get_linewidth())
    np.testing.assert_allclose(thick.get_xydata(), runs.get_segments()[-1])
    ends = np.array([segment[-1, 1] for segment in runs.get_segments()])
    assert (np.diff(ends) <= 0).all()  # from the worst to the best
    table = settings_table(plane)
    best = ", ".join(f"{v[np.argmin(table.metric)]:.4g}" for v in table.columns.values())
    said = ax.texts[-1].get_text().replace("\n", " ")
    assert all(number in said for number in best.split(", "))


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        (np.geomspace(1e-4, 1, 9), {"0.0001": 0, "0.01": 0.5, "1": 1}),
        (np.linspace(0, 10, 30), {"0": 0, "4": 0.4, "10": 1}),
        (np.array([0.5, 0.9, 0.9]), {"0.5": 0, "0.9": 1}),
        (np.array(["gd", "adam", "gd"]), {"gd": 0, "adam": 1}),
        (np.array([2, 2]), {"2": 0.5}),
    ],
)
def test_ticks_carry_the_real_values_at_their_places(values, ticks):
    axis = scale(values)
    assert axis.heights.min() >= 0 and axis.heights.max() <= 1
    for text, height in ticks.items():
        np.testing.assert_allclose(axis.ticks[text], height, atol=1e-12)
    for value, height in zip(values, axis.heights, strict=True):
        np.testing.assert_allclose(height, axis.ticks.get(str(value), height))


# Basins


def test_the_map_shows_for_every_start_the_minimum_its_run_ends_at(starts):
    """A start in the map is the run recorded alone, and starts beside a minimum stay with it."""
    found, surface = basins(starts), surfaces.Himmelblau()
    gd = optviz.optimizer("gd", learning_rate=0.015)
    for i, j in ((0, 0), (6, 2), (3, 9)):
        end = optviz.record(gd, surface, [found.x[j], found.y[i]], 300).current_params
        distances = [np.linalg.norm(end - minimum) for minimum in surface.minima]
        assert found.minimum[i, j] == (np.argmin(distances) if np.isfinite(distances).all() else -1)
    for k, (x, y) in enumerate(surface.minima):
        assert found.minimum[np.argmin(abs(found.y - y)), np.argmin(abs(found.x - x))] == k


def test_shares_of_minima_and_the_rest_make_a_whole(starts):
    found = basins(starts)
    assert sum(found.share(k) for k in range(-1, 4)) + found.unreached.mean() == pytest.approx(1)
    with_surface = legend(plotting.plot_basins(starts, surface=surfaces.Himmelblau()))
    assert [text.split(":")[0] for text in with_surface[:2]] == ["(3, 2)", "(-2.81, 3.13)"]
    assert legend(plotting.plot_basins(starts))[0].startswith("minimum 0")


def test_colours_of_a_map_follow_the_minimum_and_starts_that_reached_none_are_pale():
    dims = {"start.x2": [0.0, 1.0], "start.x1": [0.0, 1.0, 2.0]}
    minimum, steps = [[0, 1, -1], [0, 1, 1]], [[5, 5, INF], [INF, 5, INF]]
    swept = dataset(dims, np.ones((2, 3)), nearest_minimum=minimum, steps_to_tolerance=steps)
    ax = plotting.plot_basins(swept)
    colors = ax.collections[0].get_array()
    np.testing.assert_allclose(colors[0, 1], colors[1, 1])
    assert not np.allclose(colors[0, 0], colors[0, 1])
    np.testing.assert_allclose(colors[0, 2], to_rgba(DIVERGED)[:3])
    np.testing.assert_allclose(1 - colors[1, 0], 0.3 * (1 - colors[0, 0]))
    assert [text.split(": ")[1] for text in legend(ax)] == ["16.7 %", "33.3 %", "16.7 %", "33.3 %"]


# What is refused

FLAT = dataset({"learning_rate": RATES}, np.ones(7))
CUBE = dataset({"learning_rate": RATES, "b1": [0.5, 0.9], "b2": [0.9, 0.99]}, np.ones((7, 2, 2)))
DESIGN = xr.Dataset({"final_loss": ("run", np.ones(3))}, {"learning_rate": ("run", RATES[:3])})
NAMED = dataset({"optimizer": ["a", "b"], "learning_rate": RATES}, np.ones((2, 7)))
REFUSED = {
    "no dataset": (lambda: plotting.plot_rate_curve(FLAT.final_loss), TypeError, "Dataset that sweep returns"),
    "no such metric": (lambda: plotting.plot_rate_curve(FLAT, metric="final_los"), ValueError, "'final_loss'"),
    "a flag": (lambda: plotting.plot_rate_curve(FLAT, metric="diverged"), TypeError, "no number"),
    "no such dimension": (lambda: plotting.plot_rate_curve(FLAT, over="rate"), ValueError, "'learning_rate'"),
    "a design": (lambda: plotting.plot_rate_curve(DESIGN), ValueError, "plot_parallel_coordinates"),
    "a dimension too many": (
        lambda: plotting.plot_heat_map(CUBE, x="b1", y="b2"),
        ValueError,
        r"isel\({'learning_rate': 0}\)",
    ),
    "twice the same": (lambda: plotting.plot_heat_map(CUBE, x="b1", y="b1"), ValueError, "two dimensions"),
    "names": (lambda: plotting.plot_heat_map(NAMED, x="optimizer", y="learning_rate"), ValueError, "needs numbers"),
    "nothing varies": (lambda: plotting.plot_parallel_coordinates(FLAT.isel(learning_rate=0)), ValueError, "varies"),
    "unknown axis": (lambda: plotting.plot_parallel_coordinates(FLAT, names=["b1"]), ValueError, "'b1'"),
    "factor": (lambda: plotting.good_region(FLAT, factor=1.0), ValueError, "above 1"),
    "no decades": (
        lambda: plotting.good_region(FLAT.assign_coords(learning_rate=RATES - RATES[0])),
        ValueError,
        "positive",
    ),
    "no minima": (lambda: plotting.plot_basins(FLAT), ValueError, "nearest_minimum"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_meant_is_refused_with_a_sentence(unchecked, case):
    make, error, sentence = REFUSED[case]
    with pytest.raises(error, match=sentence):
        make()
    assert plt.get_fignums() == []


def test_a_surface_other_than_the_one_descended_is_refused(unchecked, starts):
    with pytest.raises(ValueError, match="1 known minima"):
        plotting.plot_basins(starts, surface=BOWL)
    with pytest.raises(ValueError, match="two numbers"):
        plotting.plot_basins(starts, surface=surfaces.Rosenbrock(dimension=5))
