"""The pictures of an audit, as Vega-Lite specifications in the colours of the page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xling.audit.scores import CEILING, CENTRED, CSLS, PLAIN, POOLED, RETRIEVAL, ROTATED, SUBSPACE
from xling.audit.vectors import called
from xling.names import pair_languages
from xling.report.charts import COLOURS
from xling.results import CHANCE, TRAINED, UNTRAINED

if TYPE_CHECKING:
    import pandas as pd

    from xling.audit.result import Audit

_MANY = 8  # more languages than this are drawn in one colour
_INDEX = "one index"
_LADDER = {
    PLAIN: "cosine",
    CENTRED: "means subtracted",
    CSLS: "and CSLS",
    SUBSPACE: "language subspace removed",
    ROTATED: "rotation learnt on other lines",
}
_HEIGHT = 260
Spec = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """One picture.

    Attributes:
        name: Name that can be used for a file.
        title: What it shows.
        caption: How to read it.
        spec: Its Vega-Lite specification, as wide as its container.
        model: The model it shows; empty for all.
        kind: ``layers``, ``ladder``, ``gain``, ``tokenizer``, ``map`` or ``series``.
    """

    name: str
    title: str
    caption: str
    spec: Spec
    model: str = ""
    kind: str = ""


def figures(found: "Audit") -> list[Figure]:
    """Return every picture for which there are numbers."""
    made: list[Figure] = []
    models = found.facts["models"]
    if len(models) > 1:
        made.append(_series(found))
    for number, model in enumerate(models, 1):
        rows = found.scores[found.scores["model"].eq(model["name"])]
        suffix = f"-{number}" if len(models) > 1 else ""
        made.append(_layers(model, rows, suffix))
        if model["metric"] == PLAIN:
            made.append(_ladder(model, rows, suffix))
        gains = found.rotation[found.rotation["model"].eq(model["name"])]
        if not gains.empty:
            made.append(_gain(model, gains, suffix))
        made.append(_tokenizer(model, rows, suffix))
        if model["map"]:
            made.append(_map(model, suffix))
    return made


def _layers(model: Mapping[str, Any], rows: "pd.DataFrame", suffix: str) -> Figure:
    """Retrieval by layer: all languages, one index, the untrained twin and chance."""
    metric = model["metric"]
    own = rows[rows["probe"].eq(RETRIEVAL) & rows["metric"].eq(metric) & rows["direction"].eq("")]
    own = own[own["draw"].isna()]
    values = []
    points: Any = own.itertuples()
    for row in points:
        if row.condition in (TRAINED, UNTRAINED):
            values.append(_point(model, row, pair_languages(row.language)[-1], row.condition))
    pooled = rows[rows["probe"].eq(POOLED) & rows["metric"].eq(PLAIN) & rows["language"].eq("")]
    for row in pooled[pooled["condition"].eq(TRAINED)].itertuples():
        values.append(_point(model, row, _INDEX, TRAINED))
    languages = model["languages"][1:]
    many = len(languages) > _MANY
    twin = [one for one in values if one["condition"] == UNTRAINED]
    trained = [one for one in values if one["condition"] == TRAINED]
    pairs = [one for one in trained if one["series"] != _INDEX]
    untrained = _means(twin, "untrained") if many else twin
    colour = _colour(languages, many)
    x, y = _by_layer(model), _share("found among the lines of the other language")
    layers: list[Spec] = []
    chance = own[own["condition"].eq(CHANCE)]["value"]
    if len(chance):
        layers.append(
            {
                "data": {"values": [{"value": round(float(chance.mean()), 5)}]},
                "mark": {"type": "rule", "strokeDash": [1, 4], "color": "currentColor"},
                "encoding": {"y": {**y, "field": "value"}},
            }
        )
    base = {"x": x, "detail": {"field": "series", "type": "nominal"}}
    if not many:
        layers.append(
            {
                "data": {"values": pairs},
                "mark": {"type": "area", "opacity": 0.15},
                "encoding": {
                    **base,
                    "y": {**y, "field": "low"},
                    "y2": {"field": "high"},
                    "color": colour,
                },
            }
        )
    line = {"type": "line", "strokeWidth": 1 if many else 2, "opacity": 0.45 if many else 1}
    layers.append(
        {
            "data": {"values": pairs},
            "mark": {**line, "point": not many},
            "encoding": {**base, "y": y, "color": colour, "tooltip": _tooltip()},
        }
    )
    if untrained:
        grey = {"value": "currentColor"} if many else colour
        layers.append(
            {
                "data": {"values": untrained},
                "mark": {"type": "line", "strokeDash": [6, 4], "strokeWidth": 1.5},
                "encoding": {**base, "y": y, "color": grey, "tooltip": _tooltip()},
            }
        )
    cut = own[own["condition"].eq(CEILING)].itertuples()
    ceiling = [_point(model, row, f"{model['languages'][0]} itself", CEILING) for row in cut]
    if ceiling:
        mark = {"type": "line", "strokeDash": [8, 3, 2, 3], "strokeWidth": 1.5}
        layers.append(
            {
                "data": {"values": ceiling},
                "mark": {**mark, "color": "currentColor"},
                "encoding": {"x": x, "y": y, "tooltip": _tooltip()},
            }
        )
    index = [one for one in trained if one["series"] == _INDEX]
    if index:
        layers.append(
            {
                "data": {"values": index},
                "mark": {"type": "line", "strokeWidth": 3.5, "color": "currentColor"},
                "encoding": {"x": x, "y": y, "tooltip": _tooltip()},
            }
        )
    caption = (
        f"Share of lines that are nearest to their translation, from and into "
        f"{model['languages'][0]}, at every layer"
    )
    if metric == ROTATED:
        caption += ", after a rotation learnt on other lines"
    parts = ["thin: " + ("every language" if many else "each language, with its 95 % interval")]
    if index:
        parts.append("thick: one index that holds all languages")
    if untrained:
        parts.append("dashed: an untrained model of the same shape")
    if ceiling:
        parts.append(
            f"dash-dotted: {model['languages'][0]} finds itself, cut into other pieces of the "
            "vocabulary"
        )
    if len(chance):
        parts.append("dotted: chance")
    return Figure(
        f"layers{suffix}",
        "Retrieval of translations by layer",
        f"{caption} ({'; '.join(parts)}).",
        _spec(layers, 320),
        model["name"],
        "layers",
    )


def _point(model: Mapping[str, Any], row: Any, series: str, condition: str) -> Spec:
    found = {
        "layer": int(row.layer),
        "name": model["layers"][int(row.layer)],
        "series": series,
        "condition": condition,
        "value": round(float(row.value), 4),
    }
    for end in ("low", "high"):
        value = getattr(row, end)
        if value == value:
            found[end] = round(float(value), 4)
    return found


def _means(points: list[Spec], series: str) -> list[Spec]:
    by_layer: dict[tuple[int, str], list[float]] = {}
    for point in points:
        by_layer.setdefault((point["layer"], point["name"]), []).append(point["value"])
    return [
        {"layer": layer, "name": name, "series": series, "value": sum(of) / len(of)}
        for (layer, name), of in sorted(by_layer.items())
    ]


def _ladder(model: Mapping[str, Any], rows: "pd.DataFrame", suffix: str) -> Figure:
    """Mean retrieval by layer after every step."""
    values = []
    own = rows[rows["probe"].eq(RETRIEVAL) & rows["condition"].eq(TRAINED)]
    own = own[own["direction"].eq("")]
    for metric, name in _LADDER.items():
        means = own[own["metric"].eq(metric)].groupby("layer")["value"].mean()
        for place, value in enumerate(means.reindex(range(len(model["layers"])))):
            if value == value:
                values.append(
                    {
                        "layer": place,
                        "name": model["layers"][place],
                        "series": name,
                        "value": round(float(value), 4),
                    }
                )
    steps = list(_LADDER.values())
    layer = {
        "data": {"values": values},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": _by_layer(model),
            "y": _share("nearest to their translation"),
            "color": _colour(steps, False, "after"),
            "tooltip": _tooltip(),
        },
    }
    return Figure(
        f"ladder{suffix}",
        "What each step gains",
        f"Mean over the languages of retrieval with {model['languages'][0]}, by cosine and after "
        "each step; the rotation starts from subtracted means and was learnt on other lines than "
        "those it is scored on.",
        _spec([layer]),
        model["name"],
        "ladder",
    )


def _gain(model: Mapping[str, Any], gains: "pd.DataFrame", suffix: str) -> Figure:
    """Retrieval after a rotation against the number of pairs it was learnt from."""
    layer = model["layers"].index(model["best layer"])
    rows = gains[gains["layer"].eq(layer)]
    names = [str(size) for size in sorted(rows["pairs"].unique())]
    points: Any = rows.itertuples()
    values = [
        {
            "pairs": str(row.pairs),
            "series": pair_languages(row.language)[-1],
            "value": round(float(row.value), 4),
            "low": round(float(row.low), 4),
            "high": round(float(row.high), 4),
        }
        for row in points
    ]
    languages = model["languages"][1:]
    many = len(languages) > _MANY
    x = {
        "field": "pairs",
        "type": "ordinal",
        "sort": names,
        "title": "pairs that the rotation was learnt from (0: none)",
        "axis": {"labelAngle": 0},
    }
    y = _share("nearest to their translation")
    colour = _colour(languages, many)
    detail = {"field": "series", "type": "nominal"}
    layers: list[Spec] = [
        {
            "data": {"values": values},
            "mark": {"type": "line", "point": not many, "opacity": 0.45 if many else 1},
            "encoding": {
                "x": x,
                "y": y,
                "color": colour,
                "detail": detail,
                "tooltip": [
                    {"field": "series", "title": "language"},
                    {"field": "pairs"},
                    *_tooltip()[2:],
                ],
            },
        }
    ]
    if not many:
        layers.insert(
            0,
            {
                "data": {"values": values},
                "mark": {"type": "area", "opacity": 0.12},
                "encoding": {
                    "x": x,
                    "y": {**y, "field": "low"},
                    "y2": {"field": "high"},
                    "color": colour,
                },
            },
        )
    return Figure(
        f"gain{suffix}",
        "What a learnt rotation gains, against the number of pairs",
        f"At {called(model['best layer'])}, on {int(rows['n'].max())} lines that no rotation was "
        "learnt from, which also are the candidates; so scores are higher than among all lines. "
        "Means are subtracted from the start.",
        _spec(layers),
        model["name"],
        "gain",
    )


def _tokenizer(model: Mapping[str, Any], rows: "pd.DataFrame", suffix: str) -> Figure:
    """Tokens of each language relative to the pivot."""
    own = rows[rows["probe"].eq("tokenizer")].set_index(["language", "metric"])["value"]
    values = [
        {
            "language": code,
            "value": round(float(own[code, "tokens-relative"]), 3),
            "unknown": round(float(own[code, "unknown"]), 4),
            "bytes": round(float(own[code, "byte-fallback"]), 4),
            "characters": round(float(own[code, "tokens-per-character"]), 3),
        }
        for code in model["languages"]
    ]
    height = max(60, 18 * len(values)) if len(values) <= 60 else 12 * len(values)
    bar = {
        "data": {"values": values},
        "mark": {"type": "bar", "color": COLOURS[0]},
        "encoding": {
            "y": {"field": "language", "type": "nominal", "sort": "x", "title": None},
            "x": {
                "field": "value",
                "type": "quantitative",
                "title": f"tokens, relative to {model['languages'][0]}",
            },
            "tooltip": [
                {"field": "language"},
                {"field": "value", "title": "tokens relative", "format": ".2f"},
                {"field": "characters", "title": "tokens per character", "format": ".2f"},
                {"field": "unknown", "title": "unknown", "format": ".2%"},
                {"field": "bytes", "title": "pieces of characters", "format": ".2%"},
            ],
        },
    }
    return Figure(
        f"tokenizer{suffix}",
        "Length in tokens",
        f"How many tokens the same lines take, relative to {model['languages'][0]}. More tokens "
        "cost time and leave less room.",
        _spec([bar], height),
        model["name"],
        "tokenizer",
    )


def _map(model: Mapping[str, Any], suffix: str) -> Figure:
    """Some lines in two dimensions; translations are joined."""
    points = model["map"]
    languages = list(dict.fromkeys(point["language"] for point in points))
    layer = model["best layer for one index"] or model["best layer"]
    # A line joins the translations of one sentence, in the order of the languages.
    order = {code: place for place, code in enumerate(languages)}
    values = [{**point, "order": order[point["language"]]} for point in points]
    axis = {"title": None, "axis": {"labels": False, "ticks": False, "grid": False}}
    x = {"field": "x", "type": "quantitative", "scale": {"zero": False}, **axis}
    y = {"field": "y", "type": "quantitative", "scale": {"zero": False}, **axis}
    layers = [
        {
            "data": {"values": values},
            "mark": {"type": "line", "strokeWidth": 0.7, "opacity": 0.35, "color": "currentColor"},
            "encoding": {
                "x": x,
                "y": y,
                "detail": {"field": "line", "type": "nominal"},
                "order": {"field": "order", "type": "quantitative"},
            },
        },
        {
            "data": {"values": values},
            "mark": {"type": "point", "filled": True, "size": 45, "opacity": 0.9},
            "encoding": {
                "x": x,
                "y": y,
                "color": {**_colour(languages, False), "field": "language"},
                "tooltip": [{"field": "language"}, {"field": "line"}],
            },
        },
    ]
    return Figure(
        f"map{suffix}",
        "Parallel lines in two dimensions",
        f"The two principal components at {called(layer)} of {len(points) // len(languages)} "
        "lines; a grey line joins the translations of one sentence. Two dimensions of "
        f"{model['width']} show the coarsest differences only.",
        _spec(layers, 320),
        model["name"],
        "map",
    )


def _series(found: "Audit") -> Figure:
    """Models side by side: every language at each model's best layer."""
    values = [
        {
            "model": model["name"],
            "series": code,
            "value": round(of["value"], 4),
            "low": round(of["low"], 4),
            "high": round(of["high"], 4),
        }
        for model in found.facts["models"]
        for code, of in model["standing"].items()
    ]
    names = [model["name"] for model in found.facts["models"]]
    languages = list(dict.fromkeys(one["series"] for one in values))
    many = len(languages) > _MANY
    layer = {
        "data": {"values": values},
        "mark": {"type": "line", "point": True, "opacity": 0.45 if many else 1},
        "encoding": {
            "x": {
                "field": "model",
                "type": "ordinal",
                "sort": names,
                "title": None,
                "axis": {"labelAngle": -20, "labelLimit": 160},
            },
            "y": _share("nearest to their translation"),
            "color": _colour(languages, many),
            "detail": {"field": "series", "type": "nominal"},
            "tooltip": [
                {"field": "model"},
                {"field": "series", "title": "language"},
                *_tooltip()[2:],
            ],
        },
    }
    return Figure(
        "models",
        "The models beside each other",
        "Retrieval of every language with the pivot at the best layer of each model.",
        _spec([layer]),
        kind="series",
    )


def _by_layer(model: Mapping[str, Any]) -> Spec:
    """Return the axis of layers; the model's own output comes after the last."""
    axis: Spec = {"grid": False, "tickMinStep": 1, "format": "d"}
    if model["layers"][-1] == "output":
        last = len(model["layers"]) - 1
        axis["labelExpr"] = f"datum.value == {last} ? 'own output' : datum.label"
    scale = {"domain": [0, max(1, len(model["layers"]) - 1)], "nice": False, "padding": 12}
    return {
        "field": "layer",
        "type": "quantitative",
        "title": "layer (0 = embeddings)",
        "axis": axis,
        "scale": scale,
    }


def _share(title: str) -> Spec:
    return {
        "field": "value",
        "type": "quantitative",
        "title": title,
        "axis": {"format": "%"},
        "scale": {"domain": [0, 1]},
    }


def _tooltip() -> list[Spec]:
    return [
        {"field": "series", "title": " "},
        {"field": "name", "title": "layer"},
        {"field": "value", "title": "share", "format": ".1%"},
        {"field": "low", "title": "at least", "format": ".1%"},
        {"field": "high", "title": "at most", "format": ".1%"},
    ]


def _colour(names: list[str], many: bool, title: str = "language") -> Spec:
    if many:
        return {"value": COLOURS[0]}
    colours = [COLOURS[place % len(COLOURS)] for place in range(len(names))]
    return {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": names, "range": colours},
        "legend": {
            "title": title,
            "orient": "bottom",
            "columns": 4 if title == "language" else 2,
            "symbolOpacity": 1,
            "labelLimit": 0,
        },
    }


def _spec(layers: list[Spec], height: int = _HEIGHT) -> Spec:
    return {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": layers,
    }


def drawings(found: "Audit") -> Iterator[tuple[str, Spec]]:
    """Yield name and specification of every picture, at a fixed width for files."""
    for figure in figures(found):
        spec = {name: part for name, part in figure.spec.items() if name != "autosize"}
        title = figure.title + (f": {figure.model}" if figure.model else "")
        yield figure.name, {**spec, "width": 560, "title": title}
