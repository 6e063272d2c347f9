"""Counts against plain numel and torch's own FLOP counter."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from xling.model.architecture import ModelShape
from xling.model.family import Family, parameter_counts
from xling.model.sharing import SharingPlan
from xling.pretraining.cost import (
    matrix_parameters,
    training_flops_per_token,
    training_memory,
)


@pytest.mark.parametrize(
    "separate", [[], ["embeddings"], ["layers 1-3"], ["embeddings", "layers 1-3", "head"]]
)
def test_parameters_are_counted_once(shape, separate):
    plan = SharingPlan.parse(separate, shape.layers)
    family = Family.build(shape, {"en": 50, "fr": 50}, plan, seed=1)
    counts = parameter_counts(family)
    assert counts["total"] == sum(p.numel() for p in family.parameters() if p.requires_grad)
    one = sum(p.numel() for p in family.member("en").parameters() if p.requires_grad)
    for language in family.languages:
        assert counts["shared"] + counts["private"][language] == one


def test_the_paper_s_encoder_has_its_textbook_size():
    with torch.device("meta"):
        family = Family.build(ModelShape(), {"en": 80_000}, SharingPlan(), seed=1)
    d, ff, v, t = 768, 3072, 80_000, 256
    layer = 4 * (d * d + d) + (d * ff + ff) + (ff * d + d) + 2 * 2 * d
    embeddings = (v + t + 1) * d + 2 * d
    head = d * d + d + 2 * d + v
    assert parameter_counts(family)["total"] == 8 * layer + embeddings + head


def test_matrices_are_counted_without_a_model(shape):
    """All but norms, biases and the vector of a language, which have a millionth of the weights."""
    family = Family.build(shape, {"en": 50}, SharingPlan(), seed=1)
    matrices = {
        id(parameter): parameter.numel()
        for name, parameter in family.named_parameters()
        if parameter.dim() == 2 and "token_type" not in name and "embed_positions" not in name
    }
    # A table of positions that XLM-R never reads: that of padding
    unread = shape.hidden if shape.architecture == "xlm-roberta" else 0
    assert matrix_parameters(shape, 50) == sum(matrices.values()) - unread


@pytest.mark.parametrize("architecture", ["bert", "xlm-roberta", "modernbert", "llama"])
def test_the_estimate_of_a_large_model_is_its_size(architecture):
    shape = ModelShape(architecture=architecture, layers=12, max_length=512)
    with torch.device("meta"):
        family = Family.build(shape, {"en": 80_000}, SharingPlan(), seed=1)
    size = parameter_counts(family)["total"]
    assert matrix_parameters(shape, 80_000) == pytest.approx(size, rel=2e-3)
    assert size == sum(parameter.numel() for parameter in family.parameters())


@pytest.mark.parametrize("predicted", [3, 19])
def test_flops_are_those_torch_counts(predicted, shape):
    sizes = {"layers": 3, "heads": 2, "hidden": 16, "feed_forward": 48, "max_length": 32}
    shape = shape.model_copy(update=sizes)
    rows, length, vocabulary = 4, 32, 100
    family = Family.build(shape, {"en": vocabulary}, SharingPlan(), seed=1)
    ids = torch.randint(vocabulary, (rows, length))
    if shape.objective == "clm":  # everything but the output layer is at all positions anyway
        predicted *= 4
    # The fused attention of CPUs has no FLOP formula in torch; the plain one is counted as the
    # two products it is made of.
    # torch counts products that are not added in place
    in_place = {torch.ops.aten.addmm_: lambda sum_, a, b, **_: 2 * a[0] * a[1] * b[1]}
    counter = FlopCounterMode(display=False, custom_mapping=in_place)
    with counter, sdpa_kernel(SDPBackend.MATH):
        family("en", ids, torch.arange(predicted), ids.flatten()[:predicted]).backward()
    ours = training_flops_per_token(shape, vocabulary, length, predicted / ids.numel())
    # Exact, no tolerance: every product has two of its size in the backward pass; the first
    # layer's input needs a gradient too, since embeddings learn.
    assert ours * ids.numel() == pytest.approx(counter.get_total_flops(), rel=1e-9)


def test_memory_grows_with_what_it_is_said_to_grow_with(shape):
    base = training_memory(1000, shape, 60, 8, 16, 0.15)
    # Per token and layer 16 vectors of width d, two or four of the feed-forward's and, with
    # dropout, three copies of a row of every head's attention; three of the logits (of a decoder,
    # fewer in chunks); four bytes each, or two
    gates = 4 if shape.architecture in ("modernbert", "llama") else 2
    plain = 8 * 16 * shape.layers * (16 * shape.hidden + gates * shape.feed_forward)
    stored = 8 * 16 * shape.layers * 3 * shape.heads * 16
    logits = 3 * 0.15 * 8 * 16 * 60
    for dropout, kept in ((0.0, plain), (0.1, plain + stored)):
        dropping = shape.model_copy(update={"dropout": dropout})
        for precision, width in (("fp32", 4), ("bf16", 2), ("fp16", 2)):
            found = training_memory(1000, dropping, 60, 8, 16, 0.15, precision)
            assert found.activations == int(width * kept + 4 * logits)
    assert base[:3] == (4000, 4000, 8000)
    assert base.total == sum(base)
    assert training_memory(2000, shape, 60, 8, 16, 0.15).total - base.total == 4 * 4 * 1000
    twice = training_memory(1000, shape, 60, 16, 16, 0.15)
    assert twice.activations == pytest.approx(2 * base.activations, abs=1)
    with_dropout = shape.model_copy(update={"dropout": 0.1})
    dropped = training_memory(1000, with_dropout, 60, 8, 16, 0.15)
    assert dropped.activations > base.activations
    half = training_memory(1000, shape, 60, 8, 16, 0.15, "bf16")
    # Master weights stay, and gain a copy; logits stay in single precision.
    assert half[:3] == (6000, 4000, 8000)
    assert base.activations / 2 < half.activations < base.activations
