"""The stages ``align sentences`` and ``align export``: two models and parallel lines in."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xling import artefact
from xling.alignment.config import ExportSettings, SentenceSettings
from xling.alignment.layers import Alignment, fit_pairs, matched_layers, retrieval_scores
from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.files import atomic_file, plain_or_gzipped

if TYPE_CHECKING:
    import pandas as pd

    from xling.similarity.encoder import Encoder

SCORES = "scores.csv"
_HELD_OUT = 10  # every tenth training line, to choose a layer by
Vectors = NDArray[np.float32]
Row = tuple[str, str, str, int | None, str, float]


def align_sentences(
    source: Path, target: Path, data: Path, out: Path, settings: SentenceSettings
) -> None:
    """Align every layer on parallel lines and write ``OUT/scores.csv``; nothing if current.

    Args:
        source: Folder of the source language's encoder (Hugging Face).
        target: Folder of the target language's.
        data: Data folder with parallel sets of both languages.
        out: Where the scores go: the columns of a probe's.
        settings: Languages, sets, and how to align.
    """
    description, encoders = _prepared("align sentences", source, target, data, settings)
    if artefact.is_current(out, description):
        return
    scores = score_layers(encoders(), DataFolder(data), settings)
    with artefact.building(out, description) as folder, atomic_file(folder / SCORES) as file:
        scores.to_csv(file, index=False)


def score_layers(
    encoders: "tuple[Encoder, Encoder]", data: DataFolder, settings: SentenceSettings
) -> "pd.DataFrame":
    """Align every layer of two encoders and score retrieval on other parallel sets.

    Layers are paired at the same share of the depth; ``layer`` is the source's. Different widths
    are met by the map: Procrustes pads the narrower side with zeros. Lines without tokens on either
    side are left out of training and count as not found.

    Returns:
        Tidy frame (probe, dataset, language, layer, metric, value) with probe
        ``alignment-sentences``; the metrics are those of
        :func:`xling.alignment.layers.retrieval_scores`, ``cosine`` (of test pairs, mapped), and the
        same of untrained encoders as ``random:p@1`` and so on (mean over seeds).
    """
    import pandas as pd

    from xling.similarity.random_encoder import randomly_initialised_together

    rows = list(_rows(encoders, data, settings))
    random: dict[tuple[Any, ...], list[float]] = {}
    for seed in settings.random_seeds:
        bodies = randomly_initialised_together([encoder.body for encoder in encoders], seed)
        one, other = (
            type(encoder)(encoder.language, body, encoder.tokenizer)
            for encoder, body in zip(encoders, bodies, strict=True)
        )
        for *where, metric, value in _rows((one, other), data, settings):
            if not metric.endswith(("-low", "-high")):
                random.setdefault((*where, f"random:{metric}"), []).append(value)
    rows += [(*key, float(np.mean(values))) for key, values in random.items()]
    columns = ["probe", "dataset", "language", "layer", "metric", "value"]
    return pd.DataFrame(rows, columns=columns).astype({"layer": "Int64", "value": float})


def export_pair(
    source: Path, target: Path, data: Path, out: Path, settings: ExportSettings
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
    """
    description, opened = _prepared("align export", source, target, data, settings)
    if artefact.is_current(out, description):
        return
    from xling.alignment.card import model_card
    from xling.alignment.pair import AlignedPair

    encoders, folder = opened(), DataFolder(data)
    train = _vectors(encoders, folder, settings.train, settings.train_lines, settings)
    layers = matched_layers(len(train[0]), len(train[1]))
    pair = _best(train, layers, settings) if settings.layer is None else None
    if pair is None:
        pair = next((found for found in layers if found[0] == settings.layer), None)
    if pair is None:
        raise XlingError(f"layer {settings.layer}: choose one of {[i for i, _ in layers]}")
    fitted = _fit(train, pair, settings)
    rows = []
    for name in _test_sets(folder, settings):
        test = _vectors(encoders, folder, name, settings.test_lines, settings)
        rows += list(_scored(fitted, test, pair, name, settings))
    normalizers = (fitted.source, fitted.target)
    aligned = AlignedPair(encoders[0], encoders[1], pair, normalizers, fitted.map)
    card = model_card(aligned, settings, len(train[0][0]), rows, folder.root.name)
    with artefact.building(out, description) as written:
        aligned.save(written, card)


def _prepared(
    stage: str, source: Path, target: Path, data: Path, settings: SentenceSettings
) -> tuple[dict[str, Any], Any]:
    """The artefact's description, and a function that opens both encoders."""
    folder = DataFolder(data)
    inputs = model_files({"source": source, "target": target})
    for name in (settings.train, *_test_sets(folder, settings)):
        for language in settings.languages:
            path = plain_or_gzipped(folder.root / "parallel" / name / f"{language}.txt")
            assert path is not None
            inputs[f"parallel/{name}/{language}"] = path
    description = artefact.describe(stage, settings.model_dump(mode="json"), inputs)

    def encoders() -> "tuple[Encoder, Encoder]":
        from xling.similarity.encoder import Encoder

        a, b = settings.languages
        return Encoder.load(source, a), Encoder.load(target, b)

    return description, encoders


def model_files(models: dict[str, Path]) -> dict[str, Path]:
    """Files that decide what encoders give, by names that do not depend on where they lie.

    Raises:
        XlingError: if a folder has no ``config.json``.
    """
    found = {}
    for name, folder in models.items():
        if not (Path(folder) / "config.json").is_file():
            raise XlingError(
                f"{folder}: no config.json; expected the folder of one language's encoder, such as "
                "MODEL/en of a trained family"
            )
        for path in sorted(Path(folder).iterdir()):
            if path.suffix in {".json", ".safetensors"}:
                found[f"{name}/{path.name}"] = path
    return found


def _test_sets(data: DataFolder, settings: SentenceSettings) -> tuple[str, ...]:
    available = data.parallel_sets(*settings.languages)
    tests = settings.test
    if tests is None:
        tests = tuple(name for name in available if name != settings.train)
    missing = sorted({settings.train, *tests} - set(available))
    if missing or not tests:
        raise XlingError(
            f"{data.root / 'parallel'}: no set {', '.join(missing) or 'but that of training'} with "
            f"{' and '.join(settings.languages)} (there are: {', '.join(available) or 'none'}); "
            "one is needed to learn the map, and another to score it"
        )
    if settings.train in tests:
        raise XlingError(f"test: {settings.train} is what the map is learnt from; name others")
    return tests


def _rows(
    encoders: "tuple[Encoder, Encoder]", data: DataFolder, settings: SentenceSettings
) -> Iterator[Row]:
    tests = _test_sets(data, settings)
    train = _vectors(encoders, data, settings.train, settings.train_lines, settings)
    layers = matched_layers(len(train[0]), len(train[1]))
    fitted = {pair: _fit(train, pair, settings) for pair in layers}
    for name in tests:
        test = _vectors(encoders, data, name, settings.test_lines, settings)
        for pair in layers:
            yield from _scored(fitted[pair], test, pair, name, settings)


def _vectors(
    encoders: "tuple[Encoder, Encoder]",
    data: DataFolder,
    name: str,
    maximum: int,
    settings: SentenceSettings,
) -> tuple[Vectors, Vectors]:
    """Sentence vectors of both sides of a set: [L + 1, N, d] and [M + 1, N, e]."""
    from xling.similarity.representations import sentence_vectors

    lines = data.parallel(name, *settings.languages)
    count = len(lines[settings.languages[0]])
    chosen = np.arange(count)
    if maximum and count > maximum:
        chosen = np.linspace(0, count - 1, maximum).astype(int)
    one, other = (
        sentence_vectors(
            encoder,
            [lines[language][i] for i in chosen],
            batch_tokens=settings.batch_tokens,
        )
        for encoder, language in zip(encoders, settings.languages, strict=True)
    )
    return one, other


def _whole(x: Vectors, y: Vectors) -> NDArray[np.bool_]:
    return np.asarray(x.any(axis=1) & y.any(axis=1))


def _fit(train: Sequence[Vectors], pair: tuple[int, int], settings: SentenceSettings) -> Alignment:
    x, y = train[0][pair[0]], train[1][pair[1]]
    whole = _whole(x, y)
    if not whole.any():
        raise XlingError(f"{settings.train}: no line has tokens on both sides")
    return fit_pairs(x[whole], y[whole], settings)


def _scored(
    fitted: Alignment,
    test: Sequence[Vectors],
    pair: tuple[int, int],
    name: str,
    settings: SentenceSettings,
) -> Iterator[Row]:
    x, y = test[0][pair[0]], test[1][pair[1]]
    whole = _whole(x, y)
    if not whole.any():
        raise XlingError(f"{name}: no line has tokens on both sides")
    x, y = fitted.bring_together(x[whole], y[whole])
    gold = np.arange(len(x)).repeat(2).reshape(-1, 2)
    missing = int(np.count_nonzero(~whole))
    probe, layer = "alignment-sentences", pair[0]
    for direction, metric, value in retrieval_scores(
        x, y, gold, settings.languages, settings, missing
    ):
        yield probe, name, direction, layer, metric, value
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    cosines = np.einsum("nd,nd->n", x, y) / np.maximum(lengths, np.finfo(np.float32).tiny)
    yield probe, name, "-".join(settings.languages), layer, "cosine", float(cosines.mean())


def _best(
    train: Sequence[Vectors], layers: Sequence[tuple[int, int]], settings: SentenceSettings
) -> tuple[int, int]:
    """The pair of layers with the best precision@1 on every tenth line, learnt from the others."""
    held = np.arange(train[0].shape[1]) % _HELD_OUT == 0
    fast = settings.model_copy(update={"resamples": 0})
    scores = {}
    for pair in layers:
        fitted = _fit([side[:, ~held] for side in train], pair, settings)
        rows = _scored(fitted, [side[:, held] for side in train], pair, "held out", fast)
        scores[pair] = next(
            row[5] for row in rows if row[2] == "-".join(settings.languages) and row[4] == "p@1"
        )
    return max(scores, key=lambda pair: scores[pair])
