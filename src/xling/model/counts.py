"""How many parameters, floating-point operations and bytes a family takes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from xling.model.shape import ModelShape

if TYPE_CHECKING:  # the estimates need no torch
    from torch import nn

    from xling.model.family import Family


def parameter_counts(family: "Family") -> dict[str, int | dict[str, int]]:
    """Count distinct parameters: in all, shared, and private to each language."""
    private = {
        language: _size(family.private_parameters(language).values())
        for language in family.languages
    }
    shared = _size(family.shared_parameters().values())
    return {"total": shared + sum(private.values()), "shared": shared, "private": private}


def _size(parameters: Iterable["nn.Parameter"]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def training_flops_per_token(
    shape: ModelShape, vocabulary_size: int, length: int, predicted_share: float
) -> float:
    """Return the model FLOPs of one training step per token of a row.

    Counts the multiplications and additions of matrix products, forward and twice that
    backward: per layer 8d² (query, key, value, output) + 4Td (attention) + 4dF
    (feed-forward, the last layer's at predicted positions only), and at predicted positions
    2d² + 2dV for the head. Embedding look-ups, norms and the optimizer are left out, as usual
    for model-FLOPs utilisation.
    """
    d = shape.hidden
    attention = 8 * d * d + 4 * length * d
    feed_forward = 4 * d * shape.feed_forward
    head = 2 * d * d + 2 * d * vocabulary_size
    everywhere = shape.layers * attention + (shape.layers - 1) * feed_forward
    return 3.0 * (everywhere + predicted_share * (feed_forward + head))


def training_memory_bytes(
    parameters: int,
    shape: ModelShape,
    vocabulary_size: int,
    rows: int,
    length: int,
    predicted_share: float,
) -> int:
    """Estimate the bytes a training step needs on one device, in single precision.

    Weights, gradients and two moments, plus the activations kept for the backward pass:
    per token and layer 16 vectors of width d and two of the feed-forward's, the attention
    probabilities where dropout forces them to be stored, and three copies of the logits.
    """
    tokens = rows * length
    attention = shape.heads * length * (3 if shape.dropout else 0)
    activations = tokens * shape.layers * (16 * shape.hidden + 2 * shape.feed_forward + attention)
    logits = 3 * predicted_share * tokens * vocabulary_size
    return int(4 * (4 * parameters + activations + logits))
