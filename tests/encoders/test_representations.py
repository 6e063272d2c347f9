import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing

from xling.encoders.encoder import Encoder
from xling.encoders.representations import hidden_states, pooled_vectors, sentence_vectors
from xling.encoders.sentences import View, tokenise
from xling.errors import XlingError


def one_by_one(encoder, lines, excluded=()):
    """The definition: each line alone, its tokens added up in a loop."""
    body = encoder.model.base_model
    result = []
    for line in lines:
        ids = encoder.tokenizer(line)["input_ids"]
        with torch.no_grad():
            states = body(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
        layers = []
        for state in states:
            total, count = np.zeros(state.shape[-1]), 0
            for position, token in enumerate(ids):
                if token in (0, 2, 3, 4) or token in excluded:
                    continue
                total += state[0, position].numpy()
                count += 1
            layers.append(total / count if count else total)
        result.append(layers)
    return np.array(result).transpose(1, 0, 2)


@pytest.mark.parametrize("batch_tokens", [1, 50, 4096])
def test_equals_every_line_alone_for_every_architecture(encoder, parallel, batch_tokens):
    lines = [*parallel["aa"][:25], "", "1"]
    found = sentence_vectors(encoder, lines, batch_tokens=batch_tokens)
    expected = one_by_one(encoder, lines)
    assert found.dtype == np.float32
    assert found.shape == (4, len(lines), 16)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (found[:, 25] == 0).all()
    assert np.abs(np.diff(expected[:, :25], axis=0)).max(axis=(1, 2)).min() > 0.01


def test_masks_share_one_pass(encoder, parallel, monkeypatch):
    lines = parallel["aa"][:25]
    sentences = tokenise(encoder, lines)
    frequent = np.unique(sentences.ids[~sentences.special])[:20]
    views = {"all": View(), "rare": View(excluded=frequent)}
    calls = []
    forward = encoder.body.forward
    monkeypatch.setattr(
        encoder.body, "forward", lambda *a, **k: calls.append(1) or forward(*a, **k)
    )
    pooled_vectors(encoder, sentences, {"all": View()})
    once = len(calls)
    found = pooled_vectors(encoder, sentences, views)
    assert len(calls) == 2 * once
    np.testing.assert_allclose(found["all"], one_by_one(encoder, lines), atol=1e-5)
    np.testing.assert_allclose(found["rare"], one_by_one(encoder, lines, set(frequent)), atol=1e-5)
    assert np.abs(found["all"] - found["rare"]).max() > 0.01
    # One mask and two go through products of other shapes, which may round differently.
    np.testing.assert_allclose(
        sentence_vectors(encoder, lines, frequent), found["rare"], rtol=1e-4, atol=1e-6
    )


def test_tokenizer_without_special_tokens(bert, learn_tokenizer, parallel):
    """Padding must not be taken for the first token of the text."""
    tokenizer = learn_tokenizer(parallel["aa"], 300)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A")
    lines = [*parallel["aa"][:20], ""]
    encoder = Encoder("aa", bert.model, tokenizer)
    assert not tokenise(encoder, lines).special.any()
    found = sentence_vectors(encoder, lines)
    np.testing.assert_allclose(found[:, :-1], one_by_one(encoder, lines[:-1]), atol=1e-5)
    assert (found[:, -1] == 0).all()


def test_layer_0_is_the_output_of_the_embeddings(bert, parallel):
    ids = torch.tensor([bert.tokenizer(parallel["aa"][0])["input_ids"]])
    with torch.no_grad():
        embedded = bert.model.embeddings(input_ids=ids)[0, 1:-1].mean(dim=0)
    np.testing.assert_allclose(
        sentence_vectors(bert, parallel["aa"][:1])[0, 0], embedded.numpy(), atol=1e-6
    )


def test_batches_hold_lines_of_like_length_within_the_budget(bert, parallel):
    sentences = tokenise(bert, parallel["aa"])
    seen, padded = [], 0
    for rows, batch, hidden in hidden_states(bert, sentences, sentences.batches(200)):
        at_BT, real_BT = batch.tokens_BL, batch.real_BL
        assert real_BT.size <= 200
        assert hidden[0].shape[:2] == real_BT.shape
        assert real_BT.shape[1] <= 1.25 * real_BT.sum(axis=1).min()
        seen += rows.tolist()
        padded += real_BT.size
        for row, at, real in zip(rows, at_BT, real_BT, strict=True):
            start, end = sentences.starts[row : row + 2]
            assert at[real].tolist() == list(range(start, end))
    assert sorted(seen) == list(range(60))
    assert padded < 1.2 * len(sentences.ids)


def test_dropout_is_off_and_every_module_gets_its_own_mode_back(bert, parallel):
    bert.model.train()
    bert.model.encoder.layer[1].eval()
    modes = {name: module.training for name, module in bert.model.named_modules()}
    first = sentence_vectors(bert, parallel["aa"])
    second = sentence_vectors(bert, parallel["aa"])
    np.testing.assert_array_equal(first, second)
    assert {name: module.training for name, module in bert.model.named_modules()} == modes
    assert modes["encoder.layer.0"]
    assert not modes["encoder.layer.1"]


def test_modes_come_back_after_a_failure(bert, parallel, monkeypatch):
    bert.model.train()
    monkeypatch.setattr(bert.model, "forward", lambda **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sentence_vectors(bert, parallel["aa"])
    assert all(module.training for module in bert.model.modules())


def test_gradients_and_random_state_are_untouched(bert, parallel):
    bert.model.train()
    before = torch.get_rng_state()
    sentence_vectors(bert, parallel["aa"])
    assert torch.equal(before, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in bert.model.parameters())
    # Weights must still be trainable afterwards, not turned into inference tensors.
    bert.model(input_ids=torch.tensor([[2, 7, 3]])).last_hidden_state.sum().backward()


def test_text_without_any_token_is_refused(bert):
    with pytest.raises(XlingError, match="nothing to encode"):
        sentence_vectors(bert, [])
