"""What a notebook wants: the functions of ``import xling`` on plain lists do what the verbs do."""

import json
import pydoc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, PreTrainedTokenizerFast

import xling
from xling.alignment.config import ExportSettings
from xling.alignment.export_stage import export_pair
from xling.data.layout import DataFolder
from xling.encoders.encoder import Encoder
from xling.errors import XlingError
from xling.results import COLUMNS, read_scores
from xling.similarity.config import ProbeConfig
from xling.similarity.probe import probe_pair
from xling.transfer.config import TransferConfig
from xling.transfer.stage import transfer as transfer_verb

NAMES = [f"{letter}{number}" for letter in "ab" for number in range(30)]
SPECIAL = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
pytestmark = pytest.mark.filterwarnings("ignore:no margin ratio")


def save_encoder(folder: Path, seed: int = 0, width: int = 8) -> Path:
    vocabulary = {name: i for i, name in enumerate([*SPECIAL.values(), *NAMES])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=20,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config, add_pooling_layer=False)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.normal_(std=0.3)
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL).save_pretrained(folder)
    return folder


def make_lines(count: int, seed: int) -> dict[str, list[str]]:
    rows = np.random.default_rng(seed).integers(30, size=(count, 6))
    return {
        code: [" ".join(f"{letter}{n}" for n in row) for row in rows]
        for code, letter in (("aa", "a"), ("bb", "b"))
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("models") / "one")


@pytest.fixture(scope="module")
def wider(tmp_path_factory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("models") / "wide", 1, 12)


LINES = make_lines(40, 0)
QUICK = {"random_seeds": (1,), "resamples": 20}


def write_parallel(data: Path, name: str, lines: dict[str, list[str]]) -> None:
    for language, texts in lines.items():
        path = data / "parallel" / name / f"{language}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in texts))


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_importing_xling_imports_nothing_heavy():
    code = "import xling, xling.api, sys, json; print(json.dumps([dir(xling), list(sys.modules)]))"
    there, loaded = json.loads(run_python(code))
    assert not {"torch", "transformers", "numpy", "pandas"} & set(loaded)
    assert {"probe", "align", "transfer", "load_aligned", "similarity", "alignment"} <= set(there)


def test_sub_packages_are_attributes():
    code = """
import xling
print(xling.measures.linear_cka.__name__, xling.measures.Procrustes().underdetermined)
print(callable(xling.transfer), xling.data.__name__)
import xling.transfer.config
print(callable(xling.transfer), xling.transfer.config.TASKS[0])
"""
    assert run_python(code).split() == ["linear_cka", "False", "True", "xling.data", "True", "nli"]
    with pytest.raises(AttributeError, match="no attribute 'prob'"):
        xling.prob  # noqa: B018


def test_help_names_the_functions_and_says_how_they_are_called():
    text = pydoc.render_doc(xling, renderer=pydoc.plaintext)
    for name in ("probe(model", "align(source", "load_aligned(path"):
        assert name in text
    assert "xling.transfer(model" in text
    assert "Example::" in text
    assert "lines that are not parallel" in text


@pytest.mark.parametrize("how", ["folder", "name", "objects", "encoder", "one for each"])
def test_probing_lists_is_probing_a_folder_of_them(model, tmp_path, how):
    write_parallel(tmp_path, "lines", LINES)
    pair = Encoder.load(model, "aa"), Encoder.load(model, "bb")
    expected = probe_pair(*pair, DataFolder(tmp_path), ProbeConfig(**QUICK))
    given = {
        "folder": model,
        "name": str(model),
        "objects": (AutoModel.from_pretrained(model), AutoTokenizer.from_pretrained(model)),
        "encoder": Encoder.load(model, "xx"),
        "one for each": {"bb": str(model), "aa": model},
    }
    found = xling.probe(given[how], LINES, **QUICK, device="cpu")
    assert tuple(found.columns) == COLUMNS
    if how == "one for each":  # two models, though of the same weights: so are their twins
        expected = expected.sort_values(["value"])
        found = found.sort_values(["value"])
        assert found["value"].tolist() == pytest.approx(expected["value"].tolist(), abs=1e-6)
        return
    pd.testing.assert_frame_equal(found, expected)


def test_how_lines_are_read_is_chosen(model, tmp_path):
    write_parallel(tmp_path, "lines", LINES)
    pair = Encoder.load(model, "aa"), Encoder.load(model, "bb")
    chosen = {"pooling": "weighted", "prefix": "a1 ", "precision": "bf16"}
    expected = probe_pair(*pair, DataFolder(tmp_path), ProbeConfig(**QUICK, **chosen))
    found = xling.probe(model, LINES, **QUICK, **chosen, device="cpu")
    pd.testing.assert_frame_equal(found, expected)
    assert not found.equals(xling.probe(model, LINES, **QUICK, device="cpu"))
    with pytest.raises(XlingError, match="pooling"):
        xling.probe(model, LINES, **QUICK, pooling="median")


def test_scores_of_a_probe_can_be_looked_up(model):
    scores = xling.probe(model, {**LINES, "cc": LINES["aa"]}, **QUICK, device="cpu")
    assert set(scores["language"]) >= {"aa-bb", "aa-cc", "bb-cc"}
    assert set(scores["condition"]) == {"trained", "untrained", "chance"}
    rows = scores.query(
        "probe == 'retrieval' and language == 'aa-cc' and condition == 'trained'"
        " and metric == 'p@1' and direction == ''"
    )
    assert rows["layer"].tolist() == [0, 1, 2]
    assert rows["value"].tolist() == pytest.approx([1.0] * 3)
    one_way = scores[(scores["direction"] == "bb>aa") & (scores["metric"] == "p@1")]
    assert (one_way["language"] == "aa-bb").all()
    trained = one_way[one_way["condition"] == "trained"]
    assert ((trained["low"] <= trained["value"]) & (trained["value"] <= trained["high"])).all()
    draws = scores[scores["condition"] == "untrained"]["draw"]
    assert set(draws.dropna()) == {1}
    assert draws.isna().any()


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([["a"], ["b"]], "lines: list; expected a mapping"),
        ({"aa": ["a1"]}, "lines: 1 languages; expected at least two"),
        ({"aa": ["a1"], "bb": []}, "1 in aa, 0 in bb; expected equally many"),
        ({"aa": [], "bb": []}, "0 in aa, 0 in bb"),
        ({"aa": "a1", "bb": ["b1"]}, r"lines\['aa'\]: one text, expected a list"),
        ({"aa": ["a1"], "bb": [None]}, r"lines\['bb'\]\[0\]: NoneType, expected a text"),
        ({"aa": ["a1"], "b/b": ["b1"]}, "'b/b' is not a name of a language"),
    ],
)
def test_lines_that_cannot_be_parallel_are_refused(model, lines, fault):
    for function in (xling.probe, lambda _, texts: xling.align(model, model, texts)):
        with pytest.raises(XlingError, match=fault):
            function(model, lines)


def test_what_is_no_model_is_refused(model, tmp_path):
    with pytest.raises(XlingError, match="model: int; expected a folder"):
        xling.probe(5, LINES)
    with pytest.raises(XlingError, match="model: none for language 'bb'"):
        xling.probe({"aa": model}, LINES)
    with pytest.raises(XlingError, match="Linear: no model of transformers"):
        xling.probe((torch.nn.Linear(1, 1), AutoTokenizer.from_pretrained(model)), LINES)
    with pytest.raises(XlingError, match="str: no fast tokenizer"):
        xling.probe((AutoModel.from_pretrained(model), "words"), LINES)
    with pytest.raises(XlingError, match=f"{tmp_path / 'none'}: not found"):
        xling.probe(tmp_path / "none", LINES)
    with pytest.raises(XlingError, match="device 'gpu'"):
        xling.probe(model, LINES, device="gpu")
    with pytest.raises(XlingError, match="probe: resamples: "):
        xling.probe(model, LINES, resamples=-1)


def test_aligning_lists_is_the_alignment_that_is_exported(model, wider, tmp_path):
    write_parallel(tmp_path / "data", "train", LINES)
    write_parallel(tmp_path / "data", "test", make_lines(20, 1))
    settings = ExportSettings(languages=("aa", "bb"), train="train", resamples=0, random_seeds=())
    export_pair(model, wider, tmp_path / "data", tmp_path / "exported", settings)
    pair = xling.align(model, wider, LINES)
    exported = xling.load_aligned(tmp_path / "exported")
    assert pair.layers == exported.layers
    for language, lines in make_lines(10, 2).items():
        np.testing.assert_array_equal(
            pair.encode(lines, language), exported.encode(lines, language)
        )
    pair.save(tmp_path / "mine")
    opened = xling.load_aligned(str(tmp_path / "mine"), device="cpu")
    np.testing.assert_array_equal(opened.encode(["a1 a2"], "aa"), pair.encode(["a1 a2"], "aa"))
    assert "load_aligned" in (tmp_path / "mine" / "README.md").read_text()
    with pytest.raises(XlingError, match="mine: is there already"):
        pair.save(tmp_path / "mine")


def test_an_aligned_pair_is_scored_on_other_lines(model, wider):
    pair = xling.align(model, wider, LINES, layer=1, map="ridge", normalization="centre")
    assert pair.layers == (1, 1)
    lines = make_lines(20, 3)
    scores = pair.evaluate(lines)
    assert tuple(scores.columns) == COLUMNS
    x, y = (pair.encode(lines[code], code) for code in ("aa", "bb"))
    found = float(np.mean((x @ y.T).argmax(axis=1) == np.arange(20)))
    row = scores[(scores["metric"] == "p@1") & (scores["direction"] == "aa>bb")]
    assert row["value"].tolist() == pytest.approx([found])
    with pytest.raises(XlingError, match="none of language 'bb'"):
        pair.evaluate({"aa": lines["aa"]})


def test_wrong_requests_of_align_are_refused(model, wider):
    for lines, options, fault in (
        ({**LINES, "cc": LINES["aa"]}, {}, "3 languages; expected the source and the target"),
        (make_lines(5, 0), {}, "pairs do not determine a rotation of 8"),
        (LINES, {"layer": 7}, r"layer 7: choose one of \[0, 1, 2\]"),
        (LINES, {"map": "magic"}, "align: map: "),
    ):
        with pytest.raises(XlingError, match=fault):
            xling.align(model, wider, lines, **options)


def examples_of(task: str, letter: str, count: int, seed: int) -> list:
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        words = [f"{letter}{n}" for n in random.integers(30, size=4)]
        first = int(words[0][1:])
        if task == "topics":
            found.append((" ".join(words), ("low", "high")[first % 2]))
        elif task == "nli":
            label = ("entailment", "neutral", "contradiction")[first % 3]
            found.append((words[0], " ".join(words[1:]), label))
        elif task == "ner":
            found.append((words, [("O", "B-X")[int(word[1:]) % 2] for word in words]))
        else:
            found.append((words, [0, 1, 1, 1], ["root", "dep", "dep", "obj"]))
    found[0] = (*found[0][:-1], "low") if task == "topics" else found[0]
    return found


KEYS = {
    "topics": ("text", "label"),
    "nli": ("premise", "hypothesis", "label"),
    "ner": ("tokens", "tags"),
    "parsing": ("words", "heads", "relations"),
}
SETTINGS = {"epochs": 1, "encoder_rates": (1e-3,), "resamples": 10, "averaged": 1}


@pytest.mark.parametrize("task", KEYS)
def test_every_task_runs_on_lists_of_examples(model, tmp_path, task):
    train, test = examples_of(task, "a", 30, 1), examples_of(task, "b", 10, 2)
    scores = xling.transfer(model, task, {"aa": train}, {"bb": test}, device="cpu", **SETTINGS)
    assert tuple(scores.columns) == COLUMNS
    assert set(scores["probe"]) == {f"transfer-{task}"}
    assert {"aa", "bb"} == set(scores["language"])
    mappings = [dict(zip(KEYS[task], example, strict=True)) for example in train]
    again = xling.transfer(
        (AutoModel.from_pretrained(model), AutoTokenizer.from_pretrained(model)),
        task,
        {"aa": mappings},
        {"bb": test},
        device="cpu",
        **SETTINGS,
    )
    pd.testing.assert_frame_equal(scores, again)


@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_a_task_is_learnt_on_an_encoder_of_a_pair_and_on_a_decoder(build, tokenizer, kind):
    sides = {
        code: [(f"{letter}1 {letter}{n % 7}", "xy"[n % 2]) for n in range(20)]
        for code, letter in (("aa", "a"), ("bb", "b"))
    }
    model = build(kind, len(tokenizer)), tokenizer
    scores = xling.transfer(model, "topics", {"aa": sides["aa"]}, sides, epochs=1, device="cpu")
    found = scores[scores["metric"] == "accuracy"]
    assert set(found["language"]) >= {"aa", "bb"}
    assert found["value"].between(0, 1).all()


def test_examples_in_lists_give_what_files_give(model, tmp_path):
    parts = {
        split: examples_of("topics", letter, 20, seed)
        for seed, (split, letter) in enumerate((("train", "a"), ("dev", "a"), ("test", "b")))
    }
    for split, examples in parts.items():
        path = tmp_path / "data" / "topics" / ("bb" if split == "test" else "aa") / f"{split}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{n}\t{y}\t{x}\n" for n, (x, y) in enumerate(examples)))
    config = TransferConfig(task="topics", source="aa", targets=("bb",), **SETTINGS)
    transfer_verb(str(model), tmp_path / "data", tmp_path / "verb", config)
    found = xling.transfer(
        model,
        "topics",
        {"aa": parts["train"]},
        {"bb": parts["test"]},
        dev={"aa": parts["dev"]},
        out=tmp_path / "kept",
        **SETTINGS,
    )
    pd.testing.assert_frame_equal(found, read_scores(tmp_path / "verb" / "scores.csv"))
    assert (tmp_path / "kept" / "predictions" / "topics" / "bb.tsv").is_file()


TOPICS = [("a1 a2", "x"), ("a3", "y")] * 10


@pytest.mark.parametrize(
    ("task", "examples", "fault"),
    [
        ("topics", [("a1",)], r"test\['bb'\]\[0\]: 1 parts; expected \(text, label\)"),
        ("topics", [("b1", "x"), {"text": "b"}], r"test\['bb'\]\[1\]: no label; expected the keys"),
        ("topics", ["b1"], r"test\['bb'\]\[0\]: str; expected"),
        ("topics", [("  ", "x")], r"test\['bb'\]\[0\], text: '  '; expected a text"),
        ("topics", [(None, "x")], "text: None; expected a text"),
        ("nli", [("b1", "b2", "yes")], "label: 'yes'; expected entailment or neutral or"),
        ("ner", [(["b1", "b2"], ["O"])], "2 tokens, 1 tags; expected equally many"),
        ("ner", [("b1 b2", ["O", "O"])], "tokens: 'b1 b2'; expected a list"),
        ("ner", [(["b1 b2"], ["O"])], "tokens: 'b1 b2'; expected a word without white space"),
        ("ner", [(["b1"], ["PER"])], "ner/bb/test.iob2.*'PER'"),
        ("parsing", [(["b1"], ["0"], ["root"])], "heads: '0'; expected a number"),
        ("parsing", [(["b1"], [5], ["root"])], "ud/bb/test.conllu"),
    ],
)
def test_examples_at_fault_are_named(model, task, examples, fault):
    train = {"aa": examples_of(task, "a", 20, 1)}
    with pytest.raises(XlingError, match=fault) as refused:
        xling.transfer(model, task, train, {"bb": examples}, **SETTINGS)
    assert "/tmp" not in str(refused.value)


def test_wrong_requests_of_transfer_are_refused(model):
    test = {"bb": TOPICS}
    for train, options, fault in (
        ({"aa": TOPICS, "bb": TOPICS}, {}, "train: 2 languages; expected one"),
        ({"aa": TOPICS[:9]}, {}, "train: 9 examples; expected 10, or dev as well"),
        ({"aa": TOPICS}, {"dev": {"bb": TOPICS}}, "dev: languages bb; expected the source's, aa"),
        ({"aa": TOPICS}, {"epoch": 3}, "transfer: epoch: unknown setting"),
        ({"aa": TOPICS}, {"device": "gpu"}, "device 'gpu'"),
    ):
        with pytest.raises(XlingError, match=fault):
            xling.transfer(model, "topics", train, test, **options)
    with pytest.raises(XlingError, match="task 'tagging': expected one of nli, "):
        xling.transfer(model, "tagging", {"aa": TOPICS}, test)
