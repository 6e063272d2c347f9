"""The stage ``align context``: a task learnt on one model, tested on another through a map.

Conneau et al. 2020, section 5.1.2 (Fig. 5): new layers and a head are trained on the source
model's frozen layer i; the target language's model gives its own states, which a rotation learnt
from aligned words of parallel lines maps into the source's space. Between the members of one
bilingual model the map is that of Fig. 8, and the scores without it are the bilingual model cut at
layer i.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import regex
from numpy.typing import NDArray

from xling import artefact
from xling.alignment.layers import matched_layers
from xling.alignment.two_models import model_inputs
from xling.data.layout import DataFolder
from xling.device import AUTO, BATCH_TOKENS
from xling.encoders.coverage import coverage_of, warn_of_lost_text
from xling.encoders.encoder import Encoder
from xling.encoders.encoders import Encoders
from xling.encoders.words import split_words
from xling.errors import XlingError
from xling.files import plain_or_gzipped
from xling.measures.maps import Procrustes
from xling.measures.normalization import Method, Normalizer
from xling.measures.word_cells import check_parallel
from xling.measures.word_links import align_words
from xling.pretraining.distributed import World
from xling.transfer.config import ContextSettings
from xling.transfer.regimes import Maps, StateMap
from xling.transfer.stage import Run, data_files, describe, drop_states, run_and_write

_CHUNK = 512  # lines encoded at a time: only the vectors of linked words are kept
# Longer than the words of scripts that write no spaces: Chinese and Japanese, Thai and the like.
_CLAUSE = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}]{6}|[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]{16}"
)
_MOST_CLAUSES = 0.1  # of words


def align_context(
    source: Path,
    target: Path,
    data: Path,
    out: Path,
    settings: ContextSettings,
    device: str = AUTO,
) -> None:
    """Learn a task on every layer of one model, test it on another's; do nothing if current.

    ``OUT`` has the files of `xling transfer`; the probe is ``context-TASK``. Scores of the target
    are through the map. The condition ``unmapped`` is without it (if both models have the same
    width), ``untrained`` is of untrained models, which are mapped too.

    Args:
        source: Folder of the source language's encoder (Hugging Face).
        target: Folder of the target language's.
        data: Data folder with the task in both languages and the parallel set.
        out: Where the results go.
        settings: Languages, parallel set, task.
        device: Where to compute, see :func:`xling.device.choose_device`.

    Raises:
        XlingError: data that is missing, an unusable model, too few linked words, a foreign folder.
    """
    artefact.check_output(out, "align context", source, target, data)
    folder, config = DataFolder(data), settings.config
    files = data_files(folder, config)
    inputs = model_inputs({"source": source, "target": target})
    inputs |= {f"data/{key}": path for key, path in files.items()}
    inputs |= _parallel_files(folder, settings)
    description = describe("align context", settings.model_dump(mode="json"), inputs)
    if artefact.is_current(out, description):
        drop_states(out, description)
        return

    words = parallel_words(folder, settings)  # finds any fault before models are opened
    base, code = settings.languages

    def opened(process: World) -> Encoders:
        models = zip(settings.languages, (source, target), strict=True)
        of = {name: Encoder.load(path, name, process.device) for name, path in models}
        seen = [coverage_of(of[name], list(map(" ".join, lines))) for name, lines in words.items()]
        warn_of_lost_text(settings.train, seen)
        return Encoders(of)

    def maps(encoders: Encoders) -> Maps:
        one, other = (encoders.of[language] for language in (code, base))
        links = align_words(words[code], words[base], "intersection")
        given = words[code], words[base], links, settings.normalization, settings.batch_tokens
        return {code: learn_state_maps(one, other, *given)}

    run_and_write(
        out,
        description,
        lambda process, work: Run(opened(process), folder, config, process, work, maps),
        device,
    )


def parallel_words(data: DataFolder, settings: ContextSettings) -> dict[str, list[list[str]]]:
    """Return the words of the lines that a map is learnt from, for both languages.

    They come from ``LANG.words`` if the set has that file; other lines are cut at white space and
    around punctuation.

    Raises:
        XlingError: unequal line counts, or words that differ from their lines.
    """
    lines = data.parallel(settings.train, *settings.languages)
    count = len(lines[settings.languages[0]])
    chosen = np.unique(np.linspace(0, count - 1, min(count, settings.train_lines)).astype(int))
    result = {}
    for language in settings.languages:
        words = data.parallel_words(settings.train, language)
        if words is None:
            found = [split_words(lines[language][number]) for number in chosen]
            _warn_of_clauses(found, data.root / "parallel" / settings.train / f"{language}.words")
            result[language] = found
        else:
            result[language] = [words[number] for number in chosen]
    return result


def _warn_of_clauses(lines: Sequence[Sequence[str]], path: Path) -> None:
    """Warn if what stands between spaces is no word, as in scripts without spaces."""
    words = [word for line in lines for word in line]
    clauses = sum(bool(_CLAUSE.search(word)) for word in words)
    if clauses > _MOST_CLAUSES * len(words):
        warnings.warn(
            f"{path}: not found, and {clauses / len(words):.0%} of what is between spaces and "
            f"punctuation in {path.stem} are whole clauses rather than words; write that file: the "
            "same lines, cut into words by spaces",
            stacklevel=2,
        )


def _parallel_files(data: DataFolder, settings: ContextSettings) -> dict[str, Path]:
    """Return what the map is learnt from: the lines, and their words where there are any."""
    files = {}
    for language in settings.languages:
        lines = plain_or_gzipped(data.root / "parallel" / settings.train / f"{language}.txt")
        if lines is None:
            there = ", ".join(data.parallel_sets(*settings.languages)) or "none"
            raise XlingError(
                f"{data.root / 'parallel' / settings.train}: no {language}.txt to align words in; "
                f"sets with both languages: {there}"
            )
        files[f"parallel/{language}"] = lines
        words = data.words_file(settings.train, language)
        if words is not None:
            files[f"parallel/{language}.words"] = words
    return files


def learn_state_maps(
    one: Encoder,
    other: Encoder,
    lines: Sequence[Sequence[str]],
    other_lines: Sequence[Sequence[str]],
    links: Sequence[object],
    normalization: Method = "iterative",
    batch_tokens: int = BATCH_TOKENS,
) -> Mapping[int, StateMap]:
    """Learn, for every layer of ``other``, the map that takes states of ``one`` there.

    Conneau et al. 2020, section 5.1, Fig. 5.

    The rotation is learnt by Procrustes on normalised vectors of linked words. The layers on top
    were trained on ``other``'s states as they are. So states are not normalised but rotated, and
    the mean of one side is moved to that of the other. Layers are paired at equal relative depth;
    if widths differ, the narrower side is padded with zeros.

    Args:
        one: Encoder of ``lines``: the target language's.
        other: Encoder of ``other_lines``: the source language's.
        lines: The words of each line.
        other_lines: The words of each line; line i means the same as line i of ``lines``.
        links: As :func:`linked_word_vectors` takes them.
        normalization: What is done to each side before the rotation is learnt.
        batch_tokens: Most tokens, padding included, in one forward pass.

    Returns:
        For each layer of ``other`` that has a partner its map.

    Raises:
        XlingError: as :func:`linked_word_vectors` does; fewer pairs than dimensions.
    """
    depths = [encoder.model.config.num_hidden_layers + 1 for encoder in (one, other)]
    layers = matched_layers(*depths)
    vectors = linked_word_vectors(one, other, lines, other_lines, links, layers, batch_tokens)
    return {
        layer: _state_map(X, Y, own, normalization)
        for (own, layer), (X, Y) in zip(layers, vectors, strict=True)
    }


def _state_map(
    X: NDArray[np.float32], Y: NDArray[np.float32], layer: int, normalization: Method
) -> StateMap:
    widest = max(X.shape[1], Y.shape[1])
    if len(X) < widest:
        raise XlingError(
            f"{len(X)} pairs of linked words for a map of {widest} dimensions: too few to "
            "determine it; align more parallel lines"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "iterative normalisation is not stable", RuntimeWarning)
        x, y = (Normalizer(normalization).fit(side).transform(side) for side in (X, Y))
    matrix = Procrustes().fit(x, y).matrix_
    means = [side.mean(axis=0, dtype=np.float64) for side in (X, Y)]
    return StateMap(layer, matrix, means[1] - means[0] @ matrix)


def linked_word_vectors(
    one: Encoder,
    other: Encoder,
    lines: Sequence[Sequence[str]],
    other_lines: Sequence[Sequence[str]],
    links: Sequence[object],
    layers: Sequence[tuple[int, int]],
    batch_tokens: int = BATCH_TOKENS,
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Vectors of the words that a word alignment links, row i with row i.

    A map in context is learnt from them: ``Procrustes().fit(X, Y)`` at each layer. The paper maps
    the target language's model into the source's space, so ``one`` is then the target.

    Args:
        one: Encoder of ``lines``.
        other: Encoder of ``other_lines``.
        lines: The words of each line.
        other_lines: The words of each line; line i means the same as line i of ``lines``.
        links: For each pair an array [links, 2] of (position, other position), as
            :func:`xling.measures.word_links.align_words` gives them; its intersection makes
            the cleanest pairs.
        layers: Pairs of a layer of ``one`` and one of ``other``, 0 being the embeddings' output.
        batch_tokens: Most tokens, padding included, in one forward pass.

    Returns:
        For each of ``layers`` float32 arrays [p, d] and [p, e]. Links of words cut off at a model's
        limit are left out. Memory holds the result and 512 lines.

    Raises:
        XlingError: for unequal numbers of lines, a link beyond a line, or no link at all.
    """
    from xling.encoders.word_vectors import word_vectors

    check_parallel(lines, other_lines)
    check_parallel(lines, links)
    kept: list[list[tuple[NDArray[np.float32], NDArray[np.float32]]]] = [[] for _ in layers]
    for start in range(0, len(lines), _CHUNK):
        part = slice(start, start + _CHUNK)
        places = _places(lines[part], other_lines[part], links[part], start)
        if not len(places):
            continue
        sides = [
            word_vectors(encoder, texts[part], [pair[side] for pair in layers], batch_tokens)[0][
                :, places[:, side]
            ]
            for side, (encoder, texts) in enumerate(((one, lines), (other, other_lines)))
        ]
        whole = sides[0][0].any(axis=1) & sides[1][0].any(axis=1)
        for number, found in enumerate(kept):
            found.append((sides[0][number][whole], sides[1][number][whole]))
    if not kept or not kept[0]:
        raise XlingError("no word is linked, or no layer asked for: nothing to learn a map from")
    return [
        (np.concatenate([x for x, _ in found]), np.concatenate([y for _, y in found]))
        for found in kept
    ]


def _places(
    lines: Sequence[Sequence[str]],
    other_lines: Sequence[Sequence[str]],
    links: Sequence[object],
    start: int,
) -> NDArray[np.int64]:
    """Links as numbers of running words of the chunk [p, 2]."""
    result, before = [], np.zeros(2, dtype=np.int64)
    for number, (line, other, pair) in enumerate(zip(lines, other_lines, links, strict=True)):
        array = np.asarray(pair, dtype=np.int64).reshape(-1, 2)
        sizes = np.array([len(line), len(other)])
        if ((array < 0) | (array >= sizes)).any():
            raise XlingError(
                f"line {start + number + 1}: links beyond its {sizes[0]} and {sizes[1]} words; "
                "were both cut into words as for the alignment?"
            )
        result.append(array + before)
        before = before + sizes
    return np.concatenate(result)
