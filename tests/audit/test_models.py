"""Sentence-transformers folders, models of every kind, and what an audit exports."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import xling
from xling.audit.config import AuditSettings
from xling.audit.export import export_model
from xling.audit.result import Audit
from xling.audit.stage import audit_models
from xling.cli import app
from xling.encoders.encoder import Encoder
from xling.encoders.kept_vectors import encoder_hash
from xling.encoders.representations import sentence_vectors
from xling.errors import XlingError
from xling.measures import pooled_hits, precision_at_1
from xling.results import TRAINED

from .conftest import (
    SPECIAL,
    WORDS,
    aligned_model,
    parallel_lines,
    save_model,
    word_tokenizer,
    write_data,
)

QUICK = AuditSettings(resamples=50)


@pytest.fixture(scope="module")
def library():
    return pytest.importorskip("sentence_transformers", reason="opens folders of that library")


def modules_of(library, model, *more, mode="mean", **options):
    """A sentence-transformers model on top of the small one."""
    from sentence_transformers.sentence_transformer import modules

    transformer = modules.Transformer(str(model), **options)
    pooling = modules.Pooling(transformer.get_embedding_dimension(), pooling_mode=mode)
    return library.SentenceTransformer(modules=[transformer, pooling, *more], device="cpu")


def dense(width):
    import torch
    from sentence_transformers.sentence_transformer import modules

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return modules.Dense(width, 6), modules.Normalize()


@pytest.mark.parametrize(
    "mode",
    [
        *("mean", "lasttoken"),
        *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("cls", "max", "weightedmean")),
    ],
)
def test_a_models_own_vectors_are_those_of_its_library(tmp_path, library, model, lines, mode):
    made = modules_of(library, model, *dense(16), mode=mode)
    made.save(str(tmp_path / "own"))
    data = write_data(tmp_path / "data", lines)
    audit_models([str(tmp_path / "own")], data, tmp_path / "out", QUICK)
    found = Audit.load(tmp_path / "out")
    assert found.facts["models"][0]["layers"] == ["0", "1", "2", "output"]
    opened = library.SentenceTransformer(str(tmp_path / "own"), device="cpu")
    for code in lines:
        kept = np.load(tmp_path / f"out.vectors/own/trained/{code}/output.npy")
        np.testing.assert_allclose(kept, opened.encode(lines[code]), atol=1e-5)
    assert "own output" in (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")
    twin = found.scores[found.scores["condition"].eq("untrained")]
    assert twin["layer"].max() == 2  # what its modules learnt has no untrained twin


def test_prompt_limit_and_lower_case_are_respected(tmp_path, library, model, lines):
    made = modules_of(library, model, max_seq_length=6, do_lower_case=True)
    made.prompts, made.default_prompt_name = {"q": "a7 "}, "q"
    made.set_pooling_include_prompt(False)
    made.save(str(tmp_path / "own"))
    upper = {code: [f" {text.upper()}" for text in texts] for code, texts in lines.items()}
    data = write_data(tmp_path / "data", upper)
    settings = AuditSettings(resamples=50, untrained_seeds=())
    with pytest.warns(UserWarning, match="truncated"):
        audit_models([str(tmp_path / "own")], data, tmp_path / "out", settings)
    opened = library.SentenceTransformer(str(tmp_path / "own"), device="cpu")
    for code in lines:
        kept = np.load(tmp_path / f"out.vectors/own/trained/{code}/output.npy")
        np.testing.assert_allclose(kept, opened.encode(upper[code]), atol=1e-5)
    assert Audit.load(tmp_path / "out").facts["models"][0]["prefix"] == "a7 "


def test_bitext_retrieval_is_that_of_the_librarys_evaluator(tmp_path, library, model, lines):
    from sentence_transformers.sentence_transformer.evaluation import TranslationEvaluator

    made = modules_of(library, model)
    made.save(str(tmp_path / "own"))
    data = write_data(tmp_path / "data", lines)
    settings = AuditSettings(resamples=50, untrained_seeds=())
    audit_models([str(tmp_path / "own")], data, tmp_path / "out", settings)
    opened = library.SentenceTransformer(str(tmp_path / "own"), device="cpu")
    judged = TranslationEvaluator(lines["en"], lines["fr"])(opened)
    scores = Audit.load(tmp_path / "out").scores
    own = scores[
        scores["layer"].eq(3) & scores["metric"].eq("p@1") & scores["probe"].eq("retrieval")
    ]
    own = own[own["condition"].eq(TRAINED)].set_index("direction")["value"]
    forward = next(value for name, value in judged.items() if "src2trg" in name)
    assert own["en>fr"] == pytest.approx(forward, abs=1e-6)


def restated(source, target):
    """Accuracy of MTEB's bitext mining: the nearest by cosine is the line of the same number."""
    source, target = (
        side / np.linalg.norm(side, axis=1, keepdims=True) for side in (source, target)
    )
    return float(np.mean((source @ target.T).argmax(axis=1) == np.arange(len(source))))


def of_mteb(source, target):
    """The same by MTEB's own evaluator, which is handed the vectors."""
    from datasets import Dataset
    from mteb._evaluators import BitextMiningEvaluator
    from mteb.timing import TimingStack

    class Handed:
        def __init__(self):
            self.sides = [source, target]

        def encode(self, loader, **options):
            return self.sides.pop(0)

        def similarity(self, a, b):
            a, b = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (a, b))
            return a @ b.T

    lines = [str(i) for i in range(len(source))]
    sentences = Dataset.from_dict({"sentence1": lines, "sentence2": lines})
    evaluator = BitextMiningEvaluator(
        sentences, None, "test", "default", [("sentence1", "sentence2")], TimingStack()
    )
    (found,) = evaluator(Handed(), encode_kwargs={}).values()
    return float(np.mean([one["corpus_id"] == i for i, one in enumerate(found)]))


@pytest.mark.parametrize("judge", [restated, of_mteb])
def test_retrieval_is_the_accuracy_of_bitext_mining_in_mteb(tmp_path, model, data, lines, judge):
    if judge is of_mteb:
        pytest.importorskip("mteb", reason="has the evaluator itself")
    audit_models([str(model)], data, tmp_path / "out", QUICK)
    scores = Audit.load(tmp_path / "out").scores
    own = scores[scores["probe"].eq("retrieval") & scores["metric"].eq("p@1")]
    own = own[own["condition"].eq(TRAINED)].set_index(["layer", "direction"])["value"]
    for layer in range(3):
        sides = [
            np.load(tmp_path / f"out.vectors/small/trained/{code}/vectors/main/layer-{layer}.npy")
            for code in ("en", "fr", "xx")
        ]
        for code, side in zip(("fr", "xx"), sides[1:], strict=True):
            assert own[layer, f"en>{code}"] == pytest.approx(judge(sides[0], side), abs=1e-6)
            assert own[layer, f"{code}>en"] == pytest.approx(judge(side, sides[0]), abs=1e-6)


def test_the_export_does_what_the_card_says_on_lines_it_has_not_seen(tmp_path, library, apart):
    lines = {code: of for code, of in parallel_lines(120).items() if code != "xx"}
    data = write_data(tmp_path / "data", lines)
    settings = AuditSettings(resamples=50, untrained_seeds=())
    audit_models([str(apart)], data, tmp_path / "out", settings)
    found = Audit.load(tmp_path / "out")
    said = export_model(found, str(apart), data, settings, tmp_path / "export", "cpu")
    opened = library.SentenceTransformer(str(tmp_path / "export"), device="cpu")
    unseen = {code: of for code, of in parallel_lines(80, seed=5).items() if code != "xx"}
    plain = xling.audit(str(apart), unseen, untrained_seeds=(), resamples=50)
    rows = plain.scores[plain.scores["probe"].eq("retrieval-pooled")]
    rows = rows[rows["metric"].eq("p@1") & rows["language"].eq("")]
    rows = rows[rows["condition"].eq(TRAINED)].set_index("layer")["value"]
    new = pooled_hits([opened.encode(texts) for texts in unseen.values()]).mean()
    assert new > rows.max() + 0.2
    test = [opened.encode(texts[1::2]) for texts in lines.values()]
    assert f"{100 * pooled_hits(test).mean():.1f}".removesuffix(".0") + " %" in said
    card = (tmp_path / "export" / "README.md").read_text(encoding="utf-8")
    assert said.partition(": ")[2] in card
    assert "learnt from 60 lines of each language" in card
    assert "| fr | " in card
    assert "Rotation: none" in card
    means = [opened.encode(texts).mean(axis=0) for texts in lines.values()]
    plain_means = [plain_vectors(apart, texts).mean(axis=0) for texts in lines.values()]
    apart_by, together_by = (np.linalg.norm(a - b) for a, b in (plain_means, means))
    assert together_by < 0.1 * apart_by
    with pytest.raises(XlingError, match="is there already"):
        export_model(found, str(apart), data, settings, tmp_path / "export", "cpu")


def still(model):
    """Let the layers of a model change nothing."""
    with torch.no_grad():
        for layer in model.encoder.layer:
            for part in (layer.attention.output, layer.output):
                part.dense.weight.zero_()
    return model


def plain_vectors(folder, texts):
    """Vectors of length 1 at the last layer."""
    found = sentence_vectors(Encoder.load(folder, "en"), texts)[-1]
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize("pooling", ["first", "last", "weighted"])
def test_the_export_pools_as_the_audit_did(tmp_path, library, model, data, lines, pooling):
    settings = AuditSettings(resamples=50, untrained_seeds=(), pooling=pooling)
    audit_models([str(model)], data, tmp_path / "out", settings)
    found = Audit.load(tmp_path / "out")
    export_model(found, str(model), data, settings, tmp_path / "export", "cpu")
    opened = library.SentenceTransformer(str(tmp_path / "export"), device="cpu")
    pooled = library.SentenceTransformer(modules=[*opened][:3], device="cpu")
    layer = int(found.facts["models"][0]["best layer for one index"])
    expected = sentence_vectors(Encoder.load(model, "fr"), lines["fr"], pooling=pooling)[layer]
    np.testing.assert_allclose(pooled.encode(lines["fr"]), expected, atol=1e-5)


def test_the_export_of_a_models_own_output_adds_to_its_modules(tmp_path, library):
    still(aligned_model(shift=6.0)).save_pretrained(tmp_path / "apart")
    word_tokenizer().save_pretrained(tmp_path / "apart")
    lines = {code: of for code, of in parallel_lines(120).items() if code != "xx"}
    data = write_data(tmp_path / "data", lines)
    made = modules_of(library, tmp_path / "apart")
    made.prompts, made.default_prompt_name = {"q": "a7 "}, "q"
    made.save(str(tmp_path / "own"))
    settings = AuditSettings(resamples=50, untrained_seeds=())
    audit_models([str(tmp_path / "own")], data, tmp_path / "out", settings)
    found = Audit.load(tmp_path / "out")
    found.facts["models"][0]["best layer for one index"] = "output"
    said = export_model(found, str(tmp_path / "own"), data, settings, tmp_path / "export", "cpu")
    before, after = (
        library.SentenceTransformer(str(tmp_path / name), device="cpu")
        for name in ("own", "export")
    )
    assert [type(module).__name__ for module in after][2:] == ["Dense", "Normalize"]
    assert after.prompts["q"] == "a7 "
    unseen = {code: of for code, of in parallel_lines(80, seed=5).items() if code != "xx"}
    old, new = (pooled_hits([one.encode(of) for of in unseen.values()]) for one in (before, after))
    assert new.mean() > old.mean() + 0.2
    assert "more than the model's own output" in said


def test_a_rotation_that_pays_is_a_route_of_its_language(tmp_path, library):
    """French words lie where the English ones do after a turn; only pairs tell which."""
    lines = {code: of for code, of in parallel_lines(360).items() if code != "xx"}
    data = write_data(tmp_path / "data", lines)
    turned = still(aligned_model(shift=0))
    start = len(SPECIAL)
    with torch.no_grad():
        table = turned.embeddings.word_embeddings.weight
        turn = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0]
        english = table[start : start + WORDS]
        table[start + WORDS : start + 2 * WORDS] = english @ torch.tensor(turn).float()
    turned.save_pretrained(tmp_path / "turned")
    word_tokenizer().save_pretrained(tmp_path / "turned")
    settings = AuditSettings(resamples=50, untrained_seeds=())
    audit_models([str(tmp_path / "turned")], data, tmp_path / "out", settings)
    found = Audit.load(tmp_path / "out")
    export_model(found, str(tmp_path / "turned"), data, settings, tmp_path / "export", "cpu")
    opened = library.SentenceTransformer(str(tmp_path / "export"), device="cpu")
    unseen = parallel_lines(80, seed=5)
    english, french = opened.encode(unseen["en"]), opened.encode(unseen["fr"])
    routed = opened.encode(unseen["fr"], task="fr")
    plain, better = (precision_at_1(english, side).mean for side in (french, routed))
    assert better > plain + 0.3
    np.testing.assert_allclose(opened.encode(unseen["en"], task="en"), english, atol=1e-6)
    card = (tmp_path / "export" / "README.md").read_text(encoding="utf-8")
    assert 'task="fr"' in card
    assert "With its rotation, fr gains +" in card


def test_a_prefix_becomes_the_prompt_of_the_export(tmp_path, library, model, data):
    settings = AuditSettings(resamples=50, untrained_seeds=(), prefix="a1 ", languages=("en", "fr"))
    audit_models([str(model)], data, tmp_path / "out", settings)
    found = Audit.load(tmp_path / "out")
    export_model(found, str(model), data, settings, tmp_path / "export", "cpu")
    opened = library.SentenceTransformer(str(tmp_path / "export"), device="cpu")
    assert opened.prompts[opened.default_prompt_name] == "a1 "


OWN_CODE = """
from transformers import BertConfig, BertModel


class OwnConfig(BertConfig):
    model_type = "own-bert"


class OwnModel(BertModel):
    config_class = OwnConfig
"""


@pytest.fixture
def own_code(tmp_path):
    """The folder of a model that comes with its own class."""
    folder = save_model(tmp_path / "own-code")
    (folder / "modelling.py").write_text(OWN_CODE)
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "own-bert"
    names = {"AutoConfig": "OwnConfig", "AutoModel": "OwnModel"}
    config["auto_map"] = {kind: f"modelling.{name}" for kind, name in names.items()}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_code_that_comes_with_a_model_runs_only_if_it_is_trusted(tmp_path, own_code, data, model):
    words = ["audit", str(own_code), "--data", str(data), "--out", str(tmp_path / "out")]
    (tmp_path / "quick.yaml").write_text("resamples: 50\n")
    words += ["--config", str(tmp_path / "quick.yaml")]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, XlingError)
    assert "--trust-remote-code" in str(refused.exception)
    assert not (tmp_path / "out").exists()
    trusted = CliRunner().invoke(app, [*words, "--trust-remote-code"])
    assert trusted.exit_code == 0, trusted.output
    audit_models([str(model)], data, tmp_path / "plain", QUICK)
    found, plain = (Audit.load(tmp_path / name).scores for name in ("out", "plain"))
    np.testing.assert_array_equal(found["value"], plain["value"])  # it is a BERT after all
    settings = QUICK.model_copy(update={"trust_remote_code": True})
    out = Audit.load(tmp_path / "out")
    with pytest.raises(XlingError, match="an export does not take along"):
        export_model(out, str(own_code), data, settings, tmp_path / "e", "cpu")
    shown = CliRunner().invoke(app, ["audit", "--help"])
    assert "--trust-remote-code" in shown.output


def test_other_code_of_a_model_is_another_model(own_code):
    first = encoder_hash(Encoder.load(own_code, "en", trust_remote_code=True))
    text = OWN_CODE.replace('"own-bert"', '"own-bert"  # changed')
    (own_code / "modelling.py").write_text(text)
    assert encoder_hash(Encoder.load(own_code, "en", trust_remote_code=True)) != first


def test_a_folder_of_another_beginning_is_refused(tmp_path, library, data):
    from sentence_transformers.sentence_transformer import modules

    from .conftest import word_tokenizer

    static = modules.StaticEmbedding(word_tokenizer().backend_tokenizer, embedding_dim=8)
    library.SentenceTransformer(modules=[static], device="cpu").save(str(tmp_path / "static"))
    with pytest.raises(XlingError, match="begins with StaticEmbedding; expected a Transformer"):
        audit_models([str(tmp_path / "static")], data, tmp_path / "out", QUICK)


@pytest.mark.parametrize(
    "kind",
    [
        *("bert-mlm", "t5", "llama"),
        *(
            pytest.param(kind, marks=pytest.mark.slow)
            for kind in ("xlm-r", "modernbert", "qwen3", "gemma3_text")
        ),
    ],
)
def test_models_of_every_kind_get_a_card(kind, build, tokenizer, parallel):
    model = build(kind, len(tokenizer))
    card = xling.audit((model, tokenizer), parallel, untrained_seeds=(1,), resamples=20)
    (facts,) = card.facts["models"]
    assert len(facts["layers"]) == 4
    assert facts["standing"]["bb"]["standing"] == "outside"
    assert "What it says" in card.html()
