"""What a study cost, by stage and variant, from the runs' logs and the workflow's records."""

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xling import formatting
from xling.errors import XlingError
from xling.files import read_json
from xling.report.load import Run, Study
from xling.report.tables import ABSENT, Cell, Table, figure

_METADATA = Path(".snakemake/metadata")
_NAME = 254  # longer names are cut into folders, as Snakemake does
_SHARED = "several"
_NOTE = (
    "Time of a job is from its start to its end as the workflow recorded it, summed over jobs; "
    "they run side by side, so the study took less. Time in training, tokens, tokens/s and MFU "
    "(the share of the machine's measured peak that the model's own operations reach) are those "
    "of the training steps, from the runs' logs; MFU is the median. Parameters are those of one "
    "model. Jobs that several variants share, such as data and vocabularies, are counted once."
)


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
    """Return a row a stage and variant, and the total; None if nothing is known of any cost."""
    costs: dict[tuple[str, str], _Cost] = {}
    for stage, variant, output in _jobs(study):
        cost = costs.setdefault((stage, variant), _Cost())
        cost.jobs += 1
        seconds = _recorded_seconds(study.folder, output) if output else None
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
    """Return (stage, variant, output file) of every planned job; of the runs without a plan."""
    path = study.folder / "plan.json"
    try:
        plan = read_json(path) if path.is_file() else {}
        found = _planned(plan) if plan else []
    except (XlingError, KeyError, TypeError, AttributeError):
        found = []
    return found or [("pretrain", run.variant, "") for run in study.runs]


def _planned(plan: dict[str, Any]) -> list[tuple[str, str, str]]:
    jobs = plan["jobs"]
    variants: dict[str, set[str]] = {}
    for run in plan["runs"]:
        queue = list(run["scores"])
        while queue:
            name = queue.pop()
            variants.setdefault(name, set()).add(run["variant"])
            queue += jobs[name].get("parents", {}).values()
    found = []
    for name, job in jobs.items():
        of = variants.get(name, set())
        found.append((job["stage"], next(iter(of)) if len(of) == 1 else _SHARED, job["output"]))
    return found


def _recorded_seconds(folder: Path, output: str) -> float | None:
    """Return how long the workflow says that a job took; None if it has no record of it."""
    name = urlsafe_b64encode(output.encode()).decode()
    parts = [name[start : start + _NAME] for start in range(0, len(name), _NAME)]
    path = folder.joinpath(_METADATA, *(f"@{part}" for part in parts[:-1]), parts[-1])
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return float(record["endtime"]) - float(record["starttime"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
