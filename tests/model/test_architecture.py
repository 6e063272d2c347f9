"""Shapes that make sense, and the configuration they become."""

import pytest
from pydantic import ValidationError

from xling.errors import XlingError
from xling.model.anatomy import ANATOMIES, positions_of
from xling.model.architecture import ModelShape
from xling.model.sharing import SharingPlan
from xling.pretraining.config import RunConfig


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
        ({"architecture": "gpt"}, "'bert', 'xlm-roberta', 'modernbert' or 'llama'"),
        (
            {"architecture": "llama", "positions": "learned"},
            "positions: learned, but architecture: llama has rotary ones",
        ),
        (
            {"architecture": "xlm-roberta", "positions": "rotary"},
            "architecture: xlm-roberta has learned or sinusoidal ones",
        ),
        ({"positions": "rotary", "hidden": 30, "heads": 2}, "30 / 2 = 15; make that even"),
        ({"tied_output": False}, "tied_output: false needs architecture: llama"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        ModelShape(**settings)


def test_weights_start_as_large_as_asked():
    assert ModelShape().config(100).initializer_range == 0.02
    assert ModelShape(initializer_range=0.005).config(100).initializer_range == 0.005


@pytest.mark.parametrize(("architecture", "positions"), ANATOMIES)
def test_a_shape_is_read_back_as_it_was_written(architecture, positions):
    shape = ModelShape(architecture=architecture, positions=positions)
    written = shape.model_dump(mode="json")
    assert ModelShape.model_validate(written) == shape
    # What every architecture has by default is not written
    assert ("positions" in written) == (positions != positions_of(architecture)[0])
    assert ("architecture" in written) == (architecture != "bert")


@pytest.mark.parametrize(
    ("architecture", "separate", "message"),
    [
        ("llama", ["embeddings.norm"], "embeddings.norm, but model.architecture: llama has no"),
        ("llama", ["embeddings.language"], "embeddings.language, but model.architecture: llama"),
        ("modernbert", ["embeddings.language"], "model.architecture: modernbert has no weights"),
        ("modernbert", ["embeddings.positions", "layers 1"], "model.positions: rotary has no"),
        ("llama", ["embeddings", "layers first 3/8", "head"], None),
        ("modernbert", ["embeddings.norm", "embeddings.tokens"], None),
        ("xlm-roberta", ["embeddings.positions", "embeddings.language"], None),
    ],
)
def test_parts_that_an_architecture_lacks_are_refused_by_name(architecture, separate, message):
    shape = ModelShape(architecture=architecture)
    plan = SharingPlan.parse(separate, shape.layers)
    if message is None:
        shape.check_plan(plan)
        return
    with pytest.raises(XlingError, match=message):
        shape.check_plan(plan)


def test_translations_in_one_row_are_for_masked_models():
    run = {"languages": ["en", "fr"], "pretraining": {"steps": 1, "tlm": {"sets": ["train"]}}}
    RunConfig.model_validate(run)
    with pytest.raises(ValidationError, match="architecture: llama predicts the next token"):
        RunConfig.model_validate({**run, "model": {"architecture": "llama"}})
