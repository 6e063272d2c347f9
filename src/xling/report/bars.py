"""How well languages come to share a space in each variant: one bar each, and a map of doses."""

import json
from collections.abc import Sequence
from functools import partial
from statistics import fmean, variance
from typing import TYPE_CHECKING, Any

from xling import formatting
from xling.estimate import half_width
from xling.report.charts import COLOURS, Figure, Panel, finished
from xling.report.emergence import Curves
from xling.report.load import Study
from xling.report.scores import (
    ALL_TOKENS,
    ANCHOR_FREE,
    CENTRED,
    PLAIN,
    RETRIEVAL,
    by_seed,
    split_scores,
)
from xling.report.tasks import METRICS, TASK_NAMES, task_names, transfer_scores
from xling.results import CHANCE, TRAINED, UNTRAINED, of_targets

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 3  # variants, or doses, that are worth a picture
_ROW = 20
_LETTER, _LONGEST = 7, 220  # pixels
_BLUE, _ORANGE = COLOURS[0], COLOURS[5]
_CAPTION = (
    "One bar per variant, in the order of the study: the mean over seeds; circles: single seeds; "
    "whisker: the 95\u00a0% interval of the mean over seeds (Student's t), or over test items with "
    "one seed. Orange line across a bar: an untrained encoder. Dotted line: chance. Retrieval is "
    "precision@1 at each variant's best layer{form}; a task is tested on the target language. "
    "Compare a variant's bar with that of the variant it takes something away from."
)


def seed_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of a mean over seeds; None for fewer than two.

    Student's t with n - 1 degrees of freedom, cut at 0 and 1.
    """
    count = len(values)
    if count < 2:
        return None
    half, mean = half_width(variance(values) / count, count - 1), fmean(values)
    return max(0.0, mean - half), min(1.0, mean + half)


def bars(study: Study, points: "pd.DataFrame", pair: str) -> "pd.DataFrame":
    """Gather the bars of a pair: retrieval at the best layer of each data set, and tasks.

    Args:
        study: The study.
        points: From ``scores.average``.
        pair: The pair.

    Returns:
        One row per quantity, variant and seed: quantity, variant, value, low and high (of the mean
        over seeds), mean, untrained, chance, form (how retrieval was measured).
    """
    import pandas as pd

    found = [*_retrieval(study, points, pair), *_tasks(study, pair)]
    columns = ["quantity", "variant", "value", "low", "high", "mean", "untrained", "chance", "form"]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def _retrieval(study: Study, points: "pd.DataFrame", pair: str) -> "list[pd.DataFrame]":
    found = []
    seeds = by_seed(split_scores(study.results))
    for dataset in dict.fromkeys(points.loc[points["pair"].eq(pair), "dataset"]):
        of_set = {"pair": pair, "dataset": dataset, "family": RETRIEVAL}
        tokens, measure = _strictest(_rows(points, **of_set, encoder=TRAINED))
        if not tokens:
            continue
        of_set |= {"tokens": tokens, "measure": measure}
        chance = _rows(points, **of_set, encoder=CHANCE)["value"].mean()
        for variant in dict.fromkeys(_rows(points, **of_set, encoder=TRAINED)["variant"]):
            layers = _rows(points, **of_set, encoder=TRAINED, variant=variant)
            best = layers.sort_values("value", ascending=False, kind="stable").iloc[0]
            at = of_set | {"variant": variant, "layer": best["layer"]}
            untrained = _rows(points, **at, encoder=UNTRAINED)["value"].mean()
            form = f"{tokens}, {'centred' if measure == CENTRED else 'not centred'}"
            found.append(
                _bar(
                    _rows(seeds, **at), f"retrieval, {dataset}", variant, untrained, chance
                ).assign(form=form)
            )
    return found


def _strictest(trained: "pd.DataFrame") -> tuple[str, str]:
    """Return the strictest form that all variants have: without tokens in common, and centred."""
    variants = trained["variant"].nunique()
    for tokens in (ANCHOR_FREE, ALL_TOKENS):
        for measure in (CENTRED, PLAIN):
            rows = _rows(trained, tokens=tokens, measure=measure)
            if variants and rows["variant"].nunique() == variants:
                return tokens, measure
    return "", ""


def _tasks(study: Study, pair: str) -> "list[pd.DataFrame]":
    scores = transfer_scores(study.results)
    scores = scores[scores["pair"].eq(pair) & of_targets(scores) & scores["layer"].isna()]
    found = []
    for task in task_names(scores):
        of_task = scores[scores["task"].eq(task)]
        metric = next((one for one in METRICS if of_task["metric"].eq(one).any()), "")
        of_task = of_task[of_task["metric"].eq(metric)]
        quantity = f"{TASK_NAMES.get(task, task)}, {METRICS.get(metric, metric)}"
        for variant in study.variants:
            of_variant = _rows(of_task, variant=variant)
            trained = _rows(of_variant, condition=TRAINED).groupby("seed", sort=True)
            rows = trained[["value", "low", "high"]].mean().reset_index()
            untrained = _rows(of_variant, condition=UNTRAINED)["value"].mean()
            chance = _rows(of_variant, condition=CHANCE)["value"].mean()
            if len(rows):
                found.append(_bar(rows, quantity, variant, untrained, chance).assign(form=""))
    return found


def _rows(frame: "pd.DataFrame", **values: Any) -> "pd.DataFrame":
    for column, value in values.items():
        frame = frame[frame[column].eq(value)]
    return frame


def _bar(
    seeds: "pd.DataFrame", quantity: str, variant: str, untrained: float, chance: float
) -> "pd.DataFrame":
    ends = seed_interval(seeds["value"].tolist())
    low, high = ends if ends else (seeds["low"].mean(), seeds["high"].mean())
    return seeds[["value"]].assign(
        quantity=quantity,
        variant=variant,
        low=low,
        high=high,
        mean=seeds["value"].mean(),
        untrained=untrained,
        chance=chance,
    )


def bar_figure(found: "pd.DataFrame", variants: Sequence[str], pair: str, name: str) -> Figure:
    """Draw the bars of a pair, a panel for each quantity."""
    panels = []
    for quantity in dict.fromkeys(found["quantity"]):
        rows = found[found["quantity"].eq(quantity)]
        there = [variant for variant in variants if rows["variant"].eq(variant).any()]
        first = rows.drop_duplicates("variant")
        means = dict(zip(first["variant"], first["mean"].tolist(), strict=True))
        said = "; ".join(f"{v} {formatting.score(means[v])}" for v in there)
        draw = partial(bar_spec, rows, there, str(quantity))
        panels.append(Panel.of(str(quantity), f"{quantity}: {said}.", draw))
    form = next(filter(None, found["form"]), "")
    return Figure(
        name=name,
        pair=pair,
        title=f"What is shared, and how well the languages meet: {pair}",
        caption=_CAPTION.format(form=f" ({form})" if form else ""),
        columns=min(len(panels), 2),
        panels=tuple(panels),
    )


def bar_spec(
    rows: "pd.DataFrame", variants: Sequence[str], title: str, interactive: bool
) -> dict[str, Any]:
    """Draw one quantity of every variant as bars.

    Args:
        rows: From `bars`, of one quantity.
        variants: The variants from top to bottom.
        title: Printed above the chart in files.
        interactive: True for a page, False for a file.
    """
    import altair as alt

    greatest = float(rows[["value", "high", "mean"]].max().max())
    scale = alt.Scale(domain=[0, greatest], nice=True)
    tooltip = [
        alt.Tooltip("variant:N"),
        alt.Tooltip("mean:Q", format=".3f"),
        alt.Tooltip("low:Q", format=".3f"),
        alt.Tooltip("high:Q", format=".3f"),
        alt.Tooltip("untrained:Q", format=".3f"),
    ]
    sort = list(variants)
    y = alt.Y("variant:N", sort=sort, title=None, axis=_axis_of_labels(sort))
    base = alt.Chart().encode(y=y, tooltip=tooltip)
    once = base.transform_filter("datum.first")
    x = alt.X("mean:Q", scale=scale, title=None if interactive else title)
    whisker = {"x": alt.X("low:Q", scale=scale), "x2": alt.X2("high:Q")}
    layers: list[Any] = [
        once.mark_bar(color=_BLUE, opacity=0.75, height=alt.RelativeBandSize(0.7)).encode(x=x),
        once.transform_filter("isValid(datum.untrained)")
        .mark_tick(color=_ORANGE, thickness=3, size=_ROW * 0.8)
        .encode(x=alt.X("untrained:Q", scale=scale)),
        once.transform_filter("isValid(datum.low)")
        .mark_rule(color="currentColor", strokeWidth=1.5)
        .encode(**whisker),
        base.mark_point(color="currentColor", size=18, opacity=0.8).encode(
            x=alt.X("value:Q", scale=scale)
        ),
    ]
    if rows["chance"].notna().any():
        chance = alt.Chart().mark_rule(strokeDash=[1, 4], strokeWidth=1.5, color="currentColor")
        layers.append(chance.encode(x=alt.X("mean(chance):Q", scale=scale)))
    columns = ["variant", "value", "mean", "low", "high", "untrained", "chance"]
    data = rows[columns].assign(first=~rows.duplicated("variant"))
    return finished(layers, data, title, interactive, height=_ROW * len(sort) + 10)


def doses(study: Study, pair: str) -> dict[str, float]:
    """Return the variants of a pair that differ only in their anchors, with the dose of each.

    Returns:
        Variant to the overlap of its languages' running tokens, ascending; empty if there are
        fewer than three.
    """
    groups: dict[str, dict[str, list[float]]] = {}
    for run in study.runs:
        config = (run.artefact or {}).get("config")
        report = run.vocabulary or {}
        kind, languages = report.get("vocabulary"), report.get("languages")
        if not (
            isinstance(config, dict) and isinstance(kind, dict) and isinstance(languages, dict)
        ):
            continue
        if run.pair != pair or kind.get("kind") not in ("union", "disjoint"):
            continue
        training = {key: x for key, x in config.get("pretraining", {}).items() if key != "seed"}
        words = {code: text.get("words") for code, text in languages.items()}
        same = [config.get("model"), config.get("separate"), training, words]
        overlap = [of for one in run.anchors if isinstance(of := one.get("overlap"), float)]
        of_variant = groups.setdefault(json.dumps(same, sort_keys=True), {})
        of_variant.setdefault(run.variant, []).append(sum(overlap) / max(1, len(overlap)))
    largest = max(groups.values(), key=len, default={})
    found = {variant: sum(of) / len(of) for variant, of in largest.items()}
    if len({*found.values()}) < FEWEST:
        return {}
    return dict(sorted(found.items(), key=lambda one: one[1]))


def dose_figure(shown: Curves, dose: dict[str, float], name: str) -> Figure | None:
    """Draw how well languages meet by dose of anchors and step; None if there are too few."""
    rows = shown.points[shown.points["variant"].isin(list(dose))]
    best = rows.groupby(["variant", "step"], sort=True)["value"].max().reset_index()
    if best["variant"].nunique() < FEWEST:
        return None
    labels = {variant: f"{100 * share:.1f} % ({variant})" for variant, share in dose.items()}
    best = best.assign(dose=best["variant"].map(labels))
    said = [
        f"{labels[variant]}: "
        + ", ".join(f"{value:.3f}" for value in best.loc[best["variant"].eq(variant), "value"])
        for variant in dose
    ]
    title = f"Doses of anchors by step: {shown.pair}, {shown.dataset}"
    draw = partial(dose_spec, best, [labels[variant] for variant in dose], title)
    panel = Panel.of(title, f"Precision@1 by step. {'; '.join(said)}.", draw)
    return Figure(
        name=name,
        pair=shown.pair,
        title=title,
        caption=(
            "Precision@1 of snapshots at the best layer of each, mean of all seeds, "
            f"{'without the tokens in common' if shown.tokens == ANCHOR_FREE else 'all tokens'}. "
            "From top to bottom the share of running tokens that two languages have in common "
            "grows; from left to right training goes on. If anchors only speed things up, the "
            "right ends are alike; if they are needed, the upper rows stay pale."
        ),
        columns=1,
        panels=(panel,),
    )


def dose_spec(
    best: "pd.DataFrame", labels: Sequence[str], title: str, interactive: bool
) -> dict[str, Any]:
    """Draw precision by dose and step as a map.

    Args:
        best: Columns variant, dose (its label), step and value.
        labels: Doses from top to bottom.
        title: Printed above the chart in files.
        interactive: True for a page, False for a file.
    """
    import altair as alt

    y = alt.Y("dose:N", sort=list(labels), title=None, axis=_axis_of_labels(labels))
    cells = alt.Chart().encode(
        x=alt.X("step:O", title="step", axis=alt.Axis(labelAngle=0, grid=False)),
        y=y,
        tooltip=[
            alt.Tooltip("dose:N"),
            alt.Tooltip("step:Q", format=",d"),
            alt.Tooltip("value:Q", format=".3f", title="precision@1"),
        ],
    )
    colour = alt.Color(
        "value:Q",
        scale=alt.Scale(domain=[0, float(best["value"].max())], range=["#e8f1f8", "#08306b"]),
        legend=alt.Legend(title="precision@1"),
    )
    half = float(best["value"].max()) / 2
    text = cells.mark_text(fontSize=10).encode(
        text=alt.Text("value:Q", format=".2f"),
        color=alt.condition(f"datum.value > {half}", alt.value("#ffffff"), alt.value("#1a1a1a")),
    )
    layers = [cells.mark_rect().encode(color=colour), text]
    return finished(layers, best, title, interactive, height=28 * len(labels) + 10)


def _axis_of_labels(labels: Sequence[str]) -> Any:
    """Give labels at the left enough room for a wide font too."""
    import altair as alt

    room = min(_LONGEST, _LETTER * max(map(len, labels)))
    return alt.Axis(labelLimit=_LONGEST, minExtent=room, grid=False)
