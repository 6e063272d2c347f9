"""The stage ``align context``: a task learnt on one model, tested on another through a map.

PAPER 5.1.2 (Fig. 5): new layers and a head are trained on the source model's frozen layer i; the
target language's model gives its own states, which a rotation learnt from aligned words of
parallel lines leads into the source's space. Between the members of one bilingual model the map
is that of Fig. 8, and the scores without it are the bilingual model cut at layer i.
"""

from pathlib import Path
from typing import Any

import numpy as np

from xling import artefact
from xling.alignment.context import learn_state_maps
from xling.alignment.sentence_stage import model_files
from xling.alignment.symmetrization import align_words
from xling.data.layout import DataFolder
from xling.data.parallel_words import read_links_of
from xling.errors import XlingError
from xling.files import plain_or_gzipped
from xling.similarity.coverage import coverage_of, warn_of_lost_text
from xling.similarity.encoder import Encoder
from xling.similarity.words import split_words
from xling.transfer.context_config import ContextSettings
from xling.transfer.encoders import Encoders
from xling.transfer.regimes import Maps
from xling.transfer.stage import Run, carry_out, data_files


def align_context(
    source: Path, target: Path, data: Path, out: Path, settings: ContextSettings
) -> None:
    """Learn a task on every layer of one model, test it on another's; nothing if current.

    ``OUT`` is as that of `xling transfer`; rows are called ``context-TASK``. Scores of the target
    are through the map, those after ``unmapped:`` without it (if both models are equally wide),
    those after ``random:`` of untrained models, which are mapped likewise.

    Args:
        source: Folder of the source language's encoder (Hugging Face).
        target: Folder of the target language's.
        data: Data folder with the task in both languages and the parallel set.
        out: Where the results go.
        settings: Languages, parallel set, task.

    Raises:
        XlingError: data that is missing, an unusable model, too few linked words, a foreign folder.
    """
    folder, config = DataFolder(data), settings.config
    files = data_files(folder, config)
    inputs = model_files({"source": source, "target": target})
    inputs |= {f"data/{key}": path for key, path in files.items()}
    inputs |= _parallel_files(folder, settings)
    description = artefact.describe("align context", settings.model_dump(mode="json"), inputs)
    if artefact.is_current(out, description):
        return

    words, _ = aligned_words(folder, settings)  # faults are said before models are opened

    def opened() -> Encoders:
        models = zip(settings.languages, (source, target), strict=True)
        of = {language: Encoder.load(path, language) for language, path in models}
        seen = [coverage_of(of[code], list(map(" ".join, lines))) for code, lines in words.items()]
        warn_of_lost_text(settings.train, seen)
        return Encoders(of)

    def maps(encoders: Encoders) -> Maps:
        return learn_maps(encoders, folder, settings)

    carry_out(
        out,
        description,
        f"context-{config.task}",
        lambda here, work: Run(opened(), folder, config, here, work, maps),
    )


def learn_maps(encoders: Encoders, data: DataFolder, settings: ContextSettings) -> Maps:
    """Align the words of the parallel lines and learn the target's map at every layer."""
    source, target = settings.languages
    words, links = aligned_words(data, settings)
    learnt = learn_state_maps(
        encoders.of[target],
        encoders.of[source],
        words[target],
        words[source],
        links if links is not None else align_words(words[target], words[source], "intersection"),
        settings.normalization,
        settings.batch_tokens,
    )
    return {target: learnt}


def aligned_words(
    data: DataFolder, settings: ContextSettings
) -> tuple[dict[str, list[list[str]]], list[Any] | None]:
    """Read the words that a map is learnt from, and their links where the set has them.

    The words are those of ``LANG.words`` where the set has one. Where it has an alignment of the
    two languages (``SRC-TGT.align``, either way round), its sure links are taken.

    Returns:
        For each language the words of the chosen lines; for each line the links as an array
        [links, 2] of (target place, source place), or None if there is no file of them.

    Raises:
        XlingError: Words that are not those of the lines, links beyond them, unequal line counts.
    """
    source, target = settings.languages
    lines = data.parallel(settings.train, source, target)
    count = len(lines[source])
    chosen = np.unique(np.linspace(0, count - 1, min(count, settings.train_lines)).astype(int))
    cut = _links_file(data, settings) is None
    words = {
        language: _words(data, settings, language, lines[language], cut)
        for language in settings.languages
    }
    links = _given_links(data, settings, words)
    words = {language: [found[number] for number in chosen] for language, found in words.items()}
    return words, None if links is None else [links[number] for number in chosen]


def _words(
    data: DataFolder, settings: ContextSettings, language: str, lines: list[str], cut: bool
) -> list[list[str]]:
    """Return the words of all lines; ``cut`` cuts at punctuation too if there is no LANG.words."""
    found = data.parallel_words(settings.train, language)
    if found is not None:
        return found
    return [split_words(line) if cut else line.split() for line in lines]


def _links_file(data: DataFolder, settings: ContextSettings) -> tuple[Path, bool] | None:
    """Return the set's own alignment of both languages, and whether the target comes first."""
    source, target = settings.languages
    for pair, turned in (((target, source), True), ((source, target), False)):
        path = data.links_file(settings.train, *pair)
        if path is not None:
            return path, turned
    return None


def _given_links(
    data: DataFolder, settings: ContextSettings, words: dict[str, list[list[str]]]
) -> list[Any] | None:
    """Return the sure links of the set's own alignment, as (target place, source place)."""
    found = _links_file(data, settings)
    if found is None:
        return None
    path, turned = found
    sides = [words[language] for language in settings.languages]
    first, second = sides[::-1] if turned else sides
    sizes = [(len(a), len(b)) for a, b in zip(first, second, strict=True)]
    result: list[Any] = []
    for links in read_links_of(path, sizes):
        places = sorted({link[:2] for link in links if link.sure})
        array = np.array(places, dtype=np.int64).reshape(-1, 2)
        result.append(array if turned else array[:, ::-1])
    return result


def _parallel_files(data: DataFolder, settings: ContextSettings) -> dict[str, Path]:
    """Return what the map is learnt from: the lines, and their words and links where there."""
    files = {}
    for language in settings.languages:
        files[f"parallel/{language}"] = _parallel_file(data, settings, language)
        words = data.words_file(settings.train, language)
        if words is not None:
            files[f"parallel/{language}.words"] = words
    links = _links_file(data, settings)
    if links is not None:
        files["parallel/links"] = links[0]
    return files


def _parallel_file(data: DataFolder, settings: ContextSettings, language: str) -> Path:
    path = plain_or_gzipped(data.root / "parallel" / settings.train / f"{language}.txt")
    if path is None:
        there = ", ".join(data.parallel_sets(*settings.languages)) or "none"
        raise XlingError(
            f"{data.root / 'parallel' / settings.train}: no {language}.txt to align words in; sets "
            f"with both languages: {there}"
        )
    return path
