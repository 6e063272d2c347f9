"""What one run trains, and how (light to import: no torch)."""

from typing import Any, Literal, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

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

    Rows alternate lines and their translations, so that a masked word can be recovered from the
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
        1, ge=1, description="gradient accumulation: parts that a device processes in turn"
    )
    exponent: float = Field(
        0.7,
        ge=0,
        le=1,
        description="languages are drawn with probability proportional to (share of lines) ** "
        "exponent",
    )
    base_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of the steps in the base language; the others share the rest equally; "
        "replaces exponent (Schäfer et al. 2024: imbalance)",
    )
    mixed: bool = Field(
        False,
        description="every step has rows of all languages, in proportion to their shares, instead "
        "of rows of one language",
    )
    base_first: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of the steps, at the beginning, that train on the base language "
        "alone; the remaining steps train only the separate parts of the other languages, on their "
        "text (Artetxe et al. 2020: a frozen body). Each of the two phases has its own schedule",
    )
    forget_every: int | None = Field(
        None,
        ge=1,
        description="token embeddings are reset to random weights every so many steps; with "
        "base_first, only in its first phase (Chen et al. 2023: active forgetting)",
    )
    softmax: Literal["joint", "own"] = Field(
        "joint",
        description="if languages share token embeddings, what a prediction chooses from: the "
        "tokens of all, or the language's own and the special tokens",
    )
    replacements: Literal["joint", "own"] = Field(
        "joint",
        description="if languages share token embeddings, where the random tokens of masking come "
        "from: the tokens of all, or the language's own",
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
        "auto",
        description="auto: bf16 autocast where it is faster (a GPU with bf16; a CPU with AMX or "
        "AVX512-BF16), fp32 elsewhere; a resumed run keeps what it began with",
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

    @model_validator(mode="after")
    def _one_order_of_languages(self) -> Self:
        if self.mixed and (self.tlm or self.base_first):
            name = "tlm" if self.tlm else "base_first"
            raise ValueError(
                f"mixed: every step has rows of all languages, but {name} gives each step to some"
            )
        if self.base_first and (self.tlm or self.base_share):
            name = "tlm" if self.tlm else "base_share"
            raise ValueError(f"base_first decides whose steps come when; leave out {name}")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Settings name jobs: defaults are left out, so results from before these fields stay valid.
        unless_usual = (
            "base_share", "mixed", "base_first", "forget_every", "softmax", "replacements"
        )  # fmt: skip
        usual = {name: type(self).model_fields[name].default for name in unless_usual}
        return {
            name: value
            for name, value in handler(self).items()
            if name not in usual or usual[name] != value
        }

    def check_plan(self, plan: SharingPlan, vocabulary: str | None = None) -> None:
        """Refuse settings that have no effect with a sharing plan or a kind of vocabulary.

        Args:
            plan: What is separate.
            vocabulary: The vocabulary's kind, if it is known.

        Raises:
            XlingError: with the setting's name.
        """
        for name in ("softmax", "replacements"):
            if getattr(self, name) != "own":
                continue
            if plan.separates(TOKENS):
                raise XlingError(
                    f"pretraining.{name}: own is what separate token embeddings have anyway; leave "
                    "it out"
                )
            if vocabulary in ("joint", "parity"):
                raise XlingError(
                    f"pretraining.{name}: own, but in a {vocabulary} vocabulary all tokens are all "
                    "languages' own; use vocabulary.kind: disjoint or union"
                )
        if self.base_first and not plan.separates(TOKENS):
            raise XlingError(
                "pretraining.base_first: the other languages learn only what they have "
                "separately, so add embeddings.tokens (or embeddings) to separate"
            )

    @property
    def frozen_from(self) -> int | None:
        """Return the step (from 0) from which only private parameters are trained, or None."""
        return None if self.base_first is None else round(self.base_first * self.steps)


class RunConfig(BaseModel):
    """One pretraining run: what is trained, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    languages: Languages = Field(
        ...,
        min_length=1,
        description="languages, base first; shared parts are named after the base",
    )
    model: ModelShape = Field(default_factory=ModelShape, description="shape of the models")
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
            self.pretraining.check_plan(self.plan)
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

    @model_validator(mode="after")
    def _others_to_share_with(self) -> Self:
        for name in ("base_share", "mixed", "base_first"):
            if getattr(self.pretraining, name) and len(self.languages) < 2:
                raise ValueError(f"pretraining.{name} needs a second language")
        return self

    @property
    def plan(self) -> SharingPlan:
        """Return the sharing plan."""
        return SharingPlan.parse(self.separate, self.model.layers)


def snapshot_steps(config: PretrainingConfig) -> tuple[int, ...]:
    """Return after which steps weights are kept: evenly spaced on a logarithmic scale.

    The first is at 1/256 of all steps, the last at the end; short runs have fewer than asked for.

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
