"""Names that break the rule are refused where they enter, and nothing is written outside OUT."""

import subprocess
import sys

import pytest
import yaml

from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.files import write_json

BAD = ["../../esc", "/abs", "b$(touch PWNED)", "old english", "o'zbek", "b{x}", "a\nb", "-x"]
NOT_TEXT = [False, 7, None]
TEXT = {"en": ["wiki"]}
SHAPE = {"layers": 1, "heads": 2, "hidden": 16, "feed_forward": 32, "max_length": 16}
TASK = {"task": "ner"}


def verbs(name):
    """Yield verbs with settings that have a name at every place where one may stand."""
    for verb in ("vocabulary", "tokens"):
        yield verb, {"text": {name: ["wiki"]}}
        yield verb, {"text": {"en": [name]}}
        yield verb, {"text": {"en": {"parts": ["wiki"], "size_of": [name]}}}
    yield "derive", {"languages": {name: {"of": "en", "how": "same"}}}
    yield "derive", {"languages": {"x": {"of": name, "how": "same"}}}
    yield "hub", {"languages": ["en", name]}
    for part in ("text", "parallel", "pairs", "dictionaries"):
        yield "hub", {"languages": ["en"], part: {name: {}}}
    yield "pretrain", {"languages": ["en", name], "model": SHAPE, "pretraining": {"steps": 1}}
    yield (
        "pretrain",
        {
            "languages": ["en", "fr"],
            "pretraining": {"steps": 1, "tlm": {"sets": [name]}},
        },
    )
    yield "probe", {"languages": ["en", name]}
    yield "probe", {"languages": ["en", "fr"], "probe": {"datasets": [name]}}
    yield "similarity", {"languages": ["en", name]}
    yield "similarity", {"languages": ["en", "fr"], "datasets": [name]}
    yield "words", {"languages": [name, "en"], "text": TEXT}
    yield "words", {"languages": ["en", "fr"], "text": {"en": [name]}}
    for verb in ("sentences", "export"):
        yield verb, {"languages": ["en", name], "train": "x"}
        yield verb, {"languages": ["en", "fr"], "train": name}
        yield verb, {"languages": ["en", "fr"], "train": "x", "test": [name]}
    yield "context", {"languages": ["en", name], "train": "x", "transfer": TASK}
    yield "context", {"languages": ["en", "fr"], "train": name, "transfer": TASK}
    yield "transfer", {"source": name, "targets": ["en"], **TASK}
    yield "transfer", {"source": "en", "targets": [name], **TASK}
    yield "conlang", {"languages": {name: "near"}}
    yield "conlang", {"languages": {}, "domains": {name: {}}}


def settings_of(verb):
    from xling.alignment.compare_stage import CompareSettings
    from xling.alignment.config import ExportSettings, SentenceSettings, WordSettings
    from xling.conlang.spec import ConlangSpec
    from xling.data.derive import DeriveSettings
    from xling.data.hub.spec import HubSpec
    from xling.pretraining.config import RunConfig
    from xling.settings import load_settings
    from xling.similarity.stage import ProbeSettings
    from xling.tokens.build import TokensSettings
    from xling.transfer.config import ContextSettings, TransferConfig
    from xling.vocabulary.build import VocabularySettings

    if verb == "conlang":
        return ConlangSpec.load
    models = {
        "vocabulary": VocabularySettings,
        "tokens": TokensSettings,
        "derive": DeriveSettings,
        "hub": HubSpec,
        "pretrain": RunConfig,
        "probe": ProbeSettings,
        "similarity": CompareSettings,
        "words": WordSettings,
        "sentences": SentenceSettings,
        "export": ExportSettings,
        "context": ContextSettings,
        "transfer": TransferConfig,
    }
    return lambda path: load_settings(path, models[verb])


@pytest.mark.parametrize("name", [*BAD, *NOT_TEXT])
def test_every_verb_refuses_it(tmp_path, name):
    path = tmp_path / "settings.yaml"
    for verb, content in verbs(name):
        path.write_text(yaml.safe_dump(content))
        with pytest.raises(XlingError) as caught:
            settings_of(verb)(path)
        said = str(caught.value)
        assert "\n" not in said
        expected = ("is not a name",) if isinstance(name, str) else ("which is not text",)
        assert any(part in said for part in expected), (verb, content, said)


@pytest.mark.parametrize("verb", ["pretrain", "probe", "hub", "export"])
def test_a_language_named_twice_is_refused(tmp_path, verb):
    path = tmp_path / "settings.yaml"
    more = {"pretrain": {"pretraining": {"steps": 1}}, "export": {"train": "talks"}}
    path.write_text(yaml.safe_dump({"languages": ["en", "en"], **more.get(verb, {})}))
    with pytest.raises(XlingError, match="languages: names a language twice: en, en"):
        settings_of(verb)(path)


def test_nothing_is_written_outside(tmp_path):
    text = tmp_path / "inside" / "data" / "text" / "wiki"
    text.mkdir(parents=True)
    (text / "en.txt").write_text("a b c\n" * 50)
    settings = tmp_path / "inside" / "settings.yaml"
    settings.write_text("text: {../../esc: [wiki]}\n")
    command = ["vocabulary", "data", "--out", "out", "--config", "settings.yaml"]
    done = subprocess.run(
        [sys.executable, "-m", "xling", *command],
        cwd=tmp_path / "inside",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert not (tmp_path / "inside" / "out").exists()


@pytest.mark.parametrize("name", ["b$(touch PWNED)", "old english", "<script>", "b{x}", "=1"])
def test_a_data_folder_with_such_files_is_refused(tmp_path, name):
    for place, what in ((f"text/wiki/{name}.txt", "language"), (f"text/{name}/en.txt", "domain")):
        folder = tmp_path / what
        (folder / place).parent.mkdir(parents=True)
        (folder / place).write_text("a\n")
        with pytest.raises(XlingError, match=f"is not a name of a {what}.*rename") as caught:
            DataFolder(folder).domains()
        assert str(folder) in str(caught.value)


@pytest.mark.parametrize("listed", ["[en, no]", "[en, 007]", "[en, 2024-01-01]", "[en, null]"])
def test_a_list_of_languages_says_what_to_quote(tmp_path, listed):
    (tmp_path / "data.yaml").write_text(f"languages: {listed}\n")
    with pytest.raises(
        XlingError, match=r"data\.yaml: found language .*, which is not text.*quote"
    ):
        DataFolder(tmp_path)


def test_a_name_asked_for_is_no_path(tmp_path):
    (tmp_path / "text" / "wiki").mkdir(parents=True)
    (tmp_path / "text" / "wiki" / "en.txt").write_text("a\n")
    data = DataFolder(tmp_path)
    for ask in (
        lambda: data.text("../wiki", "en"),
        lambda: data.text("wiki", "../wiki/en"),
        lambda: data.parallel("../text/wiki"),
        lambda: data.dictionary_file("../en", "fr", "train"),
        lambda: data.task("ner", "/abs", "test"),
    ):
        with pytest.raises(XlingError, match="is not a name"):
            ask()


def test_models_are_not_looked_for_outside_their_folder(tmp_path):
    from xling.alignment.pair import load_aligned
    from xling.model.storage import load_family
    from xling.vocabulary.vocabulary import Vocabulary

    write_json(tmp_path / "family.json", {"languages": ["../en"], "separate": []})
    record = {"languages": {"../en": {"size": 9}}, "kind": "joint"}
    write_json(tmp_path / "vocabulary.json", record)
    write_json(
        tmp_path / "aligned.json",
        {"source": "en", "target": "/fr", "layers": [1, 1], "map": "Procrustes", "width": 4},
    )
    for load in (load_family, Vocabulary.load):
        with pytest.raises(XlingError, match=r"'\.\./en' is not a name of a language"):
            load(tmp_path)
    with pytest.raises(XlingError):
        load_aligned(tmp_path)


@pytest.fixture
def hyphens(tmp_path):
    """Return a folder with dictionaries of languages whose names begin alike."""
    root = tmp_path / "data"
    for code in ("en", "zh", "zh-Hans"):
        for place in ("text/wiki", "parallel/talks"):
            (root / place).mkdir(parents=True, exist_ok=True)
            (root / place / f"{code}.txt").write_text("a b c\n")
    (root / "dictionaries").mkdir()
    for pair in ("zh-Hans-en", "zh-en", "en-zh-Hans"):
        for split in ("train", "test"):
            (root / "dictionaries" / f"{pair}.{split}.tsv").write_text("a\tb\n")
    return DataFolder(root)


def test_dictionaries_belong_to_the_language_in_front(hyphens, tmp_path):
    from xling.data.derive import DeriveSettings, derive, source_dictionaries

    for language, pair in (("zh", "zh-en"), ("zh-Hans", "zh-Hans-en"), ("en", "en-zh-Hans")):
        found = source_dictionaries(hyphens, language)
        assert {path.name for path in found.values()} == {f"{pair}.train.tsv", f"{pair}.test.tsv"}
    settings = DeriveSettings.model_validate({"languages": {"copy": {"of": "en", "how": "same"}}})
    derive(hyphens, settings, tmp_path / "derived")
    assert DataFolder(tmp_path / "derived").dictionary("en", "copy", "train") == [("a", "a", 1.0)]


def test_code_switching_finds_dictionaries_of_codes_with_hyphens(hyphens):
    from xling.pretraining.code_switching import dictionary_files

    found = dictionary_files(hyphens, ["en", "zh-Hans"])
    assert sorted(found) == ["en-zh-Hans", "zh-Hans-en"]
    with pytest.raises(XlingError, match="no training dictionary of xx"):
        dictionary_files(hyphens, ["en", "zh-Hans", "xx"])


def test_dictionaries_from_word_lists_may_have_hyphens():
    from xling.data.hub.spec import HubSpec

    source = {"train": "words.txt", "source": "own", "licence": "CC0-1.0"}
    content = {"languages": ["en", "zh-Hans"], "dictionaries": {"en-zh-Hans": source}}
    assert HubSpec.model_validate(content).dictionaries
    for pair in ("en-zh", "en-Hans", "zh-Hans", "en"):
        with pytest.raises(ValueError, match="is not two of the languages"):
            HubSpec.model_validate({**content, "dictionaries": {pair: source}})


def test_what_is_one_file_of_tokens_is_selected_once(tmp_path):
    from xling.data.selection import select

    for domain in ("help", "help.first-half"):
        (tmp_path / "text" / domain).mkdir(parents=True)
        (tmp_path / "text" / domain / "en.txt").write_text("a\nb\n")
    with pytest.raises(XlingError, match="selected twice"):
        select(DataFolder(tmp_path), {"en": ["help:first-half", "help.first-half"]})
