"""Write a study's report: one HTML file that needs nothing else, and its figures as files."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from xling.files import atomic_file, atomic_folder
from xling.report.charts import MANY, chart_config, swatch
from xling.report.factor_table import factor_tables
from xling.report.figures import Figure, all_figures
from xling.report.geometry import PROBES, embedding_table
from xling.report.geometry_figures import geometry_figures
from xling.report.ledger.written import write_ledger
from xling.report.ledger_section import comparisons, ledger
from xling.report.load import Run, Study, load_study
from xling.report.run_tables import (
    anchor_table,
    common_anchor_table,
    language_table,
    model_table,
    training_table,
)
from xling.report.scores import average, by_seed, compare, split_scores
from xling.report.summary import summarise
from xling.report.table_one import table_one
from xling.report.tables import coverage_table, other_table, score_tables, standing_tables
from xling.report.task_pages import missing_tasks, task_pages


def render_report(study_folder: Path) -> Path:
    """Write ``report.html``, ``ledger.csv`` and the folder ``figures`` into a study's folder.

    The page holds everything it shows, drawing code included; its content security policy
    forbids it any connection and any script but its own two. Equal inputs give equal bytes.

    Args:
        study_folder: A folder with ``study.json``, ``results.csv`` and the runs' folders.

    Returns:
        The path of the page.

    Raises:
        XlingError: If ``study.json`` or ``results.csv`` is missing or malformed. Anything else
            that is missing is named on the page.
    """
    study = load_study(study_folder)
    split = split_scores(study.results)
    points = average(split)
    figures = all_figures(study, points) + geometry_figures(study)
    page = study_folder / "report.html"
    with atomic_folder(study_folder / "figures") as folder:
        for figure in figures:
            (folder / f"{figure.name}.svg").write_text(figure.svg(), encoding="utf-8")
    with atomic_file(page) as file:
        file.write(_html(study, split, points, figures))
    return page


def _html(study: Study, split: Any, points: Any, figures: tuple[Figure, ...]) -> str:
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    comparison, found = compare(points), ledger(study)
    write_ledger(found.outcomes, study.folder)
    drawing, script = _drawing_library(), _package_text("page.js")
    environment = Environment(
        loader=FunctionLoader(_package_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "separators": (",", ":")}
    template = environment.from_string(_package_text("template.html.j2"))
    return template.render(
        study=study,
        summary=summarise(study, comparison, found.unsure),
        ledger=found,
        comparisons=comparisons,
        table_one=table_one(study),
        factors=factor_tables(by_seed(split), comparison, study.variants, study.comparisons),
        many=len(study.variants) > MANY,
        standings={pair: standing_tables(comparison, pair) for pair in study.comparisons},
        models=model_table(study.runs, study.config),
        training=training_table(study.runs),
        languages=language_table(study.runs),
        anchors=anchor_table(study.runs),
        common_anchors=common_anchor_table(study.runs),
        scores=[(pair, score_tables(points, pair)) for pair in study.comparisons],
        tasks=task_pages(study),
        drawn_pairs=list(dict.fromkeys(figure.pair for figure in figures if figure.pair)),
        coverage=coverage_table(study.results),
        other=other_table(study.results, PROBES),
        embedding=embedding_table(study.results),
        warnings=_warnings(study),
        missing=_missing(study),
        figures=figures,
        charts={"config": chart_config(), "panels": _panels(figures)},
        swatches=[(variant, *swatch(study.variants, variant)) for variant in study.variants],
        configuration=yaml.safe_dump(study.config, sort_keys=False, allow_unicode=True),
        style=Markup(_package_text("style.css")),
        drawing=Markup(drawing),
        script=Markup(script),
        script_hashes=[_csp_hash(drawing), _csp_hash(script)],
    )


def _panels(figures: tuple[Figure, ...]) -> dict[str, Any]:
    return {
        f"{figure.name}-{place}": panel.spec
        for figure in figures
        for place, panel in enumerate(figure.panels)
    }


def _warnings(study: Study) -> list[tuple[str, str]]:
    """Collect the pre-flight warnings, each once with the runs it was given for."""
    found: dict[str, list[str]] = {}
    for run in study.runs:
        warnings = (run.preflight or {}).get("warnings")
        for warning in warnings if isinstance(warnings, list) else []:
            found.setdefault(str(warning), []).append(run.name)
    return [("; ".join(runs), warning) for warning, runs in found.items()]


def _missing(study: Study) -> list[str]:
    """Say what the study planned and the folder does not hold."""
    sentences = [f"{run.name}: {what}." for run in study.runs for what in run.missing]
    results = study.results
    probe = study.config.get("probe")
    measured = not isinstance(probe, dict) or probe.get("emergence_lines") != 0
    for run in study.runs:
        scored = _rows_of(results, run)
        if not scored.any():
            sentences.append(f"{run.name}: no scores in results.csv.")
        elif not results.loc[scored, "metric"].str.startswith("random:").any():
            sentences.append(f"{run.name}: no scores of a random encoder to compare with.")
        if run.snapshots and measured and not _rows_of(study.emergence, run).any():
            sentences.append(f"{run.name}: no probes of the weights kept on the way.")
    return sentences + missing_tasks(study)


def _rows_of(scores: Any, run: Run) -> Any:
    """Tell which rows of a table of scores are a run's."""
    return (
        scores["variant"].eq(run.variant)
        & scores["pair"].eq(run.pair)
        & scores["seed"].eq(run.seed)
    )


@cache
def _drawing_library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, as vl-convert bundles them."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def _package_text(name: str) -> str:
    return files("xling.report").joinpath(name).read_text(encoding="utf-8")


def _csp_hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"
