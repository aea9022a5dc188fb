"""Comparing optimizers: all is equal but the optimizer, no interruption shows, chance and divergence are told."""

import dataclasses
import itertools
import json
import math
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from optviz import language_model as lm
from optviz.language_model import comparison_pictures, comparison_report, standings, training
from optviz.language_model.comparison import PLAN, RESULTS, compare
from optviz.language_model.comparison_pictures import plot_losses, plot_paths
from optviz.language_model.comparison_plan import Plan, best_rate, next_rate, split_optimizers
from optviz.language_model.curves import read_curves
from optviz.language_model.settings import TrainingSettings
from optviz.language_model.standings import Run, Standing, chance_of, mean_interval, sentences, steps_to
from optviz.plotting.training import by_reach
from tests.language_model.tiny import MODEL, TEXT, Nibbles

SETTINGS = TrainingSettings(
    steps=6, batch_size=2, warmup_steps=2, validate_every=4, save_every=3, seed=5, sharpness=True
)
WILD = "sgd:learning_rate=1e38"
PLANNED = Plan(("adamw:b2=0.99", "lion", WILD), budget=4, seeds=2, validations=6)


def created(folder, settings=SETTINGS):
    return lm.create_model("tiny", MODEL, settings, TEXT[:350], TEXT[350:], Nibbles(), models=folder)


def losses(comparison):
    """All losses of a comparison, and the rates chosen: all that must be the same when it is made again."""
    return [(s.label, s.rate, [(r.rate, r.seed, r.losses) for r in (*s.tuning, *s.runs)]) for s in comparison.standings]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A comparison from start to end: the result, its folder, and what it told."""
    folder, told = tmp_path_factory.mktemp("whole"), []
    return compare(created(folder), PLANNED, folder / "out", told.append), folder / "out", told


def test_all_have_the_same_initial_weights_and_the_same_batches(whole):
    for runs in zip(*(s.runs for s in whole[0].standings), strict=True):
        assert len({(run.seed, run.losses[0], run.training_losses[1]) for run in runs}) == 1
    starts = [np.load(file)[0] for file in whole[0].paths.values()]
    for start in starts:
        np.testing.assert_array_equal(start, ravel_pytree(MODEL.init(jax.random.key(SETTINGS.seed + 1)))[0])
    assert (
        len({run.training_losses[1] for run in whole[0].standings[0].runs}) == PLANNED.seeds
    )  # other seeds, other draws


def test_rates_are_found_with_equal_effort_and_judged_with_other_seeds(whole):
    adamw, lion, wild = whole[0].standings
    assert len(adamw.tuning) == len(lion.tuning) == PLANNED.budget and not wild.tuning
    assert [run.rate for run in adamw.tuning[:3]] == [run.rate for run in lion.tuning[:3]]  # the same grid
    for standing in (adamw, lion):
        assert standing.rate == min(standing.tuning, key=lambda run: run.final_loss).rate
        assert {run.seed for run in standing.tuning}.isdisjoint(run.seed for run in standing.runs)
        assert {run.rate for run in standing.runs} == {standing.rate}
        assert {run.steps[-1] for run in (*standing.tuning, *standing.runs)} == {SETTINGS.steps}


def test_a_run_is_a_training_run_of_the_model_with_another_optimizer(whole, tmp_path):
    found = whole[0].standings[0]
    hyperparameters = {"learning_rate": found.rate, "b2": 0.99}
    model = created(
        tmp_path, SETTINGS.replace(hyperparameters=hyperparameters, seed=found.runs[0].seed, validate_every=1)
    )
    lm.train(model)
    assert tuple(read_curves(model.folder / "validation.csv")["validation_loss"]) == found.runs[0].losses
    np.testing.assert_array_equal(np.load(whole[0].paths[found.label])[-1], ravel_pytree(model.weights("last"))[0])


def test_a_run_that_judges_keeps_what_goes_on_inside(whole):
    found = whole[0].standings[0]
    record = found.runs[0].record
    assert set(record) == {"gradient_norm", "update_to_weight", "learning_rate", "sharpness"}
    assert record["sharpness"].steps == found.runs[0].steps
    assert all(np.isfinite(series.values).all() and min(series.values) > 0 for series in record.values())
    assert found.tuning[0].record == {}


def test_a_diverged_run_counts_as_an_infinite_loss_and_is_told(whole):
    wild = whole[0].standings[-1]
    assert wild.num_diverged == PLANNED.seeds and np.isinf(wild.losses).all()
    assert any("sgd diverged with 2 of 2 seeds" in told for told in sentences(whole[0].standings))
    assert comparison_report.comparison_table(whole[0])[-1]["loss"] == math.inf
    assert standings.ranked(whole[0].standings)[-1] is wild


def test_what_is_written_says_what_was_found(whole):
    comparison, out, told = whole
    assert {p.name for p in out.iterdir() if p.is_file()} >= {*RESULTS, PLAN}
    written = json.loads((out / "results.json").read_text())
    assert [row["optimizer"] for row in written["optimizers"]] == ["adamw", "lion", "sgd"]
    assert written["optimizers"][0]["loss"] == comparison.standings[0].losses.mean()
    assert written["optimizers"][2]["loss"] == "Infinity"
    assert written["answer"] == sentences(comparison.standings)
    rows = (out / "table.csv").read_text().splitlines()
    assert rows[0].startswith("optimizer,rate,rate_on_edge") and len(rows) == 1 + 3
    curves = (out / "curves.csv").read_text().splitlines()
    assert len(curves) == 1 + 2 * 4 * 2 + 3 * 2 * 7  # validated at the ends in tuning, at every step in judging
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in RESULTS if name.endswith(".png"))
    assert "| adamw | " in (out / "report.md").read_text()
    assert [p.loss for p in told if p.loss is not None and p.stage == "tuning"] == [
        run.final_loss for s in comparison.standings for run in s.tuning
    ]
    assert {p.total for p in told} == {2 * 4 + 3 * 2} and told[-1].number == told[-1].total


def test_paused_again_and_again_it_is_the_same_comparison(whole, tmp_path):
    model, comparison, sittings = created(tmp_path), None, 0
    pauses = itertools.cycle([False] * 8 + [True])
    while comparison is None:
        comparison, sittings = compare(model, PLANNED, tmp_path / "out", should_pause=pauses.__next__), sittings + 1
    assert sittings > 4
    assert losses(comparison) == losses(whole[0])
    for label, path in comparison.paths.items():
        np.testing.assert_array_equal(np.load(path), np.load(whole[0].paths[label]))


def test_no_rate_and_no_seed_compiles_again(whole, tmp_path):
    before = training._advance._cache_size()
    plan = dataclasses.replace(PLANNED, optimizers=PLANNED.optimizers[:2], budget=5, seeds=1, tuning_steps=3)
    compare(created(tmp_path, SETTINGS.replace(seed=9)), plan, tmp_path / "out")
    assert training._advance._cache_size() == before


def test_a_finished_comparison_is_not_made_again(whole):
    comparison, out, _ = whole
    told = []
    again = compare(comparison.model, PLANNED, out, told.append)
    assert losses(again) == losses(comparison)
    assert all(p.training is None for p in told)


def test_another_comparison_is_overwritten_only_if_asked_and_shares_its_runs(whole):
    comparison, out, _ = whole
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    fewer = dataclasses.replace(PLANNED, seeds=1)
    with pytest.raises(ValueError, match=r"holds a comparison with other settings \(seeds\)"):
        compare(comparison.model, fewer, out)
    assert {path: path.read_bytes() for path in before} == before
    told = []
    one = compare(comparison.model, fewer, out, told.append, overwrite=True)
    assert all(p.training is None for p in told)
    assert [s.losses.tolist() for s in one.standings] == [s.losses[:1].tolist() for s in comparison.standings]
    assert not any("(95 %" in sentence for sentence in sentences(one.standings))
    compare(comparison.model, PLANNED, out, overwrite=True)
    assert {path: path.read_bytes() for path in before if path.suffix != ".png"} == {
        path: held for path, held in before.items() if path.suffix != ".png"
    }


def test_a_model_stays_as_it_is(tmp_path):
    model = created(tmp_path)
    before = {p: p.read_bytes() for p in model.folder.rglob("*")}
    compare(model, Plan(("lion:learning_rate=0.01",), seeds=1, validations=1), tmp_path / "out")
    assert {p: p.read_bytes() for p in model.folder.rglob("*")} == before


def test_a_folder_with_something_else_is_refused_before_any_work(whole, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    for out, sentence in ((tmp_path, "holds no comparison but thesis.tex"), (tmp_path / "thesis.tex", "is a file")):
        with pytest.raises(ValueError, match=sentence):
            compare(whole[0].model, PLANNED, out, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_paths_are_drawn_over_the_loss_on_their_plane(whole):
    axes = plot_paths(whole[0])
    figure = axes[0].get_figure()
    assert "principal direction 1" in axes[0].get_xlabel()
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries[:2] == ["adamw", "lion"] and entries[2].startswith("sgd (diverged")
    assert "same initial weights and batches (seed 6)" in figure.get_suptitle()
    for line in axes[0].lines:
        if line.get_label() in ("adamw", "lion"):
            assert np.isfinite(line.get_xydata()).all() and len(line.get_xydata()) == len(whole[0].path_steps)


@pytest.mark.parametrize(("num_weights", "limit"), [(10**3, 25), (7 * 10**6, None), (10**9, 15)])
def test_the_surface_under_the_paths_of_a_large_model_has_fewer_points(num_weights, limit, monkeypatch):
    monkeypatch.setattr(comparison_pictures, "num_weights", lambda model: num_weights)
    across = comparison_pictures._resolution(SimpleNamespace(model=None), 512)
    assert 15 <= across <= 25
    assert across == limit or across**2 * 512 * num_weights <= 10**12 < (across + 1) ** 2 * 512 * num_weights


def test_paths_too_short_to_be_seen_are_drawn_once_more():
    def path(name, reach, end=1.0):
        return SimpleNamespace(name=name, path={"w": reach * np.array([[0.0], [1.0]])}, losses=np.array([2.0, end]))

    far, near, nearest, lost = path("far", 9.0), path("near", 2.0), path("nearest", 0.5), path("lost", 1e9, math.inf)
    names = [[p.name for p in group] for group in by_reach([far, near, nearest, lost])]
    assert names == [["far", "near", "nearest", "lost"], ["near", "nearest"], ["nearest"]]
    assert by_reach([far, far, lost]) == [[far, far, lost]]


def test_the_curves_have_an_entry_for_every_optimizer_and_the_axes_their_units(whole):
    axes = plot_losses(whole[0])
    assert [ax.get_xlabel() for ax in axes[:2]] == ["steps", "seconds of training"]
    legend = [text.get_text() for text in axes[0].get_figure().legends[0].get_texts()]
    assert {"adamw", "lion", "sgd"} <= set(legend)
    assert "2 of 2 diverged" in [text.get_text() for text in axes[2].texts]


def standing(label, finals, rate=0.1, tuning=()):
    runs = [Run(rate, seed, (0, 10), (3.0, final), (math.nan, 2.0), 0.01) for seed, final in enumerate(finals)]
    return Standing(label, label, {}, rate, tuple(tuning), tuple(runs))


@pytest.mark.parametrize("freedom", [1, 2, 4, 9, 30])
def test_the_chance_is_that_of_students_table(freedom):
    gaps = np.resize([-1.0, 1.0], freedom + 1) + np.r_[0.0, np.zeros(freedom)]
    gaps = (gaps - gaps.mean()) / gaps.std(ddof=1)
    t = lm.evaluation.STUDENT[freedom - 1]
    assert chance_of(gaps + t / math.sqrt(freedom + 1)) == pytest.approx(
        0.025, rel=2e-3
    )  # of a table in three decimals
    assert chance_of(gaps - t / math.sqrt(freedom + 1)) == pytest.approx(0.975, rel=1e-3)


@pytest.mark.parametrize(("length", "significant"), [(0.0042, True), (0.0038, False)])
def test_with_many_seeds_the_rule_is_that_of_modded_nanogpt(length, significant):
    number = 10_000
    noise = np.random.default_rng(0).normal(size=number)
    noise = 0.0013 * (noise - noise.mean()) / noise.std()
    gap = standings.Difference(0.0, (0.0, 0.0), chance_of(noise + length / math.sqrt(number)))
    assert gap.is_significant == significant


@pytest.mark.parametrize("number", [2, 3, 8])
def test_optimizers_that_are_equal_are_told_apart_no_more_often_than_is_said(number):
    rng, trials, chance = np.random.default_rng(number), 400, 0.05
    found = 0
    for _ in range(trials):
        equal = [standing(str(i), finals) for i, finals in enumerate(rng.normal(2.0, 0.1, (number, 5)))]
        best, *rest = standings.ranked(equal)
        found += any(standings.difference(best, other, number).chance <= chance for other in rest)
    assert found / trials <= chance + 2 * math.sqrt(chance * (1 - chance) / trials)


@pytest.mark.parametrize(
    ("values", "mean", "half"),
    [((1.0, 2.0, 3.0), 2.0, 4.303 / math.sqrt(3)), ((1.0,), 1.0, math.inf), ((1.0, math.inf), math.inf, None)],
)
def test_the_interval_of_a_mean_is_students(values, mean, half):
    found, (low, high) = mean_interval(values)
    assert found == mean
    assert (low, high) == (pytest.approx((mean - half, mean + half)) if half else (math.inf, math.inf))


@pytest.mark.parametrize(
    ("finals", "told"),
    [
        ((2.5, 2.61, 2.7), "b ends 0.4033 nats per token above it"),
        ((2.10, 2.21, 2.3), "not significant"),
        ((2.5, math.inf, 2.7), "b diverged with 1 of 3 seeds"),
        (
            (2.45, 2.55, 2.65),
            ": significant (p < 0.0001 for the best of 2, where the rule asks for at most 0.001)",
        ),  # the same gap with every seed
        ((2.1, 2.2, 2.3), "b ends 0.0000 nats per token above it [0.0000, 0.0000]"),
    ],
)
def test_every_rival_is_told_beside_the_best(finals, told):
    pair = [standing("a", (2.1, 2.2, 2.3)), standing("b", finals)]
    winner, rest = sentences(pair)
    assert winner.startswith("a ends lowest, at 2.2000 nats per token [")
    assert told in rest


def test_one_seed_is_no_ground_for_a_verdict():
    told = sentences([standing("a", (2.0,)), standing("b", (2.5,))])
    assert "with one seed no difference can be called significant" in told[1]


def test_where_all_diverge_nothing_is_called_best():
    told = sentences([standing("a", (math.inf, 2.0)), standing("b", (math.inf, math.inf))])
    assert told[0].startswith("Every optimizer diverged")


def test_a_rate_at_the_end_of_its_range_is_told():
    tried = [Run(rate, 0, (0, 10), (3.0, 2.0 + rate), (math.nan, 2.0), 0.01) for rate in (0.1, 0.4, 1.0)]
    first, inner = standing("a", (2.0, 2.1), 0.1, tried), standing("b", (2.0, 2.1), 0.4, tried)
    assert (first.is_on_edge, inner.is_on_edge) == (True, False)
    assert (first.resolution, inner.resolution) == (pytest.approx(4), pytest.approx(4))
    assert "is an end of the range" in sentences([first])[1] and len(sentences([inner])) == 1


def test_an_interval_without_0_and_a_stricter_rule_do_not_contradict_each_other():
    told = sentences([standing("a", (2.0, 2.0, 2.0)), standing("b", (2.1, 2.11, 2.12))])[1]
    assert "[0.0852, 0.1348] (95 % interval over 3 seeds): not significant (p = 0.0027 for the best of 2, " in told
    assert told.endswith("where the rule asks for at most 0.001).")


@pytest.mark.parametrize(("budget", "is_coarse"), [(3, True), (8, False), (10, False)])
@pytest.mark.parametrize("optimum", [1e-6, 3e-5, 3e-3, 0.7])
def test_rates_too_far_apart_to_rank_are_told(budget, is_coarse, optimum):
    tried = {}
    while (rate := next_rate(tried, 1e-6, 10.0, budget)) is not None:
        tried[rate] = abs(math.log(rate / optimum))
    runs = [Run(rate, 0, (0, 10), (99.0, loss), (math.nan, 2.0), 0.01) for rate, loss in tried.items()]
    told = sentences([standing("a", (2.0, 2.1), best_rate(tried), runs)])
    assert any("tried too far apart to rank" in sentence for sentence in told) == is_coarse


def test_the_first_optimizer_reaches_the_default_target_with_every_seed():
    first = standing("a", (2.1, 2.4, 2.3))
    assert standings.default_target([first, standing("b", (1.0,) * 3)]) == 2.4
    assert standings.default_target([standing("a", (2.1, math.inf))]) is None


@pytest.mark.parametrize(
    ("course", "target", "steps"),
    [
        ((4.0, 3.0, 2.0), 2.5, 15.0),
        ((4.0, 3.0, 2.0), 2.0, 20.0),
        ((4.0, 3.0, 2.0), 5.0, 0.0),
        ((4.0, 3.0, 2.0), 1.9, math.inf),
        ((4.0, 2.0, 3.0), 2.5, 7.5),
        ((4.0, math.inf, 2.0), 2.5, 20.0),
    ],
)
def test_the_time_to_a_target_lies_on_the_line_between_validations(course, target, steps):
    assert steps_to(Run(None, 0, (0, 10, 20), course, (math.nan,) * 3, 1.0), target) == steps


@pytest.mark.parametrize("budget", [3, 4, 7, 10, 30])
@pytest.mark.parametrize("optimum", [1e-6, 3e-3, 0.7, 10.0])
def test_the_search_spends_its_budget_and_comes_near_the_optimum(budget, optimum):
    tried = {}
    while (rate := next_rate(tried, 1e-6, 10.0, budget)) is not None:
        assert rate not in tried and 1e-6 <= rate <= 10
        tried[rate] = math.inf if rate > 100 * optimum else abs(math.log(rate / optimum))
    assert len(tried) == budget and {1e-6, 10.0} <= set(tried)
    rates = sorted(tried)
    at = rates.index(best_rate(tried))
    assert rates[max(at - 1, 0)] <= optimum <= rates[min(at + 1, budget - 1)]
    finest = min(b / a for a, b in itertools.pairwise(rates))
    assert budget < 10 or finest <= 2.2  # half the budget halves gaps of 1.75 decades or less


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("adamw,lion", ("adamw", "lion")),
        ("adamw:b2=0.99,weight_decay=0.1, lion:b1=0.8", ("adamw:b2=0.99,weight_decay=0.1", "lion:b1=0.8")),
        ("adamw,", ("adamw",)),
        ("adamw,b2=0.9", ("adamw:b2=0.9",)),
    ],
)
def test_optimizers_are_told_apart_from_their_hyperparameters(text, names):
    assert split_optimizers(text) == names


def test_two_of_one_name_are_told_apart_by_what_differs():
    plan = Plan(("adamw", "adamw:b2=0.99", "lion:b1=0.8"))
    assert [rival.label for rival in plan.rivals] == ["adamw", "adamw (b2 = 0.99)", "lion"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"optimizers": ()}, "at least one optimizer"),
        ({"optimizers": ("adamm",)}, "Did you mean"),
        ({"optimizers": ("adamw", "adamw")}, "got adamw twice"),
        ({"optimizers": ("adamw:speed=1",)}, "Unknown hyperparameter 'speed'"),
        ({"optimizers": ("adamw:learning_rate=-1",)}, "learning_rate must be a finite number, at least 0, got -1"),
        ({"budget": 2}, "budget must be a whole number, at least 3, got 2"),
        ({"budget": 31}, "budget is at most 30"),
        ({"seeds": 0}, "seeds must be a whole number, at least 1"),
        ({"validations": True}, "validations must be a whole number"),
        ({"tuning_steps": 0}, "tuning_steps must be a whole number"),
        ({"target": math.nan}, "target must be a finite validation loss"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(change, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        dataclasses.replace(PLANNED, **change)


def test_an_optimizer_without_a_rate_has_nothing_to_tune():
    (rival,) = Plan(("lbfgs:learning_rate=1.0",)).rivals
    assert rival.rate is None and rival.given_rate == 1.0
