"""Settings of transfer, within one model and through a map between two (light to import)."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from xling.device import BATCH_TOKENS
from xling.names import Language, Name

TASKS = ("nli", "ner", "parsing", "topics")
Task = Literal["nli", "ner", "parsing", "topics"]
# Where a task's gold lies in a data folder.
PARTS: Mapping[Task, str] = {"nli": "nli", "ner": "ner", "parsing": "ud", "topics": "topics"}

# What the paper states (Conneau et al. 2020, section 3.2); topics is not in it and follows NER.
_PAPER: dict[str, dict[str, object]] = {
    "nli": {
        "batch_sizes": (4, 8),
        "encoder_rates": (1.25e-6, 2.5e-6, 5e-6),
        "head_rates": (5e-6, 2.5e-5, 1.25e-4),
        "schedule": "constant",
        "warmup_share": 0.0,
        "epochs": 200,
        "patience": 10,
    },
    "ner": {
        "batch_sizes": (16, 32),
        "encoder_rates": (2e-5, 3e-5, 5e-5),
        "epochs": 10,
        "strip_subtypes": True,
    },
}
_PAPER["parsing"] = _PAPER["topics"] = _PAPER["ner"]
# What suits encoders of a few million parameters on a core or two.
_SMALL: dict[str, dict[str, object]] = {
    task: {"encoder_rates": (5e-4, 1e-3), "train_sentences": 2000, "dev_sentences": 1000}
    for task in TASKS
}
_DECIDED = ("source", "targets", "regime", "supervised")


class TransferConfig(BaseModel):
    """One task, one source language, its targets, and how to fine-tune.

    Settings that are not given come from ``preset`` or else from the defaults below.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Task = Field(..., description="nli, ner, parsing or topics")
    source: Language = Field(..., description="the language to train on")
    targets: tuple[Language, ...] = Field((), description="languages to test on besides the source")
    preset: Literal["small", "paper"] = Field(
        "small",
        description="defaults: small (models of a few million parameters, minutes on a core) or "
        "paper (Conneau et al. 2020, section 3.2)",
    )
    regime: Literal["full", "feature"] = Field(
        "full",
        description="full: fine-tune everything except private parts; feature: train new "
        "layers and a head on top of the first i layers, frozen, for every i in "
        "layers (Conneau et al. 2020, section 5.1.2)",
    )
    layers: tuple[int, ...] | None = Field(
        None, description="feature regime: values of i, 0 being the embeddings; by default all"
    )
    new_layers: int = Field(
        4, ge=1, description="feature regime: transformer layers trained on top"
    )
    batch_sizes: tuple[int, ...] = Field((32,), min_length=1, description="sentences per step")
    encoder_rates: tuple[float, ...] = Field(
        (5e-4,), min_length=1, description="peak learning rates of the encoder (or new layers)"
    )
    head_rates: tuple[float, ...] | None = Field(
        None, description="peak learning rates of the head; by default the encoder's"
    )
    schedule: Literal["linear", "constant"] = Field(
        "linear", description="after warm-up: linear decay to zero, or constant"
    )
    warmup_share: float = Field(0.1, ge=0, lt=1, description="share of the steps that warm up")
    weight_decay: float = Field(
        0.0, ge=0, description="decoupled weight decay (AdamW), on matrices; 0 gives Adam"
    )
    clip: float = Field(1.0, gt=0, description="maximum norm of the whole gradient")
    epochs: int = Field(10, ge=1, description="maximum passes over the training sentences")
    patience: int = Field(
        3,
        ge=1,
        description="stop after this many epochs without a better score on the source's dev",
    )
    averaged: int = Field(
        2,
        ge=1,
        description="number of best settings whose mean is reported (Conneau et al. 2020, "
        "section 3.2)",
    )
    seeds: tuple[int, ...] = Field(
        (1,),
        min_length=1,
        description="each determines head, new layers, order and dropout of a run",
    )
    train_sentences: int = Field(
        0, ge=0, description="maximum training sentences, drawn by seed 0; 0 uses all"
    )
    dev_sentences: int = Field(
        0, ge=0, description="maximum dev sentences, the first ones; 0 uses all"
    )
    strip_subtypes: bool = Field(True, description="parsing: nsubj:pass counts as nsubj")
    random: bool = Field(
        False, description="also fine-tune an untrained encoder of the same shape (untrained)"
    )
    supervised: bool = Field(
        False, description="also train on each target that has training data (supervised)"
    )
    resamples: int = Field(
        1000, ge=0, description="bootstrap resamples of the 95 % intervals; 0 omits them"
    )
    batch_tokens: int = Field(
        8192, ge=1, description="maximum tokens, including padding, in one forward pass of a device"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 autocast on a GPU that has it, fp32 on every CPU"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        presets = _PAPER if given.get("preset") == "paper" else _SMALL
        return {**presets.get(str(given.get("task")), {}), **given}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.source in self.targets or len(set(self.targets)) < len(self.targets):
            raise ValueError(
                f"targets must be distinct and without the source {self.source} (found "
                f"{', '.join(self.targets)})"
            )
        if self.layers is not None and self.regime != "feature":
            raise ValueError("layers needs regime: feature")
        if self.layers is not None and (min(self.layers, default=-1) < 0):
            raise ValueError(f"layers must be numbers from 0 (found {list(self.layers)})")
        if min(self.batch_sizes) < 1 or min((*self.encoder_rates, *(self.head_rates or ()))) <= 0:
            raise ValueError("batch_sizes and learning rates must be above 0")
        return self


class ContextSettings(BaseModel):
    """A task learnt on one model's frozen layers and tested on another's, through a map.

    Settings that ``transfer`` does not give are the defaults of `xling transfer`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    languages: tuple[Language, Language] = Field(..., description="source and target language")
    train: Name = Field(..., description="Parallel set whose words are aligned and mapped.")
    train_lines: int = Field(
        10_000,
        ge=1,
        description="Maximum lines of that set, evenly spaced (Conneau et al. 2020, "
        "section 5.1.2).",
    )
    normalization: Literal["none", "centre", "unit", "iterative"] = Field(
        "iterative", description="Normalisation of each side before the rotation is learnt."
    )
    transfer: Mapping[str, object] = Field(
        ..., description="The task and how to learn it: settings of `xling transfer`."
    )
    batch_tokens: int = Field(
        BATCH_TOKENS, ge=1, description="Maximum tokens in one forward pass for word vectors."
    )

    @model_validator(mode="after")
    def _transfer_is_valid(self) -> Self:
        taken = [key for key in _DECIDED if key in self.transfer]
        if taken:
            raise ValueError(
                f"transfer.{taken[0]}: the source is fine-tuned on frozen layers and the target "
                "tested; leave it out"
            )
        assert self.config
        return self

    @property
    def config(self) -> TransferConfig:
        """How the task is learnt and tested."""
        source, target = self.languages
        decided = {"source": source, "targets": (target,), "regime": "feature"}
        return TransferConfig.model_validate({**self.transfer, **decided})
