"""Read a study folder into one value that the rest of the report works on.

Only the study's description and its scores are required. What else a run lacks, because it failed
or has not been made yet, is recorded as missing, and the page says so.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from xling.errors import XlingError
from xling.files import JsonObject, read_json
from xling.influence import Floats, read_influence
from xling.names import pair_languages, pair_name
from xling.results import EMERGENCE, OF_RUN, RESULTS, Key, read_scores

if TYPE_CHECKING:
    import pandas as pd

_LOG_TEXT = ("kind", "language")
_LOG_NUMBERS = ("step", "loss", "perplexity", "tokens_per_second", "mfu", "seconds", "cosine")
TASK_STAGE = "transfer"


@dataclass(frozen=True)
class Run:
    """One trained model: a variant for a pair of languages with a seed.

    Attributes:
        variant: Name of the variant, e.g. ``"no-anchors"``.
        pair: The languages as one name, e.g. ``"en-fr"``.
        languages: The languages one by one.
        seed: The seed of every random draw.
        artefact: What the pretraining stage recorded; None if missing.
        preflight: The measurement and warnings before training; None if missing.
        vocabulary: The report of its vocabulary and anchors; None if missing.
        log: One row per record of the training log (columns step, kind, language, loss,
            perplexity, tokens_per_second, mfu, seconds, cosine), later records of a resumed run
            in place of earlier ones; empty if missing.
        missing: What is not there or not readable, each as a phrase for the reader.
        scores: The jobs that measured it, by their folders in the study's.
    """

    variant: str
    pair: str
    languages: tuple[str, ...]
    seed: int
    artefact: dict[str, object] | None
    preflight: dict[str, object] | None
    vocabulary: dict[str, object] | None
    log: "pd.DataFrame"
    missing: tuple[str, ...]
    scores: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The run in words, unique in a study."""
        return f"{self.variant}, {self.pair}, seed {self.seed}"

    @property
    def key(self) -> tuple[str, str, int]:
        """Variant, pair and seed."""
        return self.variant, self.pair, self.seed

    @property
    def anchors(self) -> list[dict[str, object]]:
        """What the report of its vocabulary says about tokens in common, one record per pair."""
        found = (self.vocabulary or {}).get("anchors")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    @property
    def snapshots(self) -> int:
        """How many snapshots of its weights it was told to keep; 0 without steps or a record."""
        config = (self.artefact or {}).get("config")
        training = config.get("pretraining") if isinstance(config, dict) else None
        if not isinstance(training, dict) or not training.get("steps"):
            return 0
        kept = training.get("snapshots")
        return kept if isinstance(kept, int) else 0


@dataclass(frozen=True)
class Study:
    """A study as its folder describes it.

    Attributes:
        folder: Where it lies.
        name: The study's short name.
        title: What to print on top (the name if no title was given).
        description: Free text of its author, may be empty.
        config: The resolved configuration.
        versions: Package to version.
        runs: All runs that were planned, in the study's order.
        results: ``results.csv``.
        emergence: ``emergence.csv``, the same with a column step; empty if there is none.
        jobs: What ``plan.json`` says of each job (stage, settings, parents), by its folder.
        data: The data folder, from the same file; None without it.
        seconds: How long each finished job took, by its folder.
    """

    folder: Path
    name: str
    title: str
    description: str
    config: dict[str, object]
    versions: dict[str, str]
    runs: tuple[Run, ...]
    results: "pd.DataFrame"
    emergence: "pd.DataFrame"
    jobs: Mapping[str, JsonObject] = field(default_factory=dict)
    data: Path | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    _influence: dict[tuple[str, str, int], Mapping[Key, Floats]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def influence(self, variant: str, pair: str, seed: int) -> Mapping[Key, Floats]:
        """Return the influence values of test items on a model's scores, as its jobs kept them."""
        name = variant, pair, seed
        if name not in self._influence:
            jobs = [job for run in self.runs if run.key == name for job in run.scores]
            self._influence[name] = read_influence(self.folder / job for job in jobs)
        return self._influence[name]

    @property
    def variants(self) -> tuple[str, ...]:
        """Variants in the study's order, then any that only the scores name."""
        return self._names("variant")

    @property
    def pairs(self) -> tuple[str, ...]:
        """Languages of each model in the study's order, then any that only the scores name."""
        return self._names("pair")

    @property
    def comparisons(self) -> tuple[str, ...]:
        """The pairs of languages that probes compare, in the order of ``pairs``."""
        return tuple(name for pair in self.pairs for name in comparisons(pair))

    def _names(self, column: str) -> tuple[str, ...]:
        planned = [getattr(run, column) for run in self.runs]
        return tuple(dict.fromkeys([*planned, *self.results[column].unique()]))


def comparisons(pair: str) -> tuple[str, ...]:
    """Return what to call the comparisons of a model's base with each of its other languages.

    Example:
        >>> comparisons("en-fr"), comparisons("en-fr-ru")
        (('en-fr',), ('en-fr of en-fr-ru', 'en-ru of en-fr-ru'))
    """
    base, *others = pair_languages(pair)
    return tuple(comparison(pair, pair_name((base, other))) for other in others) or (pair,)


def comparison(pair: str, compared: str) -> str:
    """Name a comparison within a model of several languages; the pair itself in one of two."""
    several = len(pair_languages(pair)) > 2
    return f"{compared} of {pair}" if several else pair


def load_study(folder: Path) -> Study:
    """Read ``study.json``, ``results.csv`` and the folders of the runs.

    Raises:
        XlingError: If the study's description or scores are missing or malformed.
    """
    path = folder / "study.json"
    if not path.is_file():
        raise XlingError(
            f"{folder}: holds no study (study.json: not found); expected a folder that "
            "`xling study run` has written"
        )
    record = read_json(path)
    if not isinstance(record, dict) or not isinstance(record.get("name"), str):
        raise XlingError(f"{path}: no study name; expected an object with 'name' and 'runs'")
    runs = record.get("runs", [])
    if not isinstance(runs, list):
        raise XlingError(f"{path}: 'runs' is {type(runs).__name__}, expected a list")
    emergence = folder / EMERGENCE
    if not (folder / RESULTS).is_file():
        raise XlingError(
            f"{folder / RESULTS}: not found; the report needs the study's scores: run the study "
            "first"
        )
    results = read_scores(folder / RESULTS, OF_RUN)
    jobs, data = _read_plan(folder)
    return Study(
        folder=folder,
        name=record["name"],
        title=record.get("title") or record["name"],
        description=record.get("description") or "",
        config=record.get("config") or {},
        versions=record.get("versions") or {},
        runs=tuple(_load_run(folder, entry, path) for entry in runs),
        results=results,
        emergence=(
            read_scores(emergence, (*OF_RUN, "step"))
            if emergence.is_file()
            else results.iloc[:0].assign(step=0)
        ),
        jobs=jobs,
        data=data,
        seconds=record.get("seconds") or {},
    )


def _read_plan(folder: Path) -> tuple[dict[str, JsonObject], Path | None]:
    """Return the jobs of a study's plan and its data folder; nothing without a plan."""
    path = folder / "plan.json"
    if not path.is_file():
        return {}, None
    plan = read_json(path)
    try:
        jobs = {
            str(name): {"settings": {}, "parents": {}, **job, "stage": str(job["stage"])}
            for name, job in plan["jobs"].items()
        }
        for job in jobs.values():
            if job["stage"] == TASK_STAGE:
                job["settings"]["task"]  # the page groups jobs by it
        return jobs, folder / plan["data"]
    except (KeyError, TypeError, AttributeError) as error:
        raise XlingError(
            f"{path}: not a plan as `xling study run` writes it ({error!r}); run the study again"
        ) from None


def _load_run(folder: Path, entry: JsonObject, source: Path) -> Run:
    try:
        variant, pair, seed = str(entry["variant"]), str(entry["pair"]), int(entry["seed"])
        place = str(entry["folder"])
    except (KeyError, TypeError, ValueError):
        raise XlingError(
            f"{source}: run {entry!r} is not usable; expected variant, pair, seed and folder"
        ) from None
    run_folder = folder / place
    missing: list[str] = []
    if not run_folder.is_dir():
        missing.append("the run's folder: it failed or has not been run")
        log = _read_log(run_folder / "log.jsonl", [])
        artefact = preflight = None
    else:
        artefact = _read_object(
            run_folder / "artefact.json", "record of a finished training", missing
        )
        preflight = _read_object(
            run_folder / "preflight.json", "estimate made before training", missing
        )
        log = _read_log(run_folder / "log.jsonl", missing)
    report = folder / str(entry.get("tokens", place)) / "report.json"
    vocabulary = _read_object(report, "report of the vocabulary", missing)
    return Run(
        variant=variant,
        pair=pair,
        languages=tuple(map(str, entry.get("languages") or pair_languages(pair))),
        seed=seed,
        artefact=artefact,
        preflight=preflight,
        vocabulary=vocabulary,
        log=log,
        missing=tuple(missing),
        scores=tuple(map(str, entry.get("scores", ()))),
    )


def _read_object(path: Path, what: str, missing: list[str]) -> dict[str, object] | None:
    if not path.is_file():
        missing.append(f"{what} ({path.name})")
        return None
    try:
        value = read_json(path)
    except XlingError:
        value = None
    if not isinstance(value, dict):
        missing.append(f"{what} ({path.name} is not a JSON object)")
        return None
    return value


def _read_log(path: Path, missing: list[str]) -> "pd.DataFrame":
    import pandas as pd

    records, unreadable = [], 0
    if path.is_file():
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    record = json.loads(line)
                    records.append({name: record.get(name) for name in _LOG_TEXT + _LOG_NUMBERS})
                except (ValueError, AttributeError):
                    unreadable += bool(line.strip())
    if not records:
        missing.append(f"training log ({path.name})")
    elif unreadable:
        missing.append(f"{unreadable} unreadable lines of the training log ({path.name})")
    frame = pd.DataFrame(records, columns=list(_LOG_TEXT + _LOG_NUMBERS))
    for column in _LOG_NUMBERS:
        frame[column] = pd.to_numeric(frame[column], errors="coerce").astype("float64")
    for column in _LOG_TEXT:
        frame[column] = frame[column].fillna("").astype(str)
    frame = frame.dropna(subset=["step"])
    # A resumed run logs the steps after its last checkpoint again.
    return frame.drop_duplicates(["kind", "language", "step"], keep="last").reset_index(drop=True)
