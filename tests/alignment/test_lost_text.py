"""Every verb that aligns or compares two models says what of the text they are not shown."""

import shutil
import warnings
from pathlib import Path

import pytest
import yaml

from xling.alignment.compare_stage import CompareSettings, compare_models
from xling.alignment.config import ExportSettings, SentenceSettings, WordSettings
from xling.alignment.sentence_stage import align_sentences, export_pair
from xling.alignment.word_stage import align_words
from xling.encoders.coverage import CoverageWarning

LANGUAGES = ("aa", "bb")
QUICK = {"languages": LANGUAGES, "resamples": 0, "k": 4}
TEXT = {"aa": ("wiki",), "bb": ("wiki",)}
VERBS = {
    "similarity": (compare_models, CompareSettings(languages=LANGUAGES, measures=("cka",))),
    "align sentences": (align_sentences, SentenceSettings(**QUICK, train="train")),
    "align export": (export_pair, ExportSettings(**QUICK, train="train", layer=1)),
    "align words": (align_words, WordSettings(**QUICK, text=TEXT, static_width=8)),
}
SETS = {"align words": {"text"}}


@pytest.fixture
def spoilt(data, tmp_path) -> Path:
    """In aa every second line is too long, in bb every third word is one that no model knows."""
    root = tmp_path / "data"
    shutil.copytree(data, root)
    for path in root.glob("*/*/*.txt"):
        lines = path.read_text().splitlines()
        if path.stem == "aa":
            lines = [line + " a1" * 40 * (i % 2) for i, line in enumerate(lines)]
        else:
            words = [line.split() for line in lines]
            lines = [" ".join(w if i % 3 else "x" for i, w in enumerate(line)) for line in words]
        path.write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.filterwarnings("ignore:no margin ratio", "ignore:a-b", "ignore:no lexicon")
def test_what_is_cut_or_unknown_is_said_once_a_set(verb, models_of, spoilt, tmp_path):
    stage, settings = VERBS[verb]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stage(models_of["aa"], models_of["bb"], spoilt, tmp_path / "out", settings)
    found = [str(w.message) for w in caught if issubclass(w.category, CoverageWarning)]
    sets = SETS.get(verb, {"train", "test"})
    assert sorted(text.partition(" are ")[0].partition(" lines")[0] for text in found) == sorted(
        text
        for name in sets
        for count in [{"train": "75 of 150", "test": "30 of 60", "text": "150 of 300"}[name]]
        for text in (f"{name}: truncated {count}", f"{name}: unknown to the tokenizer")
    )
    cut = [text for text in found if "truncated" in text]
    assert all("in aa (50%)" in text and "in bb" not in text for text in cut)
    assert all("in bb (" in text and "in aa" not in text for text in set(found) - set(cut))


@pytest.mark.parametrize("verb", VERBS)
def test_whole_text_says_nothing(verb, models_of, data, tmp_path):
    stage, settings = VERBS[verb]
    with warnings.catch_warnings():
        warnings.simplefilter("error", CoverageWarning)
        stage(models_of["aa"], models_of["bb"], data, tmp_path / "out", settings)


def test_the_command_line_says_it_in_one_line(models_of, spoilt, tmp_path, xling_in_child):
    config = tmp_path / "similarity.yaml"
    config.write_text(yaml.safe_dump({"languages": ["aa", "bb"], "measures": ["cka"]}))
    words = ["similarity", models_of["aa"], models_of["bb"], "--data", spoilt]
    words += ["--out", tmp_path / "out", "--config", config]
    run = xling_in_child(*words)
    assert run.returncode == 0, run.stderr
    lines = [line for line in run.stderr.splitlines() if "truncated" in line]
    assert lines == [
        f"warning: {name}: truncated {count} lines in aa (50%) at the model's limit of positions; "
        "scores are of what is left"
        for name, count in (("test", "30 of 60"), ("train", "75 of 150"))
    ]
    assert all(line.startswith("warning: ") for line in run.stderr.splitlines())
