"""What a study costs, counted from its settings: parameters, FLOPs, disk; by variant."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from xling.files import JsonObject
from xling.model.sharing import SPECIALS
from xling.pretraining.cost import TrainingCost, training_cost
from xling.study.config import Pair, StudyConfig, Variant, languages
from xling.study.hardware import Hardware
from xling.study.plan import Plan
from xling.study.presets import presets
from xling.transfer.config import TransferConfig
from xling.vocabulary.bpe import SPECIAL_TOKENS

_BYTES_OF_A_WEIGHT = 4


class ParameterCounts(NamedTuple):
    """Distinct parameters of one variant, for the languages of one pair.

    Attributes:
        variant: Its name.
        total: All, counted once.
        shared: Parameters that all languages have in common.
        private: Parameters of the base language alone.
        member: Parameters of the base language's own model, shared ones included.
        at_most: Whether identical tokens will merge, so that there are fewer embeddings.
    """

    variant: str
    total: int
    shared: int
    private: int
    member: int
    at_most: bool


def paper_study() -> StudyConfig:
    """Return every preset at the paper's settings; none needs data.

    Conneau et al. 2020, section 3.1.
    """
    return StudyConfig.model_validate(
        {
            "name": "paper",
            "pairs": ["en-fr"],
            "text": ["wiki"],
            "other_domain": ["web"],
            "pretraining": {"steps": 1},
            "variants": list(presets()),
        }
    )


def count_parameters(study: StudyConfig) -> Iterator[ParameterCounts]:
    """Yield the counts of every variant, for the first pair; nothing is allocated.

    A ``union`` vocabulary is counted as if no token merged: how many do depends on the text.
    """
    for name in study.variants:
        variant = study.variant(name)
        yield variant_parameters(name, variant, variant.languages(languages(study.pairs[0])))


def variant_parameters(name: str, variant: Variant, pair: tuple[str, ...]) -> ParameterCounts:
    """Count one variant, for the languages that it is trained on."""
    import torch

    from xling.model.family import Family, parameter_counts
    from xling.model.sharing import SharingPlan

    plan = SharingPlan.parse(variant.separate, variant.model.layers)
    with torch.device("meta"):
        family = Family.build(variant.model, vocabulary_sizes(variant, pair), plan, seed=0)
    counts: JsonObject = {**parameter_counts(family)}
    private = counts["private"][pair[0]]
    return ParameterCounts(
        name,
        counts["total"],
        counts["shared"],
        private,
        counts["shared"] + private,
        variant.vocabulary.kind == "union",
    )


def vocabulary_sizes(variant: Variant, pair: tuple[str, ...]) -> dict[str, int]:
    """Return each language's number of rows; of a union, if no token merges."""
    kind, size = variant.vocabulary.kind, variant.vocabulary.size
    each, special = size // len(pair), len(SPECIAL_TOKENS)
    if kind == "separate":
        return dict.fromkeys(pair, each)
    more = special * (len(pair) - 1) if SPECIALS in variant.separate else 0
    if kind in ("joint", "parity"):
        return dict.fromkeys(pair, size + more)
    return dict.fromkeys(pair, special + len(pair) * (each - special) + more)


def as_table(counts: Iterator[ParameterCounts]) -> str:
    """Return counts as a Markdown table."""
    lines = [
        "| variant | total | shared | private, per language | one language's model |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in counts:
        mark = "≤ " if row.at_most else ""
        lines.append(
            f"| `{row.variant}` | {mark}{row.total:,} | {mark}{row.shared:,} | {row.private:,} "
            f"| {mark}{row.member:,} |"
        )
    return "\n".join(lines)


@dataclass(frozen=True)
class VariantCost:
    """The training runs of one variant on so many languages.

    Attributes:
        variant: Its name.
        languages: How many one model has.
        runs: How many models are trained: pairs times seeds.
        parameters: Parameters of one model.
        training: Cost of one run.
        exported_bytes: Size on disk of one model's folders, one per language.
    """

    variant: str
    languages: int
    runs: int
    parameters: ParameterCounts
    training: TrainingCost
    exported_bytes: int

    @property
    def flops(self) -> float:
        """FLOPs of all runs."""
        return self.runs * self.training.flops

    @property
    def disk_bytes(self) -> int:
        """Disk space of one run: checkpoints, snapshots and the model."""
        return self.training.checkpoint_bytes + self.training.snapshot_bytes + self.exported_bytes


def variant_costs(study: StudyConfig, plan: Plan, hardware: Hardware) -> tuple[VariantCost, ...]:
    """Count what every variant costs.

    Args:
        study: The study.
        plan: Its jobs.
        hardware: If it is GPUs, all share the rows of each run; on cores each run has its own.
    """
    runs: dict[tuple[str, int], set[str]] = {}
    pairs: dict[tuple[str, int], Pair] = {}
    for run in plan.runs:
        key = run.variant, len(run.pair)
        runs.setdefault(key, set()).add(run.pretrain.folder)
        pairs.setdefault(key, run.pair)
    return tuple(
        _variant_cost(name, study.variant(name), pairs[name, size], len(folders), hardware)
        for (name, size), folders in runs.items()
    )


def _variant_cost(
    name: str, variant: Variant, pair: Pair, runs: int, hardware: Hardware
) -> VariantCost:
    parameters = variant_parameters(name, variant, pair)
    training = training_cost(
        variant.model,
        max(vocabulary_sizes(variant, pair).values()),
        parameters.total,
        variant.pretraining,
        hardware.devices if hardware.shares_a_run else 1,
        hardware.precision,
    )
    exported = _BYTES_OF_A_WEIGHT * parameters.member * len(pair)
    return VariantCost(name, len(pair), runs, parameters, training, exported)


def finetuned_models(plan: Plan) -> int:
    """Count the models that tasks fine-tune: settings tried, seeds, layers and conditions."""
    return sum(
        _tried(TransferConfig.model_validate(settings), job.parents["pretrain"], plan)
        for job in plan.jobs
        if (settings := _finetuning(job.stage, job.settings)) is not None
    )


def _finetuning(stage: str, settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if stage == "transfer":
        return settings
    if stage == "align-context":
        two = settings["languages"]
        # What `xling align context` decides itself (`transfer.context_config`).
        decided = {"source": two[0], "targets": two[1:], "regime": "feature"}
        return {**settings["transfer"], **decided}
    return None


def _tried(config: TransferConfig, trained: str, plan: Plan) -> int:
    grid = len(config.batch_sizes) * len(config.encoder_rates) * len(config.head_rates or (0,))
    layers = 1
    if config.regime == "feature":
        model = next(job for job in plan.jobs if job.folder == trained).settings["model"]
        layers = len(config.layers) if config.layers is not None else model["layers"] + 1
    conditions = 1 + config.random + config.supervised * len(config.targets)
    return grid * len(config.seeds) * layers * conditions
