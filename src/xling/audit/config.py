"""Settings of an audit (light to import: no torch)."""

from pydantic import BaseModel, ConfigDict, Field

from xling.device import BATCH_TOKENS, Precision
from xling.encoders.config import Pooling
from xling.names import Languages, Name
from xling.transfer.config import Task


class AuditSettings(BaseModel):
    """Settings of an audit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    languages: Languages | None = Field(
        None,
        min_length=2,
        description="The pivot, which is paired with all others, then the others; by default all "
        "languages of the parallel set, English first if it is there.",
    )
    dataset: Name | None = Field(
        None, description="The parallel set; by default the one with most of the languages."
    )
    maximum_lines: int = Field(
        1000, ge=0, description="Lines of it to use, evenly spaced; 0 uses all."
    )
    prefix: str | None = Field(
        None,
        description="Text before every line, such as `query: `; by default the prompt that a "
        "sentence-transformers folder names, and else none.",
    )
    pooling: Pooling = Field(
        "mean",
        description="One vector per line: mean of its tokens, first or last token, or weighted by "
        "position.",
    )
    precision: Precision = Field(
        "fp32",
        description="Precision of the forward pass; bf16 and fp16 are faster on GPUs with them.",
    )
    untrained_seeds: tuple[int, ...] = Field(
        (1,), description="One untrained model is measured per seed; none saves half the time."
    )
    resamples: int = Field(
        1000, ge=1, description="Bootstrap resamples of the 95 % intervals of retrieval."
    )
    tasks: tuple[Task, ...] = Field(
        (), description="Tasks to learn in the pivot on one frozen layer, tested in the others."
    )
    mapped: bool = Field(
        False, description="Compare two models of one language each through a learnt rotation."
    )
    trust_remote_code: bool = Field(
        False,
        description="Run the Python code that comes with a model, with all your rights; only for "
        "models whose code you have read.",
    )
    batch_tokens: int = Field(
        BATCH_TOKENS, ge=1, description="Maximum tokens, including padding, in one forward pass."
    )
