import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast
from typer.testing import CliRunner

import xling
from xling.alignment.compare_stage import CompareSettings, compare_models
from xling.alignment.config import ExportSettings, SentenceSettings, WordSettings
from xling.alignment.sentence_stage import align_sentences, export_pair
from xling.alignment.two_models import open_both
from xling.alignment.word_stage import _warn_of_few_words, align_words
from xling.cli import app
from xling.data.layout import DataFolder
from xling.encoders.encoder import Encoder
from xling.encoders.representations import sentence_vectors
from xling.errors import XlingError
from xling.influence import read_influence
from xling.measures import Procrustes, iterative_normalize, linear_cka
from xling.measures.retrieval import precision_at_1
from xling.results import COLUMNS, Key, Score

QUICK = {"languages": ("aa", "bb"), "resamples": 20, "k": 4}
SENTENCES = SentenceSettings(**QUICK, train="train")
pytestmark = pytest.mark.filterwarnings("ignore:no margin ratio")


BOTH = {"direction": None, "language": "aa-bb"}


def value(table, column="value", condition="trained", **where):
    table = table[table["condition"] == condition]
    for name, wanted in where.items():
        table = table[table[name].isna()] if wanted is None else table[table[name] == wanted]
    assert len(table) == 1, table
    return float(table[column].iloc[0])


def test_twins_are_aligned_and_strangers_less(models_of, data, tmp_path):
    align_sentences(models_of["aa"], models_of["bb"], data, tmp_path / "twins", SENTENCES)
    align_sentences(models_of["aa"], models_of["wide"], data, tmp_path / "others", SENTENCES)
    twins, others = (pd.read_csv(tmp_path / name / "scores.csv") for name in ("twins", "others"))
    assert tuple(twins.columns) == COLUMNS
    assert set(twins["layer"]) == {0, 1, 2}
    where = {"dataset": "test", **BOTH, "layer": 2, "metric": "p@1"}
    assert value(twins, **where) == 1.0
    assert value(others, **where) < 1.0
    assert 0 <= value(twins, condition="untrained", **where) <= 1
    assert {value(twins, "n", **{**where, "direction": way}) for way in ("aa>bb", None)} == {60}
    ends = twins[twins["condition"].eq("trained") & twins["direction"].notna()]
    assert set(ends[ends["low"].notna()]["metric"]) == {"p@1", "p@1-csls", "p@1-margin"}
    assert value(twins, **{**where, "metric": "cosine"}) > 0.999
    assert {"mrr", "p@5-csls", "hubness"} <= set(twins["metric"])


def test_influence_values_of_lines_and_words_err_as_the_intervals_say(models_of, data, tmp_path):
    words = WordSettings(**QUICK, text={"aa": ("wiki",), "bb": ("wiki",)}, static_width=12)
    align_words(models_of["aa"], models_of["wide"], data, tmp_path / "words", words)
    settings = SENTENCES.model_copy(update={"resamples": 500})
    align_sentences(models_of["aa"], models_of["wide"], data, tmp_path / "lines", settings)
    table = pd.read_csv(tmp_path / "lines" / "scores.csv")
    found = read_influence([tmp_path / "lines", tmp_path / "words"])
    assert {key.probe for key in found} >= {"alignment-sentences", "lexicon-context"}
    assert Key("alignment-sentences", "test", "aa-bb", "", 1, "untrained", None, "p@1") in found
    for key, values in found.items():
        assert values.mean() == pytest.approx(0, abs=1e-6)
        assert (key.direction, key.draw, key.language) == ("", None, "aa-bb")
        if key.probe != "alignment-sentences" or key.metric != "p@1" or key.condition != "trained":
            continue
        where = {"dataset": key.dataset, "layer": key.layer, "metric": "p@1"}
        spans = [
            value(table, "high", direction=way, **where)
            - value(table, "low", direction=way, **where)
            for way in ("aa>bb", "bb>aa")
        ]
        # Both directions read the same lines: their mean errs as one of them or less.
        assert 2 * 1.96 * values.std() / np.sqrt(len(values)) <= 1.15 * max(spans) + 0.01


@pytest.mark.parametrize("verb", ["similarity", "sentences", "words", "export"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_written(
    verb, models_of, data, tmp_path, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    words = WordSettings(**QUICK, text={"aa": ("wiki",), "bb": ("wiki",)})
    run, settings = {
        "similarity": (compare_models, CompareSettings(languages=("aa", "bb"))),
        "sentences": (align_sentences, SENTENCES),
        "words": (align_words, words),
        "export": (export_pair, ExportSettings(**QUICK, train="train")),
    }[verb]
    models = models_of["aa"], models_of["bb"]
    for device in ("cuda", "cuda:1", "gpu"):
        with pytest.raises(XlingError, match=f"device '{device}'"):
            run(*models, data, tmp_path / "out", settings, device)
    assert list(tmp_path.iterdir()) == []


def test_scores_are_those_of_the_parts(models_of, data, tmp_path):
    align_sentences(models_of["aa"], models_of["wide"], data, tmp_path / "out", SENTENCES)
    table = pd.read_csv(tmp_path / "out" / "scores.csv")
    one, other = Encoder.load(models_of["aa"], "aa"), Encoder.load(models_of["wide"], "bb")
    lines = {name: DataFolder(data).parallel(name, "aa", "bb") for name in ("train", "test")}
    # Layer 1 of two lies at half of the depth, as layer 2 of four does.
    x, y = (
        sentence_vectors(one, lines["train"]["aa"])[1],
        sentence_vectors(other, lines["train"]["bb"])[2],
    )
    fitted = Procrustes().fit(iterative_normalize(x), iterative_normalize(y))
    assert fitted.matrix_.shape == (12, 16)
    settings = SENTENCES.model_copy(update={"normalization": "none"})
    align_sentences(models_of["aa"], models_of["wide"], data, tmp_path / "plain", settings)
    plain = pd.read_csv(tmp_path / "plain" / "scores.csv")
    u, v = (
        sentence_vectors(one, lines["test"]["aa"])[1],
        sentence_vectors(other, lines["test"]["bb"])[2],
    )
    expected = precision_at_1(Procrustes().fit(x, y).transform(u), v)
    where = {"dataset": "test", "layer": 1, "metric": "p@1"}
    assert value(plain, direction="aa>bb", **where) == pytest.approx(expected.forward, abs=1e-6)
    assert value(plain, direction="bb>aa", **where) == pytest.approx(expected.backward, abs=1e-6)
    ways = [value(table, direction=way, **where) for way in ("aa>bb", "bb>aa")]
    assert value(table, **BOTH, **where) == pytest.approx(sum(ways) / 2)


def test_an_exported_pair_is_opened_and_encodes(models_of, data, tmp_path):
    out = tmp_path / "pair"
    settings = ExportSettings(**QUICK, train="train", layer=1)
    export_pair(models_of["aa"], models_of["wide"], data, out, settings)
    pair = xling.load_aligned(out)
    assert (pair.languages, pair.layers, pair.width) == (("aa", "bb"), (1, 2), 16)
    lines = DataFolder(data).parallel("test", "aa", "bb")
    x, y = pair.encode(lines["aa"], "aa"), pair.encode(lines["bb"], "bb")
    assert x.dtype == np.float32
    assert x.shape == y.shape == (60, 16)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, atol=1e-5)
    align_sentences(models_of["aa"], models_of["wide"], data, tmp_path / "scores", SENTENCES)
    table = pd.read_csv(tmp_path / "scores" / "scores.csv")
    where = {"dataset": "test", "direction": "aa>bb", "layer": 1, "metric": "p@1"}
    assert precision_at_1(x, y).forward == pytest.approx(value(table, **where), abs=1e-6)
    own = pd.read_csv(out / "scores.csv")
    assert value(own, **where) == pytest.approx(value(table, **where), abs=1e-6)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "learnt from 150 parallel lines" in card
    assert "The widths differ: the source is padded with zeros." in card
    assert f"| test | aa>bb | {value(table, **where):.3f} |" in card
    assert not pair.encode([""], "aa").any()
    assert pair.encode([], "bb").shape == (0, 16)
    with pytest.raises(XlingError, match="this pair has aa and bb"):
        pair.encode(["x"], "cc")
    with pytest.raises(XlingError, match="aligned"):
        xling.load_aligned(tmp_path)


def test_export_chooses_a_layer_without_the_test_set(models_of, data, tmp_path):
    settings = ExportSettings(**QUICK, train="train")
    export_pair(models_of["aa"], models_of["bb"], data, tmp_path / "pair", settings)
    assert xling.load_aligned(tmp_path / "pair").layers[0] in (0, 1, 2)
    bad = settings.model_copy(update={"layer": 7})
    with pytest.raises(XlingError, match=r"layer 7: choose one of \[0, 1, 2\]"):
        export_pair(models_of["aa"], models_of["bb"], data, tmp_path / "bad", bad)


def test_lexicons_are_induced_from_every_layer_and_both_baselines(models_of, data, tmp_path):
    settings = WordSettings(**QUICK, text={"aa": ("wiki",), "bb": ("wiki",)}, static_width=12)
    align_words(models_of["aa"], models_of["bb"], data, tmp_path / "out", settings)
    table = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert tuple(table.columns) == COLUMNS
    where = {"dataset": "aa-bb.test", "metric": "p@1-csls"}
    embedding = value(table, probe="lexicon-embedding", direction="aa>bb", layer=None, **where)
    # The twins' embeddings are the same but for the words' names.
    assert embedding == 1.0
    context = [
        value(table, probe="lexicon-context", direction="aa>bb", layer=layer, **where)
        for layer in (0, 1, 2)
    ]
    static = value(table, probe="lexicon-static", direction="aa>bb", layer=None, **where)
    assert context[0] > 0.9
    assert min(context) > static
    known = table[(table.probe == "lexicon-context") & (table.metric == "coverage")]
    assert ((known.value > 0.5) & (known.value < 1)).all()
    assert (table[table["condition"] == "static"]["metric"] == "p@1-csls").any()
    assert (tmp_path / "out.words" / "aa" / "vectors.safetensors").is_file()


def test_into_a_narrower_space_something_is_dropped_and_the_card_says_so(
    models_of, data, tmp_path, caplog
):
    settings = ExportSettings(languages=("bb", "aa"), train="train", layer=4, resamples=0)
    with caplog.at_level("INFO", "xling"):
        export_pair(models_of["wide"], models_of["aa"], data, tmp_path / "pair", settings)
    pair = xling.load_aligned(tmp_path / "pair")
    assert (pair.layers, pair.width, pair.map.matrix_.shape) == ((4, 2), 12, (16, 12))
    lines = DataFolder(data).parallel("test", "aa", "bb")
    assert pair.encode(lines["bb"], "bb").shape == pair.encode(lines["aa"], "aa").shape == (60, 12)
    card = (tmp_path / "pair" / "README.md").read_text(encoding="utf-8")
    assert "what it has no room for of the mapped source is dropped" in card
    assert "layers of bb and aa at equal relative depth: 0-0, 2-1, 4-2" in caplog.text
    assert "widths 16 and 12: the target is padded with zeros for the fit" in caplog.text


def test_tokenizers_of_different_kinds_go_through_the_whole_chain(models_of, data, tmp_path):
    """Letters on one side and whole words on the other."""
    letters = shutil.copytree(models_of["wide"], tmp_path / "letters")
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.BpeTrainer(special_tokens=names, vocab_size=30)
    tokenizer.train_from_iterator(DataFolder(data).parallel("train", "aa", "bb")["bb"], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **{f"{name[1:-1].lower()}_token": name for name in names},
    ).save_pretrained(letters)
    both = (models_of["aa"], letters)
    align_sentences(*both, data, tmp_path / "sentences", SENTENCES)
    words = WordSettings(**QUICK, text={"aa": ("wiki",), "bb": ("wiki",)}, static_width=12)
    with pytest.warns(UserWarning, match="no lexicon-embedding"):  # no word is a single subword
        align_words(*both, data, tmp_path / "words", words)
    table = pd.read_csv(tmp_path / "words" / "scores.csv")
    assert {"lexicon-context", "lexicon-static"} == set(table["probe"])
    assert value(table, language="bb", metric="truncated") == 0
    compare = CompareSettings(languages=("aa", "bb"), measures=("cka",), resamples=0)
    compare_models(*both, data, tmp_path / "similarity", compare)
    export_pair(*both, data, tmp_path / "pair", ExportSettings(**QUICK, train="train"))
    pair = xling.load_aligned(tmp_path / "pair")
    assert pair.encode(["b1 b2"], "bb").shape == (1, 16)


def test_similarity_is_of_vectors_pooled_as_asked(models_of, data, tmp_path):
    shared = {"languages": ("aa", "bb"), "measures": ("cka",), "datasets": ("test",)}
    chosen = {"pooling": "last", "prefix": "a1 "}
    settings = CompareSettings(**shared, **chosen, random_seeds=(), resamples=0)
    both = models_of["aa"], models_of["bb"]
    compare_models(*both, data, tmp_path / "out", settings)
    table = pd.read_csv(tmp_path / "out" / "layers.csv")
    lines = DataFolder(data).parallel("test", "aa", "bb")
    x, y = (
        sentence_vectors(Encoder.load(folder, language), lines[language], **chosen)
        for folder, language in zip(both, ("aa", "bb"), strict=True)
    )
    for _, row in table.iterrows():
        expected = linear_cka(x[row["layer"]], y[row["other_layer"]])
        assert row["value"] == pytest.approx(expected, abs=1e-5)


def test_other_settings_of_the_map_do_not_encode_again(models_of, data, tmp_path, monkeypatch):
    settings = SENTENCES.model_copy(update={"random_seeds": ()})
    align_sentences(models_of["aa"], models_of["bb"], data, tmp_path / "out", settings)
    monkeypatch.setattr("xling.encoders.kept_vectors.sentence_vectors", None)
    other = settings.model_copy(update={"normalization": "none"})
    align_sentences(models_of["aa"], models_of["bb"], data, tmp_path / "out", other)
    assert (tmp_path / "out" / "scores.csv").is_file()


def test_models_in_the_order_of_each_others_languages_bring_a_warning(
    models_of, data, tmp_path, caplog
):
    for name, language in (("aa", "bb"), ("bb", "aa")):
        shutil.copytree(models_of[language], tmp_path / name)
    two = (tmp_path / "aa", tmp_path / "bb")
    open_both(*two, ("aa", "bb"), "cpu")
    assert not caplog.text
    open_both(*two, ("bb", "aa"), "cpu")
    assert "say --languages aa,bb" in caplog.text


def test_nothing_is_done_again_and_errors_are_clear(models_of, data, tmp_path):
    out = tmp_path / "out"
    align_sentences(models_of["aa"], models_of["bb"], data, out, SENTENCES)
    before = (out / "scores.csv").stat().st_mtime_ns
    align_sentences(models_of["aa"], models_of["bb"], data, out, SENTENCES)
    assert (out / "scores.csv").stat().st_mtime_ns == before

    def fails(message, models=("aa", "bb"), **changes):
        settings = SENTENCES.model_copy(update=changes)
        with pytest.raises(XlingError, match=message):
            align_sentences(*(models_of[m] for m in models), data, tmp_path / "bad", settings)

    fails("no set dev with aa and bb", train="dev")
    fails("train is what the map is learnt from", test=("train",))
    fails("10 pairs do not determine a rotation of 12 dim.*--map ridge", train_lines=10)
    with pytest.raises(XlingError, match=r"no config.json; expected the folder of one language"):
        align_sentences(data, models_of["bb"], data, tmp_path / "bad", SENTENCES)
    settings = WordSettings(languages=("bb", "aa"), text={"aa": ("wiki",), "bb": ("wiki",)})
    with pytest.raises(XlingError, match=r"bb-aa.train.tsv \(or .gz\): not found; .* aa-bb.test"):
        align_words(models_of["bb"], models_of["aa"], data, tmp_path / "bad", settings)


def test_the_verb_reads_its_settings(models_of, data, tmp_path):
    config = tmp_path / "align.yaml"
    config.write_text(
        "languages: [aa, bb]\ntrain: train\nresamples: 0\nrandom_seeds: []\n", encoding="utf-8"
    )
    models = [str(models_of["aa"]), str(models_of["bb"])]
    arguments = [*models, "--data", str(data), "--out", str(tmp_path / "out")]
    arguments += ["--config", str(config)]
    result = CliRunner().invoke(app, ["align", "sentences", *arguments])
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert set(table["condition"]) == {"trained"}
    assert table[["low", "high"]].isna().all(axis=None)


def test_scores_on_few_words_of_a_dictionary_are_warned_of_in_one_line(models_of, data, tmp_path):
    settings = WordSettings(**QUICK, text={"aa": ("wiki",), "bb": ("wiki",)}, static_width=12)
    with pytest.warns(UserWarning, match="only these are scored") as caught:
        align_words(models_of["aa"], models_of["bb"], data, tmp_path / "out", settings)
    (message,) = (str(w.message) for w in caught if "only these are scored" in str(w.message))
    table = pd.read_csv(tmp_path / "out" / "scores.csv")
    words = {line.split("\t")[0] for line in _lines(data / "dictionaries/aa-bb.test.tsv")}
    share = value(table, probe="lexicon-embedding", metric="coverage")
    assert f"aa-bb.test.tsv: of {len(words)} source words" in message
    count = round(share * len(words))
    assert f"{count} in lexicon-embedding (coverage {share:.3f})" in message


@pytest.mark.parametrize(
    ("share", "words", "warned"),
    [(0.5, 200, False), (0.49, 200, True), (0.1, 5000, False), (0.09, 5000, True)],
)
def test_few_words_are_less_than_a_hundred_or_a_tenth(share, words, warned, recwarn):
    context = Score("lexicon-context", "x", "a-b", "a>b", metric="coverage")
    rows = [
        context._replace(probe="lexicon-static", value=1.0),
        context._replace(layer=0, value=1.0),
        context._replace(layer=1, value=share),
    ]
    _warn_of_few_words(rows, words, Path("a-b.test.tsv"))
    found = [str(w.message) for w in recwarn]
    assert len(found) == warned
    assert all(f"{round(share * words)} in lexicon-context" in text for text in found)
    assert all("lexicon-static" not in text for text in found)


def _lines(path):
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
