"""Learning-rate schedules as factors of the peak rate."""

import math

from xling.pretraining.config import OptimizerConfig


def learning_rate_factor(config: OptimizerConfig, step: int, steps: int) -> float:
    """Return the factor in (0, 1] for optimizer step ``step`` (from 0) of ``steps``.

    Linear warm-up, then the inverse square root of the step (PAPER 3.1), or a cosine or
    a line that would reach zero one step after the last.
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == "inverse-square-root":
        return math.sqrt(max(1, config.warmup_steps) / (step + 1))
    done = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    if config.schedule == "linear":
        return 1.0 - done
    return 0.5 * (1.0 + math.cos(math.pi * done))
