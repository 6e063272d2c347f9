"""The stage: trivial rules carry over, what is private stays, and stops cost nothing."""

import csv
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from xling import artefact
from xling.data.layout import DataFolder
from xling.encoders.coverage import CoverageWarning
from xling.encoders.encoders import Encoders
from xling.errors import XlingError
from xling.influence import read_influence
from xling.pretraining.distributed import World
from xling.results import Key, read_scores
from xling.settings import load_settings
from xling.transfer import finetune, stage
from xling.transfer.attachment import attachment_counts, las
from xling.transfer.config import TransferConfig
from xling.transfer.finetune import FineTuner, Setting
from xling.transfer.regimes import FullRegime
from xling.transfer.spans import entity_types, micro_f1, span_counts
from xling.transfer.stage import make_task, transfer
from xling.transfer.states import FineTuningProgress, FineTuningState
from xling.transfer.task import prepare, read_items

HERE = World(0, 1, torch.device("cpu"))
QUICK = {
    "source": "aa",
    "targets": ["bb"],
    "batch_sizes": [8],
    "encoder_rates": [5e-3],
    "epochs": 15,
    "resamples": 20,
}
METRIC = {"ner": "f1", "parsing": "las", "nli": "accuracy", "topics": "accuracy"}


def config(**settings) -> TransferConfig:
    return TransferConfig.model_validate({**QUICK, **settings})


def scores(out: Path, column: str = "value") -> dict[tuple, float]:
    """Return a column by language, layer and metric, with the condition before the last."""
    frame = read_scores(out / "scores.csv")
    assert frame["direction"].eq("").all()
    assert frame["draw"].isna().all()
    places = zip(frame["language"], frame["layer"], strict=True)
    named = (frame["condition"] + ":" + frame["metric"]).str.removeprefix("trained:")
    found = {
        (code, None if pd.isna(i) else int(i), name): value
        for (code, i), name, value in zip(places, named, frame[column], strict=True)
    }
    assert len(found) == len(frame)
    return found


@pytest.fixture(scope="module")
def finished(model, data, tmp_path_factory) -> dict[str, Path]:
    """Every task, once."""
    root = tmp_path_factory.mktemp("out")
    torch.set_num_threads(1)
    for task in METRIC:
        transfer(str(model), data, root / task, config(task=task))
    return {task: root / task for task in METRIC}


@pytest.mark.parametrize("task", METRIC)
def test_a_trivial_rule_is_learnt_and_carries_over(finished, task):
    found = scores(finished[task])
    for language in ("aa", "bb"):
        value = found[language, None, METRIC[task]]
        assert value > 0.95
        assert scores(finished[task], "low")[language, None, METRIC[task]] <= value
        assert scores(finished[task], "high")[language, None, METRIC[task]] >= value
    assert found["aa", None, f"dev:{METRIC[task]}"] > 0.95


def test_predictions_read_back_give_the_reported_scores(finished, data):
    gold = DataFolder(data)
    tags = [tags for _, tags in gold.ner("bb", "test")]
    read = [
        [line.split("\t")[1] for line in block.split("\n")]
        for block in (finished["ner"] / "predictions/ner/bb.iob2").read_text().strip().split("\n\n")
    ]
    counts = span_counts(tags, read, entity_types(tags, read)).sum(axis=0)
    assert scores(finished["ner"])["bb", None, "f1-without-repair"] <= float(micro_f1(counts))
    assert float(micro_f1(counts)) == scores(finished["ner"])["bb", None, "f1"]

    from xling.data.conllu import read_conllu

    trees = list(read_conllu(finished["parsing"] / "predictions/parsing/bb.conllu"))
    counts = attachment_counts(list(gold.treebank("bb", "test")), trees).sum(axis=0)
    assert float(las(counts)) == scores(finished["parsing"])["bb", None, "las"]

    for task, column in (("nli", 2), ("topics", 1)):
        with (finished[task] / f"predictions/{task}/bb.tsv").open(newline="") as file:
            guesses = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        rows = getattr(gold, task)("bb", "test")
        right = [row[column] == guess[column] for row, guess in zip(rows, guesses, strict=True)]
        assert sum(right) / len(right) == scores(finished[task])["bb", None, "accuracy"]


@pytest.mark.parametrize("task", METRIC)
def test_influence_values_say_how_sentences_move_the_score(finished, data, task):
    probe, metric = f"transfer-{task}", METRIC[task]
    found = read_influence([finished[task]])
    part = stage.make_task(config(task=task)).part
    values = found[Key(probe, part, "bb", metric=metric)]
    lines = stage.read_items(stage.make_task(config(task=task)), DataFolder(data), "bb", "test", 0)
    assert len(values) == len(lines)
    assert values.mean() == pytest.approx(0, abs=1e-6)
    assert len(values) == scores(finished[task], "n")["bb", None, metric]
    low, high = (scores(finished[task], end)["bb", None, metric] for end in ("low", "high"))
    width = high - low
    # Twenty resamples: the same order of magnitude.
    error = 2 * 1.96 * float(values.std()) / len(values) ** 0.5
    assert error == pytest.approx(width, rel=0.8, abs=0.02)


def test_a_finished_stage_does_nothing_and_leaves_no_state(finished, model, data, monkeypatch):
    out = finished["ner"]
    assert [path.name for path in out.parent.iterdir() if path.name.startswith(".")] == []
    monkeypatch.setattr(stage, "Run", None)
    transfer(str(model), data, out, config(task="ner"))


def test_scores_of_an_earlier_way_of_scoring_are_made_again(finished, model, data, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(finished["topics"], out)
    record = json.loads((out / artefact.RECORD).read_text())
    del record["config"]["scoring"]  # as it was when test scores were computed with dropout
    (out / artefact.RECORD).write_text(json.dumps(record))
    transfer(str(model), data, out, config(task="topics"))
    again = json.loads((out / artefact.RECORD).read_text())
    assert again["config"] == {**record["config"], "scoring": stage.SCORING}


def make_trainer(encoders: Encoders, data: Path, settings: TransferConfig) -> FineTuner:
    task = make_task(settings)
    items = {
        split: read_items(task, DataFolder(data), "aa", split, 0) for split in ("train", "dev")
    }
    task.learn_labels(items["train"])
    train, dev = (prepare(task, encoders.of["aa"], split, items[split]) for split in items)
    return FineTuner(task, settings, train, dev, HERE)


def test_private_parameters_stay_and_shared_ones_learn(make_model, data, tmp_path):
    encoders = Encoders.load(make_model("embeddings", "layers 1"), ["aa", "bb"])
    assert encoders.private
    before = {
        language: {n: p.detach().clone() for n, p in side.model.named_parameters()}
        for language, side in encoders.of.items()
    }
    settings = config(task="ner", epochs=1)
    trainer = make_trainer(encoders, data, settings)
    regime = FullRegime(encoders, "aa", [trainer.train, trainer.dev], HERE.device)
    learner = regime.learner(trainer.task, None, 1)
    trainer.fit(learner, Setting(8, 1e-3, 1e-3), 1, FineTuningState(tmp_path, HERE))
    changed = set()
    for language, side in encoders.of.items():
        for name, parameter in side.model.named_parameters():
            same = torch.equal(parameter, before[language][name])
            assert same or name not in encoders.private, f"{language} {name}"
            if not same:
                changed.add((language, name))
    # Both languages run the same trained layer; the output layer takes no part.
    layer = {n for n in before["aa"] if "layer.1." in n}
    assert {name for language, name in changed if language == "bb"} == layer
    regime.close()
    for language, side in encoders.of.items():
        for name, parameter in side.model.named_parameters():
            assert torch.equal(parameter, before[language][name])


class _Stopped(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize("epochs_before", [2])
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"task": "parsing"}, marks=pytest.mark.slow),
        {"task": "ner", "regime": "feature", "layers": [1], "new_layers": 1},
    ],
)
def test_a_stopped_run_ends_as_if_it_had_not_been(
    dropout_model, data, tmp_path, monkeypatch, epochs_before, changes
):
    model, task = dropout_model, changes["task"]
    settings = config(epochs=4, encoder_rates=[1e-3, 3e-3], **changes)
    transfer(str(model), data, tmp_path / "whole", settings)
    save, count = FineTuningState.save, 0

    def stopping(self, *arguments):
        nonlocal count
        save(self, *arguments)
        count += 1
        if count == 4 + epochs_before:
            raise _Stopped

    with monkeypatch.context() as patch:
        patch.setattr(FineTuningState, "save", stopping)
        with pytest.raises(_Stopped):
            transfer(str(model), data, tmp_path / "stopped", settings)
    assert not (tmp_path / "stopped").exists()
    epochs = []
    train = finetune.FineTuner._epoch

    def counting(self, *arguments):
        epochs.append(arguments[4])
        return train(self, *arguments)

    monkeypatch.setattr(finetune.FineTuner, "_epoch", counting)
    transfer(str(model), data, tmp_path / "stopped", settings)
    assert len(epochs) == 8 - 4 - epochs_before
    files = [p for p in (tmp_path / "whole").rglob("*") if p.is_file() and p.suffix != ".json"]
    assert {path.name for path in files} >= {"scores.csv", "settings.csv"}
    assert any(path.name.startswith("bb.") for path in files), task
    for path in files:
        name = path.relative_to(tmp_path / "whole")
        assert (tmp_path / "stopped" / name).read_bytes() == path.read_bytes()


def test_a_damaged_state_starts_that_setting_anew(model, data, tmp_path):
    encoders = Encoders.load(model, ["aa", "bb"])
    trainer = make_trainer(encoders, data, config(task="ner", epochs=2))
    regime = FullRegime(encoders, "aa", [trainer.train, trainer.dev], HERE.device)
    state = FineTuningState(tmp_path, HERE)
    learner = regime.learner(trainer.task, None, 1)
    optimizer = finetune.Optimizer(learner, Setting(8, 1e-3, 1e-3), trainer.config, 10)
    state.save(FineTuningProgress(1, 1, 0.5, [0.5]), learner, optimizer)
    assert state.resume(learner, optimizer).epoch == 1
    path = tmp_path / "running.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert state.resume(learner, optimizer).epoch == 0


@pytest.mark.slow
def test_the_mean_of_the_two_best_settings_is_reported(model, data, tmp_path):
    settings = config(
        task="topics",
        epochs=2,
        encoder_rates=[1e-5, 1e-3, 3e-3],
        seeds=[1, 2],
        supervised=True,
        random=True,
    )
    transfer(str(model), data, tmp_path / "out", settings)
    table, found = pd.read_csv(tmp_path / "out" / "settings.csv"), scores(tmp_path / "out")
    dev = table[(table["condition"] == "dev") & (table["metric"] == "accuracy")]
    main = table[table["condition"] == "trained"]
    means = dev.groupby("encoder_rate")["value"].mean().sort_values(ascending=False)
    chosen = set(dev[dev["selected"]]["encoder_rate"])
    assert len(dev) == 6
    assert means.loc[list(chosen)].min() >= means.drop(list(chosen)).max()
    tested = main[(main["metric"] == "accuracy") & (main["language"] == "bb")]
    assert set(tested["encoder_rate"]) == chosen
    assert len(tested) == 4
    assert found["bb", None, "accuracy"] == pytest.approx(tested["value"].mean())
    for condition in ("untrained", "supervised"):
        key = "bb", None, f"{condition}:accuracy"
        assert scores(tmp_path / "out", "low")[key] <= found[key]
        source = "aa" if condition == "untrained" else "bb"
        assert (source, None, f"{condition}-dev:accuracy") in found
    gap = found["bb", None, "supervised:accuracy"] - found["bb", None, "accuracy"]
    assert found["bb", None, "gap:accuracy"] == pytest.approx(gap)
    assert found["bb", None, "chance:accuracy"] == pytest.approx(1 / 3)


def test_features_of_every_layer_are_learnt_from(model, data, tmp_path):
    settings = config(task="ner", regime="feature", new_layers=1, layers=[0, 2])
    transfer(str(model), data, tmp_path / "out", settings)
    found = scores(tmp_path / "out")
    for layer in (0, 2):
        assert found["bb", layer, "f1"] > 0.9
        assert (tmp_path / f"out/predictions/ner/layer-{layer}/bb.iob2").is_file()
    with pytest.raises(XlingError, match=r"are 0, 1, 2 \(found 3\)"):
        transfer(
            str(model), data, tmp_path / "other", config(task="ner", regime="feature", layers=[3])
        )


def test_missing_languages_and_foreign_folders_are_errors(model, data, tmp_path):
    with pytest.raises(XlingError, match=r"ner/cc|ner has aa, bb"):
        transfer(str(model), data, tmp_path / "out", config(task="ner", targets=["cc"]))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(XlingError, match="did not write"):
        transfer(str(model), data, tmp_path / "mine", config(task="ner"))
    with pytest.raises(XlingError, match="cannot be opened as an encoder"):
        transfer(str(tmp_path / "none"), data, tmp_path / "out", config(task="ner"))


def test_settings_files_are_overridden_by_options(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("task: ner\nsource: aa\npreset: paper\nepochs: 3\n")
    found = load_settings(path, TransferConfig, task="parsing", source=None, targets=["bb"])
    assert (found.task, found.source, found.targets, found.epochs) == ("parsing", "aa", ("bb",), 3)
    assert found.encoder_rates == (2e-5, 3e-5, 5e-5)
    with pytest.raises(XlingError, match="task"):
        load_settings(None, TransferConfig, source="aa")
    with pytest.raises(XlingError, match="unknown setting"):
        load_settings(None, TransferConfig, task="ner", source="aa", epoch=3)


def test_the_record_names_model_and_data(finished):
    record = artefact.RECORD
    text = (finished["ner"] / record).read_text()
    assert "data/aa/train" in text
    assert "model/bb/model.safetensors" in text


def test_pairs_that_are_cut_and_unknown_words_are_said_once_a_split(model, data, tmp_path):
    for language in ("aa", "bb"):
        shutil.copytree(data / "nli" / language, tmp_path / "data/nli" / language)
    path = tmp_path / "data/nli/bb/test.tsv"
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    long = [
        [" ".join(["mira"] * 60), b, c] if i % 2 else [a, "☃ ☃", c]
        for i, (a, b, c) in enumerate(rows)
    ]
    path.write_text("".join("\t".join(row) + "\n" for row in long))
    with pytest.warns(CoverageWarning) as caught:
        transfer(str(model), tmp_path / "data", tmp_path / "out", config(task="nli", epochs=1))
    cut, unknown = (str(w.message) for w in caught if issubclass(w.category, CoverageWarning))
    assert cut.startswith("nli test: truncated 12 of 24 lines in bb (50%)")
    assert unknown.startswith("nli test: unknown to the tokenizer are ")
    assert "tokens in bb (" in unknown
    assert "aa" not in cut + unknown


def test_a_device_that_is_not_there_is_refused(model, data, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(XlingError, match="device 'cuda'"):
        transfer(str(model), data, tmp_path / "out", config(task="ner"), "cuda")
    assert list(tmp_path.iterdir()) == []
