"""Poolings, masks and prefixes against loops and sentence-transformers; vectors on disk."""

import importlib
import tracemalloc

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, LlamaConfig, LlamaModel, PreTrainedTokenizerFast

from xling.encoders import representations
from xling.encoders.config import EncodingConfig
from xling.encoders.encoder import Encoder
from xling.encoders.representations import (
    pooled_vectors,
    read_pooled_vectors,
    sentence_vectors,
    write_pooled_vectors,
)
from xling.encoders.sentences import View, tokenise
from xling.errors import XlingError

POOLINGS = ("mean", "first", "last", "weighted")


@pytest.fixture
def llama(build, tokenizer, parallel):
    return Encoder.of_objects(build("llama", len(tokenizer)), tokenizer, "aa")


def by_hand(encoder, line, view):
    """Add up one line's tokens in a loop: [L + 1, d]."""
    ids = encoder.tokenizer(line)["input_ids"]
    special, left_out = set(encoder.special_ids), set(view.excluded.tolist())
    with torch.no_grad():
        found = encoder.body(input_ids=torch.tensor([ids]), output_hidden_states=True)
    states = np.stack([layer[0].numpy() for layer in found.hidden_states])
    kept = [i for i, token in enumerate(ids) if token not in left_out]
    ordinary = [i for i in kept if ids[i] not in special]
    if not ordinary:
        return np.zeros_like(states[:, 0])
    if view.pooling in ("first", "last"):
        return states[:, kept[0] if view.pooling == "first" else kept[-1]]
    used = ordinary if view.pooling == "mean" else kept
    weights = [1.0 if view.pooling == "mean" else i + 1.0 for i in used]
    total = sum(w * states[:, i] for w, i in zip(weights, used, strict=True))
    return total / sum(weights)


@pytest.mark.parametrize("made", ["bert", "llama"])
def test_many_views_come_from_one_pass(request, parallel, made, monkeypatch):
    encoder = request.getfixturevalue(made)
    lines = [*parallel["aa"][:15], "", "7"]
    sentences = tokenise(encoder, lines)
    frequent = np.unique(sentences.ids[~sentences.special])[:80]
    views = {f"{p} all": View(p) for p in POOLINGS}
    views |= {f"{p} rare": View(p, frequent) for p in POOLINGS}
    passes = []
    run = representations.run_body
    monkeypatch.setattr(
        representations, "run_body", lambda *a, **k: passes.append(1) or run(*a, **k)
    )
    found = pooled_vectors(encoder, sentences, views, batch_tokens=60)
    assert len(passes) == len(list(sentences.batches(60)))
    for name, view in views.items():
        expected = np.stack([by_hand(encoder, line, view) for line in lines], axis=1)
        np.testing.assert_allclose(found[name], expected, atol=1e-5, err_msg=name)
    # A line all of whose ordinary tokens are left out has no vector.
    lost = sentences.empty(frequent)
    assert 1 < lost.sum() < len(lines) - 5
    assert not found["weighted rare"][:, lost].any()
    assert found["weighted rare"][:, ~lost].any(axis=2).all()


def test_a_prefix_is_part_of_the_line_but_of_no_blank_one(bert, parallel):
    lines = parallel["aa"][:6]
    found = sentence_vectors(bert, [*lines, ""], prefix="abc de ")
    expected = sentence_vectors(bert, [f"abc de {line}" for line in lines])
    np.testing.assert_array_equal(found[:, :6], expected)
    assert not found[:, 6:].any()
    assert np.abs(expected - sentence_vectors(bert, lines)).max() > 0.01


def test_sentence_transformers_pools_and_prompts_alike(parallel, learn_tokenizer, tmp_path):
    """Its means are of all tokens: so with a tokenizer that puts none around a line."""
    library = pytest.importorskip("sentence_transformers")
    modules = importlib.import_module("sentence_transformers.models")
    made = learn_tokenizer(parallel["aa"], 300).backend_tokenizer
    made.post_processor = TemplateProcessing(single="$A")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]")
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(tokenizer), intermediate_size=32, **shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    transformer = modules.Transformer(str(tmp_path))
    names = {"mean": "mean", "last": "lasttoken", "weighted": "weightedmean", "first": "cls"}
    encoder = Encoder.load(tmp_path, "aa")
    lines = parallel["aa"][:20]
    for pooling, name in names.items():
        pooler = modules.Pooling(16, pooling_mode=name)
        whole = library.SentenceTransformer(modules=[transformer, pooler], device="cpu")
        expected = whole.encode(lines, prompt="ab cd ")
        found = sentence_vectors(encoder, lines, pooling=pooling, prefix="ab cd ")[-1]
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=pooling)


def test_files_hold_what_arrays_hold(llama, parallel, tmp_path):
    sentences = tokenise(llama, parallel["aa"])
    views = {"mean": View(), "last": View("last")}
    expected = pooled_vectors(llama, sentences, views, batch_tokens=100)
    found = write_pooled_vectors(llama, sentences, views, tmp_path / "out", batch_tokens=100)
    for name, layers in found.items():
        assert all(isinstance(layer, np.memmap) for layer in layers)
        np.testing.assert_array_equal(np.stack(layers), expected[name])
        again = read_pooled_vectors(tmp_path / "out" / name)
        np.testing.assert_array_equal(np.stack(again), expected[name])
    assert len(list((tmp_path / "out" / "mean").iterdir())) == 4


def test_a_model_that_diverged_leaves_no_files(llama, parallel, tmp_path):
    with torch.no_grad():
        llama.body.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    sentences = tokenise(llama, parallel["aa"])
    with pytest.raises(XlingError, match="aa: layer 2 gives NaN or infinity for 60 of 60 vectors"):
        write_pooled_vectors(llama, sentences, {"": View()}, tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_memory_does_not_grow_with_layers_times_lines(tokenizer, parallel, tmp_path):
    """Arrays in Python's memory count; those of files and of a batch in torch do not."""
    shape = {"num_hidden_layers": 6, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=64, **shape)
    bert = Encoder("aa", BertModel(config).eval(), tokenizer)

    def peak(work) -> int:
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    views = {"mean": View(), "last": View("last")}
    few, many = (tokenise(bert, parallel["aa"] * times) for times in (5, 40))
    write_pooled_vectors(bert, few, views, tmp_path / "warm", 500)
    written = [
        peak(lambda s=s: write_pooled_vectors(bert, s, views, tmp_path / "out", 500))
        for s in (few, many)
    ]
    held = [peak(lambda s=s: pooled_vectors(bert, s, views, 500)) for s in (few, many)]
    lines = len(many) - len(few)
    asked = len(views) * 7 * 64 * 4 * lines  # views, layers, width, bytes
    tokens = len(many.ids) - len(few.ids)
    assert held[1] - held[0] > 0.9 * asked
    # Some numbers for every token (ids, weights, places) and line, none for a layer.
    assert written[1] - written[0] < 80 * tokens + 64 * lines < 0.5 * asked


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_near_single(llama, parallel, precision):
    whole = sentence_vectors(llama, parallel["aa"])
    half = sentence_vectors(llama, parallel["aa"], precision=precision)
    assert half.dtype == np.float32
    assert 1e-5 < np.abs(half - whole).max() < (0.3 if precision == "bf16" else 0.05)
    assert llama.model.dtype == torch.float32


@pytest.mark.parametrize("made", ["bert", "llama"])
def test_bf16_keeps_the_directions_of_centred_vectors(request, parallel, made):
    encoder = request.getfixturevalue(made)
    whole, half = (
        sentence_vectors(encoder, parallel["aa"], precision=precision)
        for precision in ("fp32", "bf16")
    )
    for layer, (x, y) in enumerate(zip(whole, half, strict=True)):
        x, y = (side - side.mean(axis=0) for side in (x, y))
        cosines = (x * y).sum(axis=1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
        assert cosines.min() > 0.999, layer
        assert layer == 0 or np.abs(x - y).max() > 0  # it is bf16 that ran


def test_states_too_large_for_half_precision_are_not_called_diverged(llama, parallel):
    with torch.no_grad():
        llama.body.layers[1].mlp.down_proj.weight.mul_(1e6)
    assert np.isfinite(sentence_vectors(llama, parallel["aa"])).all()
    with pytest.raises(XlingError, match="too large for fp16; take bf16 or fp32"):
        sentence_vectors(llama, parallel["aa"], precision="fp16")


def test_settings_say_only_what_is_not_as_it_was():
    """So that outputs of earlier versions stay current."""
    assert EncodingConfig().model_dump() == {"batch_tokens": 2048}
    chosen = {"pooling": "last", "prefix": "query: ", "precision": "bf16"}
    config = EncodingConfig(**chosen)
    assert config.encoding == chosen
    assert config.model_dump(mode="json") == {**chosen, "batch_tokens": 2048}
    assert EncodingConfig.model_validate(config.model_dump()) == config
    with pytest.raises(ValueError, match="pooling"):
        EncodingConfig(pooling="median")
