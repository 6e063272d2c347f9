"""The stages ``align sentences`` and ``align export``: maps learnt from parallel lines.

Two models and parallel lines go in; retrieval at every layer comes out, or an aligned pair at one
layer. Sentence vectors are kept next to the output, in ``OUT.vectors/SET/LANG``, so that runs with
other alignment settings need not encode the lines again.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xling import artefact
from xling.alignment.config import ExportSettings, SentenceSettings
from xling.alignment.layers import Alignment, fit_pairs, matched_layers, retrieval_scores
from xling.alignment.two_models import (
    Vectors,
    kept_beside,
    lines_on_both_sides,
    model_inputs,
    open_both,
    parallel_inputs,
    parallel_vectors,
    say_how_they_meet,
    warn_of_set,
)
from xling.data.layout import DataFolder
from xling.device import AUTO
from xling.errors import XlingError
from xling.files import JsonObject, content_hash
from xling.influence import Floats, write_influence
from xling.influence import over_draws as influence_over_draws
from xling.names import pair_name
from xling.results import SCORES, UNTRAINED, Key, Score, as_table, over_draws, write_scores

if TYPE_CHECKING:
    import pandas as pd

    from xling.alignment.pair import AlignedPair
    from xling.encoders.encoder import Encoder

_HELD_OUT = 10  # every tenth training line is held out, to choose a layer


def align_sentences(
    source: Path,
    target: Path,
    data: Path,
    out: Path,
    settings: SentenceSettings,
    device: str = AUTO,
) -> None:
    """Align every layer on parallel lines and write ``OUT/scores.csv``; nothing if current.

    Args:
        source: Folder of the source language's encoder (Hugging Face).
        target: Folder of the target language's encoder.
        data: Data folder with parallel sets of both languages.
        out: Where the scores go.
        settings: Languages, sets, and how to align.
        device: Where the models run, see :func:`xling.device.choose_device`.
    """
    artefact.check_output(out, "align sentences", source, target, data)
    read = DataFolder(data)
    description = describe_work("align sentences", source, target, read, settings)
    if artefact.is_current(out, description):
        return
    encoders = open_both(source, target, settings.languages, device)
    say_how_they_meet(*encoders, settings.map)
    influence: dict[Key, Floats] = {}
    scores = score_layers(encoders, read, settings, kept_beside(out), influence)
    notes = {"device": str(encoders[0].device)}
    with artefact.building(out, description, notes) as folder:
        write_scores(scores, folder / SCORES)
        write_influence(folder, influence)


def score_layers(
    encoders: "tuple[Encoder, Encoder]",
    data: DataFolder,
    settings: SentenceSettings,
    kept: Path | None = None,
    influence: dict[Key, Floats] | None = None,
) -> "pd.DataFrame":
    """Align every layer of two encoders and score retrieval on other parallel sets.

    Layers are paired at equal relative depth; ``layer`` is the source's. The map handles different
    widths: Procrustes pads the narrower side with zeros. Lines without tokens on either side are
    left out of training and count as not found.

    Args:
        encoders: Encoders of the source and of the target.
        data: Data folder with the parallel sets.
        settings: Sets, and how to align.
        kept: Folder to keep the encoders' vectors in; none if not given.
        influence: Receives the influence values of p@1, trained and untrained.

    Returns:
        A table of scores with probe ``alignment-sentences``; the metrics are those of
        :func:`xling.alignment.layers.retrieval_scores` and ``cosine`` (of test pairs, mapped), also
        of ``untrained`` encoders (mean over seeds).
    """
    from xling.encoders.random_encoder import untrained_twins

    warn_of_sets(encoders, data, settings)
    influence = {} if influence is None else influence
    rows = list(_rows(encoders, data, settings, kept, influence))
    random: list[Score] = []
    of_random: list[dict[Key, Floats]] = []
    twins = untrained_twins(encoders, settings.random_seeds)
    for seed, (one, other) in zip(settings.random_seeds, twins, strict=False):
        found: dict[Key, Floats] = {}
        scores = _rows((one, other), data, settings, None, found)
        random += [score._replace(condition=UNTRAINED, draw=seed) for score in scores]
        of_random.append({k._replace(condition=UNTRAINED): values for k, values in found.items()})
    influence |= influence_over_draws(of_random)
    return as_table([*rows, *over_draws(random)])


def describe_work(
    stage: str, source: Path, target: Path, data: DataFolder, settings: SentenceSettings
) -> JsonObject:
    """Describe the settings and inputs of a stage on sentences, for its artefact."""
    inputs = model_inputs({"source": source, "target": target})
    sets = (settings.train, *sets_to_score(data, settings))
    inputs |= parallel_inputs(data, sets, settings.languages)
    return artefact.describe(stage, settings.model_dump(mode="json"), inputs)


def sets_to_score(data: DataFolder, settings: SentenceSettings) -> tuple[str, ...]:
    """Return the parallel sets that a map is scored on, never the training set.

    Raises:
        XlingError: a set is missing, or is the training set.
    """
    available = data.parallel_sets(*settings.languages)
    tests = settings.test
    if tests is None:
        tests = tuple(name for name in available if name != settings.train)
    missing = sorted({settings.train, *tests} - set(available))
    if missing or not tests:
        raise XlingError(
            f"{data.root / 'parallel'}: no set "
            f"{', '.join(missing) or 'other than the training set'} with "
            f"{' and '.join(settings.languages)} (there are: {', '.join(available) or 'none'}); "
            "one is needed to learn the map, and another to score it"
        )
    if settings.train in tests:
        raise XlingError(f"test: {settings.train} is what the map is learnt from; name others")
    return tests


def _rows(
    encoders: "tuple[Encoder, Encoder]",
    data: DataFolder,
    settings: SentenceSettings,
    kept: Path | None,
    influence: dict[Key, Floats],
) -> Iterator[Score]:
    tests = sets_to_score(data, settings)
    size = settings.batch_tokens
    train = parallel_vectors(encoders, data, settings.train, settings.train_lines, size, kept)
    layers = matched_layers(len(train[0]), len(train[1]))
    fitted = {pair: fit_layers(train, pair, settings) for pair in layers}
    for name in tests:
        test = parallel_vectors(encoders, data, name, settings.test_lines, size, kept)
        for pair in layers:
            yield from scored(fitted[pair], test, pair, name, settings, influence)


def warn_of_sets(
    encoders: "tuple[Encoder, Encoder]", data: DataFolder, settings: SentenceSettings
) -> None:
    """Warn about every set in which much is cut off or unknown."""
    sizes = dict.fromkeys(sets_to_score(data, settings), settings.test_lines)
    for name, maximum in {settings.train: settings.train_lines, **sizes}.items():
        warn_of_set(encoders, data, name, maximum)


def fit_layers(
    train: Sequence[Vectors], pair: tuple[int, int], settings: SentenceSettings
) -> Alignment:
    """Fit the map between two layers on both sides' vectors of the training lines.

    Raises:
        XlingError: no line has tokens on both sides; fewer lines than dimensions.
    """
    x, y = train[0][pair[0]], train[1][pair[1]]
    whole = lines_on_both_sides(x, y, settings.train)
    return fit_pairs(x[whole], y[whole], settings)


def scored(
    fitted: Alignment,
    test: Sequence[Vectors],
    pair: tuple[int, int],
    name: str,
    settings: SentenceSettings,
    influence: dict[Key, Floats] | None = None,
) -> Iterator[Score]:
    """Yield the scores of a map on one set, from both sides' vectors of all layers.

    Influence values of p@1 go into ``influence``, line by line.

    Raises:
        XlingError: no line has tokens on both sides.
    """
    x, y = test[0][pair[0]], test[1][pair[1]]
    whole = lines_on_both_sides(x, y, name)
    x, y = fitted.bring_together(x[whole], y[whole])
    gold = np.arange(len(x)).repeat(2).reshape(-1, 2)
    missing = int(np.count_nonzero(~whole))
    of_layer = {"probe": "alignment-sentences", "dataset": name, "layer": pair[0]}
    moved: dict[Key, Floats] = {}
    for score in retrieval_scores(x, y, gold, settings.languages, settings, missing, moved):
        yield score._replace(**of_layer)
    if influence is not None:
        lines = np.concatenate([np.flatnonzero(whole), np.flatnonzero(~whole)])
        for key, values in moved.items():
            influence[key._replace(**of_layer)] = values[np.argsort(lines)]
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    cosines = np.einsum("nd,nd->n", x, y) / np.maximum(lengths, np.finfo(np.float32).tiny)
    of_both = Score(language=pair_name(settings.languages), metric="cosine", n=len(x))
    yield of_both._replace(value=float(cosines.mean()), **of_layer)


def export_pair(
    source: Path,
    target: Path,
    data: Path,
    out: Path,
    settings: ExportSettings,
    device: str = AUTO,
) -> None:
    """Write an aligned pair that :func:`xling.load_aligned` opens; nothing if current.

    The layer is the one in the settings, or the best on held-out training lines. The map is then
    learnt from all training lines and scored once on the test sets, for the model card.

    Args:
        source: Folder of the source language's encoder.
        target: Folder of the target language's encoder.
        data: Data folder with parallel sets of both languages.
        out: The folder to write.
        settings: Languages, sets, how to align, which layer.
        device: Where the models run, see :func:`xling.device.choose_device`.
    """
    artefact.check_output(out, "align export", source, target, data)
    read = DataFolder(data)
    description = describe_work("align export", source, target, read, settings)
    for name, model in (("source", source), ("target", target)):
        if (model / "README.md").is_file():
            description["inputs"][f"{name}/README.md"] = content_hash(model / "README.md")
    if artefact.is_current(out, description):
        return
    from xling.alignment.card import Origin, model_card
    from xling.encoders.opening import saved_form

    encoders = open_both(source, target, settings.languages, device)
    say_how_they_meet(*encoders, settings.map)
    for encoder in encoders:
        encoder.check_weights()
        saved_form(encoder.body)  # raises its error before the work
    warn_of_sets(encoders, read, settings)
    kept, size = kept_beside(out), settings.batch_tokens
    train = parallel_vectors(encoders, read, settings.train, settings.train_lines, size, kept)
    aligned = learn_pair(encoders, train, settings)
    rows = []
    for name in sets_to_score(read, settings):
        test = parallel_vectors(encoders, read, name, settings.test_lines, size, kept)
        rows += list(scored(aligned.alignment, test, aligned.layers, name, settings))
    origins = (Origin.of_folder(source), Origin.of_folder(target))
    card = model_card(aligned, settings, origins, len(train[0][0]), rows, read.root.name)
    notes = {"device": str(encoders[0].device)}
    with artefact.building(out, description, notes) as written:
        aligned.save(written, card)
        write_scores(as_table(rows), written / SCORES)


def learn_pair(
    encoders: "tuple[Encoder, Encoder]", train: Sequence[Vectors], settings: ExportSettings
) -> "AlignedPair":
    """Learn the map between one layer of each encoder.

    Args:
        encoders: Encoders of the source and of the target.
        train: Vectors of the training lines: [L + 1, N, d] and [M + 1, N, e].
        settings: How to align, and which layer: the best on held-out lines if that is not given.

    Raises:
        XlingError: the layer asked for has no partner; too few lines.
    """
    from xling.alignment.pair import AlignedPair

    layers = matched_layers(len(train[0]), len(train[1]))
    pair = _best(train, layers, settings) if settings.layer is None else None
    if pair is None:
        pair = next((found for found in layers if found[0] == settings.layer), None)
    if pair is None:
        raise XlingError(f"layer {settings.layer}: choose one of {[i for i, _ in layers]}")
    fitted = fit_layers(train, pair, settings)
    return AlignedPair(*encoders, pair, (fitted.source, fitted.target), fitted.map)


def _best(
    train: Sequence[Vectors], layers: Sequence[tuple[int, int]], settings: SentenceSettings
) -> tuple[int, int]:
    """The pair of layers with the best precision@1 on every tenth line, learnt from the others."""
    held = np.arange(train[0].shape[1]) % _HELD_OUT == 0
    fast = settings.model_copy(update={"resamples": 0})
    scores = {}
    for pair in layers:
        fitted = fit_layers([side[:, ~held] for side in train], pair, settings)
        rows = scored(fitted, [side[:, held] for side in train], pair, "held out", fast)
        scores[pair] = next(row.value for row in rows if not row.direction and row.metric == "p@1")
    return max(scores, key=lambda pair: scores[pair])
