"""The pages of language models as a visitor without a browser sees them."""

import asyncio
import functools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("nicegui.testing", reason="the extra `app` is not installed")
pytest.importorskip("fcntl", reason="the queue needs file locks")
pytest.importorskip("safetensors", reason="the extra `lm` is not installed")

from nicegui import ui

from optviz import language_model as lm
from optviz.app import library, lm_curves
from optviz.app.library import Library
from optviz.app.lm_parts import Button, jobs_of
from optviz.app.texts import Texts
from optviz.app.work import Workers
from optviz.language_model import jobs, worker
from optviz.language_model.events import add_event
from optviz.language_model.reasoning.tasks import KINDS
from tests.app import visiting
from tests.app.shelf import BOOK, SIZES, TRAINING, asked, made

MAIN = Path(__file__).parent / "simulated_models.py"
visit = functools.partial(visiting.visit, main=MAIN)
sees = functools.partial(visiting.sees, retries=40)
RIVALS = {"optimizers": ["adamw:learning_rate=0.01", "lion:learning_rate=0.001"], "seeds": 1, "validations": 2}
RATE = {"learning_rate": 0.001}
GAME = {"rounds": 2, "texts": 4, "prompt_tokens": 4, "new_tokens": 8}


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The folder of models."""
    lm_curves.curves_of.cache_clear()
    lm_curves.events_of.cache_clear()
    return visiting.work_at_once(tmp_path, monkeypatch)


def clicks(label, kind=Button):
    async def step(user):
        await user.should_see(kind=kind, content=label, retries=40)
        user.find(kind=kind, content=label).click()

    return step


def told(*sentences):
    async def step(user):
        for sentence in sentences:
            await user.should_see(sentence, retries=60)

    return step


def sets(label, value):
    """Fill in the first visible field of that label."""

    async def step(user):
        box = next(e for e in user.client.elements.values() if e._props.get("label") == label and e.visible)
        with user.client:
            box.value = value

    return step


def tells(figure):
    async def step(user):
        for _ in range(60):
            if figure in text_of(user):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{figure} is not told.")

    return step


def text_of(user):
    contents = [getattr(e, "content", "") or getattr(e, "text", "") for e in user.client.elements.values()]
    return "\n".join(filter(None, contents))


@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_page_opens_in_every_language(models, language):
    made(models)
    texts = Texts(language)
    pages = {"/models": "My models", "/models/verified": "Verified self-play"}
    pages |= {f"/models/model/one?tab={tab}": "Weights" for tab in ("write", "play", "files")}
    pages |= {"/models/model/one?tab=compare": "Rates tried"}
    visit(*(sees(path, texts(sentence), language=language) for path, sentence in pages.items()))


@pytest.mark.parametrize("name", ["nobody", "%2e%2e", ".jobs", "one%2f..%2ftwo", "con", "x" * 300])
def test_a_name_that_is_no_model_is_not_found(models, name):
    made(models)

    async def ask(user):
        answer = await user.http_client.get(f"/models/model/{name}")
        assert answer.status_code == 404

    visit(ask)


@pytest.mark.parametrize("path", ["/models/nobody", "/models/model/nobody", "/nowhere", "/catalogue/optimizer/nobody"])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_what_is_not_found_is_told_in_the_visitors_language_with_the_menu_and_the_way_back(models, path, language):
    texts = Texts(language)
    back, title = ("/models", "Language models") if path.startswith("/models") else ("/", "Playground")

    async def look(user):
        user.http_client.cookies.set("optviz-language", language)
        answer = await user.http_client.get(path)
        assert answer.status_code == 404
        page = answer.text.encode().decode("unicode_escape", "replace") if "\\u" in answer.text else answer.text
        assert texts("Not found") in page and texts(title) in page and texts("Glossary") in page
        assert f'href=\\"{back}\\"' in page or f'href="{back}"' in page
        assert "HTTPException" not in page
        if path.startswith("/models/model/"):
            assert texts("There is no model of this name.") in page

    visit(look)


def test_what_a_book_is_called_is_never_markup(models):
    made(models)

    async def look(user):
        await user.should_see("My models", retries=40)
        assert "cats &lt;b&gt;and&lt;/b&gt; dogs" in text_of(user)
        assert "<b>and</b>" not in text_of(user)

    visit(sees("/models"), look)


def test_without_the_extra_every_page_says_how_to_install_it(models, monkeypatch):
    monkeypatch.setattr(library, "is_installed", lambda: False)
    for path in ("/models", "/models/verified", "/models/model/one"):
        visit(sees(path, "pip install"))


def test_the_app_does_not_load_what_the_extra_brings():
    code = "import sys, optviz.app.server; print({'tokenizers', 'safetensors'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert result.stdout.strip() == "set()"


def test_training_is_asked_for_watched_and_stopped(models):
    made(models)

    def work(user=None):
        worker.work_through(models)

    async def finish(user):
        await asyncio.to_thread(work)

    visit(sees("/models/model/one"), clicks("Train"), told("Starts in a moment."), finish, told("Finished."))
    (job,) = jobs.list_jobs(models)
    assert (job.kind, job.model, job.status) == ("train", "one", "finished")


def test_a_finished_model_is_trained_further_if_more_steps_are_asked_for(models):
    _trained(models)

    async def finish(user):
        await asyncio.to_thread(worker.work_through, models)

    visit(
        *(sees("/models/model/one", "Finished."), sets("Steps", 20), clicks("Train"), told("Starts in a moment.")),
        *(finish, tells("20 of 20")),
    )
    (job,) = jobs.list_jobs(models)
    assert job.settings == {"steps": 20}
    model = lm.lengthen(lm.open_model("one", models), 30)
    assert jobs_of(model, "train", [job]) == [job]  # although its config.json is younger


def test_a_damaged_model_stands_in_the_list_with_what_is_wrong_and_hides_no_other(models):
    _trained(models)
    for name, file in (("two", "config.json"), ("three", "validation.csv")):
        made(models, name)
        (models / name / file).write_text("1,2\n3\n")
    visit(sees("/models", "My models"), tells("config.json is damaged"), tells("validation.csv is damaged"))
    visit(sees("/models", "12 / 12"))


def test_training_is_asked_to_write_for_tensorboard(models):
    made(models)
    box = clicks("Write curves for TensorBoard too", ui.checkbox)
    visit(sees("/models/model/one"), box, clicks("Train"), told("Starts in a moment."), tells("one/tensorboard"))
    assert [dict(job.settings) for job in jobs.list_jobs(models)] == [{"tensorboard": True}]


def test_a_queued_job_is_paused_resumed_and_stopped_by_its_buttons(models):
    made(models)
    steps = [sees("/models/model/one"), clicks("Train"), told("Starts in a moment."), clicks("Pause")]
    steps += [told("Paused; all is saved."), clicks("Go on"), told("Starts in a moment."), clicks("Stop")]
    visit(*steps, told("Stopped."))
    assert [job.status for job in jobs.list_jobs(models)] == ["stopped"]


def test_the_curves_of_a_trained_model_are_drawn(models):
    lm.train(made(models))

    async def look(user):
        await user.should_see("12 of 12", retries=40)
        chart = next(e for e in user.client.elements.values() if type(e).__name__ == "LineChart")
        loss, validation = chart._props["series"]
        assert len(loss["x"]) == 12 and loss["x"][-1] == 11
        assert validation["x"] == [0, 6, 12] and None not in validation["y"]

    visit(sees("/models/model/one"), look)


@pytest.mark.parametrize("sharpness", [False, True])
def test_a_model_trained_elsewhere_is_finished_and_has_only_charts_of_what_was_measured(models, sharpness):
    lm.train(
        lm.create_from_book("one", BOOK, sizes=SIZES, training={**TRAINING, "sharpness": sharpness}, models=models)
    )

    async def look(user):
        charts = [e._props["title"] for e in user.client.elements.values() if type(e).__name__ == "LineChart"]
        assert any(title.startswith("Sharpness") for title in charts) == sharpness
        logarithmic = [title for title in charts if "logarithmic" in title]
        assert [title.split()[0] for title in logarithmic] == ["Gradient,", "Update"]

    visit(sees("/models/model/one", "Finished."), look)


def test_a_model_without_its_text_says_so_and_does_not_offer_to_train(models, tmp_path):
    lm.export_model(_trained(models), tmp_path / "one.zip")
    lm.import_model(tmp_path / "one.zip", "two", models)

    async def look(user):
        assert "cannot be trained here" in text_of(user)
        assert not [
            e for e in user.client.elements.values() if isinstance(e, Button) and e.text == "Train" and e.visible
        ]

    visit(sees("/models/model/two", "Finished."), look)
    visit(sees("/models/model/one", "Finished."), lacks("cannot be trained here"))


def _trained(models):
    model = made(models)
    lm.train(model)
    return model


def test_the_optimizer_stands_in_the_list_of_models_and_at_the_head_of_a_model(models):
    lm.create_from_book(
        "one", BOOK, sizes=SIZES, training={"optimizer": "lion", "hyperparameters": RATE}, models=models
    )
    visit(sees("/models", "<td>lion</td>"), sees("/models/model/one", "Optimizer: lion."))


def test_a_comparison_stands_below_the_settings_that_it_was_made_with(models):
    from optviz.language_model import work

    made(models)
    work.ask("compare", "one", {**RIVALS, "budget": 3}, models)

    async def look(user):
        boxes = {e._props.get("label"): e for e in user.client.elements.values()}
        assert [boxes[label].value for label in ("Rates tried", "Seeds", "Validations")] == [3, 1, 2]
        rivals = next(e for label, e in boxes.items() if str(label).startswith("Optimizers;"))
        assert rivals.value == RIVALS["optimizers"]

    visit(sees("/models/model/one?tab=compare", "Starts in a moment."), look)


def test_a_second_visitor_waits_for_the_first_and_sees_it(models):
    for name in ("one", "two"):
        made(models, name)
    visit(
        *(sees("/models/model/one"), clicks("Train"), told("Starts in a moment.")),
        *(sees("/models/model/two"), clicks("Train"), told("Waits; before it: 1.")),
        sees("/models", "Training: two"),
    )


def test_text_is_written_and_an_impossible_setting_is_a_sentence(models):
    lm.train(made(models))

    async def read(user):
        for _ in range(200):
            if 'class="written"' in text_of(user) and 'class="lead"></span><' not in text_of(user):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(text_of(user))

    visit(
        *(sees("/models/model/one?tab=write", "Weights"), sets("Length", 9000), clicks("Write")),
        *(
            told("Length must be from 1 to 5000."),
            sets("Length", 20),
            sets("Temperature", 9),
            clicks("Write"),
            told("Temperature must be"),
        ),
        *(sets("Temperature", 0.8), clicks("Write"), read),
        *(clicks("Judge its own validation part"), told("perplexity")),
    )


@pytest.mark.parametrize(
    ("tab", "label", "value", "button", "sentence"),
    [
        ("write", "Length", None, "Write", "Length is empty"),
        ("write", "Top-k", 1.5, "Write", "Top-k must be a whole number"),
        ("compare", "Rates tried", 2, "Compare", "Rates tried must be at least 3."),
        ("compare", "Seeds", None, "Compare", "Seeds is empty"),
        ("play", "Texts of a round", 1, "Play", "Texts of a round must be at least 2."),
        ("play", "Learning rate", None, "Play", "Learning rate is empty"),
    ],
)
def test_a_number_that_is_missing_or_out_of_range_is_told_by_the_label_of_its_field(
    models, tab, label, value, button, sentence
):
    lm.train(made(models))

    shown = {"write": "Temperature", "compare": "Rates tried", "play": "Texts of a round"}[tab]
    visit(sees(f"/models/model/one?tab={tab}", shown), sets(label, value), clicks(button), told(sentence))
    assert jobs.list_jobs(models) == []


@pytest.mark.parametrize(
    ("label", "value", "sentence"),
    [("Layers", 0, "Layers must be at least 1."), ("Width", 130, "The heads must divide the width: 130 / 4")],
)
def test_a_size_that_cannot_be_is_told_in_the_words_of_the_form(models, label, value, sentence):
    visit(sees("/models", "Layers"), sets(label, value), clicks("Create the model"), told(sentence))
    assert not models.exists() or lm.list_models(models) == []


def test_verified_games_that_were_played_to_their_end_stand_side_by_side(models):
    last = {
        "at": [3, 0],
        "exam": dict.fromkeys(KINDS, (5, 10)),
        "gain": dict.fromkeys(KINDS, (0.1, -0.05, 0.25)),
    }
    for proposer in ("itself", "random", "frozen"):
        job = jobs.submit("verified", "", {"proposer": proposer}, models)
        add_event(jobs.events_file(job.id, models), last)
        jobs.settle(job.id, "stopped" if proposer == "frozen" else "finished", models=models)

    async def look(user):
        table = text_of(user).split("Games played to their end")[1]
        assert "chance" in table and "the model itself" in table and "frozen" not in table
        assert table.count("+10.0 points [-5.0, +25.0]") == 2 * len(KINDS)

    visit(sees("/models/verified"), tells("Games played to their end"), look)


def test_self_play_shows_reward_cost_and_texts(models):
    lm.train(made(models))
    from optviz.language_model import work

    work.ask("diversity", "one", GAME, models)
    worker.work_through(models)
    visit(sees("/models/model/one?tab=play", "2 of 2", "Texts of this round", "its change"))


def test_a_comparison_shows_its_table_its_answer_and_its_pictures(models):
    from optviz.language_model import work

    made(models)
    job = work.ask("compare", "one", RIVALS, models)
    worker.work_through(models)
    assert jobs.read_job(job.id, models).sentence == ""
    assert not (work.comparison_folder(job.id, models) / "runs").exists()

    async def look(user):
        await user.should_see("2 of 2", retries=40)
        shown = text_of(user)
        assert "lion" in shown and "validation loss" in shown and "<img" in shown

    visit(sees("/models/model/one?tab=compare"), look)
    shelf = Library(Workers(), models)
    address = f"/api/lm/comparison/{job.id}"
    assert asked(shelf, "GET", f"{address}/loss_curves.png").content.startswith(b"\x89PNG")
    assert "attachment" in asked(shelf, "GET", f"{address}/table.csv").headers["content-disposition"]
    for path in (
        f"{address}/comparison.json",
        f"{address}/..%2fjob.json",
        "/api/lm/comparison/..%2f..%2fone/table.csv",
    ):
        assert asked(shelf, "GET", path).status_code == 404


def test_a_model_that_got_the_name_of_another_does_not_show_its_jobs(models):
    jobs.settle(jobs.submit("train", "one", {}, models).id, "failed", "It was another one.", models)
    time.sleep(0.02)
    made(models)
    visit(sees("/models/model/one", "0 of 12"), lacks("It was another one."))


def lacks(sentence):
    async def step(user):
        assert sentence not in text_of(user)

    return step


def test_a_model_is_deleted_only_after_it_was_asked_and_if_nothing_is_done_to_it(models):
    made(models)
    job = jobs.submit("train", "one", {}, models)
    jobs.take(0, models)
    delete = (clicks("Delete this model"), told("for ever?"), clicks("Delete for ever"))
    visit(sees("/models/model/one?tab=files", "Delete"), *delete, told("stop that first"))
    assert (models / "one").exists()
    jobs.settle(job.id, "queued", models=models)
    visit(sees("/models/model/one?tab=files", "Delete"), clicks("Delete this model"), clicks("Keep it"))
    assert (models / "one").exists()
    visit(sees("/models/model/one?tab=files", "Delete"), *delete, told("There are no models yet"))
    assert not (models / "one").exists()
    assert jobs.read_job(job.id, models).status == "stopped"
