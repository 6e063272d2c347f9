"""Write a study's report: one HTML file that needs nothing else, and its figures as files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from xling import formatting
from xling.files import atomic_file, atomic_folder
from xling.report.charts import MANY, Figure, as_pdf, chart_config, swatch
from xling.report.claims.written import by_comparison, claims_of, write_claims
from xling.report.coverage import COVERAGE, coverage_table, cut_lines
from xling.report.distance import distance_figure
from xling.report.export import file_name, write_tables
from xling.report.figures import all_figures
from xling.report.geometry import PROBES
from xling.report.geometry_figures import Geometry, geometry
from xling.report.headline import headline
from xling.report.html import (
    drawing_library,
    package_text,
    script_hash,
    template_environment,
)
from xling.report.load import Study, load_study
from xling.report.retrieval import find_shared_spaces, how_sure, layer_tables, variant_tables
from xling.report.runs import (
    anchor_table,
    common_anchor_table,
    cost_table,
    language_table,
    model_table,
    training_table,
)
from xling.report.scores import average, by_seed, compare, is_by_layer, split_scores
from xling.report.tables import Cell, Table, figure
from xling.report.tasks import TRANSFER, missing_tasks, task_pages
from xling.results import KEY, OF_RUN, UNTRAINED

if TYPE_CHECKING:
    import pandas as pd


def render_report(study_folder: Path) -> Path:
    """Write ``report.html``, ``claims.csv``, ``figures`` and ``tables`` into a study's folder.

    ``figures`` holds every figure as SVG and PDF, ``tables`` the main tables as CSV and LaTeX.

    The page holds everything it shows, drawing code included; its content security policy
    forbids it any connection and any script but its own two. Equal inputs give equal bytes, PDF
    files aside.

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
    aligned, far = geometry(study), distance_figure(study, split)
    figures = all_figures(study, points)
    drawn = (*figures, *aligned.figures, *far.figures)
    page = study_folder / "report.html"
    with atomic_folder(study_folder / "figures") as folder:
        for figure in drawn:
            svg = figure.svg()
            (folder / f"{figure.name}.svg").write_text(svg, encoding="utf-8")
            (folder / f"{figure.name}.pdf").write_bytes(as_pdf(svg))
    parts = _parts(study, split, points) | {
        "geometry": aligned,
        "distance": far,
        "figures": figures,
        "drawn": drawn,
        "charts": {"config": chart_config(), "panels": _panels(drawn)},
    }
    write_tables(study_folder / "tables", _main_tables(parts))
    write_claims(parts["claims"].outcomes, study_folder)
    with atomic_file(page) as file:
        file.write(_html(study, parts))
    return page


def _parts(study: Study, split: "pd.DataFrame", points: "pd.DataFrame") -> dict[str, Any]:
    """Make everything the page shows but its figures, by the names the template uses."""
    comparison, cut = compare(points), cut_lines(study.results)
    findings = find_shared_spaces(study, comparison)
    claims = claims_of(study)
    return {
        "headline": headline(study, comparison, findings),
        "claims": claims,
        "certainty": [*how_sure(study, comparison), *claims.unsure],
        "variant_tables": variant_tables(study, by_seed(split), comparison, findings, cut),
        "layer_tables": [
            table for pair in study.comparisons for table in layer_tables(comparison, pair, cut)
        ],
        "coverage": coverage_table(study.results),
        "tasks": task_pages(study),
        "models": model_table(study.runs, study.config),
        "training": training_table(study.runs),
        "languages": language_table(study.runs),
        "anchors": anchor_table(study.runs),
        "common_anchors": common_anchor_table(study.runs),
        "costs": cost_table(study),
        "other": other_table(study.results),
        "warnings": _warnings(study),
        "missing": _missing(study),
    }


def other_table(results: "pd.DataFrame") -> Table | None:
    """Scores of probes that have no place of their own on the page; None if there are none."""
    probe = results["probe"]
    elsewhere = probe.isin({COVERAGE, *PROBES}) | probe.str.startswith(TRANSFER)
    rows = results[~is_by_layer(results) & ~elsewhere]
    if rows.empty:
        return None
    columns = [*OF_RUN[1:], *KEY]
    texts = rows.astype({"layer": object, "draw": object}).fillna({"layer": "", "draw": ""})
    cells = tuple(
        (
            *(Cell(str(row[name])) for name in columns),
            figure(row["value"], formatting.score),
        )
        for row in texts.to_dict("records")
    )
    return Table("Other scores", (*columns, "value"), 3, cells)


def _main_tables(parts: dict[str, Any]) -> dict[str, Table]:
    """Name the tables that are written as files too."""
    aligned: Geometry = parts["geometry"]
    tables = {f"variants-{n}": table for n, table in enumerate(parts["variant_tables"], start=1)}
    for task in parts["tasks"]:
        for number, table in enumerate(task.tables, start=1):
            tables[f"transfer-{file_name(task.name)}-{number}"] = table
    tables |= {figure.name: figure.table for figure in aligned.figures if figure.table}
    if aligned.embedding:
        tables["geometry-embedding"] = aligned.embedding
    names = ("models", "training", "languages", "anchors", "costs")
    return tables | {name: parts[name] for name in names if parts[name] and parts[name].rows}


def _html(study: Study, parts: dict[str, Any]) -> str:
    from markupsafe import Markup

    drawing, script = drawing_library(), package_text("page.js")
    template = template_environment().get_template("template.html.j2")
    return template.render(
        study=study,
        **parts,
        by_comparison=by_comparison,
        drawn_pairs=_drawn_pairs(parts["drawn"]),
        many=len(study.variants) > MANY,
        swatches=[(variant, *swatch(study.variants, variant)) for variant in study.variants],
        configuration=yaml.safe_dump(study.config, sort_keys=False, allow_unicode=True),
        style=Markup(package_text("style.css")),
        drawing=Markup(drawing),
        script=Markup(script),
        script_hashes=[script_hash(drawing), script_hash(script)],
    )


def _drawn_pairs(figures: tuple[Figure, ...]) -> list[str]:
    """Return the pairs that a reader can choose from."""
    of_panels = (panel.pair for figure in figures for panel in figure.panels)
    return list(dict.fromkeys(filter(None, (*(figure.pair for figure in figures), *of_panels))))


def _panels(figures: tuple[Figure, ...]) -> dict[str, object]:
    return {
        f"{figure.name}-{place}": panel.spec
        for figure in figures
        for place, panel in enumerate(figure.panels)
    }


def _warnings(study: Study) -> dict[str, list[str]]:
    """Collect the warnings before training, each once with the runs it was given for."""
    found: dict[str, list[str]] = {}
    for run in study.runs:
        warnings = (run.preflight or {}).get("warnings")
        for warning in warnings if isinstance(warnings, list) else []:
            found.setdefault(str(warning), []).append(run.name)
    return found


def _missing(study: Study) -> list[str]:
    """Say what the study planned and the folder does not hold."""
    sentences = [f"{run.name}: {what}." for run in study.runs for what in run.missing]
    results = study.results
    probe = study.config.get("probe")
    measured = not isinstance(probe, dict) or probe.get("emergence_lines") != 0
    for run in study.runs:
        of_run = results[_of_run(results, run.key)]
        if of_run.empty:
            sentences.append(f"{run.name}: no scores in results.csv.")
        elif not of_run["condition"].eq(UNTRAINED).any():
            sentences.append(f"{run.name}: no scores of an untrained encoder to compare with.")
        if run.snapshots and measured and not _of_run(study.emergence, run.key).any():
            sentences.append(f"{run.name}: no scores of the snapshots of its weights.")
    return sentences + missing_tasks(study)


def _of_run(scores: "pd.DataFrame", key: tuple[str, str, int]) -> "pd.Series[bool]":
    """Tell which rows of a table of scores are a run's."""
    variant, pair, seed = key
    return scores["variant"].eq(variant) & scores["pair"].eq(pair) & scores["seed"].eq(seed)
