"""A study folder as the study stage writes it, with scores of realistic size."""

import csv
import json
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from pathlib import Path

import altair as alt
import numpy as np
import pytest

from xling.report import html
from xling.report.charts import Figure, Panel, as_pdf
from xling.results import RESULT_COLUMNS

_bundled = cache(html._bundled)  # what it is before pages are made short
SENTENCES = {"pud": 1000, "tatoeba-fr": 860}
# What each encoder retrieves at layers 0 to 4, roughly as small models do on real text.
PRECISION = {
    ("default", "retrieval"): (0.21, 0.142, 0.138, 0.131, 0.12),
    ("default", "retrieval-anchor-free"): (0.004, 0.02, 0.031, 0.027, 0.018),
    ("no-anchors", "retrieval"): (0.002, 0.003, 0.002, 0.004, 0.003),
    ("no-anchors", "retrieval-anchor-free"): (0.002, 0.003, 0.002, 0.004, 0.003),
}
RANDOM = {"default": (0.25, 0.08, 0.06, 0.05, 0.04), "no-anchors": (0.002,) * 5}
SIMILARITY = {"default": (0.62, 0.55, 0.48, 0.41, 0.38), "no-anchors": (0.31, 0.3, 0.28, 0.25, 0.2)}

COMMONEST = [
    {"token": "▁de", "kind": "homographs"},
    {"token": "▁,", "kind": "punctuation"},
    {"token": "▁<b>", "kind": "homographs"},
]


def result_rows(variants: Sequence[str], pair: str, seeds: Sequence[int]) -> list[list[object]]:
    """Scores of every variant, seed, data set and layer, with every bound, as the probe gives."""
    rng = np.random.default_rng(0)
    rows: list[list[object]] = []
    for variant, seed, dataset in product(variants, seeds, SENTENCES):
        shape = variant if variant in RANDOM else "default"
        key = ["demo", variant, pair, seed]
        n = SENTENCES[dataset]
        rows.append(row(*key, "coverage", dataset, pair, "sentences", n))
        for language in pair.split("-"):
            share = 0.61 if shape == "default" else 0.0
            rows.append(row(*key, "coverage", dataset, language, "anchor-tokens", share))
        for form, layer in product(("", "-anchor-free"), range(5)):
            place = (*key, f"retrieval{form}", dataset)
            rows += retrieval_rows(rng, shape, pair, place, layer)
            place = (*key, f"cka{form}", dataset, pair, "cka")
            value = SIMILARITY[shape][layer] * (0.8 if form else 1.0) + rng.normal(0, 0.005)
            rows.append(row(*place, value, layer=layer))
            draws = rng.normal(0.25, 0.01, 2)
            at: dict[str, object] = {"layer": layer, "condition": "untrained"}
            rows.append(row(*place, draws.mean(), **at))
            rows += [row(*place, x, draw=seed, **at) for seed, x in enumerate(draws, 1)]
    return rows


def row(*place: object, **other: object) -> list[object]:
    """A row of results: study to language, metric, value; and further columns by name."""
    *before, metric, value = place
    given = dict(zip(RESULT_COLUMNS, before, strict=False))
    given |= {"condition": "trained", "metric": metric, "value": value} | other
    return [given.get(name, "") for name in RESULT_COLUMNS]


def retrieval_rows(
    rng: np.random.Generator, shape: str, pair: str, place: tuple[object, ...], layer: int
) -> list[list[object]]:
    first, second = pair.split("-")
    probe, dataset = map(str, place[-2:])
    n = SENTENCES[dataset]
    rows: list[list[object]] = []
    for metric, factor in (("p@1", 1.0), ("p@1-centred", 1.1)):
        mean = PRECISION[shape, probe][layer] * factor
        untrained = RANDOM[shape][layer] * (0.1 if "free" in probe else 1.0)
        found = list(rng.binomial(n, mean, 2) / n)
        draws = rng.binomial(n, untrained, (2, 2)) / n
        for number, direction in enumerate((f"{first}>{second}", f"{second}>{first}", "")):
            value = [*found, np.mean(found)][number]
            half = 1.96 * np.sqrt(value * (1 - value) / n)
            ends = {"low": max(0, value - half), "high": value + half}
            at: dict[str, object] = {"layer": layer, "direction": direction, "n": n}
            rows.append(row(*place, pair, metric, value, **at, **ends))
            random = [*draws.T, draws.mean(axis=1)][number]
            at["condition"] = "untrained"
            rows.append(row(*place, pair, metric, random.mean(), **at))
            rows += [
                row(*place, pair, metric, x, draw=seed, **at) for seed, x in enumerate(random, 1)
            ]
        rows.append(row(*place, pair, metric, 1 / n, layer=layer, condition="chance"))
    return rows


def write_run(folder: Path, variant: str, pair: str, seed: int) -> None:
    """A finished run: its record, pre-flight and log."""
    folder.mkdir(parents=True)
    languages = pair.split("-")
    joint = variant != "no-anchors"
    model = {"layers": 4, "heads": 4, "hidden": 128, "feed_forward": 512}
    _write(
        folder / "artefact.json",
        {
            "stage": "pretraining",
            "config": {"model": model, "separate": [], "pretraining": {"steps": 4000}},
            "inputs": {"tokens/en": "0123456789abcdef0123456789abcdef"},
            "versions": {"python": "3.13.1", "xling": "0.1.0", "torch": "2.13.0"},
        },
    )
    _write(
        folder / "preflight.json",
        {
            "parameters": {"total": 1_860_000, "shared": 1_860_000, "private": {}},
            "tokens_total": 32_768_000,
            "flops_total": 3.1e14,
            "memory_bytes": 1.2e9,
            "estimated_seconds": 960.0,
            "peak_flops": 1.1e11,
            "warnings": []
            if joint
            else ["vocabulary: 4,000 types of fr occur fewer than 10 times"],
            "languages": {
                language: {
                    "share_of_batches": 0.5,
                    "passes": 9.6,
                    "train_tokens": 1_500_000 + 400_000 * place,
                }
                for place, language in enumerate(languages)
            },
        },
    )
    rng = np.random.default_rng([seed, len(variant)])
    with open(folder / "log.jsonl", "w", encoding="utf-8") as file:
        for step in range(50, 4001, 50):
            for place, language in enumerate(languages):
                loss = 2.6 + 0.2 * place + 0.3 * joint + 5.4 * np.exp(-step / 700)
                record = {"step": step, "kind": "train", "language": language}
                record |= {"loss": loss + rng.normal(0, 0.05), "seconds": 12.0, "mfu": 0.41}
                record |= {"tokens_per_second": 34_000.0, "learning_rate": 1e-3}
                file.write(json.dumps(record) + "\n")
                if step % 500 == 0:
                    dev = loss + 0.1
                    record = {"step": step, "kind": "dev", "language": language, "loss": dev}
                    file.write(json.dumps(record | {"perplexity": float(np.exp(dev))}) + "\n")


def write_vocabulary_report(folder: Path, variant: str, pair: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    languages = pair.split("-")
    joint = variant != "no-anchors"

    def covered(tokens: int, share: float) -> dict[str, object]:
        shares = dict.fromkeys(languages, share * joint)
        return {"tokens": tokens * joint, "share of running tokens": shares, "overlap": share / 2}

    anchors = {"languages": languages, **covered(2417, 0.61)}
    anchors["kinds"] = {"punctuation": covered(30, 0.12), "pieces": covered(2300, 0.41)}
    anchors["commonest"] = COMMONEST if joint else []
    _write(
        folder / "report.json",
        {
            "vocabulary": {"kind": "joint" if joint else "disjoint", "size": 8000},
            "languages": {
                language: {
                    "words": 1_200_000,
                    "tokens": 1_584_000,
                    "tokens a word": 1.32,
                    "share of unknowns": 0.00002,
                }
                for language in languages
            },
            "anchors": [anchors],
        },
    )


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def write_study(
    folder: Path,
    variants: Sequence[str] = ("default", "no-anchors"),
    pairs: Sequence[str] = ("en-fr",),
    seeds: Sequence[int] = (1,),
    **study: object,
) -> Path:
    """Write a whole study folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, runs = [], []
    for pair in pairs:
        rows += result_rows(variants, pair, seeds)
        for variant in variants:
            write_vocabulary_report(folder / f"tokens/{pair}/{variant}", variant, pair)
            for seed in seeds:
                place = f"runs/{pair}/{variant}/seed-{seed}"
                write_run(folder / place, variant, pair, seed)
                runs.append(
                    {
                        "variant": variant,
                        "pair": pair,
                        "languages": pair.split("-"),
                        "seed": seed,
                        "folder": place,
                        "tokens": f"tokens/{pair}/{variant}",
                    }
                )
    config = {
        "name": "demo",
        "pairs": list(pairs),
        "variants": list(variants),
        "seeds": list(seeds),
        "model": {"layers": 4, "hidden": 128},
    }
    record = {"name": "demo", "config": config, "runs": runs}
    record["versions"] = {"python": "3.13.1", "xling": "0.1.0", "torch": "2.13.0"}
    _write(folder / "study.json", record | study)
    with open(folder / "results.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([RESULT_COLUMNS, *rows])
    return folder


def check_panel(panel: Panel) -> None:
    """Have Altair validate a panel for a page and for a file; of its data, three rows."""
    for spec in (panel.spec, panel.drawing):
        few = {**spec, "data": {"values": spec["data"]["values"][:3]}}
        alt.LayerChart.validate(few)


_svg = Figure.svg


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing a page's figures as files is half of a small page. `rendered` has them."""
    monkeypatch.setattr(Figure, "svg", lambda figure: f"<svg>{figure.name}</svg>")
    monkeypatch.setattr("xling.report.page.as_pdf", str.encode)


@pytest.fixture(scope="session")
def draw() -> Callable[[Figure], str]:
    """The function that draws a figure."""
    return _svg


@pytest.fixture
def pictures(no_pictures: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test of what files show."""
    monkeypatch.setattr(Figure, "svg", _svg)
    monkeypatch.setattr("xling.report.page.as_pdf", as_pdf)


@pytest.fixture(scope="session")
def is_valid() -> Callable[[Panel], None]:
    """Return :func:`check_panel`, since xling itself validates no chart."""
    return check_panel


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a study folder with the given variants, pairs and seeds."""

    def make(**arguments: object) -> Path:
        return write_study(tmp_path / "study", **arguments)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def make_row() -> Callable[..., list[object]]:
    """The function that makes a row of results, for fixtures in folders below."""
    return row


@pytest.fixture(scope="session")
def study_writer() -> Callable[..., Path]:
    """The function that writes a study folder, for fixtures in folders below."""
    return write_study


@pytest.fixture(scope="session")
def two_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two pairs and two seeds that no test changes."""
    return write_study(tmp_path_factory.mktemp("pairs"), pairs=("en-fr", "en-ru"), seeds=(1, 2))


@pytest.fixture
def whole_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages with the drawing library in them."""
    monkeypatch.setattr("xling.report.page.drawing_library", _bundled)


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ordinary study, rendered once, with pictures, for all tests that only read the page."""
    from xling.report.page import render_report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "svg", _svg)
        patch.setattr("xling.report.page.as_pdf", as_pdf)
        patch.setattr("xling.report.page.drawing_library", _bundled)
        return render_report(write_study(tmp_path_factory.mktemp("rendered"), seeds=(1, 2)))
