"""Whole runs in one process: what they leave behind, refuse and say."""

import json
import logging
import math
import re
import shutil

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from xling.errors import XlingError
from xling.model.storage import load_family
from xling.pretraining import loop, run
from xling.pretraining.checkpoint import load_snapshot
from xling.pretraining.config import RunConfig
from xling.pretraining.distributed import World
from xling.pretraining.run import pretrain


@pytest.fixture(scope="module")
def finished(run_here, run_config, tmp_path_factory):
    """A finished run with private parts, and its configuration."""
    config = run_config("embeddings.positions", "layers 1", steps=12)
    return run_here(tmp_path_factory.mktemp("runs") / "run", config), config


def test_the_folder_holds_what_it_says(finished):
    out, _ = finished
    names = {path.name for path in out.iterdir()}
    assert names == {
        "run.json",
        "preflight.json",
        "log.jsonl",
        "tensorboard",
        "checkpoints",
        "model",
        "artefact.json",
    }
    costs = json.loads((out / "preflight.json").read_text())
    assert costs["tokens_total"] == 12 * 8 * 16
    assert costs["estimated_seconds"] > 0
    assert sum(facts["share_of_batches"] for facts in costs["languages"].values()) == (
        pytest.approx(1)
    )


def test_the_log_has_every_step_and_evaluation(finished, entries, maker):
    out, config = finished
    batches = maker(steps=12)
    train = [e for e in entries(out) if e["kind"] == "train"]
    assert [(e["step"], e["language"]) for e in train] == [
        (k + 1, batches.language(k)) for k in range(12)
    ]
    dev = [e for e in entries(out) if e["kind"] == "dev"]
    assert [(e["step"], e["language"]) for e in dev] == [
        (step, language) for step in (6, 12) for language in ("aa", "bb")
    ]
    for entry in dev:
        assert entry["perplexity"] == pytest.approx(math.exp(entry["loss"]))
    rates = [e["learning_rate"] for e in train]
    peak = config.pretraining.optimizer.learning_rate
    assert rates[:3] == pytest.approx([peak / 2, peak, peak * math.sqrt(2 / 3)])


def test_it_learns(run_here, run_config, entries, tmp_path):
    out = run_here(tmp_path / "run", run_config(steps=80, log_every=20, evaluate_every=40))
    losses = [e["loss"] for e in entries(out) if e["kind"] == "dev" and e["language"] == "aa"]
    first = next(e["loss"] for e in entries(out) if e["kind"] == "train")
    assert losses[-1] < first - 0.1


def test_the_model_has_the_weights_of_the_lowest_dev_loss(run_here, run_config, entries, tmp_path):
    # A rate at which the loss goes up again
    optimizer = {"name": "adamw", "learning_rate": 0.5, "warmup_steps": 10}
    config = run_config(steps=20, evaluate_every=2, checkpoint_every=2, optimizer=optimizer)
    out = run_here(tmp_path / "run", config)
    dev = {
        e["step"]: e["loss"] for e in entries(out) if (e["kind"], e["language"]) == ("dev", "aa")
    }
    best = min(dev, key=dev.get)
    assert best < 20
    record = json.loads((out / "checkpoints" / "step-00000020.json").read_text())
    assert (record["best_step"], record["best_loss"]) == (best, dev[best])

    again = run_here(
        tmp_path / "again",
        run_config(steps=20, evaluate_every=best, checkpoint_every=best, optimizer=optimizer),
    )
    weights = load_file(again / "checkpoints" / "best.safetensors")
    for name, parameter in load_family(out / "model").named_parameters():
        assert torch.equal(parameter, weights[name]), name


def test_a_finished_run_is_not_run_again(finished, run_here, monkeypatch):
    out, config = finished
    monkeypatch.setattr(loop, "forward_backward", None)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    run_here(out, config)
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before


def test_a_folder_of_another_run_is_refused_with_the_difference(finished, run_here, run_config):
    out, _ = finished
    with pytest.raises(XlingError) as error:
        run_here(out, run_config("embeddings.positions", "layers 1", steps=12, seed=4))
    message = str(error.value)
    assert message.startswith(f"{out}: holds another run, which differs in ")
    assert "config.pretraining.seed (3, now 4)" in message
    assert message.count("config.") == 1


def test_of_a_very_different_run_some_differences_are_shown(finished, run_here, run_config):
    out, _ = finished
    other = run_config(steps=9, seed=4, rows=4, length=8, predicted_share=0.5, start="line")
    with pytest.raises(XlingError, match=r" and \d+ more settings; choose another folder") as error:
        run_here(out, other)
    assert str(error.value).count(", now ") == 4


def test_a_folder_of_other_tokens_is_refused(finished, run_here, corpus, tmp_path):
    out, config = finished
    tokens = shutil.copytree(corpus.tokens, tmp_path / "tokens")
    index = tokens / "index.json"
    index.write_text(index.read_text() + "\n")
    (tokens / "artefact.json").unlink()
    with pytest.raises(XlingError, match=r"differs in inputs.tokens"):
        pretrain(tokens, corpus.vocabulary, out, config)


def test_a_vocabulary_that_the_tokens_were_not_made_with_is_said(corpus, run_config, tmp_path):
    tokens = shutil.copytree(corpus.tokens, tmp_path / "tokens")
    index = json.loads((tokens / "index.json").read_text())
    index["vocabulary_size"] += 1
    (tokens / "index.json").write_text(json.dumps(index))
    (tokens / "artefact.json").unlink()
    with pytest.raises(XlingError, match=r"made with a vocabulary of \d+ entries, but .* has \d+"):
        pretrain(tokens, corpus.vocabulary, tmp_path / "run", run_config())


def test_another_vocabulary_of_the_same_size_is_refused(corpus, run_config, tmp_path):
    other = shutil.copytree(corpus.vocabulary, tmp_path / "other")
    (other / "artefact.json").unlink()
    for path in other.rglob("tokenizer.json"):
        content = json.loads(path.read_text())
        ids = content["model"]["vocab"]
        one, two = sorted(ids, key=ids.get)[-2:]
        ids[one], ids[two] = ids[two], ids[one]
        path.write_text(json.dumps(content))
    with pytest.raises(
        XlingError, match=r"made with another vocabulary than .*/other, of the same"
    ):
        pretrain(corpus.tokens, other, tmp_path / "run", run_config())
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize("file", ["aa/wiki.train-00000.bin", "bb/counts.npy", "index.json"])
@pytest.mark.parametrize("how", ["altered", "truncated"])
def test_damaged_tokens_are_refused_and_made_again(corpus, run_config, tmp_path, file, how):
    tokens = shutil.copytree(corpus.tokens, tmp_path / "tokens")
    path = tokens / file
    content = path.read_bytes()
    path.write_bytes(content[:-9] + (b"" if how == "truncated" else bytes(9)))
    with pytest.raises(XlingError, match=rf"{re.escape(str(path))}: .*delete {tokens} and run"):
        pretrain(tokens, corpus.vocabulary, tmp_path / "run", run_config())
    corpus.tokenise(tokens)
    assert path.read_bytes() == content


def test_an_altered_snapshot_is_refused_and_made_again(run_here, run_config, tmp_path):
    out, config = tmp_path / "run", run_config(steps=4, snapshots=2)
    run_here(out, config)
    snapshot = sorted((out / "snapshots").iterdir())[0]
    content = snapshot.read_bytes()
    snapshot.write_bytes(content[:-9] + bytes(9))
    with pytest.raises(XlingError, match="was altered or truncated"):
        load_snapshot(load_family(out / "model"), snapshot)
    run_here(out, config)
    assert snapshot.read_bytes() == content
    snapshot.unlink()  # which a user may do, to save room
    before = (out / "artefact.json").stat().st_ino
    run_here(out, config)
    assert (out / "artefact.json").stat().st_ino == before


def test_a_damaged_model_is_refused_and_made_again(run_here, run_config, tmp_path):
    out, config = tmp_path / "run", run_config(steps=2)
    run_here(out, config)
    for name in ("family.json", "aa/tokenizer.json", "aa/config.json", "bb/model.safetensors"):
        path = out / "model" / name
        content = path.read_bytes()
        path.write_bytes(content[:-9])
        with pytest.raises(XlingError, match=rf"{re.escape(str(path))}: was altered or truncated"):
            load_family(out / "model")
        run_here(out, config)
        assert path.read_bytes() == content


def test_old_checkpoints_of_a_run_killed_at_its_end_are_dropped(run_here, run_config, tmp_path):
    config = run_config(steps=12)
    out = run_here(tmp_path / "run", config)
    kept = sorted((out / "checkpoints").iterdir())
    for path in (out / "checkpoints").glob("step-00000012.*"):
        shutil.copy(path, path.with_name(f"step-00000001{path.suffix}"))
    (out / "artefact.json").unlink()
    run_here(out, config)
    assert sorted((out / "checkpoints").iterdir()) == kept


def test_a_damaged_record_of_a_run_says_what_works(run_here, run_config, tmp_path):
    run_here(tmp_path / "run", run_config(steps=2))
    (tmp_path / "run" / "artefact.json").unlink()
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(XlingError, match=rf"run\.json: is damaged.*delete {tmp_path / 'run'} to"):
        run_here(tmp_path / "run", run_config(steps=2))


def test_a_folder_that_has_something_where_a_run_writes_is_kept(run_here, run_config, tmp_path):
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "weights").write_text("of years")
    with pytest.raises(XlingError, match="no run of xling"):
        run_here(tmp_path / "mine", run_config())
    assert (tmp_path / "mine" / "model" / "weights").read_text() == "of years"


def test_rows_that_do_not_divide_are_said(run_here, run_config, tmp_path):
    message = "pretraining.rows (8) must be a multiple of processes x accumulation ({} x {})"
    with pytest.raises(XlingError, match=re.escape(message.format(1, 3))):
        run_here(tmp_path / "run", run_config(accumulation=3))
    many = World(rank=1, size=16, device=torch.device("cpu"))
    with pytest.raises(XlingError, match=re.escape(message.format(16, 1))):
        run._check_split(run_config().pretraining, many)


def test_a_language_without_tokens_is_said(corpus, run_config, tmp_path):
    config = run_config().model_copy(update={"languages": ("aa", "cc")})
    with pytest.raises(XlingError, match="no train tokens of cc; it has aa, bb"):
        pretrain(corpus.tokens, corpus.vocabulary, tmp_path / "run", config)


def test_nothing_is_written_into_the_data_folder(corpus, run_config, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(corpus.data, data)
    before = sorted(data.rglob("*"))
    with pytest.raises(XlingError, match="data: is read by this command"):
        pretrain(corpus.tokens, corpus.vocabulary, data, run_config(), data)
    assert sorted(data.rglob("*")) == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"languages": ("aa", "aa")}, "names a language twice: aa, aa"),
        ({"languages": ()}, "at least 1 item"),
        ({"pretraining": {"steps": 1, "length": 512}}, r"length \(512\) is more than the model's"),
        ({"seperate": ["embeddings"]}, "Extra inputs"),
    ],
)
def test_runs_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        RunConfig(**{"languages": ("aa",), "pretraining": {"steps": 1}, **settings})


@pytest.mark.parametrize("what", ["loss", "gradient norm"])
def test_not_a_number_stops_and_keeps_the_last_checkpoint(
    run_here, run_config, maker, entries, tmp_path, monkeypatch, what
):
    real = loop.forward_backward

    def broken(model, batch, config, process, step):
        loss = real(model, batch, config, process, step)
        if step == 7:
            if what == "loss":
                return loss * float("nan")
            next(model.parameters()).grad[0] = float("nan")
        return loss

    config = run_config(steps=12, checkpoint_every=4, log_every=3)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "forward_backward", broken)
        with pytest.raises(XlingError) as error:
            run_here(tmp_path / "run", config)
    language = maker(steps=12).language(6)
    assert str(error.value).startswith(f"step 7: the {what} of {language} is nan; training stopped")
    assert str(tmp_path / "run" / "checkpoints") in str(error.value)
    names = sorted(p.name for p in (tmp_path / "run" / "checkpoints").glob("step-*"))
    assert names == ["step-00000004.json", "step-00000004.safetensors"]
    # Mended, the run goes on from there as if nothing had been
    mended = run_here(tmp_path / "run", config)
    undisturbed = run_here(tmp_path / "other", config)
    last = "checkpoints/step-00000012.safetensors"
    assert (mended / last).read_bytes() == (undisturbed / last).read_bytes()


def test_a_truncated_checkpoint_is_passed_over(run_here, run_config, tmp_path, monkeypatch, caplog):
    config = run_config(steps=12)
    out = run_here(tmp_path / "run", config)
    path = out / "checkpoints" / "step-00000012.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:5000])
    (out / "artefact.json").unlink()
    with caplog.at_level(logging.WARNING):
        run_here(out, config)
    assert "step-00000012.safetensors: truncated or altered" in caplog.text
    assert "resuming from an older checkpoint" in caplog.text
    assert path.read_bytes() == whole


def test_bf16_runs_on_a_cpu(run_here, run_config, curve, tmp_path):
    exact = curve(run_here(tmp_path / "fp32", run_config("layers 1", steps=6, accumulation=2)))
    rounded = curve(
        run_here(
            tmp_path / "bf16", run_config("layers 1", steps=6, accumulation=2, precision="bf16")
        )
    )
    assert exact.keys() == rounded.keys()
    assert exact != rounded
    assert all(rounded[key] == pytest.approx(exact[key], rel=0.03) for key in exact)


def test_accumulation_gives_the_same_curve(run_here, run_config, curve, tmp_path):
    one = curve(run_here(tmp_path / "one", run_config("layers 1", steps=6)))
    four = curve(run_here(tmp_path / "four", run_config("layers 1", steps=6, accumulation=4)))
    assert one.keys() == four.keys()
    assert all(four[key] == pytest.approx(one[key], abs=1e-5) for key in one)


def test_code_switching_needs_shared_embeddings_two_languages_and_data(
    run_config, corpus, tmp_path
):
    with pytest.raises(ValidationError, match="token embeddings must be shared"):
        run_config("embeddings", code_switching={})
    one = run_config(code_switching={}).model_dump() | {"languages": ("aa",)}
    with pytest.raises(ValidationError, match="needs a second language"):
        RunConfig.model_validate(one)
    with pytest.raises(XlingError, match="name the data folder with --data"):
        pretrain(corpus.tokens, corpus.vocabulary, tmp_path, run_config(code_switching={}))


def test_a_changed_dictionary_is_another_run(run_config, corpus, tmp_path):
    config = run_config(code_switching={}, steps=2)
    data = tmp_path / "data"
    shutil.copytree(corpus.data, data)
    pretrain(corpus.tokens, corpus.vocabulary, tmp_path / "run", config, data)
    with open(data / "dictionaries" / "aa-bb.train.tsv", "a") as file:
        file.write("ab\tab\n")
    with pytest.raises(XlingError, match=r"differs in inputs.dictionaries/aa-bb.train"):
        pretrain(corpus.tokens, corpus.vocabulary, tmp_path / "run", config, data)


def test_inputs_that_are_not_there_are_named(corpus, run_config, tmp_path):
    config = run_config()
    nowhere, out = tmp_path / "nowhere", tmp_path / "out"
    with pytest.raises(XlingError, match=r"nowhere: no token streams .* `xling tokens`"):
        pretrain(nowhere, corpus.vocabulary, out, config)
    with pytest.raises(XlingError, match=r"nowhere: no vocabulary .* `xling vocabulary`"):
        pretrain(corpus.tokens, nowhere, out, config)
    assert not out.exists()


def test_tensorboard_reads_what_the_log_says(finished):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out, _ = finished
    board = EventAccumulator(str(out / "tensorboard")).Reload()
    entries = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    losses = [
        (e["step"], e["loss"]) for e in entries if (e["kind"], e["language"]) == ("dev", "aa")
    ]
    found = [(event.step, event.value) for event in board.Scalars("dev/loss/aa")]
    assert found == [(step, pytest.approx(loss)) for step, loss in losses]
