"""The verb ``study plan``: jobs by stage and what they cost, as text."""

import textwrap
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from xling import formatting
from xling.data.selection import LanguageText, named_parts
from xling.pretraining.cost import flops_formula, predicted_share
from xling.study.config import Pair, StudyConfig, Variant
from xling.study.costs import VariantCost, finetuned_models, variant_costs
from xling.study.hardware import Hardware, find_hardware
from xling.study.plan import Plan, Planner

_WIDTH = 100
_WHERE = {
    "mlm": "the last feed-forward and the head run on predicted positions only",
    "clm": "every position but a row's last predicts the next token",
}
_ABSENT = Path("DATA")


def plan_study(path: Path, data: Path | None, on: str, utilisation: float | None) -> str:
    """Return what a study will run and what it costs.

    Args:
        path: The study file.
        data: Its data folder; None for a study that makes its own, or to count without it.
        on: The hardware, as `hardware.find_hardware` takes it.
        utilisation: Share of the hardware's peak, instead of the hardware's own value.

    Raises:
        XlingError: a fault in the study, in the data or in the hardware's name.
    """
    study = StudyConfig.load(path, data)
    hardware = find_hardware(on, study.threads, utilisation)
    outlined = data is None and study.world is None
    plan = (Outline(study) if outlined else Planner(study, data)).plan()
    costs = variant_costs(study, plan, hardware)
    parts = [
        _head(study, plan, outlined),
        "jobs (shared ones counted once)\n" + _jobs(plan),
        f"training, on {hardware.devices} x {hardware.name}\n" + _training(costs, hardware),
        "how this is counted\n" + _arithmetic(study, costs[0], hardware),
        "not included in hours or disk\n" + _left_out(plan),
    ]
    return "\n\n".join(parts)


def _head(study: StudyConfig, plan: Plan, outlined: bool) -> str:
    models = formatting.count(len({run.pretrain.folder for run in plan.runs}))
    lines = [
        f"{study.name}: {len(study.variants)} variants, {len(study.pairs)} pairs, {models} models"
    ]
    lines += textwrap.wrap(study.description, _WIDTH)
    if outlined:
        lines.append("(counted without data: pass --data to check what it lacks)")
    return "\n".join(lines)


def _jobs(plan: Plan) -> str:
    stages = Counter(job.stage for job in plan.jobs)
    rows = [(stage, formatting.count(number)) for stage, number in stages.items()]
    return formatting.as_columns([*rows, ("in all", formatting.count(len(plan.jobs)))])


def _training(costs: tuple[VariantCost, ...], hardware: Hardware) -> str:
    rows: list[tuple[str, ...]] = [
        ("a run of", "runs", "parameters", "tokens", "FLOPs", "memory per device", "disk", "time")
    ]
    several = len({cost.languages for cost in costs}) > 1
    for cost in costs:
        name = f"{cost.variant} ({cost.languages} languages)" if several else cost.variant
        mark = "<= " if cost.parameters.at_most else ""
        # Runs side by side have one device each.
        sharing = 1 if hardware.shares_a_run else hardware.devices
        rows.append(
            (
                name,
                formatting.count(cost.runs),
                f"{mark}{formatting.count(cost.parameters.total)}",
                formatting.large(cost.training.tokens),
                f"{cost.training.flops:.2e}",
                formatting.memory(cost.training.memory.total),
                formatting.memory(cost.disk_bytes),
                time(hardware.seconds(cost.training.flops) * sharing),
            )
        )
    runs = sum(cost.runs for cost in costs)
    flops = sum(cost.flops for cost in costs)
    tokens = sum(cost.runs * cost.training.tokens for cost in costs)
    disk = sum(cost.runs * cost.disk_bytes for cost in costs)
    rows.append(
        (
            "all runs",
            formatting.count(runs),
            "",
            formatting.large(tokens),
            f"{flops:.2e}",
            "",
            formatting.memory(disk),
            time(hardware.seconds(flops)),
        )
    )
    table = formatting.as_columns(rows)
    greatest = max(cost.training.memory.total for cost in costs)
    if greatest > hardware.memory:
        table += (
            f"\n  warning: a device has {formatting.memory(hardware.memory)}; raise "
            "pretraining.accumulation until a step fits"
        )
    return table


def time(seconds: float) -> str:
    """Return a span of time: in days from two on, else no finer than useful."""
    return f"{seconds / 86400:,.1f} days" if seconds >= 2 * 86400 else formatting.duration(seconds)


def _arithmetic(study: StudyConfig, cost: VariantCost, hardware: Hardware) -> str:
    """Show the figures of one variant's run, so that they can be checked by hand."""
    variant = study.variant(cost.variant)
    shape, training = variant.model, variant.pretraining
    memory = cost.training.memory
    rows_at_once = max(
        1,
        training.rows
        // ((hardware.devices if hardware.shares_a_run else 1) * training.accumulation),
    )
    vocabulary = variant.vocabulary.size
    if variant.vocabulary.kind == "separate":
        vocabulary //= cost.languages
    lines = {
        "a run of": f"{cost.variant}",
        "tokens": f"{formatting.count(training.steps)} steps x {formatting.count(training.rows)} "
        f"rows x {training.length} tokens = {formatting.large(cost.training.tokens)}",
        "FLOPs per token": f"{flops_formula(shape)} = "
        f"{formatting.large(cost.training.flops_per_token)}; "
        f"L = {shape.layers}, d = {shape.hidden}, F = {shape.feed_forward}, "
        f"T = {training.length}, V = {formatting.count(vocabulary)}, "
        f"p = {predicted_share(shape, training):.3g}: products of matrices, forward and "
        f"twice that backward; {_WHERE[shape.objective]}",
        "time": f"{cost.training.flops:.3g} FLOPs / ({_devices(hardware)}"
        f"{hardware.peak / 1e12:.3g} TFLOP/s x {hardware.utilisation:g})",
        "peak": f"{hardware.precision}; {hardware.source}",
        "utilisation": f"{hardware.utilisation:g}: {hardware.utilisation_source}",
        "memory": f"weights {formatting.memory(memory.weights)}, gradients "
        f"{formatting.memory(memory.gradients)}, optimizer {formatting.memory(memory.optimizer)}, "
        f"activations of {rows_at_once} rows {formatting.memory(memory.activations)}",
        "disk": f"two checkpoints {formatting.memory(cost.training.checkpoint_bytes)}, snapshots "
        f"{formatting.memory(cost.training.snapshot_bytes)}, one model per language "
        f"{formatting.memory(cost.exported_bytes)}",
    }
    width = max(map(len, lines))
    return "\n".join(
        textwrap.fill(
            line, _WIDTH, initial_indent=f"  {key:{width}}  ", subsequent_indent=" " * (width + 4)
        )
        for key, line in lines.items()
    )


def _devices(hardware: Hardware) -> str:
    return f"{hardware.devices} x " if hardware.shares_a_run else ""


def _left_out(plan: Plan) -> str:
    lines = []
    if models := finetuned_models(plan):
        lines.append(
            f"tasks: {formatting.count(models)} fine-tuned models; their time depends on the data "
            "and on early stopping"
        )
    lines.append("vocabularies, probes and alignments: minutes each, little compared with training")
    lines.append("token streams: about half as much disk as the text")
    return "\n".join(f"  {line}" for line in lines)


class Outline(Planner):
    """Plans without looking at data, to count jobs and costs before there is any.

    Where `Planner` names a job by the content of the files that it reads, an outline takes the
    names of the files.

    Args:
        study: A study that is given its data.
    """

    def __init__(self, study: StudyConfig) -> None:
        super().__init__(study, _ABSENT)

    def _source(self, text: Mapping[str, LanguageText]) -> object:
        return {
            language: list(map(str, named_parts(parts))) for language, parts in sorted(text.items())
        }

    def _read_to_prepare(self, language: str) -> object:
        return language

    def _read_to_derive(self, settings: Mapping[str, object]) -> object:
        return dict(settings)

    def _read_in_training(self, variant: Variant, pair: Pair) -> object:
        switching, tlm = variant.pretraining.code_switching, variant.pretraining.tlm
        return list(pair) if switching or tlm else None

    def _parallel(self, pair: Pair) -> object:
        return list(pair)

    def _gold(self, part: str, pair: Pair) -> object:
        return [part, *pair]

    def _read_by(
        self,
        stage: str,
        two: Pair,
        text: Mapping[str, LanguageText],
        settings: Mapping[str, object],
    ) -> object:
        return [stage, *two]
