"""A study folder with everything a report can show: every probe, tasks, a plan, three pairs."""

import csv
import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

VARIANTS = ("default", "no-anchors", "sep-L1-6")
ALIGNED = ("default", "monolingual")
PAIRS = ("aa-near", "aa-mid", "aa-far")
LAYERS = 5
_FAR = {"aa-near": 0.0, "aa-mid": 0.1, "aa-far": 0.2}  # what distance costs


Row = Callable[..., list[object]]


def geometry_rows(row: Row, variant: str, pair: str, seed: int) -> list[list[object]]:
    """Every row of alignment and comparison of one model, as the stages write them."""
    source, target = pair.split("-")
    key = ["demo", variant, pair, seed]
    less = _FAR.get(pair, 0.0) + 0.01 * seed + (0.08 if variant == "monolingual" else 0.0)
    rows: list[list[object]] = []
    ways = ((f"{source}>{target}", 0.02), (f"{target}>{source}", -0.02), ("", 0.0))
    for layer, (way, more) in product(range(LAYERS), ways):
        for probe, dataset, shape in (
            ("lexicon-context", f"{pair}.test", 0.4 + 0.06 * layer),
            ("alignment-sentences", "heldout", 0.8 - 0.07 * layer),
        ):
            value = shape - less + more
            place = (*key, probe, dataset, pair)
            at = {"layer": layer, "direction": way}
            ends = {"low": value - 0.03, "high": value + 0.03} if way else {}
            for suffix in ("", "-csls"):
                rows.append(row(*place, f"p@1{suffix}", value, **at, **ends))
            if probe == "alignment-sentences":
                rows.append(row(*place, "p@1", 0.05, condition="untrained", **at))
    for probe, condition, value in (
        ("lexicon-embedding", "trained", 0.45),
        ("lexicon-embedding", "static", 0.4),
        ("lexicon-static", "trained", 0.5),
    ):
        place = (*key, probe, f"{pair}.test", pair)
        rows.append(row(*place, "p@1-csls", value - less, condition=condition))
    place = (*key, "lexicon-embedding", f"{pair}.test", pair)
    rows.append(row(*place, "coverage", 0.7, direction=ways[0][0]))
    # Of static vectors on the same words, which are fewer.
    rows.append(row(*place, "coverage", 0.1, direction=ways[0][0], condition="static"))
    for (task, metric), layer in product((("ner", "f1"), ("parsing", "las")), range(LAYERS)):
        middle = 0.6 - 0.05 * abs(layer - 2) - less
        place = (*key, f"context-{task}", task)
        for condition, value in (
            ("trained", middle),
            ("unmapped", middle - 0.02),
            ("untrained", 0.1),
        ):
            at = {"layer": layer, "condition": condition, "low": value - 0.04, "high": value + 0.04}
            rows.append(row(*place, target, metric, value, **at))
        rows.append(row(*place, source, metric, 0.9, layer=layer, condition="dev"))
    for layer in range(LAYERS):
        cka = 0.9 - 0.1 * layer - less
        place = (*key, "similarity", "heldout", pair)
        rows.append(row(*place, "cka", cka, layer=layer))
        rows.append(row(*place, "cka", 0.2, layer=layer, condition="untrained"))
        place = (*key, "aligned-retrieval", "heldout", pair)
        rows.append(row(*place, "p@1", cka - 0.05, layer=layer))
    rows.append(row(*place, "pearson(cka,p@1)", 1.0))
    return rows


def task_rows(row: Row, variant: str, place: int, pair: str, seed: int) -> list[list[object]]:
    """Zero-shot scores of three tasks with their untrained encoder."""
    source, target = pair.split("-")
    rows: list[list[object]] = []
    for task, metric, value in (
        ("nli", "accuracy", 0.7),
        ("ner", "f1", 0.8),
        ("parsing", "las", 0.7),
    ):
        for language in (source, target):
            less = 0.0 if language == source else _FAR[pair] + 0.02 * place + 0.01 * seed
            where = ("demo", variant, pair, seed, f"transfer-{task}", task, language, metric)
            found = value - less
            rows.append(row(*where, found, low=found - 0.02, high=found + 0.02))
            rows.append(row(*where, 0.35, condition="untrained"))
    return rows


def write_plan(folder: Path, study: dict[str, Any]) -> None:
    """A plan of the world's data and of the trainings, and how long each job took."""
    world = {"seed": 1, "languages": {code: {"preset": code} for code in ("near", "mid", "far")}}
    jobs: dict[str, dict[str, object]] = {"data/world": {"stage": "data", "settings": world}}
    for number, run in enumerate(study["runs"]):
        train, probe = str(run["folder"]), f"probe/{number}"
        jobs[train] = {"stage": "pretrain", "settings": {}, "parents": {"data": "data/world"}}
        jobs[probe] = {"stage": "probe", "settings": {}, "parents": {"pretrain": train}}
        run["scores"] = [probe]
    plan = {"study": "demo", "data": "data/world", "given": None, "jobs": jobs}
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    study["seconds"] = {job: 10.0 + number for number, job in enumerate(jobs)}
    (folder / "study.json").write_text(json.dumps(study), encoding="utf-8")


def add_everything(folder: Path, row: Row) -> None:
    """Add tasks, geometry and a plan to a study folder that has no more than probes."""
    study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    rows = []
    for run in study["runs"]:
        where = run["variant"], run["pair"], run["seed"]
        if run["variant"] in VARIANTS:
            rows += task_rows(row, where[0], VARIANTS.index(where[0]), *where[1:])
        if run["variant"] in ALIGNED:
            rows += geometry_rows(row, *where)
        if run["variant"] == "monolingual":
            path = folder / run["folder"] / "preflight.json"
            preflight = json.loads(path.read_text(encoding="utf-8"))
            preflight["parameters"]["shared"] = 0
            path.write_text(json.dumps(preflight), encoding="utf-8")
    with open(folder / "results.csv", "a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    write_plan(folder, study)


@pytest.fixture(scope="session")
def whole(
    tmp_path_factory: pytest.TempPathFactory, study_writer: Callable[..., Path], make_row: Row
) -> Path:
    """A study of three pairs with bilingual variants and independent models."""
    folder = tmp_path_factory.mktemp("whole")
    study_writer(folder, variants=(*VARIANTS, "monolingual"), pairs=PAIRS, seeds=(1, 2))
    add_everything(folder, make_row)
    return folder
