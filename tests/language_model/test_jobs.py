"""The queue: in order, one at a time, obeyed, and nothing is lost whoever dies."""

import contextlib
import json
import os
import shutil
import signal
import threading
import time

import pytest

pytest.importorskip("fcntl", reason="the queue needs file locks")
pytest.importorskip("safetensors", reason="the extra `lm` is not installed")

from optviz import language_model as lm
from optviz.language_model import jobs, work, worker
from optviz.language_model.events import Tail, add_event, keep_events, read_events
from optviz.language_model.reasoning.game import Options, play_game
from optviz.language_model.self_play import play_model

BOOK = lm.decode_book(b"the cat sat on the mat and the dog sat on the cat.\n" * 60, "cats")
SIZES = {"width": 16, "layers": 1, "heads": 2, "context": 16}
TRAINING = {"steps": 40, "batch_size": 2, "warmup_steps": 2, "validate_every": 20, "save_every": 10}
LONG = 10**6
GAME = {"rounds": 6, "texts": 4, "prompt_tokens": 4, "new_tokens": 8, "validate_every": 2}
VERIFIED = {"warm_up_steps": 40, "rounds": 4, "width": 8, "layers": 1, "tasks": 2, "exam_every": 2}


def made(models, name="one", **training):
    return lm.create_from_book(
        name, BOOK, "shakespeare-cpu", sizes=SIZES, training={**TRAINING, **training}, models=models
    )


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a trained model, and its curves."""
    models = tmp_path_factory.mktemp("trained")
    lm.train(made(models))
    return models


def wait_for(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def curves(models, name="one"):
    return (models / name / "curves.csv").read_bytes()


def work_in_thread(models):
    thread = threading.Thread(target=worker.work_through, args=(models,))
    thread.start()
    return thread


def test_jobs_are_taken_in_the_order_in_which_they_were_asked_for(models):
    asked = [jobs.submit("train", name, {}, models) for name in "cab"]
    assert [jobs.take(0, models).id for _ in asked] == [job.id for job in asked]
    assert jobs.take(0, models) is None


def test_a_paused_job_is_passed_over_and_goes_to_the_end_when_it_is_resumed(models):
    first, second, third = (jobs.submit("train", name, {}, models) for name in "abc")
    jobs.pause(first.id, models)
    assert jobs.take(0, models).id == second.id
    jobs.resume(first.id, models)
    assert [jobs.take(0, models).id, jobs.take(0, models).id] == [third.id, first.id]


def test_a_stopped_job_is_never_taken(models):
    jobs.stop(jobs.submit("train", "a", {}, models).id, models)
    assert jobs.take(0, models) is None


@pytest.mark.parametrize("do", [jobs.pause, jobs.stop, jobs.resume])
def test_what_has_ended_cannot_be_paused_stopped_or_resumed(models, do):
    job = jobs.submit("train", "a", {}, models)
    jobs.settle(job.id, "finished", "", models)
    with pytest.raises(ValueError, match="is finished"):
        do(job.id, models)


def test_a_model_has_one_job_of_a_kind_and_no_two_are_done_at_once(models):
    job = jobs.submit("train", "a", {}, models)
    with pytest.raises(ValueError, match="is asked for 'a' already"):
        jobs.submit("train", "a", {}, models)
    game = jobs.submit("diversity", "a", {}, models)
    other = jobs.submit("train", "b", {}, models)
    assert jobs.take(0, models).id == job.id
    assert jobs.take(1, models).id == other.id
    assert jobs.take(2, models) is None
    jobs.settle(job.id, "finished", "", models)
    assert jobs.take(2, models).id == game.id


def test_the_queue_is_bounded_and_old_jobs_go(models, monkeypatch):
    monkeypatch.setattr(jobs, "MAX_ACTIVE", 3)
    monkeypatch.setattr(jobs, "MAX_ENDED", 2)
    for name in "abc":
        jobs.submit("train", name, {}, models)
    with pytest.raises(ValueError, match="3 jobs wait"):
        jobs.submit("train", "d", {}, models)
    for job in jobs.list_jobs(models):
        jobs.stop(job.id, models)
    last = jobs.submit("train", "d", {}, models)
    assert last.id == "000004"
    assert [job.model for job in jobs.list_jobs(models)] == ["c", "d"]


def test_ten_threads_that_ask_at_once_get_ten_jobs(models):
    threads = [threading.Thread(target=jobs.submit, args=("train", f"m{i}", {}, models)) for i in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(job.model for job in jobs.list_jobs(models)) == sorted(f"m{i}" for i in range(10))
    assert len({job.place for job in jobs.list_jobs(models)}) == 10


@pytest.mark.parametrize(
    "hostile", ["..", "../../etc", "/etc/passwd", "", ".jobs", "1", "000001/..", "0" * 40, None, 7]
)
def test_an_id_never_leads_out_of_the_folder(models, hostile, unchecked):
    for do in (jobs.read_job, jobs.pause, jobs.stop, jobs.resume, jobs.job_folder, jobs.events_file):
        with pytest.raises(ValueError, match="job"):
            do(hostile, models)


@pytest.mark.parametrize("name", ["../one", "/etc", ".jobs", "..", "a/b", "a\\b", "con", "nobody"])
@pytest.mark.parametrize("kind", ["train", "compare", "diversity"])
def test_a_name_that_is_no_model_is_refused(models, kind, name):
    with pytest.raises(ValueError, match=r"\.$"):
        work.ask(kind, name, {}, models)
    assert jobs.list_jobs(models) == []


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("train", {"steps": 3}),
        ("diversity", {"rounds": 0}),
        ("diversity", {"rounds": True}),
        ("diversity", {"rounds": 10**9}),
        ("diversity", {"new_tokens": 400}),
        ("diversity", {"optimizer": "nobody"}),
        ("diversity", {"optimizer": "adam:__class__=1"}),
        ("diversity", {"which": "../last"}),
        ("diversity", {"unknown": 1}),
        ("compare", {}),
        ("compare", {"optimizers": ["nobody"]}),
        ("compare", {"optimizers": ["adamw", "adamw"]}),
        ("compare", {"optimizers": ["adamw"], "budget": 2}),
        ("compare", {"optimizers": ["adamw"], "steps": 0}),
        ("compare", {"optimizers": ["adamw"], "out": "/etc"}),
        ("nothing", {}),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_before_it_is_queued(trained, kind, settings, unchecked):
    with pytest.raises((ValueError, TypeError), match=r"[.?]$"):
        work.ask(kind, "one", settings, trained)
    assert all(not job.is_active for job in jobs.list_jobs(trained))


@pytest.mark.parametrize(
    "settings",
    [{"width": 5}, {"rounds": 0}, {"leash": -1}, {"tasks": 1}, {"optimizer": "nobody"}, {"out": "/etc"}],
    ids=str,
)
def test_a_verified_game_that_cannot_be_is_refused(models, settings, unchecked):
    with pytest.raises((ValueError, TypeError)):
        work.ask("verified", "", settings, models)


def test_two_jobs_are_done_one_after_the_other_and_tell_what_they_do(models):
    for name in ("one", "two"):
        made(models, name)
        work.ask("train", name, {}, models)
    worker.work_through(models)
    first, second = jobs.list_jobs(models)
    assert (first.status, second.status) == ("finished", "finished")
    assert first.ended <= second.started
    told = read_events(jobs.events_file(first.id, models))
    assert told[-1]["step"] == 40 and told[-1]["event"] == "finished" and told[-1]["validation_loss"] > 0
    assert curves(models, "one") == curves(models, "two")


def test_training_writes_curves_for_tensorboard_if_asked(models):
    model = made(models, steps=3)
    job = work.ask("train", "one", {"tensorboard": True}, models)
    work_in_thread(models).join(60)
    assert jobs.read_job(job.id, models).status == "finished"
    assert list((model.folder / "tensorboard").glob("events.*"))


def test_a_running_job_is_paused_resumed_and_stopped(models):
    made(models, steps=LONG, validate_every=LONG, save_every=LONG)
    job = work.ask("train", "one", {}, models)
    thread = work_in_thread(models)
    wait_for(lambda: read_events(jobs.events_file(job.id, models)))
    jobs.pause(job.id, models)
    thread.join(60)
    assert jobs.read_job(job.id, models).status == "paused"
    paused_at = read_events(jobs.events_file(job.id, models))[-1]["step"]
    add_event(jobs.events_file(job.id, models), {"at": [LONG], "step": LONG})  # as if a killed process had told it
    jobs.resume(job.id, models)
    thread = work_in_thread(models)
    wait_for(lambda: paused_at < read_events(jobs.events_file(job.id, models))[-1]["step"] < LONG)
    jobs.stop(job.id, models)
    thread.join(60)
    assert jobs.read_job(job.id, models).status == "stopped"
    assert len(read_events(jobs.events_file(job.id, models))) == 1  # of training the last, for the curves have all


def test_a_worker_that_shall_end_leaves_its_job_at_the_head_of_the_queue(models):
    made(models, steps=LONG, validate_every=LONG, save_every=LONG)
    job, _ = work.ask("train", "one", {}, models), jobs.submit("train", "other", {}, models)
    told = jobs.events_file(job.id, models)
    worker.work_through(models, is_leaving=lambda: bool(read_events(told)))
    assert jobs.in_order(jobs.list_jobs(models))[0] == jobs.read_job(job.id, models)
    assert jobs.read_job(job.id, models).status == "queued"


def test_a_job_that_fails_is_told_in_a_sentence_and_the_next_is_done(models):
    for name in ("one", "two"):
        made(models, name)
        work.ask("train", name, {}, models)
    (models / "one" / "train.npy").write_bytes(b"altered")
    worker.work_through(models)
    first, second = jobs.list_jobs(models)
    assert first.status == "failed" and "was altered" in first.sentence
    assert second.status == "finished"


def test_a_killed_worker_loses_nothing_and_its_successor_goes_on_bit_for_bit(models):
    unbroken = {"steps": 4000, "validate_every": 2000, "save_every": 500}
    made(models, "one", **unbroken)
    lm.train(made(models, "whole", **unbroken))
    job = work.ask("train", "one", {}, models)
    process = worker.start(models)
    try:
        wait_for(lambda: (models / "one" / "last" / "checkpoint.json").exists())
        assert not worker.is_needed(0, models)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    left = jobs.read_job(job.id, models)
    assert left.status == "running" and worker.is_needed(0, models)
    second = worker.start(models)
    with contextlib.ExitStack() as stack:
        stack.callback(second.kill)
        assert second.wait(90) == 0, (models / ".jobs" / "worker-0.log").read_text()
    assert jobs.read_job(job.id, models).status == "finished"
    assert curves(models, "one") == curves(models, "whole")
    assert [event["step"] for event in read_events(jobs.events_file(job.id, models))] == [4000]


@pytest.mark.parametrize(("wish", "becomes"), [("go", "queued"), ("pause", "paused"), ("stop", "stopped")])
def test_what_was_wished_of_a_job_is_done_even_if_its_worker_died_of_it(models, wish, becomes):
    job = jobs.submit("train", "a", {}, models)
    jobs.take(0, models)
    if wish != "go":
        {"pause": jobs.pause, "stop": jobs.stop}[wish](job.id, models)
    jobs.adopt_orphans(0, models)
    assert jobs.read_job(job.id, models).status == becomes


def test_a_job_of_another_device_is_adopted_only_if_nobody_works_there(models):
    job = jobs.submit("train", "a", {}, models)
    jobs.take(1, models)
    with jobs.held(jobs.device_lock(1, models)) as got:
        assert got
        jobs.adopt_orphans(0, models)
        assert jobs.read_job(job.id, models).status == "running"
    jobs.adopt_orphans(0, models)
    assert jobs.read_job(job.id, models).status == "queued"


def test_a_job_that_takes_its_process_with_it_again_and_again_is_given_up(models):
    job = jobs.submit("train", "a", {}, models)
    for _ in range(jobs.MAX_ATTEMPTS):
        assert jobs.take(0, models).id == job.id
        jobs.adopt_orphans(0, models)
    assert jobs.take(0, models) is None
    given_up = jobs.read_job(job.id, models)
    assert given_up.status == "failed" and "memory" in given_up.sentence


def test_a_job_that_saved_something_may_die_more_often(models):
    job = jobs.submit("train", "a", {}, models)
    for _ in range(2 * jobs.MAX_ATTEMPTS):
        assert jobs.take(0, models).id == job.id
        jobs.saved(job.id, models)
        jobs.adopt_orphans(0, models)


def test_one_process_works_on_a_device(models):
    jobs.submit("train", "a", {}, models)
    with jobs.held(jobs.device_lock(0, models)) as got, jobs.held(jobs.device_lock(0, models)) as again:
        assert got and not again
        assert not worker.is_needed(0, models)
    assert worker.is_needed(0, models)


def told_by(models, *kinds):
    return [[(e["at"], {k: v for k, v in e.items() if k != "saved"}) for e in kind] for kind in kinds]


def test_a_game_for_diversity_that_was_left_goes_on_as_if_it_had_not_been(trained):
    model, tables = lm.open_model("one", trained), []
    whole = work.ask("diversity", "one", GAME, trained)
    worker.work_through(trained)
    tables.append((model.folder / "self_play.csv").read_text())
    broken = work.ask("diversity", "one", GAME, trained)
    told = jobs.events_file(broken.id, trained)
    # Left after every second round.
    for _ in range(3):
        seen = len(read_events(told)) if told.exists() else 0
        worker.work_through(trained, is_leaving=lambda seen=seen: len(read_events(told)) >= seen + 2)
    worker.work_through(trained)
    assert jobs.read_job(broken.id, trained).status == "finished"
    tables.append((model.folder / "self_play.csv").read_text())
    assert tables[0] == tables[1]
    whole_events, broken_events = (read_events(jobs.events_file(job.id, trained)) for job in (whole, broken))
    assert whole_events == broken_events
    assert [event["at"] for event in whole_events] == [[i] for i in range(GAME["rounds"])]


def test_a_game_whose_process_was_killed_goes_on_from_its_checkpoint_bit_for_bit(trained, tmp_path):
    model, rule = lm.open_model("one", trained), work.parse_optimizer("adam:learning_rate=1e-3")
    settings, saved = work._asked(GAME).settings, model.folder / "self-play"

    def played(rounds, name="killed"):
        game = play_model(model, rule, settings, game=name, num_rounds=6)
        numbers = [next(game).number for _ in range(rounds)]
        game.close()
        return numbers

    assert played(3) == [0, 1, 2]
    shutil.copytree(saved, tmp_path / "at 3")
    played(6, "unbroken")
    whole, weights = (model.folder / "self_play.csv").read_text(), model.checkpoint("self-play").arrays["weights"]
    shutil.rmtree(saved)
    shutil.copytree(tmp_path / "at 3", saved)  # all that a process had saved that was killed after 6 rounds
    assert played(3) == [3, 4, 5]
    assert (model.folder / "self_play.csv").read_text() == whole
    again = model.checkpoint("self-play").arrays["weights"]
    assert {name: value.tobytes() for name, value in again.items()} == {k: v.tobytes() for k, v in weights.items()}


def test_a_game_of_another_name_begins_anew(trained):
    model = lm.open_model("one", trained)
    rule = work.parse_optimizer("adam:learning_rate=1e-4")
    settings = work._asked(GAME).settings

    def next_round(name):
        game = play_model(model, rule, settings, game=name)
        played = next(game)
        game.close()
        return played

    first, second, again = next_round("a"), next_round("a"), next_round("b")
    assert second.number == 1
    assert (again.number, again.texts) == (first.number, first.texts)


def test_a_verified_game_that_was_left_goes_on_as_if_it_had_not_been(tmp_path):
    options = Options(**VERIFIED)
    whole = list(play_game(tmp_path / "whole", options))
    broken = []
    for take in (1, 2, 3, 100):  # left in the warm-up, after the exam, in the rounds
        game = play_game(tmp_path / "broken", options)
        for event in game:
            broken = [old for old in broken if old["at"] < event["at"]] + [event]
            take -= 1
            if not take:
                break
        game.close()
    assert json.dumps([strip(e) for e in broken]) == json.dumps([strip(e) for e in whole])
    assert [event["at"][0] for event in whole] == [0, 0, 1, 2, 2, 2, 2, 3]
    assert set(whole[-1]["gain"]) == {"deduction", "abduction", "induction"}


def strip(event):
    return {name: value for name, value in event.items() if name != "saved"}


def test_a_verified_game_is_a_job(models):
    job = work.ask("verified", "", {**VERIFIED, "rounds": 1}, models)
    worker.work_through(models)
    assert jobs.read_job(job.id, models).status == "finished"
    assert read_events(jobs.events_file(job.id, models))[-1]["at"] == [3, 0]


def test_a_longer_verified_game_goes_on_from_a_shorter_one_and_from_no_other(models, monkeypatch):
    asked = [{"rounds": 2}, {"rounds": 2, "proposer": "frozen"}, {"rounds": 4}, {"rounds": 4, "seed": 1}]
    games = [work.ask("verified", "", {**VERIFIED, **own}, models) for own in asked]
    worker.work_through(models)
    first, _, longer, other = ([strip(e) for e in read_events(jobs.events_file(g.id, models))] for g in games)
    assert first[:-1] == longer[: len(first) - 1] != other[: len(first) - 1]
    ats = [[0, 20], [0, 40], [1, 0], [2, 0], [2, 1], [2, 2], [2, 3], [3, 0]]
    assert [event["at"] for event in longer] == ats == [event["at"] for event in other]
    assert (work.game_folder(games[2].id, models) / "checkpoint.json").exists()
    alone = list(play_game(models / "alone", Options(**VERIFIED)))
    assert json.dumps([strip(e) for e in alone]) == json.dumps(longer)


def test_a_tail_gives_each_line_once_and_says_when_the_file_began_anew(tmp_path):
    path, tail = tmp_path / "events.jsonl", Tail(tmp_path / "events.jsonl")
    assert tail.read() == (False, [])
    add_event(path, {"at": [0]})
    assert tail.read() == (False, ['{"at": [0]}'])
    with path.open("a") as file:
        file.write('{"at": [1')
    assert tail.read() == (False, [])
    with path.open("a") as file:
        file.write("]}\n")
    assert tail.read() == (False, ['{"at": [1]}'])
    keep_events(path, lambda event: event["at"] < [1])
    assert tail.read() == (True, ['{"at": [0]}'])
    path.unlink()
    assert tail.read() == (True, [])


def test_an_unfinished_line_of_a_killed_process_is_forgotten(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"at": [0]}\n{"at": [1], "lo')
    keep_events(path, lambda event: True)
    add_event(path, {"at": [1]})
    assert read_events(path) == [{"at": [0]}, {"at": [1]}]
