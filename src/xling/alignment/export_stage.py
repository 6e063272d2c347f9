"""The stage ``align export``: two models and parallel lines in, an aligned pair out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xling import artefact
from xling.alignment.config import ExportSettings, SentenceSettings
from xling.alignment.layers import matched_layers
from xling.alignment.sentence_stage import (
    Vectors,
    fit_layers,
    kept_beside,
    parallel_vectors,
    prepared,
    scored,
    sets_to_score,
    warn_of_sets,
)
from xling.data.layout import DataFolder
from xling.device import AUTO
from xling.errors import XlingError
from xling.files import content_hash
from xling.results import SCORES, as_table, write_scores

if TYPE_CHECKING:
    from xling.alignment.pair import AlignedPair
    from xling.encoders.encoder import Encoder

_HELD_OUT = 10  # every tenth training line, to choose a layer by


def export_pair(
    source: Path,
    target: Path,
    data: Path,
    out: Path,
    settings: ExportSettings,
    device: str = AUTO,
) -> None:
    """Write an aligned pair that :func:`xling.load_aligned` opens; nothing if current.

    The layer is the one asked for, or the best on held-out training lines; the map is then learnt
    from all of them and scored on the test sets, once, for the model card.

    Args:
        source: Folder of the source language's encoder.
        target: Folder of the target language's.
        data: Data folder with parallel sets of both languages.
        out: The folder to write.
        settings: Languages, sets, how to align, which layer.
        device: Where the models run, see :func:`xling.device.choose_device`.
    """
    artefact.check_output(out, "align export", source, target, data)
    description, opened = prepared("align export", source, target, data, settings)
    for name, model in (("source", source), ("target", target)):
        if (model / "README.md").is_file():
            description["inputs"][f"{name}/README.md"] = content_hash(model / "README.md")
    if artefact.is_current(out, description):
        return
    from xling.alignment.card import Origin, model_card
    from xling.encoders.opening import saved_form

    encoders, folder = opened(device), DataFolder(data)
    for encoder in encoders:
        encoder.check_weights()
        saved_form(encoder.body)  # before the work, not after it
    warn_of_sets(encoders, folder, settings)
    kept = kept_beside(out)
    train = parallel_vectors(encoders, folder, settings.train, settings.train_lines, settings, kept)
    aligned = learn_pair(encoders, train, settings)
    rows = []
    for name in sets_to_score(folder, settings):
        test = parallel_vectors(encoders, folder, name, settings.test_lines, settings, kept)
        rows += list(scored(aligned.alignment, test, aligned.layers, name, settings))
    origins = (Origin.of_folder(source), Origin.of_folder(target))
    card = model_card(aligned, settings, origins, len(train[0][0]), rows, folder.root.name)
    notes = {"device": str(encoders[0].device)}
    with artefact.building(out, description, notes) as written:
        aligned.save(written, card)
        write_scores(as_table(rows), written / SCORES)


def learn_pair(
    encoders: "tuple[Encoder, Encoder]", train: Sequence[Vectors], settings: ExportSettings
) -> "AlignedPair":
    """Learn the map between one layer of each encoder.

    Args:
        encoders: Of the source and of the target.
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
