"""What a study file requests for the jobs of a stage."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Stage = Literal[
    "data",
    "prepare",
    "derive",
    "vocabulary",
    "tokens",
    "pretrain",
    "probe",
    "transfer",
    "align-words",
    "align-sentences",
    "align-context",
    "similarity",
]


class ResourceRequest(BaseModel):
    """What every job of one stage requests, instead of the estimate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int | None = Field(None, ge=1, description="cores")
    gpus: int | None = Field(
        None, ge=0, description="GPUs; training and transfer divide their rows among several"
    )
    memory_gb: float | None = Field(None, gt=0, description="main memory, GB")
    hours: float | None = Field(
        None,
        gt=0,
        description="time limit on a cluster; without it the cluster's own limit applies",
    )
