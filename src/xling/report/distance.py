"""Distance of two constructed languages against what is transferred between them."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from xling import formatting
from xling.conlang.spec import SPEC_FILE, ConlangSpec, distance
from xling.errors import XlingError
from xling.files import read_yaml
from xling.names import pair_languages
from xling.report.charts import Figure, Panel, described
from xling.report.coverage import compared
from xling.report.line_chart import DISTANCE, line_spec
from xling.report.load import Study
from xling.report.retrieval import at_best_layers, of_measure
from xling.report.scores import CENTRED, RETRIEVAL, SERIES, average, by_seed
from xling.report.tables import over_seeds
from xling.report.tasks import METRICS, TASK_NAMES, task_names, transfer_scores
from xling.results import TRAINED, UNTRAINED

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = 3
_CAPTION = (
    "Each point is a pair of languages: their distance (the share of parameters that differ, mean "
    "over word order, marking, sound and words) against a score on the target language, mean of "
    "all seeds. Solid: the trained encoder, the band its 95\u00a0% interval. Dashed: an untrained "
    "encoder. Retrieval is at each variant's best layer."
)


@dataclass(frozen=True)
class DistancePart:
    """The figure of distance, if there is one, and what it leaves out."""

    figures: tuple[Figure, ...]
    missing: tuple[str, ...]


def language_distances(study: Study) -> dict[str, float]:
    """Return the distance of each pair's languages where it is known, by the comparison's name.

    It is known for constructed languages, from the world's specification in the study's plan or
    beside its data, and for a language and its copy (0).
    """
    spec, same = _specification(study), _copies(study)
    found = {}
    for name in study.comparisons:
        base, other, *_ = (*compared(name)[1], name)
        if same.get(other) == base:
            found[name] = 0.0
        elif spec and base in spec.languages and other in spec.languages:
            found[name] = distance(spec.languages[base], spec.languages[other])["all"]
    return found


def distance_figure(study: Study, split: "pd.DataFrame") -> DistancePart:
    """Draw every score against distance, a panel per score and a line per variant.

    Args:
        study: The study.
        split: Its scores by layer, from ``scores.split_scores``.
    """
    known = language_distances(study)
    unknown = [pair for pair in study.comparisons if pair not in known]
    missing = []
    if unknown:
        missing.append(
            f"The distance of {formatting.listing(unknown)} is not known, so it is left out: only "
            "constructed languages have one."
        )
    parts = {**_retrieval(split), **_tasks(study.results)} if known else {}
    panels = []
    for title, (quantity, points) in parts.items():
        here = points[points["pair"].isin(list(known))]
        if here["pair"].nunique() < 2:
            continue
        here = here.assign(distance=here["pair"].map(known), measure=quantity, detail="")
        panels.append(_panel(here, study.variants, title, quantity))
    if known and not panels:
        missing.append("No score has two pairs of known distance: there is nothing to draw.")
    if not panels:
        return DistancePart((), tuple(missing))
    figure = Figure(
        name="distance",
        pair="",
        title="Scores by distance of the languages",
        caption=f"{_CAPTION} Distances: {_places(known)}.",
        columns=min(len(panels), _COLUMNS),
        panels=tuple(panels),
        paper="transfer falls with distance: inference of its default model is right in 73.6 % for "
        "French, 68.7 % for Russian and 68.3 % for Chinese, trees in 73.2, 56.6 and 28.8 % (LAS).",
    )
    return DistancePart((figure,), tuple(missing))


def _specification(study: Study) -> ConlangSpec | None:
    """Return the world's specification: what the study makes its data from, or beside the data."""
    try:
        for job in study.jobs.values():
            if job["stage"] == "data":
                return ConlangSpec.parse(job["settings"], "plan.json")
        path = (study.data or study.folder) / SPEC_FILE
        return ConlangSpec.parse(read_yaml(path), str(path)) if path.is_file() else None
    except XlingError:
        return None


def _copies(study: Study) -> dict[str, str]:
    """Return the languages that are copies, with the language that each copies."""
    return {
        language: made["of"]
        for job in study.jobs.values()
        if job["stage"] == "derive"
        for language, made in job["settings"]["languages"].items()
        if made["how"] == "same"
    }


def _retrieval(split: "pd.DataFrame") -> dict[str, tuple[str, "pd.DataFrame"]]:
    points, seeds = average(split), by_seed(split)
    points = points[points["encoder"].isin([TRAINED, UNTRAINED])]
    parts = {}
    for dataset in dict.fromkeys(seeds["dataset"]):
        of_set, measure = of_measure(seeds, dataset)
        best = at_best_layers(of_set)
        for tokens, rows in best[best["family"].eq(RETRIEVAL)].groupby("tokens", sort=False):
            at = rows[[*SERIES, "layer"]].drop_duplicates()
            centred = ", centred" if measure == CENTRED else ""
            table = points.merge(at, on=list(at.columns))
            parts[f"retrieval on {dataset}, {tokens}{centred}"] = ("precision@1", table)
    return parts


def _tasks(results: "pd.DataFrame") -> dict[str, tuple[str, "pd.DataFrame"]]:
    import pandas as pd

    scores = transfer_scores(results)
    scores = scores[scores["layer"].isna()]
    target = scores["language"].ne(scores["pair"].map(lambda pair: pair_languages(pair)[0]))
    parts = {}
    for task in task_names(scores):
        of_task = scores[scores["task"].eq(task) & target]
        chief = next((name for name in METRICS if of_task["metric"].eq(name).any()), "")
        rows = of_task[of_task["metric"].eq(chief)]
        tables = [
            _averaged(rows[rows["condition"].eq(condition)]).assign(encoder=condition)
            for condition in (TRAINED, UNTRAINED)
            if rows["condition"].eq(condition).any()
        ]
        if chief and tables:
            parts[TASK_NAMES.get(task, task)] = (METRICS[chief], pd.concat(tables))
    return parts


def _averaged(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Average over seeds: one row per variant and pair."""
    table = over_seeds(rows.assign(column=rows["pair"]), "")
    table = table.rename(columns={"column": "pair"})
    return table[["variant", "pair", "value", "low", "high", "seeds"]]


def _panel(points: "pd.DataFrame", variants: tuple[str, ...], title: str, quantity: str) -> Panel:
    what = f"{quantity} by distance of the languages, from near to far, {title}"
    draw = partial(line_spec, points, variants, title, quantity, quantity, axis=DISTANCE)
    return Panel.of(title, described(points, "distance", what), draw)


def _places(known: dict[str, float]) -> str:
    ordered = sorted(known.items(), key=lambda item: item[1])
    return ", ".join(f"{pair} {far:.2f}" for pair, far in ordered)
