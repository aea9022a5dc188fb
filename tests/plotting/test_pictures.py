"""What every picture promises: axes in, axes out; the data it shows; nothing cut off at the end."""

import inspect

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import plotly.offline
import pytest
from matplotlib.figure import Figure
from PIL import Image

import optviz
import surfaces
from optviz import plotting
from optviz.plotting import style
from optviz.plotting.animation import frame_steps
from optviz.plotting.comparison import loss_curves
from optviz.plotting.diagnostics import diagnostic_curves
from optviz.plotting.planes import on_plane, view
from optviz.plotting.principal import principal_directions

SURFACE = surfaces.Rosenbrock()
START = [-2.0, 2.0]


def run(name="adam", num_steps=30, surface=SURFACE, start=START, **given):
    return optviz.record(optviz.optimizer(name, **given), surface, start, num_steps)


@pytest.fixture(scope="module")
def runs():
    return [run("adam"), run("gd"), run("gd", learning_rate=1.0)]


@pytest.fixture(autouse=True)
def no_figure_left():
    plt.close("all")
    yield
    plt.close("all")


def network_run():
    surface = surfaces.XorNetwork()
    return optviz.record(optviz.optimizer("adam", learning_rate=0.05), surface, surface.start, 15)


PICTURES = {
    "trajectory": lambda traces, ax: plotting.plot_trajectory(traces[0], ax=ax),
    "comparison": lambda traces, ax: plotting.plot_comparison(traces, ax=ax),
    "losses": lambda traces, ax: plotting.plot_losses(traces, ax=ax),
    "contours": lambda traces, ax: traces[0].surface.plot_contours(ax=ax),
}


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_takes_axes_gives_them_back_and_makes_no_figure(runs, picture):
    ax = Figure().subplots()
    assert PICTURES[picture](runs, ax) is ax
    assert plt.get_fignums() == []
    assert ax.get_xlabel() and ax.get_ylabel()


@pytest.mark.parametrize("picture", PICTURES)
def test_without_axes_a_picture_makes_its_own(runs, picture):
    ax = PICTURES[picture](runs, None)
    assert ax.get_figure(root=True).number in plt.get_fignums()


def test_side_by_side_gives_one_axes_a_run(unchecked, runs):
    assert len(plotting.plot_comparison(runs, layout="side by side")) == 3
    with pytest.raises(ValueError, match="overlaid"):
        plotting.plot_comparison(runs, layout="stacked")


def test_diagnostics_and_three_dimensions_are_drawn(runs):
    axes = plotting.plot_diagnostics(runs[:2], state="count")
    assert len(axes) >= 5 and all(ax.get_ylabel() for ax in axes)
    assert plotting.plot_surface_3d(SURFACE, runs[:2]).get_zlabel()


@pytest.mark.parametrize(
    "make",
    [
        lambda: optviz.record(
            optax.sgd(1e-3), surfaces.Rosenbrock(dimension=10), surfaces.Rosenbrock(dimension=10).start, 20
        ),
        network_run,
        lambda: optviz.record(optax.sgd(0.1), lambda p: jnp.sum(p**2), START, 10),
        lambda: optviz.record(optax.sgd(0.1), surfaces.Rastrigin(), [3.3, -2.7], 10, every=3),
        lambda: optviz.record(optax.sgd(float("nan")), SURFACE, START, 5),
    ],
    ids=["ten dimensions", "network", "plain function", "every third step", "nan"],
)
def test_any_run_can_be_drawn(make):
    trace = make()
    path, losses = on_plane([trace]).paths[0], np.column_stack([trace.path_index, trace.losses])
    for axes, points in ((plotting.plot_trajectory(trace), path), (plotting.plot_losses([trace]), losses)):
        drawn = np.concatenate([finite(line.get_xydata()) for line in axes.lines])
        assert {tuple(p) for p in finite(points)} <= {tuple(p) for p in drawn}


def finite(points):
    return points[np.isfinite(points).all(axis=1)]


def test_a_plane_says_which_and_projects_the_path():
    surface = surfaces.Rosenbrock(dimension=5)
    trace = optviz.record(optax.sgd(1e-5), surface, surface.start, 20)
    principal, chosen = on_plane([trace]), on_plane([trace], plane=(1, 3))
    assert "principal" in principal.caption and "%" in principal.caption
    np.testing.assert_allclose(
        np.diff(chosen.paths[0], axis=0), np.diff(trace.path[:, jnp.array([1, 3])], axis=0), atol=1e-6
    )
    assert chosen.caption
    with pytest.raises(ValueError, match="plane"):
        on_plane([trace], plane="sideways")


def test_the_view_holds_start_end_and_minimum_but_no_run_to_infinity(runs):
    (left, right), (low, high) = view(on_plane(runs))
    for x, y in (START, np.asarray(runs[0].path[-1]), SURFACE.minima[0]):
        assert left < x < right and low < y < high
    assert right - left < 20 and high - low < 20


def test_the_loss_curve_ends_with_the_last_step(runs):
    curves, label, _ = loss_curves(runs[:1])
    index, losses = curves[0]
    assert index[-1] == 30 and label
    np.testing.assert_allclose(losses[-1], runs[0].losses[-1], rtol=1e-6)


def test_diagnostics_read_the_trace(runs):
    curves = diagnostic_curves(runs[:1], "mu")
    numbers = {name: np.asarray(curve[0][1]) for name, curve in curves.items()}
    assert any(np.allclose(c[: len(runs[0])], runs[0].steps.step_size) for c in numbers.values() if len(c) >= 30)
    with pytest.raises(ValueError, match="state"):
        plotting.plot_diagnostics(runs[:1], state="nonsense")


def test_the_grid_holds_the_losses():
    x, y, z = plotting.level_grid(SURFACE, (-1, 1), (0, 2), 7)
    assert (x.shape, y.shape, z.shape) == ((7,), (7,), (7, 7))
    np.testing.assert_allclose(z[2, 5], SURFACE(jnp.array([x[5], y[2]])), rtol=1e-5)


def test_the_grid_of_a_plane_holds_the_losses_however_many_parameters_there_are():
    for size in (3, 200_000):
        plane = surfaces.Slice.coordinates(lambda p: jnp.sum((p - 1) ** 2), jnp.ones(size), 0, 2)
        x, y, z = plotting.level_grid(plane, (-1, 1), (0, 2), 4)
        np.testing.assert_allclose(z, x**2 + y[:, None] ** 2, rtol=1e-5)


def principal_by_svd(points):
    """The definition: right singular vectors of the centred points, and squares of their singular values."""
    _, values, directions = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    return directions[:2], values[:2] ** 2 / np.sum(values**2)


@pytest.mark.parametrize("shape", [(3, 100), (30, 31), (20, 200_000), (40, 7)])
def test_principal_directions_are_those_of_the_singular_value_decomposition(shape):
    scales = 0.5 ** np.arange(min(shape))
    rng = np.random.default_rng(0)
    points = rng.normal(size=(shape[0], len(scales))) * scales @ rng.normal(size=(len(scales), shape[1])) + 5
    # Single precision, as weights are kept, is summed in double.
    for given in (points, points.astype(np.float32)):
        found, shares = principal_directions(given)
        known, known_shares = principal_by_svd(given.astype(float))
        np.testing.assert_allclose(shares, known_shares, rtol=1e-10)
        np.testing.assert_allclose(found * np.sign(np.sum(found * known, axis=1))[:, None], known, atol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_there_are_two_directions_even_of_points_on_a_line_or_all_alike(count, spread):
    line = np.linspace(0, spread, count)[:, None] * np.arange(1.0, 6.0) + 3
    for points in (line, np.repeat(line, 4, axis=1)):
        directions, shares = principal_directions(points)
        np.testing.assert_allclose(directions @ directions.T, np.eye(2), atol=1e-12)
        varies = spread > 0 and count > 1
        np.testing.assert_allclose(shares, (1.0, 0.0) if varies else (0.0, 0.0), atol=1e-12)
        if varies:
            np.testing.assert_allclose(
                abs(directions[0] @ (points[-1] - points[0])), np.linalg.norm(points[-1] - points[0])
            )


def test_a_diverged_run_is_named_so(runs):
    legend = plotting.plot_comparison(runs).get_legend()
    assert any("diverged" in text.get_text() for text in legend.get_texts())


def test_a_comparison_says_what_was_equal(runs):
    said = style.what_was_equal(runs[:2], "tuned")
    assert "start (-2, 2)" in said and "30 steps" in said and "tuned" in said
    noisy = surfaces.Noisy(SURFACE, gradient_scale=0.1)
    traces = [optviz.record(optax.sgd(1e-4), noisy, START, 3, key=key) for key in (4, 4, 5)]
    assert "same draws (seed 4)" in style.what_was_equal(traces[:2])
    assert "different draws" in style.what_was_equal(traces)


def test_colours_follow_names_not_positions():
    names = [e.name for e in optviz.CATALOGUE if e.well_known]
    forwards, backwards = style.colours(names), style.colours(names[::-1])
    assert forwards == backwards and len(set(forwards.values())) == len(names)


def test_rivals_of_one_name_are_told_apart():
    names = style.labels([run("adam", learning_rate=r, num_steps=1) for r in (0.1, 0.2)] + [run("gd", num_steps=1)])
    assert names == ["adam (learning_rate=0.1)", "adam (learning_rate=0.2)", "gd"]


def test_labels_never_repeat():
    rates = (0.1, 0.100001, 0.2, 0.2)
    names = style.labels([run("adam", learning_rate=r, num_steps=1) for r in rates])
    assert len(set(names)) == len(rates)


@pytest.mark.parametrize(("num_steps", "num_frames"), [(1000, 100), (1000, 2), (7, 100), (1, 2)])
def test_frames_go_from_the_first_step_to_the_last(num_steps, num_frames):
    steps = frame_steps(num_steps, num_frames)
    assert steps[0] == 0 and steps[-1] == num_steps and len(steps) <= num_frames
    assert (np.diff(steps) > 0).all()


def test_the_last_frame_is_the_last_step(tmp_path, runs):
    """The GIF of a run ends as the GIF of only its end: both show the whole path."""
    long = optviz.create_animation(runs[0], tmp_path / "long.gif", num_frames=10, progress=False)
    short = optviz.create_animation(runs[0], tmp_path / "short.gif", num_frames=2, progress=False)
    with Image.open(long) as gif:
        assert gif.n_frames == 10
    assert np.mean(np.abs(last_frame(long).astype(int) - last_frame(short))) < 0.5


def last_frame(file):
    with Image.open(file) as gif:
        gif.seek(gif.n_frames - 1)
        return np.asarray(gif.convert("RGB"))


def test_a_film_of_the_run(tmp_path, runs):
    pytest.importorskip("av", reason="MP4 needs the extra optviz[video]")
    assert optviz.create_animation(runs, tmp_path / "runs.mp4", num_frames=5, progress=False).stat().st_size > 1000


@pytest.mark.parametrize(
    ("filename", "error", "sentence"),
    [
        ("run.avi", ValueError, "must end in .gif or .mp4"),
        ("nowhere/run.gif", FileNotFoundError, "There is no folder"),
    ],
)
def test_an_animation_that_cannot_be_written_says_why(tmp_path, runs, filename, error, sentence):
    with pytest.raises(error, match=sentence):
        optviz.create_animation(runs, tmp_path / filename, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_every_public_picture_says_what_it_takes():
    for name in plotting.__all__:
        function = getattr(plotting, name)
        assert inspect.getdoc(function)


def test_the_interactive_page_is_small_holds_the_end_and_asks_no_network(tmp_path):
    names = [e.name for e in optviz.CATALOGUE if not e.needs][:12]
    traces = [run(name, num_steps=1000) for name in names]
    figure = optviz.interactive_3d(traces)
    assert sum(trace.type == "surface" for trace in figure.data) == 1
    paths = [t for t in figure.data if (t.meta or {}).get("role") == "path"]
    assert len(paths) == 12 and all(int(t.text[-1]) == 1000 for t in paths if "leaves" not in t.name)
    page = optviz.save_interactive_3d(figure, tmp_path / "page.html")
    assert page.stat().st_size < 2e6
    plain = optviz.save_interactive_3d(figure, tmp_path / "plain.html", compress=False).read_text(encoding="utf-8")
    ours = plain.replace(plotly.offline.get_plotlyjs(), "")
    assert len(ours) < 1e6 and "http" not in ours
    assert 'modeBarButtonsToRemove: ["sendChartToCloud"]' in ours  # or one click would send the runs away


def test_pictures_leave_matplotlib_as_it_was(runs):
    import matplotlib

    before = dict(matplotlib.rcParams)
    for picture in PICTURES.values():
        picture(runs, Figure().subplots())
    assert dict(matplotlib.rcParams) == before


def test_pictures_read_a_trace_in_double_precision(x64):
    trace = optviz.record(optviz.optimizer("adam"), SURFACE, jnp.array(START), 5)
    assert trace.path.dtype == jnp.float64 and plotting.plot_trajectory(trace).has_data()
    assert jax.config.jax_enable_x64
