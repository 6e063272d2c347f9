"""What one run trains, and how (light to import: no torch)."""

from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from xling.errors import XlingError
from xling.model.architecture import ModelShape
from xling.model.sharing import TOKENS, SharingPlan
from xling.names import Languages, Name

_EARLIEST_SNAPSHOT = 1 / 256  # of all steps: earlier, nothing is learnt


class OptimizerConfig(BaseModel):
    """How gradients become updates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["adam", "adamw", "muon"] = Field(
        "adam",
        description="muon: Muon for the matrices of the layers, AdamW for everything else",
    )
    learning_rate: float = Field(1e-4, gt=0, description="peak rate of Adam or AdamW")
    muon_learning_rate: float = Field(0.02, gt=0, description="peak rate of Muon")
    betas: tuple[float, float] = Field(
        (0.9, 0.999), description="decay rates of Adam's two moments"
    )
    weight_decay: float = Field(
        0.0, ge=0, description="decoupled weight decay, on matrices only; unused by adam"
    )
    clip: float = Field(1.0, gt=0, description="maximum norm of the whole gradient")
    schedule: Literal["inverse-square-root", "cosine", "linear"] = Field(
        "inverse-square-root", description="decay after warm-up; the last two end at zero"
    )
    warmup_steps: int = Field(30_000, ge=0, description="linear warm-up from zero")

    @model_validator(mode="after")
    def _adam_has_no_decoupled_decay(self) -> Self:
        if self.name == "adam" and self.weight_decay:
            raise ValueError("weight_decay needs name: adamw (Adam of the paper has none)")
        return self


class CodeSwitching(BaseModel):
    """Extra anchors: translations replace words of the text.

    Conneau et al. 2020, section 4, extra-anchors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability: float = Field(
        0.3,
        gt=0,
        le=1,
        description="probability of replacing a word that the training dictionary has",
    )
    maximum_share: float = Field(
        0.15, gt=0, le=1, description="maximum share of a batch's words to replace"
    )


class Tlm(BaseModel):
    """Translation language modelling (Lample and Conneau, 2019): an upper reference.

    Rows hold lines and their translations in turn, so that a masked word can be read off the
    other language.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sets: tuple[Name, ...] = Field(
        ..., min_length=1, description="parallel sets to learn from; never those of the probes"
    )
    share: float = Field(0.5, gt=0, lt=1, description="share of the steps that use them")


class PretrainingConfig(BaseModel):
    """What one pretraining run does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(1, ge=0, description="determines weights, batches, masks and dropout")
    steps: int = Field(
        ..., ge=0, description="optimizer steps, each on one language; 0 gives an untrained model"
    )
    rows: int = Field(
        768, ge=1, description="streams per step over all devices (the paper: 8 x 96)"
    )
    length: int = Field(
        256, ge=8, description="tokens per stream, including the [CLS] at its start"
    )
    start: Literal["anywhere", "line"] = Field(
        "anywhere",
        description="where a stream begins: anywhere (the paper), or at the start of a line, "
        "so that a position means the same place in a sentence in every language",
    )
    accumulation: int = Field(
        1, ge=1, description="parts that a device processes one after the other"
    )
    exponent: float = Field(
        0.7,
        ge=0,
        le=1,
        description="languages are drawn with probability proportional to (share of lines) ** "
        "exponent",
    )
    predicted_share: float = Field(
        0.15,
        gt=0,
        lt=1,
        description="share of the ordinary tokens to mask and predict; a decoder predicts all",
    )
    code_switching: CodeSwitching | None = Field(
        None, description="replace words by translations from the data's training dictionaries"
    )
    tlm: Tlm | None = Field(None, description="learn from parallel lines too, in some steps")
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 autocast on a GPU, fp32 on a CPU"
    )
    compile: bool = Field(
        False, description="compile the encoders with torch.compile; pays on GPUs and for long runs"
    )
    parallel: Literal["ddp", "fsdp"] = Field(
        "ddp", description="under torchrun: copy the model to every device, or shard it (FSDP2)"
    )
    evaluate_every: int = Field(1000, ge=1, description="steps between dev perplexities")
    dev_rows: int = Field(
        64, ge=1, description="maximum held-out streams per language to evaluate on"
    )
    checkpoint_every: int = Field(1000, ge=1, description="steps between checkpoints")
    snapshots: int = Field(
        0,
        ge=0,
        description="number of log-spaced steps at which to keep weights, so that probes can "
        "tell when languages come to share a space; 0 keeps none",
    )
    log_every: int = Field(50, ge=1, description="steps between log lines")

    @model_validator(mode="after")
    def _fsdp_needs_elementwise_updates(self) -> Self:
        if self.parallel == "fsdp" and self.optimizer.name == "muon":
            raise ValueError(
                "parallel: fsdp shards every matrix and Muon needs whole ones; use ddp or adamw"
            )
        return self


class RunConfig(BaseModel):
    """One pretraining run: what is trained, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    languages: Languages = Field(
        ...,
        min_length=1,
        description="languages, base first; shared parts are named after the base",
    )
    model: ModelShape = Field(default_factory=ModelShape, description="shape of the encoders")
    separate: tuple[str, ...] = Field(
        (), description="parts that each language has separately, e.g. [embeddings, layers 1-3]"
    )
    pretraining: PretrainingConfig = Field(..., description="data order, optimizer, length")

    @model_validator(mode="after")
    def _rows_fit_positions(self) -> Self:
        if self.pretraining.length > self.model.max_length:
            raise ValueError(
                f"pretraining.length ({self.pretraining.length}) is more than the model's "
                f"max_length ({self.model.max_length})"
            )
        return self

    @model_validator(mode="after")
    def _plan_fits_positions(self) -> Self:
        try:
            self.model.check_plan(self.plan)
        except XlingError as error:
            raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _mixed_rows_have_shared_embeddings(self) -> Self:
        for name in ("code_switching", "tlm"):
            if getattr(self.pretraining, name) is None:
                continue
            if len(self.languages) < 2:
                raise ValueError(f"pretraining.{name} needs a second language")
            if self.plan.separates(TOKENS):
                raise ValueError(
                    f"pretraining.{name} puts tokens of two languages into one row, so token "
                    "embeddings must be shared; take embeddings out of separate"
                )
        return self

    @model_validator(mode="after")
    def _translations_are_for_masked_models(self) -> Self:
        if self.pretraining.tlm is not None and self.model.objective != "mlm":
            raise ValueError(
                "pretraining.tlm puts a translation at its source's positions, to predict masked "
                f"tokens from it; architecture: {self.model.architecture} predicts the next token"
            )
        return self

    @property
    def plan(self) -> SharingPlan:
        """Return the sharing plan."""
        return SharingPlan.parse(self.separate, self.model.layers)


def snapshot_steps(config: PretrainingConfig) -> tuple[int, ...]:
    """Return after which steps weights are kept: evenly spaced on a logarithmic scale.

    The first is 1/256 of all steps, the last is the last; short runs have fewer than asked for.

    Example:
        >>> snapshot_steps(PretrainingConfig(steps=1000, snapshots=5))
        (4, 16, 62, 250, 1000)
    """
    if not config.snapshots or not config.steps:
        return ()
    first = max(1.0, config.steps * _EARLIEST_SNAPSHOT)
    # From the last to the first, so that a single one is the last.
    spaced = np.geomspace(config.steps, first, config.snapshots)
    return tuple(sorted(set(np.rint(spaced).astype(int).tolist())))
