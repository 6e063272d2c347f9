"""Train a study's models in fp32 and in bf16, and put what they learn side by side.

Run: ``python benchmarks/precision.py [--studies demo,real-mini] [--data DATA] [--out FOLDER]``;
``real-mini`` needs a data folder, and is left out without one. Each study is run with every variant
in both precisions, in ``FOLDER/NAME``; what is trained there already is not trained again. It
prints retrieval with 95 % intervals and the seconds of training, and draws the losses on held-out
text in ``FOLDER/losses.svg``. Seconds compare only if nothing else runs.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from figures import Figure, add_options, aligned, show

from xling.report.charts import joined_svg
from xling.report.load import Study, load_study
from xling.study.extends import StudyFile
from xling.study.presets import presets
from xling.study.shipped import find_study

PRECISIONS = ("fp32", "bf16")
RETRIEVAL, CENTRED = "retrieval", "p@1-centred"
SMALL = {"steps": 40, "evaluate_every": 20, "checkpoint_every": 20, "snapshots": 0}


def main() -> None:
    """Train what is missing, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", help="names or files (default: demo, with --data real-mini)")
    parser.add_argument("--variants", help="only these variants of each, e.g. default")
    parser.add_argument("--data", type=Path, help="data folder of the studies without a world")
    parser.add_argument("--out", type=Path, default=Path("runs/precision"))
    parser.add_argument("--jobs", type=int, default=1, help="jobs side by side")
    add_options(parser)
    arguments = parser.parse_args()
    if arguments.small:
        arguments.studies, arguments.variants = "small", "default"
        with tempfile.TemporaryDirectory() as folder:
            arguments.out = Path(folder)
            compare(arguments)
    else:
        compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    """Train, draw and print."""
    written = arguments.studies or ("demo,real-mini" if arguments.data else "demo")
    chosen = arguments.variants.split(",") if arguments.variants else []
    studies = []
    for name in written.split(","):
        content = in_both(StudyFile.read(find_study(Path(name))).content, chosen)
        if arguments.small:
            content["pretraining"] |= SMALL
        data = arguments.data if "world" not in content else None
        studies.append(trained(content, data, arguments.out, arguments.jobs))
    picture = arguments.out / "losses.svg"
    picture.write_text(joined_svg([[panel(study)] for study in studies]), encoding="utf-8")
    print(f"losses on held-out text: {picture}")
    print(aligned([HEAD, *(row for study in studies for row in intervals(study))], {3, 4, 5, 6}))
    show("precision", [one for study in studies for one in figures(study)], arguments)


def in_both(content: dict[str, Any], chosen: list[str]) -> dict[str, Any]:
    """Return a study's settings with its variants, or the chosen ones, in both precisions."""
    variants = content.get("variants") or ["default"]
    if isinstance(variants, list):
        variants = dict.fromkeys(variants)
    both = {}
    for name, changes in variants.items():
        if chosen and name not in chosen:
            continue
        changes = dict(changes or {})
        if name in presets():
            changes.setdefault("preset", name)
        for precision in PRECISIONS:
            training = {**changes.get("pretraining", {}), "precision": precision}
            both[f"{name}-{precision}"] = {**changes, "pretraining": training}
    return {**content, "name": f"{content['name']}-precision", "variants": both}


def trained(content: dict[str, Any], data: Path | None, out: Path, jobs: int) -> Study:
    """Run a study, unless it has been run."""
    folder = out / content["name"]
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{content['name']}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "xling", "study", "run", path, "--out", folder]
    options = ["--jobs", jobs, *(["--data", data] if data else [])]
    subprocess.run([*map(str, (*command, *options))], check=True)
    return load_study(folder)


def split(variant: str) -> tuple[str, str]:
    """Return a variant's name, and its precision."""
    name, _, precision = variant.rpartition("-")
    return name, precision


def panel(study: Study) -> dict[str, Any]:
    """Return the chart of a study's losses on held-out text, one column per model and language."""
    rows = []
    for run in study.runs:
        name, precision = split(run.variant)
        for _, entry in run.log[run.log["kind"].eq("dev")].iterrows():
            rows.append(
                {
                    "step": int(entry["step"]),
                    "loss": float(entry["loss"]),
                    "precision": precision,
                    "model": f"{name}, {run.pair}, seed {run.seed}: {entry['language']}",
                }
            )
    line = {
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": "step", "type": "quantitative"},
            "y": {
                "field": "loss",
                "type": "quantitative",
                "scale": {"zero": False},
                "title": "loss per predicted token",
            },
            "color": {
                "field": "precision",
                "scale": {"range": ["#0072B2", "#E69F00"]},
                "legend": {"orient": "bottom"},
            },
            "strokeDash": {"field": "precision"},
        },
        "width": 260,
        "height": 180,
    }
    return {
        "title": study.name,
        "data": {"values": rows},
        "facet": {"column": {"field": "model", "title": None}},
        "spec": line,
    }


HEAD = ("study", "model", "precision", "retrieval", "95 %: from", "to", "seconds")


def best_layers(study: Study) -> pd.DataFrame:
    """Return the row of the best layer's centred retrieval of every model and set."""
    found = study.results.query("probe == @RETRIEVAL and metric == @CENTRED")
    found = found[found["condition"].eq("trained") & found["direction"].fillna("").eq("")]
    keys = ["variant", "pair", "seed", "dataset", "language"]
    return found.loc[found.groupby(keys)["value"].idxmax()]


def seconds(study: Study) -> dict[tuple[str, str, int], float]:
    """Return how long the steps of each model took."""
    found = {}
    for run in study.runs:
        train = run.log[run.log["kind"].eq("train")]
        found[run.key] = float(train.drop_duplicates("step")["seconds"].sum())
    return found


def intervals(study: Study) -> Iterator[tuple[str, ...]]:
    """Yield a row of the table for every model and set of sentences."""
    took = seconds(study)
    for _, row in best_layers(study).iterrows():
        name, precision = split(row["variant"])
        key = row["variant"], row["pair"], int(row["seed"])
        yield (
            study.name,
            f"{name}, {row['pair']}, seed {row['seed']}, {row['dataset']}",
            precision,
            f"{row['value']:.3f}",
            f"{row['low']:.3f}",
            f"{row['high']:.3f}",
            f"{took[key]:,.0f}",
        )


def figures(study: Study) -> Iterator[Figure]:
    """Yield what bf16 gives beside fp32: retrieval, and the seconds of training."""
    best = best_layers(study).set_index(["variant", "pair", "seed", "dataset"])["value"]
    for (variant, pair, seed, dataset), value in best.items():
        name, precision = split(variant)
        if precision == "bf16":
            work = f"{study.name}: {name}, {pair}, seed {seed}, {dataset}"
            other = best[f"{name}-fp32", pair, seed, dataset]
            yield Figure(work, value, RETRIEVAL, "fp32", other)
    took = seconds(study)
    for (variant, pair, seed), value in took.items():
        name, precision = split(variant)
        if precision == "bf16":
            work = f"{study.name}: {name}, {pair}, seed {seed}, training in bf16"
            yield Figure(work, value, "s", "fp32", took[f"{name}-fp32", pair, seed])


if __name__ == "__main__":
    main()
