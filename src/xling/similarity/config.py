"""Settings of the probes (light to import: no torch)."""

from pydantic import Field

from xling.encoders.config import EncodingConfig
from xling.names import Name


class ProbeConfig(EncodingConfig):
    """Settings of the probes."""

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
