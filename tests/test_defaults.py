"""What verbs take where nothing is said: languages, text and sets from names and data."""

import gzip
import json

import pytest

from xling.defaults import (
    derived,
    languages_of_models,
    languages_to_probe,
    small_settings,
    text,
    training_set,
    transfer_languages,
)
from xling.errors import XlingError
from xling.pretraining.config import RunConfig
from xling.settings import load_settings
from xling.transfer.config import TransferConfig
from xling.vocabulary.build import VocabularySettings


@pytest.fixture
def data(tmp_path):
    """English and French with everything; German with little; a set of each size."""
    root = tmp_path / "data"
    lines = {"talks": 30, "news": 50, "short": 5}
    parts = [("text/wiki", "en fr de", 9), ("text/web", "fr", 9)]
    parts += [(f"parallel/{name}", "en fr", count) for name, count in lines.items()]
    parts += [("parallel/alone", "de", 90)]
    for folder, languages, count in parts:
        (root / folder).mkdir(parents=True)
        for language in languages.split():
            (root / folder / f"{language}.txt").write_text("a b\n" * count)
    for split, languages in (("train", "fr de"), ("dev", "fr de"), ("test", "de en fr")):
        for language in languages.split():
            (root / "ner" / language).mkdir(parents=True, exist_ok=True)
            (root / "ner" / language / f"{split}.iob2").write_text("a\tO\n")
    return root


@pytest.fixture
def family(tmp_path):
    folder = tmp_path / "run" / "model"
    folder.mkdir(parents=True)
    (folder / "family.json").write_text(json.dumps({"languages": ["fr", "en"], "separate": []}))
    return str(folder)


def test_text_is_all_there_is(data, tmp_path):
    assert text(data, None, None)({}) == {"de": ["wiki"], "en": ["wiki"], "fr": ["web", "wiki"]}
    assert text(data, ["fr"], None)({}) == {"fr": ["web", "wiki"]}
    assert text(data, None, ["web"])({"languages": ["en", "fr"]}) == {"en": ["web"], "fr": ["web"]}
    (data / "data.yaml").write_text("languages: [fr, sw, en]\n")
    assert list(text(data, None, None)({})) == ["fr", "en"]  # no text of sw
    # What is asked for and is not there is for the stage to refuse.
    assert text(data, ["sw"], None)({}) == {"sw": []}


def test_languages_to_probe_are_the_familys_or_those_with_a_parallel_set(data, family):
    assert languages_to_probe(family, data)({}) == ["fr", "en"]
    assert languages_to_probe("nobody/hub-model", data)({}) == ["en", "fr"]
    for language in ("en", "fr"):
        for path in data.glob(f"parallel/*/{language}.txt"):
            path.unlink()
    with pytest.raises(XlingError, match="no set with two languages"):
        languages_to_probe("nobody/hub-model", data)({})


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("run/model/en", "run/model/fr", ["en", "fr"]),
        ("bert-base-fr.cased", "en", ["fr", "en"]),
        ("multi", "en", None),
        ("en-fr", "en", None),
        ("french", "en", None),
    ],
)
def test_the_language_of_a_model_is_in_its_name(data, tmp_path, one, other, expected):
    choose = languages_of_models(tmp_path / one, tmp_path / other, data)
    if expected:
        assert choose({}) == expected
    else:
        with pytest.raises(XlingError, match=rf"{one}: its name .*\(de, en, fr\); say --languages"):
            choose({})


def test_the_set_to_learn_from(data):
    given = {"languages": ["en", "fr"]}
    assert training_set(data)(given) == "news"
    assert training_set(data)({**given, "test": ["news"]}) == "talks"
    # By lines, however they are stored.
    packed = data / "parallel" / "talks" / "en.txt"
    with gzip.open(packed.with_name("en.txt.gz"), "wt") as file:
        file.write("a b\n" * 70)
    packed.unlink()
    assert training_set(data)(given) == "talks"
    (data / "parallel" / "short").rename(data / "parallel" / "train")
    assert training_set(data)(given) == "train"
    with pytest.raises(XlingError, match="no set with en and de"):
        training_set(data)({"languages": ["en", "de"]})
    # Faults of a file's languages are for the check of the settings.
    for languages in (5, [5, 6], None):
        training_set(data)({"languages": languages})


def test_the_languages_of_a_task(data, family):
    def found(model, **options):
        config = load_settings(None, TransferConfig, transfer_languages(model, data), **options)
        return config.source, config.targets

    assert found("multi", task="ner") == ("de", ("en", "fr"))
    assert found("multi", task="ner", source="fr") == ("fr", ("de", "en"))
    assert found("multi", task="ner", targets=["fr"]) == ("de", ("fr",))
    assert found(family, task="ner") == ("fr", ("en",))
    (data / "ner" / "en" / "train.iob2").write_text("a\tO\n")
    assert found("multi", task="ner") == ("en", ("de", "fr"))
    with pytest.raises(XlingError, match="say --task"):
        found("multi")
    with pytest.raises(XlingError, match="nli: no train set of"):
        found("multi", task="nli")
    with pytest.raises(XlingError, match="task: Input should be"):
        found("multi", task="chess")


def test_derived_languages_are_called_as_in_studies():
    assert derived(["en"], ["en", "fr"]) == {
        "en_same": {"of": "en", "how": "same"},
        "en_inverted": {"of": "en", "how": "inverted"},
        "fr_inverted": {"of": "fr", "how": "inverted"},
    }
    assert derived(None, None) is None


def test_small_settings_are_those_of_a_shipped_study():
    run = load_settings(
        small_settings("model", "pretraining"),
        RunConfig,
        languages=["en", "fr"],
        **{"pretraining.steps": 3},
    )
    assert (run.pretraining.steps, run.pretraining.rows, run.model.hidden) == (3, 64, 128)
    words = load_settings(
        small_settings("vocabulary"), VocabularySettings, text={"en": ["wiki"]}
    ).vocabulary
    # As the help says.
    assert (words.kind, words.size, small_settings("pretraining")["pretraining"]["steps"]) == (
        "joint",
        8000,
        7500,
    )
