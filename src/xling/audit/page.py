"""The page of an audit: one self-contained file; and its pictures as files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xling import __version__, formatting
from xling.audit.advice import FLOOR, ROOF, percent
from xling.audit.figures import Figure, drawings, figures
from xling.audit.measure import MANY
from xling.audit.scores import PLAIN, POOLED, RETRIEVAL
from xling.audit.vectors import called
from xling.report.charts import chart_config, joined_svg
from xling.report.html import (
    drawing_library,
    package_text,
    script_hash,
    template_environment,
)
from xling.report.tables import Cell, Table
from xling.results import TRAINED, UNTRAINED

if TYPE_CHECKING:
    from xling.audit.result import Audit

_SHOWN_LANGUAGES = 12  # columns of the table of models
_CUT = 1 / 3  # share of lines cut that deserves a caveat
_POOLINGS = {
    "mean": "The mean of a line's token vectors, special tokens left out,",
    "weighted": "The mean of all token vectors of a line, each with the weight of its position,",
    "first": "The vector of a line's first token",
    "last": "The vector of a line's last token",
}
_ROWS = 40  # the table of languages is open up to this number


def render(found: "Audit") -> str:
    """Return the page."""
    from markupsafe import Markup

    drawn = figures(found)
    drawing, script = drawing_library(), package_text("audit.js", "audit")
    facts = found.facts
    models = [_model(found, model, drawn) for model in facts["models"]]
    return (
        template_environment(_template)
        .get_template("audit.html.j2")
        .render(
            title=_title(facts),
            facts=facts,
            models=models,
            called=called,
            comparison=_comparison(found) if len(models) > 1 else None,
            pooling=_POOLINGS[facts["settings"]["pooling"]],
            series=[figure for figure in drawn if figure.kind == "series"],
            caveats=_caveats(found),
            version=__version__,
            roof=percent(ROOF),
            floor=percent(FLOOR),
            settings=json.dumps(facts["settings"], indent=1, ensure_ascii=False),
            charts={
                "config": chart_config(),
                "panels": {figure.name: figure.spec for figure in drawn},
                "matrices": {f"matrix-{i}": model["heat"] for i, model in enumerate(models)},
            },
            style=Markup(package_text("style.css") + package_text("audit.css", "audit")),
            drawing=Markup(drawing),
            script=Markup(script),
            script_hashes=[script_hash(drawing), script_hash(script)],
        )
    )


def write_figures(found: "Audit", folder: Path) -> None:
    """Write every picture as SVG and PNG."""
    import vl_convert

    folder.mkdir()
    for name, spec in drawings(found):
        svg = joined_svg([[spec]])
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
        (folder / f"{name}.png").write_bytes(vl_convert.svg_to_png(svg, scale=2))


def _template(name: str) -> str:
    return package_text(name, "report" if name == "macros.html.j2" else "audit")


def _title(facts: Mapping[str, Any]) -> str:
    models = facts["models"]
    if len(models) == 1:
        return f"How cross-lingual is {models[0]['name']}?"
    return f"How cross-lingual are these {len(models)} models?"


def _model(found: "Audit", model: Mapping[str, Any], drawn: list[Figure]) -> dict[str, Any]:
    name = model["name"]
    mine = {figure.kind: figure for figure in drawn if figure.model == name}
    return {
        **model,
        "size": formatting.large(model["parameters"]),
        "advice": [one for one in found.advice if one.model == name],
        "figures": mine,
        "languages_table": _languages(found, model),
        "open": len(model["languages"]) <= _ROWS,
        "heat": {
            "languages": model["languages"],
            "layers": model["layers"],
            "best": model["layers"].index(model["best layer"]),
            "metrics": model["matrices"],
        },
    }


def _languages(found: "Audit", model: Mapping[str, Any]) -> Table:
    """Every language at the best layer: retrieval, the untrained model, one index, tokens."""
    scores = found.scores[found.scores["model"].eq(model["name"])]
    tokens = scores[scores["probe"].eq("tokenizer") & scores["metric"].eq("tokens-relative")]
    relative = tokens.set_index("language")["value"]
    kinds = {"inside": "above", "outside": "below", "at the edge": "unclear"}
    rows: list[tuple[Cell, ...]] = []
    note = ""
    for code, of in model["standing"].items():
        twin = "–" if of["untrained"] is None else percent(of["untrained"])
        index = "–" if of["one index"] is None else percent(of["one index"])
        rows.append(
            (
                Cell(code),
                Cell(of["standing"], kinds[of["standing"]]),
                Cell(percent(of["value"]), "number"),
                Cell(f"{percent(of['low'])} to {percent(of['high'])}", "number"),
                Cell(twin, "number"),
                Cell(index, "number"),
                Cell(f"{float(relative[code]):.2f}", "number"),
            )
        )
    if top := model["ceiling"]:
        pivot = model["languages"][0]
        ends = f"{percent(top['low'])} to {percent(top['high'])}"
        shown = (percent(top["value"]), ends, "–", "–", "1.00")
        rows.append((Cell(pivot), Cell("ceiling"), *(Cell(text, "number") for text in shown)))
        note = (
            f"The ceiling: how many of {top['n']} lines in {pivot} find themselves among all lines "
            "when they are split into other pieces of the same vocabulary."
        )
    at = model["best layer for one index"]
    return Table(
        f"Languages at {called(model['best layer'])}, beside {model['languages'][0]}"
        + ("" if at is None else f"; in one index at {called(at)}"),
        (
            "language",
            "standing",
            "retrieval",
            "95 % interval",
            "untrained",
            "one index",
            "tokens",
        ),
        1,
        tuple(rows),
        note=note,
    )


def _comparison(found: "Audit") -> Table:
    """One row per model: best layer, quality, size and speed."""
    models = found.facts["models"]
    languages = models[0]["languages"][1:][:_SHOWN_LANGUAGES]
    best = {
        code: max(model["standing"].get(code, {"value": 0.0})["value"] for model in models)
        for code in languages
    }
    rows = []
    for model in models:
        standing, speed = model["standing"], model["lines a second"]
        mean = sum(of["value"] for of in standing.values()) / len(standing)
        cells = [
            Cell(model["name"]),
            Cell(model["best layer"], "number"),
            Cell(percent(mean), "number"),
            Cell(_pooled(found, model), "number"),
            Cell(formatting.large(model["parameters"]), "number"),
            Cell("–" if speed is None else f"{speed:.0f}", "number"),
        ]
        for code in languages:
            value = standing[code]["value"] if code in standing else None
            kind = "best number" if value == best[code] else "number"
            cells.append(Cell("–" if value is None else percent(value), kind))
        rows.append(tuple(cells))
    heads = ("model", "best layer", "mean", "one index", "parameters", "lines/s", *languages)
    return Table(
        "Retrieval at each model's best layer, size and speed",
        heads,
        1,
        tuple(rows),
        note="Lines a second are those of this machine, in one pass; none where vectors were kept.",
    )


def _pooled(found: "Audit", model: Mapping[str, Any]) -> str:
    layer = model["best layer for one index"]
    if layer is None:
        return "–"
    scores = found.scores
    row = scores[
        scores["model"].eq(model["name"])
        & scores["probe"].eq(POOLED)
        & scores["metric"].eq(PLAIN)
        & scores["condition"].eq(TRAINED)
        & scores["language"].eq("")
        & scores["layer"].eq(model["layers"].index(layer))
    ]
    return percent(float(row["value"].iloc[0]))


def _caveats(found: "Audit") -> list[str]:
    """Say what limits the figures of this audit."""
    facts, scores = found.facts, found.scores
    lines, languages = facts["lines"], facts["languages"]
    sentences = [
        f"Everything was measured on {lines:,} lines of {facts['dataset']}. Retrieval gets harder "
        "with more candidates, so compare only figures of equally many lines of the same kind.",
        "Layers and steps were chosen on every second line, and their gains measured on the "
        "others. The scores themselves are of all lines.",
    ]
    if any(of["low"] == 1 for model in facts["models"] for of in model["standing"].values()):
        sentences.append(
            f"An interval of 100 % to 100 % says that each of these {lines:,} lines was found; of "
            f"all lines like them it may be {percent(0.025 ** (1 / lines))} (Clopper and Pearson)."
        )
    if len(languages) == 2:
        sentences.append("With two languages, one index shows only whether they overlap.")
    twins = scores[
        scores["probe"].eq(RETRIEVAL)
        & scores["metric"].eq(PLAIN)
        & scores["condition"].eq(UNTRAINED)
        & scores["layer"].eq(0)
        & scores["direction"].eq("")
        & scores["draw"].isna()
    ]["value"]
    if len(twins):
        sentences.append(
            f"An untrained model of the same shape finds {percent(float(twins.max()))} at layer 0 "
            f"in the easiest language, where guessing finds {percent(1 / lines)}: names, digits "
            "and other tokens that languages share match without any training."
        )
    else:
        sentences.append("No untrained model was measured, so nothing tells what tokens alone do.")
    cut: Any = scores[scores["probe"].eq("coverage") & scores["metric"].eq("truncated")]
    for row in cut.itertuples():
        if row.n and row.value >= _CUT * row.n:
            sentences.append(
                f"{row.model} cuts {int(row.value):,} of {int(row.n):,} lines in {row.language} at "
                "its last position: its figures there are of the beginnings of lines."
            )
    unknown = scores[scores["probe"].eq("tokenizer") & scores["metric"].eq("unknown")]
    worst: Any = unknown[unknown["value"] > 0.05]
    for row in worst.head(5).itertuples():
        sentences.append(
            f"{percent(float(row.value))} of the tokens of {row.language} are unknown to "
            f"{row.model}: its figures there say little."
        )
    if len(languages) > MANY:
        sentences.append(
            f"With more than {MANY} languages, neither the anchor-free forms nor other poolings "
            "are measured."
        )
    return sentences
