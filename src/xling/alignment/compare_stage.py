"""The stage ``similarity``: two models and parallel lines in, all layers against all layers out."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from xling import artefact
from xling.data.layout import DataFolder
from xling.device import AUTO, choose_device
from xling.encoders.config import EncodingConfig
from xling.errors import XlingError
from xling.files import plain_or_gzipped
from xling.names import Language, Name, pair_name
from xling.results import SCORES, TRAINED, UNTRAINED, Score, as_table, write_scores

if TYPE_CHECKING:
    import pandas as pd

    from xling.encoders.encoder import Encoder

LAYERS = "layers.csv"
LAYER_COLUMNS = ("dataset", "language", "layer", "other_layer", "condition", "metric", "value")
Measure = Literal[
    "cka",
    "debiased-cka",
    "svcca",
    "pwcca",
    "procrustes-distance",
    "rsa",
    "mutual-knn",
    "neurons",
]
Layers = NDArray[np.float32]


class CompareSettings(EncodingConfig):
    """What to compare, and how thoroughly."""

    languages: tuple[Language, Language] = Field(
        ..., description="languages of the first and the second model"
    )
    datasets: tuple[Name, ...] | None = Field(
        None, description="Parallel sets to use; by default all that have both languages."
    )
    measures: tuple[Measure, ...] = Field(
        ("cka", "debiased-cka", "procrustes-distance", "rsa", "mutual-knn"),
        description="Measures to compute for every pair of layers.",
    )
    maximum_lines: int = Field(
        0, ge=0, description="Lines of each set to use, evenly spaced; 0 uses all."
    )
    random_seeds: tuple[int, ...] = Field(
        (1, 2, 3),
        description="The lower bound: the other model untrained, once per seed; empty for none.",
    )
    resamples: int = Field(
        1000, ge=0, description="Bootstrap resamples of the correlation with retrieval."
    )


def compare_models(
    one: Path,
    other: Path,
    data: Path,
    out: Path,
    settings: CompareSettings,
    device: str = AUTO,
) -> None:
    """Compare two models layer by layer; nothing if the output is current.

    Writes ``OUT/layers.csv`` (all layers against all: dataset, language, layer, other_layer,
    condition, metric, value) and ``OUT/scores.csv`` (layers at equal relative depth, and the
    correlation of CKA with retrieval). Sentence vectors are kept beside it, in
    ``OUT.vectors/SET/LANG``.

    Args:
        one: Folder of one language's encoder (Hugging Face).
        other: Folder of the other's.
        data: Data folder with parallel sets of both languages.
        out: Where the tables go.
        settings: Languages, sets and measures.
        device: Where the models run, see :func:`xling.device.choose_device`.
    """
    from xling.alignment.sentence_stage import model_files

    artefact.check_output(out, "similarity", one, other, data)
    folder = DataFolder(data)
    inputs = model_files({"one": one, "other": other})
    for name in _datasets(folder, settings):
        for language in settings.languages:
            path = plain_or_gzipped(folder.root / "parallel" / name / f"{language}.txt")
            assert path is not None
            inputs[f"parallel/{name}/{language}"] = path
    description = artefact.describe("similarity", settings.model_dump(mode="json"), inputs)
    if artefact.is_current(out, description):
        return
    from xling.encoders.encoder import Encoder

    place = choose_device(device)
    encoders = [
        Encoder.load(path, language, place)
        for path, language in zip((one, other), settings.languages, strict=True)
    ]
    kept = out.with_name(f"{out.name}.vectors")
    scores, layers = compare(encoders[0], encoders[1], folder, settings, kept)
    with artefact.building(out, description, {"device": str(place)}) as written:
        for name, table in ((SCORES, scores), (LAYERS, layers)):
            write_scores(table, written / name)


def compare(
    one: "Encoder",
    other: "Encoder",
    data: DataFolder,
    settings: CompareSettings,
    kept: Path | None = None,
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Compare two encoders on sentence vectors of parallel lines, pooled as the settings say.

    Lines without tokens on either side are left out. Vectors of the two models (not of untrained
    ones) are kept in ``kept`` if that is given. The bound replaces the other model by an
    untrained one of its shape (Conneau et al. 2020, section 5.2). Retrieval is by cosine after
    Procrustes with iterative normalisation, learnt on every second line and scored on the rest, and
    the other way round; it is left out where half of the lines are fewer than dimensions.

    Returns:
        - a table of scores (`xling.results`), layers at equal relative depth: probe
          ``similarity`` with the measures, also ``untrained`` (mean over seeds); probe
          ``aligned-retrieval`` with ``p@1``; and, without a layer, ``pearson(cka,p@1)`` over
          layers with its interval;
        - ``LAYER_COLUMNS``, all layers against all.
    """
    import pandas as pd

    from xling.alignment.layers import matched_layers
    from xling.encoders.coverage import coverage_of, warn_of_lost_text
    from xling.encoders.random_encoder import untrained_twins
    from xling.measures.comparison import compare_layers

    pair = pair_name(settings.languages)
    cells: list[tuple[str, str, int, int, str, str, float]] = []
    rows: list[Score] = []
    untrained = [twin for (twin,) in untrained_twins([other], settings.random_seeds)]
    for name in _datasets(data, settings):
        lines = _lines(data, name, settings)
        sides = zip((one, other), lines, strict=True)
        seen = [coverage_of(encoder, texts, settings.prefix) for encoder, texts in sides]
        warn_of_lost_text(name, seen)
        x, y = (
            _vectors(encoder, texts, settings, kept / name / encoder.language if kept else None)
            for encoder, texts in zip((one, other), lines, strict=True)
        )
        bounds = [_vectors(encoder, lines[1], settings, None) for encoder in untrained]
        whole = x[0].any(axis=1) & y[0].any(axis=1)
        if not whole.any():
            raise XlingError(f"{name}: no line has tokens on both sides")
        x, y, *bounds = (side[:, whole] for side in (x, y, *bounds))
        both = list(x), list(y)
        found = {(i, j, TRAINED, m): v for i, j, m, v in compare_layers(*both, settings.measures)}
        random: dict[tuple[int, int, str, str], list[float]] = {}
        for bound in bounds:
            for i, j, measure, value in compare_layers(list(x), list(bound), settings.measures):
                random.setdefault((i, j, UNTRAINED, measure), []).append(value)
        found |= {key: float(np.mean(values)) for key, values in random.items()}
        cells += [(name, pair, *key, value) for key, value in found.items()]
        matched = matched_layers(len(x), len(y))
        rows += [
            Score("similarity", name, pair, "", i, condition, None, measure, value, n=x.shape[1])
            for (i, j, condition, measure), value in found.items()
            if (i, j) in matched
        ]
        cka = {
            i: found[i, j, TRAINED, "cka"] for i, j in matched if (i, j, TRAINED, "cka") in found
        }
        rows += _with_retrieval(name, pair, x, y, matched, cka, settings)
    return as_table(rows), pd.DataFrame(cells, columns=list(LAYER_COLUMNS))


def _with_retrieval(
    name: str,
    pair: str,
    x: Layers,
    y: Layers,
    matched: Sequence[tuple[int, int]],
    cka: dict[int, float],
    settings: CompareSettings,
) -> Iterator[Score]:
    """Retrieval of each matched pair of layers, and how CKA goes with it over layers."""
    from xling.measures.comparison import correlation

    narrow = min(x.shape[-1], y.shape[-1])
    if x.shape[1] // 2 < narrow:
        warnings.warn(
            f"{name}: no retrieval, since half of its {x.shape[1]} lines are fewer than the "
            f"{narrow} dimensions of a rotation",
            stacklevel=2,
        )
        return
    found = {i: _cross_fitted(x[i], y[j]) for i, j in matched}
    of_set = Score("aligned-retrieval", name, pair)
    for layer, value in found.items():
        yield of_set._replace(layer=layer, metric="p@1", value=value, n=x.shape[1])
    layers = sorted(set(cka) & set(found))
    try:
        value, low, high = correlation(
            [cka[i] for i in layers], [found[i] for i in layers], settings.resamples
        )
    except XlingError as error:
        warnings.warn(f"{name}: no correlation of CKA with retrieval: {error}", stacklevel=2)
        return
    score = of_set._replace(metric="pearson(cka,p@1)", value=value, n=len(layers))
    yield score._replace(low=low, high=high)


def _cross_fitted(x: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    """Mean precision@1 of both directions and both halves, each with the other's map."""
    from xling.alignment.config import AlignSettings
    from xling.alignment.layers import fit_pairs
    from xling.measures.retrieval import precision_at_1

    settings = AlignSettings(languages=("x", "y"))
    values = []
    for half in (0, 1):
        fitted = fit_pairs(x[half::2], y[half::2], settings)
        mapped, others = fitted.bring_together(x[1 - half :: 2], y[1 - half :: 2])
        values.append(precision_at_1(mapped, others).mean)
    return float(np.mean(values))


def _datasets(data: DataFolder, settings: CompareSettings) -> tuple[str, ...]:
    available = data.parallel_sets(*settings.languages)
    wanted = available if settings.datasets is None else settings.datasets
    missing = sorted(set(wanted) - set(available))
    if missing or not wanted:
        raise XlingError(
            f"{data.root / 'parallel'}: no set {', '.join(missing) or 'at all'} with "
            f"{' and '.join(settings.languages)} (there are: {', '.join(available) or 'none'})"
        )
    return tuple(wanted)


def _lines(data: DataFolder, name: str, settings: CompareSettings) -> tuple[list[str], list[str]]:
    lines = data.parallel(name, *settings.languages)
    a, b = (lines[language] for language in settings.languages)
    chosen = range(len(a))
    if settings.maximum_lines and len(a) > settings.maximum_lines:
        chosen = np.linspace(0, len(a) - 1, settings.maximum_lines).astype(int)  # type: ignore[assignment]
    return [a[i] for i in chosen], [b[i] for i in chosen]


def _vectors(
    encoder: "Encoder", lines: list[str], settings: CompareSettings, kept: Path | None
) -> Layers:
    from xling.encoders.kept_vectors import kept_sentence_vectors
    from xling.encoders.representations import sentence_vectors

    if kept is None:
        return sentence_vectors(encoder, lines, None, settings.batch_tokens, **settings.encoding)
    return kept_sentence_vectors(encoder, lines, kept, settings.batch_tokens, **settings.encoding)
