"""Shapes that make sense, and the configuration they become."""

import pytest
from pydantic import ValidationError

from xling.model.architecture import ModelShape


def test_the_default_is_the_paper_s():
    config = ModelShape().config(80_000)
    found = (
        config.num_hidden_layers,
        config.num_attention_heads,
        config.hidden_size,
        config.intermediate_size,
        config.hidden_dropout_prob,
        config.attention_probs_dropout_prob,
        config.hidden_act,
        config.vocab_size,
        config.max_position_embeddings,
        config.tie_word_embeddings,
    )
    assert found == (8, 12, 768, 3072, 0.1, 0.1, "gelu", 80_000, 256, True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 100}, r"hidden \(100\) must be a multiple of heads \(12\)"),
        ({"layers": 0}, "greater than or equal to 1"),
        ({"dropout": 1.0}, "less than 1"),
        ({"width": 8}, "Extra inputs"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        ModelShape(**settings)


def test_weights_start_as_large_as_asked():
    assert ModelShape().config(100).initializer_range == 0.02
    assert ModelShape(initializer_range=0.005).config(100).initializer_range == 0.005
