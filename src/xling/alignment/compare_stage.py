"""The stage ``similarity``: two models and parallel lines in, all layers against all layers out."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xling import artefact
from xling.alignment.config import CompareSettings
from xling.alignment.two_models import (
    Vectors,
    chosen_lines,
    kept_beside,
    line_vectors,
    lines_on_both_sides,
    model_inputs,
    open_both,
    parallel_inputs,
    parallel_vectors,
    warn_of_set,
)
from xling.data.layout import DataFolder
from xling.device import AUTO
from xling.errors import XlingError
from xling.names import pair_name
from xling.results import SCORES, TRAINED, UNTRAINED, Score, as_table, write_scores

if TYPE_CHECKING:
    import pandas as pd

    from xling.encoders.encoder import Encoder

LAYERS = "layers.csv"
LAYER_COLUMNS = ("dataset", "language", "layer", "other_layer", "condition", "metric", "value")


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
    correlation of CKA with retrieval). Sentence vectors are kept next to it, in
    ``OUT.vectors/SET/LANG``.

    Args:
        one: Folder of one language's encoder (Hugging Face).
        other: Folder of the other language's encoder.
        data: Data folder with parallel sets of both languages.
        out: Where the tables go.
        settings: Languages, sets and measures.
        device: Where the models run, see :func:`xling.device.choose_device`.
    """
    artefact.check_output(out, "similarity", one, other, data)
    folder = DataFolder(data)
    inputs = model_inputs({"one": one, "other": other})
    inputs |= parallel_inputs(
        folder, folder.sets_to_score(settings.languages, settings.datasets), settings.languages
    )
    description = artefact.describe("similarity", settings.model_dump(mode="json"), inputs)
    if artefact.is_current(out, description):
        return
    encoders = open_both(one, other, settings.languages, device)
    scores, layers = compare(*encoders, folder, settings, kept_beside(out))
    notes = {"device": str(encoders[0].device)}
    with artefact.building(out, description, notes) as written:
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
    ones) are kept in ``kept`` if that is given. The lower bound replaces the other model by an
    untrained one of its shape (Conneau et al. 2020, section 5.2). Retrieval is by cosine after
    Procrustes with iterative normalisation, learnt on every second line and scored on the rest, and
    the other way round; it is left out if half the number of lines is below the dimension.

    Returns:
        - a table of scores (`xling.results`), for layers at equal relative depth: probe
          ``similarity`` with the measures, also ``untrained`` (mean over seeds); probe
          ``aligned-retrieval`` with ``p@1``; and, without a layer, ``pearson(cka,p@1)`` over
          layers with its interval;
        - a table with ``LAYER_COLUMNS``, all layers against all.
    """
    import pandas as pd

    from xling.alignment.layers import matched_layers
    from xling.encoders.random_encoder import untrained_twins
    from xling.measures.comparison import compare_layers

    pair = pair_name(settings.languages)
    cells: list[tuple[str, str, int, int, str, str, float]] = []
    rows: list[Score] = []
    untrained = [twin for (twin,) in untrained_twins([other], settings.random_seeds)]
    for name in data.sets_to_score(settings.languages, settings.datasets):
        most, size = settings.maximum_lines, settings.batch_tokens
        encoding = settings.encoding
        warn_of_set((one, other), data, name, most, settings.prefix)
        x, y = parallel_vectors((one, other), data, name, most, size, kept, **encoding)
        others = chosen_lines(data, name, most, settings.languages)[other.language]
        bounds = [line_vectors(encoder, others, size, **encoding) for encoder in untrained]
        whole = lines_on_both_sides(x[0], y[0], name)
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
    x: Vectors,
    y: Vectors,
    matched: Sequence[tuple[int, int]],
    cka: dict[int, float],
    settings: CompareSettings,
) -> Iterator[Score]:
    """Retrieval of each matched pair of layers, and its correlation with CKA over layers."""
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
    """Mean precision@1 of both directions and both halves, each with the other half's map."""
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
