"""The cost of a training run, counted from its settings, without data."""

from dataclasses import dataclass

from xling.model.architecture import ModelShape
from xling.model.counts import TrainingMemory, training_flops_per_token, training_memory
from xling.pretraining.config import PretrainingConfig
from xling.pretraining.snapshots import BYTES_PER_WEIGHT, snapshot_steps

_CHECKPOINTS = 2  # the last two are kept
_WEIGHTS_AND_MOMENTS = 3


@dataclass(frozen=True)
class TrainingCost:
    """The cost of one run.

    Attributes:
        tokens: Of all rows of all steps.
        flops_per_token: Of a training step, forward and backward.
        memory: Of one device.
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
        """Of the whole run."""
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
        shape: Of the encoders.
        vocabulary_size: Rows of one language's embeddings; the most, where languages differ.
        parameters: Distinct parameters of the whole family.
        config: What the run does.
        devices: How many share a step's rows.
        precision: Of the matrix products.
    """
    share = config.predicted_share
    rows_at_once = max(1, config.rows // (devices * config.accumulation))
    return TrainingCost(
        tokens=config.rows * config.length * config.steps,
        flops_per_token=training_flops_per_token(shape, vocabulary_size, config.length, share),
        memory=training_memory(
            parameters, shape, vocabulary_size, rows_at_once, config.length, share, precision
        ),
        checkpoint_bytes=4 * _WEIGHTS_AND_MOMENTS * _CHECKPOINTS * parameters,
        snapshot_bytes=len(snapshot_steps(config)) * parameters * BYTES_PER_WEIGHT,
    )
