"""What the verbs say of data and models that cannot be aligned or compared."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from xling.alignment.compare_stage import CompareSettings, compare_models
from xling.alignment.config import ExportSettings, SentenceSettings, WordSettings
from xling.alignment.sentence_stage import align_sentences, export_pair
from xling.alignment.word_stage import align_words
from xling.errors import XlingError

QUICK = {"languages": ("aa", "bb"), "resamples": 0}
SENTENCES = SentenceSettings(**QUICK, train="train", random_seeds=())
EXPORT = ExportSettings(**QUICK, train="train", random_seeds=())
WORDS = WordSettings(**QUICK, text={"aa": ("wiki",), "bb": ("wiki",)}, static_width=12)
COMPARE = CompareSettings(**QUICK, datasets=("train",), random_seeds=())
VERBS = {
    "align sentences": (align_sentences, SENTENCES),
    "align export": (export_pair, EXPORT),
    "align words": (align_words, WORDS),
    "similarity": (compare_models, COMPARE),
}


@pytest.fixture
def refuses(models_of, data, tmp_path):
    """The function that runs a verb and expects an error: (verb, message, ...)."""

    def run(verb, message, bb: Path | None = None, data: Path = data, **changes):
        function, settings = VERBS[verb]
        out = tmp_path / "out"
        with pytest.raises(XlingError, match=message):
            function(
                models_of["aa"],
                bb or models_of["bb"],
                data,
                out,
                settings.model_copy(update=changes),
            )
        assert not out.exists()

    return run


@pytest.fixture
def edited(data, tmp_path):
    """The function that copies the data with one file replaced: (name, text)."""

    def make(name: str, text: str) -> Path:
        copy = tmp_path / "data"
        shutil.copytree(data, copy)
        (copy / name).write_text(text, encoding="utf-8")
        return copy

    return make


@pytest.mark.parametrize("verb", ["align sentences", "align export", "similarity"])
def test_misaligned_lines(refuses, edited, verb):
    folder = edited("parallel/train/bb.txt", "b1 b2\n" * 149)
    refuses(verb, r"parallel/train.*aa.*150 lines.*bb.*149", data=folder)


@pytest.mark.parametrize("verb", VERBS)
def test_a_diverged_model(refuses, models_of, tmp_path, verb):
    broken = shutil.copytree(models_of["bb"], tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    weights["encoder.layer.1.output.dense.bias"][0] = float("nan")
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    # What is written into an export is looked at whole; vectors are looked at one by one.
    where = (
        "the model's encoder.layer.1.output.dense.bias holds"
        if verb == "align export"
        else "layer 2 gives"
    )
    refuses(verb, f"bb: {where} NaN or infinity.* has diverged", bb=broken)


def test_fewer_lines_than_dimensions(refuses):
    message = "10 pairs do not determine a rotation of 12 dimensions"
    refuses("align sentences", message, train_lines=10)
    refuses("align export", "pairs do not determine a rotation of 12", train_lines=10)
    refuses("align sentences", "linear map of 12", train_lines=10, map="least-squares")


def test_fewer_dictionary_entries_than_dimensions(refuses, edited):
    folder = edited("dictionaries/aa-bb.train.tsv", "a1\tb1\na2\tb2\n")
    refuses("align words", "2 pairs do not determine a rotation of 12 dimensions", data=folder)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_dictionary_of_other_words(refuses, edited, split):
    folder = edited(f"dictionaries/aa-bb.{split}.tsv", "A1\tB1\nA2\tB2\n")
    message = rf"aa-bb.{split}.tsv: none of its 2 entries .*'A1'.*lower-cased alike"
    refuses("align words", message, data=folder)


def test_a_dictionary_that_is_none(refuses, edited):
    folder = edited("dictionaries/aa-bb.train.tsv", "a1 b1 c1\n")
    refuses("align words", r"aa-bb.train.tsv, line 1: found 'a1 b1 c1', expected a", data=folder)


def test_text_without_words(refuses, edited):
    folder = edited("text/wiki/bb.txt", "\n\n")
    refuses("align words", "no word of bb to average", data=folder)


def test_lines_without_tokens(refuses, edited):
    folder = edited("parallel/train/bb.txt", "\n" * 150)
    for verb in ("align sentences", "similarity"):
        refuses(verb, "train: no line has tokens on both sides", data=folder)


def test_lines_with_tokens_on_one_side_only(refuses, edited):
    folder = edited("parallel/train/bb.txt", "\n" * 149 + "b1\n")
    (folder / "parallel/train/aa.txt").write_text("a1\n" * 149 + "\n", encoding="utf-8")
    for verb in ("align sentences", "similarity"):
        refuses(verb, "train: no line has tokens on both sides", data=folder)
