"""The stage ``align sentences``: two models and parallel lines in, retrieval at every layer out.

Sentence vectors are kept beside the output, in ``OUT.vectors/SET/LANG``, so that other settings of
the alignment need not encode the lines again.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xling import artefact
from xling.alignment.config import AlignSettings, SentenceSettings
from xling.alignment.layers import (
    Alignment,
    describe_meeting,
    fit_pairs,
    matched_layers,
    retrieval_scores,
)
from xling.data.layout import DataFolder
from xling.device import AUTO, choose_device
from xling.errors import XlingError
from xling.files import plain_or_gzipped
from xling.influence import Floats, write_influence
from xling.influence import over_draws as influence_over_draws
from xling.model.folder import model_files as folder_files
from xling.names import pair_name
from xling.results import (
    SCORES,
    UNTRAINED,
    Key,
    Score,
    as_table,
    over_draws,
    write_scores,
)

if TYPE_CHECKING:
    import pandas as pd

    from xling.encoders.encoder import Encoder

logger = logging.getLogger(__name__)

Vectors = NDArray[np.float32]


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
        target: Folder of the target language's.
        data: Data folder with parallel sets of both languages.
        out: Where the scores go.
        settings: Languages, sets, and how to align.
        device: Where the models run, see :func:`xling.device.choose_device`.
    """
    artefact.check_output(out, "align sentences", source, target, data)
    description, encoders = prepared("align sentences", source, target, data, settings)
    if artefact.is_current(out, description):
        return
    influence: dict[Key, Floats] = {}
    pair = encoders(device)
    scores = score_layers(pair, DataFolder(data), settings, kept_beside(out), influence)
    notes = {"device": str(pair[0].device)}
    with artefact.building(out, description, notes) as folder:
        write_scores(scores, folder / SCORES)
        write_influence(folder, influence)


def kept_beside(out: Path) -> Path:
    """Return the folder beside the output of a stage in which its sentence vectors are kept."""
    return out.with_name(f"{out.name}.vectors")


def score_layers(
    encoders: "tuple[Encoder, Encoder]",
    data: DataFolder,
    settings: SentenceSettings,
    kept: Path | None = None,
    influence: dict[Key, Floats] | None = None,
) -> "pd.DataFrame":
    """Align every layer of two encoders and score retrieval on other parallel sets.

    Layers are paired at equal relative depth; ``layer`` is the source's. Different widths
    are met by the map: Procrustes pads the narrower side with zeros. Lines without tokens on either
    side are left out of training and count as not found.

    Args:
        encoders: Of the source and of the target.
        data: Data folder with the parallel sets.
        settings: Sets, and how to align.
        kept: Folder to keep the encoders' vectors in; none if not given.
        influence: Takes the influence values of p@1, trained and untrained.

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


def prepared(
    stage: str, source: Path, target: Path, data: Path, settings: SentenceSettings
) -> tuple[dict[str, Any], Any]:
    """Return the artefact's description, and a function that opens both encoders on a device."""
    folder = DataFolder(data)
    inputs = model_files({"source": source, "target": target})
    for name in (settings.train, *sets_to_score(folder, settings)):
        for language in settings.languages:
            path = plain_or_gzipped(folder.root / "parallel" / name / f"{language}.txt")
            assert path is not None
            inputs[f"parallel/{name}/{language}"] = path
    description = artefact.describe(stage, settings.model_dump(mode="json"), inputs)

    def encoders(device: str) -> "tuple[Encoder, Encoder]":
        from xling.encoders.encoder import Encoder

        place = choose_device(device)
        one, other = (
            Encoder.load(path, language, place)
            for path, language in zip((source, target), settings.languages, strict=True)
        )
        say_how_they_meet(one, other, settings)
        return one, other

    return description, encoders


def say_how_they_meet(one: "Encoder", other: "Encoder", settings: AlignSettings) -> None:
    """Log what is done about a difference in depth or width, if there is one."""
    shapes = [
        (encoder.model.config.num_hidden_layers + 1, encoder.model.config.hidden_size)
        for encoder in (one, other)
    ]
    how = describe_meeting((shapes[0], shapes[1]), settings.languages, settings.map)
    if how:
        logger.info("%s", how)


def model_files(models: dict[str, Path]) -> dict[str, Path]:
    """Files that decide what encoders give, by names that do not depend on where they lie.

    Raises:
        XlingError: a folder that lacks a part of a model, or holds a damaged one.
    """
    return {
        f"{name}/{file}": path
        for name, folder in models.items()
        for file, path in folder_files(Path(folder)).items()
    }


def sets_to_score(data: DataFolder, settings: SentenceSettings) -> tuple[str, ...]:
    """Return the parallel sets that a map is scored on, never that of training.

    Raises:
        XlingError: a set is missing, or is what the map is learnt from.
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
    train = parallel_vectors(encoders, data, settings.train, settings.train_lines, settings, kept)
    layers = matched_layers(len(train[0]), len(train[1]))
    fitted = {pair: fit_layers(train, pair, settings) for pair in layers}
    for name in tests:
        test = parallel_vectors(encoders, data, name, settings.test_lines, settings, kept)
        for pair in layers:
            yield from scored(fitted[pair], test, pair, name, settings, influence)


def warn_of_sets(
    encoders: "tuple[Encoder, Encoder]", data: DataFolder, settings: SentenceSettings
) -> None:
    """Warn where much of a set is cut off or unknown; see `warn_of_lost_text`."""
    from xling.encoders.coverage import coverage_of, warn_of_lost_text

    sizes = dict.fromkeys(sets_to_score(data, settings), settings.test_lines)
    for name, maximum in {settings.train: settings.train_lines, **sizes}.items():
        lines = _chosen_lines(data, name, maximum, settings)
        sides = zip(encoders, settings.languages, strict=True)
        seen = [coverage_of(encoder, lines[language]) for encoder, language in sides]
        warn_of_lost_text(name, seen)


def _chosen_lines(
    data: DataFolder, name: str, maximum: int, settings: SentenceSettings
) -> dict[str, list[str]]:
    """Return the lines of a set that are used, evenly spaced over it, for each language."""
    lines = data.parallel(name, *settings.languages)
    count = len(lines[settings.languages[0]])
    if not maximum or count <= maximum:
        return lines
    chosen = np.linspace(0, count - 1, maximum).astype(int)
    return {language: [found[i] for i in chosen] for language, found in lines.items()}


def parallel_vectors(
    encoders: "tuple[Encoder, Encoder]",
    data: DataFolder,
    name: str,
    maximum: int,
    settings: SentenceSettings,
    kept: Path | None,
) -> tuple[Vectors, Vectors]:
    """Return sentence vectors of both sides of a set: [L + 1, N, d] and [M + 1, N, e]."""
    lines = _chosen_lines(data, name, maximum, settings)
    one, other = (
        _of_lines(
            encoder,
            lines[language],
            kept / name / language if kept else None,
            settings.batch_tokens,
        )
        for encoder, language in zip(encoders, settings.languages, strict=True)
    )
    return one, other


def _of_lines(
    encoder: "Encoder", lines: list[str], kept: Path | None, batch_tokens: int
) -> Vectors:
    from xling.encoders.kept_vectors import kept_sentence_vectors
    from xling.encoders.representations import sentence_vectors

    if kept is None:
        return sentence_vectors(encoder, lines, batch_tokens=batch_tokens)
    return kept_sentence_vectors(encoder, lines, kept, batch_tokens)


def _whole(x: Vectors, y: Vectors) -> NDArray[np.bool_]:
    return np.asarray(x.any(axis=1) & y.any(axis=1))


def fit_layers(
    train: Sequence[Vectors], pair: tuple[int, int], settings: SentenceSettings
) -> Alignment:
    """Fit the map between two layers on the vectors of both sides' layers of the training lines.

    Raises:
        XlingError: no line has tokens on both sides; fewer lines than dimensions.
    """
    x, y = train[0][pair[0]], train[1][pair[1]]
    whole = _whole(x, y)
    if not whole.any():
        raise XlingError(f"{settings.train}: no line has tokens on both sides")
    return fit_pairs(x[whole], y[whole], settings)


def scored(
    fitted: Alignment,
    test: Sequence[Vectors],
    pair: tuple[int, int],
    name: str,
    settings: SentenceSettings,
    influence: dict[Key, Floats] | None = None,
) -> Iterator[Score]:
    """Yield the scores of a map on one set, from the vectors of both sides' layers.

    Influence values of p@1 go into ``influence``, line by line.

    Raises:
        XlingError: no line has tokens on both sides.
    """
    x, y = test[0][pair[0]], test[1][pair[1]]
    whole = _whole(x, y)
    if not whole.any():
        raise XlingError(f"{name}: no line has tokens on both sides")
    x, y = fitted.bring_together(x[whole], y[whole])
    gold = np.arange(len(x)).repeat(2).reshape(-1, 2)
    missing = int(np.count_nonzero(~whole))
    place: Any = {"probe": "alignment-sentences", "dataset": name, "layer": pair[0]}
    moved: dict[Key, Floats] = {}
    for score in retrieval_scores(x, y, gold, settings.languages, settings, missing, moved):
        yield score._replace(**place)
    if influence is not None:
        lines = np.concatenate([np.flatnonzero(whole), np.flatnonzero(~whole)])
        for key, values in moved.items():
            influence[key._replace(**place)] = values[np.argsort(lines)]
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    cosines = np.einsum("nd,nd->n", x, y) / np.maximum(lengths, np.finfo(np.float32).tiny)
    of_both = Score(language=pair_name(settings.languages), metric="cosine", n=len(x))
    yield of_both._replace(value=float(cosines.mean()), **place)
