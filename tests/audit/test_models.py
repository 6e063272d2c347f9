"""Sentence-transformers folders, models of every kind, and what an audit exports."""

import numpy as np
import pytest

import xling
from xling.audit.config import AuditSettings
from xling.audit.export import export_model
from xling.audit.result import Audit
from xling.audit.stage import audit_models
from xling.errors import XlingError
from xling.measures import pooled_hits
from xling.results import TRAINED

from .conftest import parallel_lines, write_data

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


@pytest.mark.parametrize("mode", ["mean", "cls", "max", "lasttoken", "weightedmean"])
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
    with pytest.raises(XlingError, match="is there already"):
        export_model(found, str(apart), data, settings, tmp_path / "export", "cpu")


def test_a_prefix_becomes_the_prompt_of_the_export(tmp_path, library, model, data):
    settings = AuditSettings(resamples=50, untrained_seeds=(), prefix="a1 ", languages=("en", "fr"))
    audit_models([str(model)], data, tmp_path / "out", settings)
    found = Audit.load(tmp_path / "out")
    export_model(found, str(model), data, settings, tmp_path / "export", "cpu")
    opened = library.SentenceTransformer(str(tmp_path / "export"), device="cpu")
    assert opened.prompts[opened.default_prompt_name] == "a1 "


def test_a_folder_of_another_beginning_is_refused(tmp_path, library, data):
    from sentence_transformers.sentence_transformer import modules

    from .conftest import word_tokenizer

    static = modules.StaticEmbedding(word_tokenizer().backend_tokenizer, embedding_dim=8)
    library.SentenceTransformer(modules=[static], device="cpu").save(str(tmp_path / "static"))
    with pytest.raises(XlingError, match="begins with StaticEmbedding; expected a Transformer"):
        audit_models([str(tmp_path / "static")], data, tmp_path / "out", QUICK)


@pytest.mark.parametrize(
    "kind", ["bert-mlm", "xlm-r", "modernbert", "t5", "llama", "qwen3", "gemma3_text"]
)
def test_models_of_every_kind_get_a_card(kind, build, tokenizer, parallel):
    model = build(kind, len(tokenizer))
    card = xling.audit((model, tokenizer), parallel, untrained_seeds=(1,), resamples=20)
    (facts,) = card.facts["models"]
    assert len(facts["layers"]) == 4
    assert facts["standing"]["bb"]["standing"] == "outside"
    assert "What it says" in card.html()
