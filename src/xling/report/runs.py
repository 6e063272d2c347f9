"""Tables of runs: what was built, on what text, at what cost. What is not known is a dash."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xling import formatting
from xling.report.load import Run, Study
from xling.report.tables import ABSENT, NAMES, Cell, Table, figure, merge_seeds, number

_SHARED = "several"
_NOTE = (
    "Time of jobs: from start to end, summed over jobs that ran side by side, so you waited less. "
    "Time in training, tokens, tokens/s and MFU (the share of the machine's measured peak that the "
    "model's own operations reach) are those of the training steps, from the runs' logs; MFU is "
    "the median. Parameters are those of one model. Jobs that several variants share, such as "
    "data and vocabularies, are counted once."
)


def model_table(runs: Sequence[Run], config: dict[str, Any]) -> Table:
    """What was built: shape, vocabulary, what is separate, parameters."""
    rows = []
    for run in runs:
        trained = _object(_object(run.artefact).get("config"))
        vocabulary = _object(_object(run.vocabulary).get("vocabulary"))
        counts = _object(_object(run.preflight).get("parameters"))
        separate = ", ".join(str(part) for part in _list(trained.get("separate")))
        size = number(vocabulary.get("size"), formatting.count)
        rows.append(
            (
                *_names(run),
                Cell(_shape(trained) or _shape(config) or ABSENT),
                Cell(f"{size} {vocabulary.get('kind', '')}".strip(), "number"),
                Cell(separate or ("nothing" if "separate" in trained else ABSENT)),
                figure(counts.get("total"), formatting.large),
                figure(counts.get("shared"), formatting.large),
            )
        )
    columns = ("model", "vocabulary", "separate", "parameters", "of them shared")
    return Table("Models", (*NAMES, *columns), 3, merge_seeds(rows))


def training_table(runs: Sequence[Run]) -> Table:
    """What training took; what is not known shows as a dash."""
    rows = []
    for run in runs:
        preflight = _object(run.preflight)
        train = run.log[run.log["kind"].eq("train")]
        # Every language seen since the last record repeats the time since that record.
        seconds = train.drop_duplicates("step")["seconds"].sum(min_count=1)
        rows.append(
            (
                *_names(run),
                figure(train["step"].max(), formatting.count),
                figure(preflight.get("tokens_total"), formatting.large),
                figure(preflight.get("flops_total"), "{:.2e}"),
                figure(preflight.get("memory_bytes"), formatting.memory),
                figure(seconds, formatting.duration),
                figure(train["tokens_per_second"].median(), formatting.count),
                figure(train["mfu"].median(), "{:.0%}"),
            )
        )
    columns = ("steps", "tokens planned", "FLOPs planned", "memory, estimated", "time")
    return Table("Training", (*NAMES, *columns, "tokens/s", "MFU"), 3, tuple(rows))


def language_table(runs: Sequence[Run]) -> Table:
    """Text and tokens per language: sizes, share of batches, tokens per word, dev perplexity."""
    rows = []
    for run in runs:
        texts = _object(_object(run.preflight).get("languages"))
        vocabulary = _object(_object(run.vocabulary).get("languages"))
        premium = _list(_object(run.vocabulary).get("premium"))
        dev = run.log[run.log["kind"].eq("dev")]
        for language in run.languages:
            text, units = _object(texts.get(language)), _object(vocabulary.get(language))
            perplexity = dev.loc[dev["language"].eq(language), "perplexity"]
            rows.append(
                (
                    *_names(run),
                    Cell(language),
                    figure(units.get("words"), formatting.count),
                    figure(text.get("train_tokens"), formatting.count),
                    figure(text.get("passes"), "{:.1f}"),
                    figure(text.get("share_of_batches"), "{:.1%}"),
                    figure(units.get("tokens a word"), "{:.2f}"),
                    figure(_premium(premium, language), "{:.2f}"),
                    figure(units.get("share of unknowns"), "{:.3%}"),
                    figure(perplexity.min(), "{:,.1f}"),
                )
            )
    columns = (
        *NAMES,
        "language",
        "words",
        "training tokens",
        "passes over them",
        "share of batches",
        "tokens a word",
        "premium",
        "unknown",
        "best dev perplexity",
    )
    return Table("Languages", columns, 4, merge_seeds(rows))


def _premium(sets: Sequence[object], language: str) -> float | None:
    """Return a language's tokens for the same text relative to the base's, over all sets."""
    counts = [_object(_object(of).get("tokens")) for of in sets]
    own = [count.get(language) for count in counts]
    base = [next(iter(count.values()), None) for count in counts]
    numbers = [number for number in (*own, *base) if isinstance(number, int)]
    if not counts or len(numbers) < len(own) + len(base) or not sum(numbers[len(own) :]):
        return None
    return sum(numbers[: len(own)]) / sum(numbers[len(own) :])


def anchor_table(runs: Sequence[Run]) -> Table:
    """Tokens that two languages have in common: how many, and their share of running text."""
    rows = []
    for run in runs:
        for record in run.anchors:
            languages = [str(language) for language in _list(record.get("languages"))]
            kinds = {"all": record, **_object(record.get("kinds"))}
            for kind, found in kinds.items():
                entry = _object(found)
                shares = _object(entry.get("share of running tokens"))
                rows.append(
                    (
                        *_names(run),
                        Cell(formatting.listing(languages) or ABSENT),
                        Cell(kind),
                        figure(entry.get("tokens"), formatting.count),
                        Cell(
                            ", ".join(
                                f"{name} {number(share, '{:.1%}')}"
                                for name, share in shares.items()
                            )
                            or ABSENT,
                            "number",
                        ),
                        figure(entry.get("overlap"), "{:.1%}"),
                    )
                )
    columns = (*NAMES, "languages", "kind", "tokens", "share of running tokens", "overlap")
    return Table("Anchors: tokens that two languages share", columns, 5, merge_seeds(rows))


def common_anchor_table(runs: Sequence[Run]) -> Table:
    """The anchors that cover most of both languages' text, by what they are."""
    rows = []
    for run in runs:
        for record in run.anchors:
            by_kind: dict[str, list[str]] = {}
            for entry in map(_object, _list(record.get("commonest"))):
                by_kind.setdefault(str(entry.get("kind", "")), []).append(
                    str(entry.get("token", ""))
                )
            rows += [
                (*_names(run), Cell(kind or ABSENT), Cell("  ".join(tokens), "tokens"))
                for kind, tokens in by_kind.items()
            ]
    return Table("Commonest anchors", (*NAMES, "kind", "tokens"), 4, merge_seeds(rows))


def _names(run: Run) -> tuple[Cell, Cell, Cell]:
    return Cell(run.variant), Cell(run.pair), Cell(str(run.seed))


def _shape(value: Any) -> str:
    """Find a model's shape anywhere in a configuration."""
    if isinstance(value, dict):
        if "layers" in value and "hidden" in value:
            return f"{value['layers']} layers × {value['hidden']}"
        return next(filter(None, map(_shape, value.values())), "")
    return ""


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


@dataclass
class _Cost:
    """What one stage of one variant took."""

    jobs: int = 0
    timed: int = 0
    seconds: float = 0.0
    training: float = 0.0
    tokens: float = 0.0
    mfu: list[float] = field(default_factory=list)
    parameters: set[int] = field(default_factory=set)

    def add(self, other: "_Cost") -> None:
        """Count another's too."""
        self.jobs += other.jobs
        self.timed += other.timed
        self.seconds += other.seconds
        self.training += other.training
        self.tokens += other.tokens
        self.mfu += other.mfu
        self.parameters |= other.parameters


def cost_table(study: Study) -> Table | None:
    """Return a row per stage and variant, and the total; None if no cost is known."""
    costs: dict[tuple[str, str], _Cost] = {}
    for stage, variant, job in _jobs(study):
        cost = costs.setdefault((stage, variant), _Cost())
        cost.jobs += 1
        seconds = study.seconds.get(job)
        if seconds is not None:
            cost.timed += 1
            cost.seconds += seconds
    for run in study.runs:
        costs.setdefault(("pretrain", run.variant), _Cost()).add(_training(run))
    if not any(cost.timed or cost.tokens for cost in costs.values()):
        return None
    total = _Cost()
    for cost in costs.values():
        total.add(cost)
    total.parameters.clear()
    stages = list(dict.fromkeys(stage for stage, _ in costs))
    ordered = sorted(costs.items(), key=lambda item: stages.index(item[0][0]))
    rows = [_row(*key, cost) for key, cost in ordered]
    columns = (
        *("stage", "variant", "jobs", "time of jobs", "time in training", "tokens", "tokens/s"),
        *("MFU", "parameters"),
    )
    return Table("Costs", columns, 2, (*rows, _row("total", "", total)), note=_NOTE)


def _row(stage: str, variant: str, cost: _Cost) -> tuple[Cell, ...]:
    parameters = [formatting.large(count) for count in sorted(cost.parameters)]
    if len(parameters) > 2:
        parameters = [f"{parameters[0]} to {parameters[-1]}"]
    time = formatting.duration(cost.seconds) if cost.timed else ABSENT
    untimed = cost.jobs - cost.timed
    notes = (f"{untimed} of {cost.jobs} without a record",) if cost.timed and untimed else ()
    return (
        Cell(stage),
        Cell(variant),
        figure(cost.jobs, formatting.count),
        Cell(time, "number", notes),
        figure(cost.training or None, formatting.duration),
        figure(cost.tokens or None, formatting.large),
        figure(cost.tokens / cost.training if cost.training else None, formatting.count),
        figure(float(np.median(cost.mfu)) if cost.mfu else None, "{:.0%}"),
        Cell(", ".join(parameters) or ABSENT, "number"),
    )


def _training(run: Run) -> _Cost:
    """Sum up the training records of one run."""
    # Every language seen since the last record repeats the time since that record.
    train = run.log[run.log["kind"].eq("train")].drop_duplicates("step")
    timed = train.dropna(subset=["seconds", "tokens_per_second"])
    counts = (run.preflight or {}).get("parameters")
    total = counts.get("total") if isinstance(counts, dict) else None
    return _Cost(
        training=float(timed["seconds"].sum()),
        tokens=float((timed["seconds"] * timed["tokens_per_second"]).sum()),
        mfu=train["mfu"].dropna().tolist(),
        parameters={total} if isinstance(total, int) else set(),
    )


def _jobs(study: Study) -> list[tuple[str, str, str]]:
    """Return (stage, variant, job) of every planned job; of the runs without a plan."""
    variants: dict[str, set[str]] = {}
    for run in study.runs:
        queue = list(run.scores)
        while queue:
            name = queue.pop()
            variants.setdefault(name, set()).add(run.variant)
            queue += study.jobs.get(name, {}).get("parents", {}).values()
    found = []
    for name, job in study.jobs.items():
        of = variants.get(name, set())
        found.append((job["stage"], next(iter(of)) if len(of) == 1 else _SHARED, name))
    return found or [("pretrain", run.variant, "") for run in study.runs]
