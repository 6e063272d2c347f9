"""Transfer through a map: a target that is the source in another order of its dimensions."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModel

from xling.data.layout import DataFolder
from xling.encoders.encoder import Encoder
from xling.encoders.word_vectors import word_vectors
from xling.errors import XlingError
from xling.measures.word_links import align_words
from xling.randomness import generator
from xling.transfer.config import ContextSettings, TransferConfig
from xling.transfer.context import align_context, learn_state_maps, parallel_words
from xling.transfer.stage import transfer

TASK = {
    "task": "ner",
    "batch_sizes": [8],
    "encoder_rates": [5e-3],
    "epochs": 12,
    "new_layers": 1,
    "layers": [0, 2],
    "resamples": 20,
}
WIDTH = 32
# Parameters whose rows, and whose columns, are the dimensions of hidden states.
ROWS = ("attention.output.dense.weight", "output.dense.weight")
COLUMNS = ("embeddings.weight", "query.weight", "key.weight", "value.weight", "intermediate.dense")


def settings(**changes) -> ContextSettings:
    given = {"languages": ["aa", "bb"], "train": "same", "transfer": TASK, **changes}
    return ContextSettings.model_validate(given)


@pytest.fixture(scope="module")
def parallel_data(data, tmp_path_factory) -> Path:
    """The tasks, and lines that are the same in both languages: each word once a line."""
    root = tmp_path_factory.mktemp("parallel") / "data"
    root.mkdir()
    for part in data.iterdir():
        (root / part.name).symlink_to(part)
    words = ["mira", "toma", "dorf", "kalt", "the", "goes", "and", "big"]
    random = generator(2, "lines")
    lines = [" ".join(words[i] for i in random.permutation(8)[:6]) for _ in range(200)]
    for name, count in (("same", 200), ("few", 3)):
        for language in ("aa", "bb"):
            path = root / "parallel" / name / f"{language}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in lines[:count]))
    return root


@pytest.fixture(scope="module")
def source(model) -> Path:
    return Path(model) / "aa"


@pytest.fixture(scope="module")
def order() -> np.ndarray:
    return generator(3, "order").permutation(WIDTH)


@pytest.fixture(scope="module")
def target(source, order, tmp_path_factory) -> Path:
    """The source with its hidden dimensions in another order: a planted rotation."""
    folder = tmp_path_factory.mktemp("target") / "bb"
    encoder = Encoder.load(source, "aa")
    body = AutoModel.from_pretrained(source)
    with torch.no_grad():
        for name, parameter in body.named_parameters():
            if any(part in name for part in COLUMNS) and parameter.dim() == 2:
                parameter.copy_(parameter[:, order])
            elif name.endswith(ROWS) or "LayerNorm" in name or name.endswith("output.dense.bias"):
                parameter.copy_(parameter[order])
    body.save_pretrained(folder)
    encoder.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def finished(source, target, parallel_data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "context"
    align_context(source, target, parallel_data, out, settings(transfer={**TASK, "random": True}))
    return out


def table(out: Path, column: str = "value") -> dict[tuple, float]:
    frame = pd.read_csv(out / "scores.csv").dropna(subset=["layer"])
    frame["name"] = (frame["condition"] + ":" + frame["metric"]).str.removeprefix("trained:")
    columns = (frame[name] for name in ("language", "layer", "name", column))
    return {(code, int(i), name): x for code, i, name, x in zip(*columns, strict=True)}


def test_maps_undo_a_planted_rotation_at_every_layer(source, target, order, parallel_data):
    one, other = Encoder.load(target, "bb"), Encoder.load(source, "aa")
    words = [line.split() for line in DataFolder(parallel_data).parallel("same", "aa")["aa"]]
    links = [np.stack([np.arange(len(line))] * 2, axis=1) for line in words]
    maps = learn_state_maps(one, other, words, words, links)
    assert sorted(maps) == [0, 1, 2]
    for layer, found in maps.items():
        assert found.layer == layer
        (X,), (Y,) = (word_vectors(encoder, words, [layer])[0] for encoder in (one, other))
        np.testing.assert_allclose(X, Y[:, order], atol=1e-5)  # the fixture did what it says
        np.testing.assert_allclose(X @ found.matrix + found.shift, Y, atol=1e-3)
        np.testing.assert_allclose(found.matrix @ found.matrix.T, np.eye(WIDTH), atol=1e-6)


def test_the_target_scores_as_the_source_itself_would(
    finished, source, model, parallel_data, tmp_path
):
    """The oracle is the feature regime on one model for both languages, which needs no map."""
    plain = TransferConfig.model_validate(
        {**TASK, "source": "aa", "targets": ["bb"], "regime": "feature"}
    )
    transfer(str(source), parallel_data, tmp_path / "plain", plain)
    mapped, expected = table(finished), table(tmp_path / "plain")
    for layer in (0, 2):
        assert mapped["aa", layer, "dev:f1"] == expected["aa", layer, "dev:f1"]
        assert mapped["bb", layer, "f1"] == pytest.approx(expected["bb", layer, "f1"], abs=0.02)
        assert mapped["bb", layer, "f1"] > 0.9
        assert mapped["bb", layer, "unmapped:f1"] < 0.6
        assert table(finished, "low")["bb", layer, "f1"] <= mapped["bb", layer, "f1"]
        assert ("bb", layer, "untrained:f1") in mapped
        assert ("bb", layer, "untrained-unmapped:f1") in mapped
        assert ("aa", layer, "unmapped:f1") not in mapped


def test_rows_and_predictions_are_named_after_the_stage(finished):
    frame = pd.read_csv(finished / "scores.csv")
    assert set(frame["probe"]) == {"context-ner"}
    assert (finished / "predictions/ner/layer-2/bb.iob2").is_file()


def test_a_finished_stage_does_nothing(finished, source, target, parallel_data, monkeypatch):
    from xling.transfer import context as context_stage

    monkeypatch.setattr(context_stage, "run_and_write", lambda *_: pytest.fail("computed again"))
    again = settings(transfer={**TASK, "random": True})
    align_context(source, target, parallel_data, finished, again)


def test_word_links_of_equal_lines_are_their_places(parallel_data):
    """What the maps are learnt from, on lines whose links are known."""
    words = [line.split() for line in DataFolder(parallel_data).parallel("same", "aa")["aa"]]
    links = align_words(words, words, "intersection")
    right = sum(int((found[:, 0] == found[:, 1]).sum()) for found in links)
    assert right >= 0.95 * sum(map(len, words))


def test_too_few_linked_words_are_an_error(source, target, parallel_data, tmp_path):
    with pytest.raises(XlingError, match="pairs of linked words for a map of 32 dimensions"):
        align_context(source, target, parallel_data, tmp_path / "out", settings(train="few"))
    assert not (tmp_path / "out").exists()


def test_a_parallel_set_that_is_not_there_is_an_error(source, target, parallel_data, tmp_path):
    with pytest.raises(XlingError, match=r"absent.*aa\.txt.*few, same"):
        align_context(source, target, parallel_data, tmp_path / "out", settings(train="absent"))


@pytest.mark.parametrize("key", ["source", "targets", "regime", "supervised"])
def test_what_the_stage_decides_is_refused(key):
    with pytest.raises(ValidationError, match=f"transfer.{key}"):
        settings(transfer={**TASK, key: "x"})


@pytest.fixture
def unspaced(parallel_data, tmp_path) -> Path:
    """The set ``same`` with bb written without spaces, and in ``bb.words`` with them."""
    for part in parallel_data.iterdir():
        if part.name != "parallel":
            (tmp_path / part.name).symlink_to(part)
    folder = tmp_path / "parallel/same"
    folder.mkdir(parents=True)
    lines = (parallel_data / "parallel/same/bb.txt").read_text()
    (folder / "aa.txt").write_text(lines)
    (folder / "bb.txt").write_text(lines.replace(" ", ""))
    (folder / "bb.words").write_text(lines)
    return tmp_path


def test_words_of_the_set_are_those_that_a_map_is_learnt_from(
    unspaced, finished, source, target, tmp_path
):
    """Given the words, a set written without spaces is worth as much as the spaced one."""
    out = tmp_path / "out"
    align_context(source, target, unspaced, out, settings())
    inputs = json.loads((out / "artefact.json").read_text())["inputs"]
    assert "parallel/bb.words" in inputs
    mapped, spaced = table(out), table(finished)
    for layer in (0, 2):
        assert mapped["bb", layer, "f1"] == spaced["bb", layer, "f1"]
    (unspaced / "parallel/same/bb.words").unlink()
    words = parallel_words(DataFolder(unspaced), settings())
    assert {len(line) for line in words["bb"]} == {1}


def test_words_that_are_not_the_lines_end_the_stage_before_it_begins(
    unspaced, source, target, tmp_path, monkeypatch
):
    monkeypatch.setattr(Encoder, "load", lambda *_: pytest.fail("a model was opened"))
    (unspaced / "parallel/same/bb.words").write_text("mira toma\n")
    with pytest.raises(XlingError, match=r"bb.words: found 1 line, but bb.txt has 200"):
        align_context(source, target, unspaced, tmp_path / "out", settings())
    assert not (tmp_path / "out").exists()


def test_gold_links_beside_the_lines_are_no_part_of_what_is_learnt(unspaced):
    """They are there to measure aligners by; a map is learnt from words alone."""
    (unspaced / "parallel/same/aa-bb.align").write_text("0-0\n")
    words = parallel_words(DataFolder(unspaced), settings(train_lines=7))
    assert [len(words[language]) for language in ("aa", "bb")] == [7, 7]
    assert words["aa"] == words["bb"]


@pytest.mark.parametrize(
    ("line", "warned"),
    [("老国王想要大树，年轻马藏小狗。", True), ("老 国王 想要 大树 ，年轻 马 。", False)],
)
def test_clauses_in_place_of_words_are_told(tmp_path, recwarn, line, warned):
    folder = tmp_path / "parallel/talks"
    folder.mkdir(parents=True)
    (folder / "aa.txt").write_text("the old king wants the big tree .\n" * 3)
    (folder / "bb.txt").write_text(f"{line}\n" * 3, encoding="utf-8")
    parallel_words(DataFolder(tmp_path), settings(train="talks"))
    told = [str(one.message) for one in recwarn]
    assert ["bb.words: not there" in text for text in told] == [True] * warned


def test_a_device_that_is_not_there_is_refused(
    source, target, parallel_data, tmp_path, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(XlingError, match="device 'cuda:1'"):
        align_context(source, target, parallel_data, tmp_path / "out", settings(), "cuda:1")
    assert list(tmp_path.iterdir()) == []
