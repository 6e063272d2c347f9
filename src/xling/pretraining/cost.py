"""The cost of a training run, counted from its settings, without data."""

from dataclasses import dataclass
from typing import NamedTuple

from xling.model.anatomy import LOGITS_AT_ONCE
from xling.model.architecture import ModelShape
from xling.pretraining.config import PretrainingConfig, snapshot_steps

_CHECKPOINTS = 2  # the last two are kept
_WEIGHTS_AND_MOMENTS = 3
_BYTES_PER_WEIGHT = 2  # of a snapshot


def training_flops_per_token(
    shape: ModelShape, vocabulary_size: int, length: int, predicted_share: float
) -> float:
    """Return the model FLOPs of one training step per token of a row.

    Counts the multiplications and additions of matrix products, forward and twice that
    backward: per layer 8d² (query, key, value, output) + 4Td (attention, also for a decoder, which
    masks half of it) + 4dF (feed-forward, 6dF if gated; an encoder's last layer has it at predicted
    positions only), and at predicted positions 2dV for the output layer and 2d² for a dense layer
    before it. Embedding look-ups, norms and the optimizer are left out, as usual for model-FLOPs
    utilisation.
    """
    d, anatomy = shape.hidden, shape.anatomy
    attention = 8 * d * d + 4 * length * d
    feed_forward = (6 if anatomy.gated else 4) * d * shape.feed_forward
    head = 2 * d * d * anatomy.transforms + 2 * d * vocabulary_size
    whole_layers = shape.layers - (anatomy.objective == "mlm")
    everywhere = shape.layers * attention + whole_layers * feed_forward
    partly = (shape.layers - whole_layers) * feed_forward + head
    return 3.0 * (everywhere + predicted_share * partly)


def flops_formula(shape: ModelShape) -> str:
    """Return what :func:`training_flops_per_token` counts, as text."""
    anatomy = shape.anatomy
    forward = f"{6 if anatomy.gated else 4} d F"
    head = f"{'2 d d + ' if anatomy.transforms else ''}2 d V"
    if anatomy.objective == "clm":
        return f"3 x [L (8 d d + 4 T d + {forward}) + p ({head})]"
    return f"3 x [L (8 d d + 4 T d) + (L - 1) {forward} + p ({forward} + {head})]"


def predicted_share(shape: ModelShape, config: PretrainingConfig) -> float:
    """Return the share of a row's positions at which something is predicted."""
    if shape.objective == "clm":
        return (config.length - 1) / config.length
    return config.predicted_share


def matrix_parameters(shape: ModelShape, vocabulary_size: int) -> int:
    """Count the weights of one model without its norms, biases and language vector."""
    d, anatomy = shape.hidden, shape.anatomy
    layer = 4 * d * d + (3 if anatomy.gated else 2) * d * shape.feed_forward
    tables = vocabulary_size * (1 if shape.tied_output else 2)
    if shape.positions != "rotary":
        tables += shape.max_length
    return tables * d + shape.layers * layer + d * d * anatomy.transforms


class TrainingMemory(NamedTuple):
    """Bytes that a training step needs on one device.

    Attributes:
        weights: Weights in single precision, and with bf16 also their copies in bf16.
        gradients: Gradients of the weights.
        optimizer: The two moments of Adam, at most.
        activations: What the forward pass stores for the backward pass.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)


def training_memory(
    parameters: int,
    shape: ModelShape,
    vocabulary_size: int,
    rows: int,
    length: int,
    predicted_share: float,
    precision: str = "fp32",
) -> TrainingMemory:
    """Estimate what a training step needs on one device.

    Activations are, per token and layer, 16 vectors of width d and two of the feed-forward's (four
    if it is gated), the attention probabilities where dropout forces them to be stored, and three
    copies of the logits (a decoder holds those of some positions at a time). With bf16 all but the
    logits take half.

    Args:
        parameters: Distinct parameters of the whole family.
        shape: Shape of the encoder.
        vocabulary_size: Rows of one language's embeddings.
        rows: Rows that a device processes at once.
        length: Tokens per row.
        predicted_share: Share of the tokens that are predicted.
        precision: ``fp32`` or ``bf16`` (or ``fp16``, which takes as much).
    """
    tokens = rows * length
    attention = shape.heads * length * (3 if shape.dropout else 0)
    gates = 4 if shape.anatomy.gated else 2
    activations = (
        tokens * shape.layers * (16 * shape.hidden + gates * shape.feed_forward + attention)
    )
    logits = 3 * predicted_share * tokens * vocabulary_size
    if shape.objective == "clm":
        logits = min(logits, LOGITS_AT_ONCE)
    half = precision != "fp32"
    return TrainingMemory(
        weights=(6 if half else 4) * parameters,
        gradients=4 * parameters,
        optimizer=8 * parameters,
        activations=int((2 if half else 4) * activations + 4 * logits),
    )


@dataclass(frozen=True)
class TrainingCost:
    """The cost of one run.

    Attributes:
        tokens: Tokens in all rows of all steps.
        flops_per_token: FLOPs of a training step per token, forward and backward.
        memory: Memory needed on one device.
        checkpoint_bytes: Weights and optimizer state of the checkpoints kept, on disk.
        snapshot_bytes: Weights kept on the way, on disk.
    """

    tokens: int
    flops_per_token: float
    memory: TrainingMemory
    checkpoint_bytes: int
    snapshot_bytes: int

    @property
    def flops(self) -> float:
        """FLOPs of the whole run."""
        return self.tokens * self.flops_per_token


def training_cost(
    shape: ModelShape,
    vocabulary_size: int,
    parameters: int,
    config: PretrainingConfig,
    devices: int = 1,
    precision: str = "fp32",
) -> TrainingCost:
    """Count what a run costs.

    Args:
        shape: Shape of the encoders.
        vocabulary_size: Rows of one language's embeddings; the most, where languages differ.
        parameters: Distinct parameters of the whole family.
        config: What the run does.
        devices: How many share a step's rows.
        precision: Precision of the matrix products.
    """
    share = predicted_share(shape, config)
    rows_at_once = max(1, config.rows // (devices * config.accumulation))
    return TrainingCost(
        tokens=config.rows * config.length * config.steps,
        flops_per_token=training_flops_per_token(shape, vocabulary_size, config.length, share),
        memory=training_memory(
            parameters, shape, vocabulary_size, rows_at_once, config.length, share, precision
        ),
        checkpoint_bytes=4 * _WEIGHTS_AND_MOMENTS * _CHECKPOINTS * parameters,
        snapshot_bytes=len(snapshot_steps(config)) * parameters * _BYTES_PER_WEIGHT,
    )
