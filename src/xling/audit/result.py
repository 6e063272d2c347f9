"""The result of an audit: tables, advice and page, in memory or as a folder.

::

    DIR/
      audit.html       everything on one self-contained page
      audit.json       what the page says: models, languages, advice, worst pairs, versions
      scores.csv       a row per score: model, and the columns of xling's score tables
      rotation.csv     retrieval after rotations learnt from more and more pairs
      matrix.csv       retrieval from every language to every other
      figures/         each picture as SVG and PNG
      influence/       for paired comparisons: how much each line moves a score
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xling import artefact, formatting
from xling.audit.advice import Advice, standings
from xling.audit.measure import MANY, Measured
from xling.audit.scores import CEILING, CENTRED, PLAIN, POOLED, RETRIEVAL
from xling.errors import XlingError, need_extra
from xling.files import atomic_file, atomic_folder, read_json
from xling.influence import Floats, of_mean, write_influence
from xling.names import as_name, pair_name
from xling.results import SCORES, TRAINED, Key, Score, as_table

if TYPE_CHECKING:
    import pandas as pd

INDEX, PAGE = "audit.json", "audit.html"
ROTATION, MATRIX = "rotation.csv", "matrix.csv"
_WORST_LANGUAGES, _WORST_LINES = 12, 3
_MAP_LANGUAGES, _MAP_LINES = 8, 40
_KEPT_HITS = ((RETRIEVAL, PLAIN), (RETRIEVAL, CENTRED), (POOLED, PLAIN))


@dataclass(frozen=True, eq=False)
class Audit:
    """The result of an audit; ``save`` writes it, and a notebook shows it as a card.

    Attributes:
        scores: A row per score, with the column ``model`` in front.
        rotation: Retrieval after a learnt rotation, with the columns ``model`` and ``pairs`` in
            front.
        matrix: Retrieval from every language (``source``) to every other (``target``).
        advice: What to know and to do, the most important of each model first.
        facts: The content of ``audit.json``.
        influence: For each model, how much each line changes its retrieval scores.
    """

    scores: "pd.DataFrame"
    rotation: "pd.DataFrame"
    matrix: "pd.DataFrame"
    advice: list[Advice]
    facts: dict[str, Any]
    influence: Mapping[str, Mapping[Key, Floats]] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, dict[str, Any]]:
        """Every picture by name, as a Vega-Lite specification."""
        from xling.audit.figures import figures

        return {figure.name: figure.spec for figure in figures(self)}

    def html(self) -> str:
        """Return the page, which is self-contained."""
        need_extra("report", "the page of an audit")
        from xling.audit.page import render

        return render(self)

    def save(self, folder: Path | str) -> None:
        """Write everything into a folder, which is made or replaced.

        Without the extra ``report`` it writes tables and ``audit.json``, but no page.
        """
        with atomic_folder(Path(folder)) as temporary:
            self.write(temporary)

    def write(self, folder: Path) -> None:
        """Write everything into an existing folder."""
        from xling.csv_tables import write_table
        from xling.errors import has_extra

        tables = {SCORES: self.scores, ROTATION: self.rotation, MATRIX: self.matrix}
        for name, frame in tables.items():
            with atomic_file(folder / name) as file:
                write_table(frame, file)
        with atomic_file(folder / INDEX) as file:
            json.dump(self.facts, file, ensure_ascii=False, indent=1)
        for model, values in self.influence.items():
            place = folder / "influence" / as_name(model)
            place.mkdir(parents=True)
            write_influence(place, values)
        if has_extra("report"):
            from xling.audit.page import write_figures

            with atomic_file(folder / PAGE) as file:
                file.write(self.html())
            write_figures(self, folder / "figures")

    @classmethod
    def load(cls, folder: Path) -> "Audit":
        """Read a saved audit, without the influence values that only comparisons need.

        Raises:
            XlingError: there is none, or it is damaged.
        """
        from xling.csv_tables import read_table
        from xling.results import read_scores

        if not (folder / INDEX).is_file():
            raise XlingError(f"{folder / INDEX}: not found; expected what `xling audit` writes")
        facts = read_json(folder / INDEX)
        try:
            advice = [Advice(**one) for one in facts["advice"]]
            known = all(model["standing"] and model["layers"] for model in facts["models"])
        except (KeyError, TypeError):
            known = False
        if not known:
            raise XlingError(f"{folder / INDEX}: is none of an audit, or damaged; run it again")
        scores = read_scores(folder / SCORES, ["model"])
        rotation = read_scores(folder / ROTATION, ["model", "pairs"])
        rotation["pairs"] = rotation["pairs"].astype("Int64")
        matrix = read_table(folder / MATRIX, {"layer": "Int64", "value": "float64"})
        return cls(scores, rotation, matrix, advice, facts)

    def _repr_html_(self) -> str:
        """Return the headline picture and the advice for a notebook."""
        from html import escape

        from xling.errors import has_extra

        pictures = []
        if has_extra("report"):
            from xling.audit.figures import drawings
            from xling.report.charts import joined_svg

            drawn = (spec for name, spec in drawings(self) if name.startswith("layers"))
            pictures = [f'<div style="background: white">{joined_svg([[s]])}</div>' for s in drawn]
        parts = []
        for number, model in enumerate(self.facts["models"]):
            mine = [one for one in self.advice if one.model == model["name"]]
            rows = "".join(f"<li>{escape(one.sentence)}</li>" for one in mine)
            picture = pictures[number] if pictures else ""
            parts.append(f"<h4>{escape(model['name'])}</h4>{picture}<ul>{rows}</ul>")
        return "".join(parts)


class Collector:
    """Combines the measurements of several models, one model after the other."""

    def __init__(self) -> None:
        self._scores: list[Any] = []
        self._rotation: list[Any] = []
        self._matrix: list[tuple[Any, ...]] = []
        self.models: list[dict[str, Any]] = []
        self.advice: list[Advice] = []
        self._influence: dict[str, dict[Key, Floats]] = {}
        self._speed: list[float | None] = []

    def add(self, measured: Measured, advice: Sequence[Advice], more: Sequence[Score]) -> None:
        """Add the measurements of a model.

        Args:
            measured: The measurements.
            advice: The advice from them.
            more: Further scores, such as those of tasks.
        """
        name = measured.subject.name
        frame = as_table([*measured.found.scores, *measured.others, *more])
        frame.insert(0, "model", name)
        self._scores.append(frame)
        rotation = as_table([score for _, score in measured.rotation])
        rotation.insert(0, "pairs", [size for size, _ in measured.rotation])
        rotation.insert(0, "model", name)
        self._rotation.append(rotation)
        few = len(measured.languages) <= MANY
        wanted = {measured.best, measured.best_pooled, len(measured.layers) - 1}
        for layer, metric, values in measured.matrices:
            if few or layer in wanted:
                self._matrix += [
                    (name, layer, metric, a, b, float(values[i, j]))
                    for i, a in enumerate(measured.languages)
                    for j, b in enumerate(measured.languages)
                    if i != j
                ]
        self.models.append(_facts(measured))
        self._speed.append(measured.speed)
        self.advice += advice
        self._influence[name] = _influence(measured)

    def audit(self, dataset: str, settings: Mapping[str, Any], lines: int) -> Audit:
        """Return the audit of all models so far."""
        import pandas as pd

        if len(self.models) > 1:  # for a single model it says nothing and differs in every run
            for model, speed in zip(self.models, self._speed, strict=True):
                model["lines a second"] = None if speed is None else round(speed, 1)
        facts = {
            "dataset": dataset,
            "lines": lines,
            "languages": self.models[0]["languages"],
            "models": self.models,
            "advice": [asdict(one) for one in self.advice],
            "settings": dict(settings),
            "versions": artefact.versions(),
        }
        columns = ["model", "layer", "metric", "source", "target", "value"]
        return Audit(
            pd.concat(self._scores, ignore_index=True),
            pd.concat(self._rotation, ignore_index=True),
            pd.DataFrame(self._matrix, columns=columns),
            list(self.advice),
            facts,
            dict(self._influence),
        )


def _facts(measured: Measured) -> dict[str, Any]:
    subject = measured.subject
    return {
        "name": subject.name,
        "languages": list(measured.languages),
        "layers": list(measured.layers),
        "width": measured.width,
        "parameters": subject.parameters,
        "prefix": subject.prefix,
        "metric": measured.metric,
        "best layer": measured.layers[measured.best],
        "best layer for one index": (
            None if measured.best_pooled is None else measured.layers[measured.best_pooled]
        ),
        "standing": standings(measured),
        "ceiling": _ceiling(measured),
        "worst": _worst(measured) if measured.comparable else [],
        "map": _map(measured) if measured.comparable else [],
        "matrices": _matrices(measured),
    }


def _ceiling(measured: Measured) -> dict[str, Any] | None:
    """Return how well the pivot, tokenised differently, finds itself at the best layer."""
    wanted = RETRIEVAL, PLAIN, CEILING, measured.best
    for score in measured.others:
        if (score.probe, score.metric, score.condition, score.layer) == wanted:
            return {"value": score.value, "low": score.low, "high": score.high, "n": score.n}
    return None


def _worst(measured: Measured) -> list[dict[str, Any]]:
    """Return the worst lines of the weakest languages: the largest margins of a wrong line."""
    hits = measured.hits(PLAIN)[:, measured.best]
    order = np.argsort(hits.mean(axis=1), kind="stable")[:_WORST_LANGUAGES]
    X = measured.vectors[measured.pivot].at(measured.best).astype(np.float64)
    found = []
    for place in order:
        code = measured.languages[1 + int(place)]
        Y = measured.vectors[code].at(measured.best).astype(np.float64)
        x, y = (
            side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-30) for side in (X, Y)
        )
        cosine = x @ y.T
        gold = np.diag(cosine).copy()
        np.fill_diagonal(cosine, -np.inf)
        other = cosine.argmax(axis=1)
        margin = gold - cosine[np.arange(len(gold)), other]
        for line in np.argsort(margin, kind="stable")[:_WORST_LINES]:
            if margin[line] < 0:
                wrong = int(other[line])
                found.append(
                    {
                        "language": code,
                        "line": int(line) + 1,
                        "source": measured.lines[measured.pivot][line],
                        "translation": measured.lines[code][line],
                        "neighbour": measured.lines[code][wrong],
                        "neighbour line": wrong + 1,
                        "cosine": round(float(gold[line]), 4),
                        "cosine of neighbour": round(float(cosine[line, wrong]), 4),
                    }
                )
    return found


def _map(measured: Measured) -> list[dict[str, Any]]:
    """Return some lines in two dimensions: the two principal components at the best layer."""
    layer = measured.best if measured.best_pooled is None else measured.best_pooled
    languages = measured.languages[:_MAP_LANGUAGES]
    count = len(measured.lines[measured.pivot])
    chosen = np.unique(np.linspace(0, count - 1, min(count, _MAP_LINES)).astype(int))
    sides = [measured.vectors[code].at(layer)[chosen] for code in languages]
    rows = np.concatenate(sides).astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
    rows -= rows.mean(axis=0)
    axes = np.linalg.svd(rows, full_matrices=False)[2][:2]
    points = np.round(rows @ axes.T, 4).tolist()
    codes = [code for code in languages for _ in chosen]
    return [
        {"x": x, "y": y if axes.shape[0] > 1 else 0.0, "language": code, "line": int(line) + 1}
        for (x, y), code, line in zip(
            [(*point, 0.0)[:2] for point in points], codes, [*chosen] * len(languages), strict=True
        )
    ]


def _matrices(measured: Measured) -> dict[str, str]:
    """Return p@1 of all pairs in percent: for each metric bytes [layers, K, K], in base 64."""
    found = {}
    for metric in dict.fromkeys(metric for _, metric, _ in measured.matrices):
        layers = [values for _, of, values in measured.matrices if of == metric]
        percents = np.rint(100 * np.stack(layers)).astype(np.uint8)
        found[metric] = base64.b64encode(percents.tobytes()).decode()
    return found


def _influence(measured: Measured) -> dict[Key, Floats]:
    dataset = next((score.dataset for score in measured.found.scores), "")
    found: dict[Key, Floats] = {}
    for (probe, metric, code), hits in measured.found.hits.items():
        if (probe, metric) not in _KEPT_HITS:
            continue
        language = pair_name((measured.pivot, code)) if probe == RETRIEVAL else code
        for layer in {measured.best, measured.best_pooled or 0, len(hits) - 1}:
            if not np.isnan(hits[layer]).any():
                key = Key(probe, dataset, language, "", layer, TRAINED, None, metric)
                found[key] = of_mean(hits[layer])
    return found


def size_of(parameters: int) -> str:
    """Write a number of parameters."""
    return formatting.large(parameters)
