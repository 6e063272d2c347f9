"""Settings of the probes (light to import: no torch)."""

from pydantic import BaseModel, ConfigDict, Field

from xling.device import BATCH_TOKENS
from xling.names import Name


class ProbeConfig(BaseModel):
    """What to probe, and how thoroughly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    datasets: tuple[Name, ...] | None = Field(
        None, description="Parallel sets to use; by default all that have both languages."
    )
    maximum_lines: int = Field(
        0, ge=0, description="Lines of each set to use, evenly spaced; 0 uses all."
    )
    random_seeds: tuple[int, ...] = Field(
        (1, 2, 3), description="One random encoder is probed per seed; empty probes none."
    )
    resamples: int = Field(
        1000, ge=0, description="Bootstrap resamples for the intervals of retrieval; 0 omits them."
    )
    emergence_lines: int = Field(
        200,
        ge=0,
        description="Lines of each set on which to probe a run's snapshots; 0 probes none.",
    )
    batch_tokens: int = Field(
        BATCH_TOKENS, ge=1, description="Maximum tokens, including padding, in one forward pass."
    )
