"""The stage ``align context``: a task learnt on one model, tested on another through a map.

Conneau et al. 2020, section 5.1.2 (Fig. 5): new layers and a head are trained on the source
model's frozen layer i; the target language's model gives its own states, which a rotation learnt
from aligned words of parallel lines leads into the source's space. Between the members of one
bilingual model the map is that of Fig. 8, and the scores without it are the bilingual model cut at
layer i.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import regex

from xling import artefact
from xling.alignment.context import learn_state_maps
from xling.alignment.sentence_stage import model_files
from xling.data.layout import DataFolder
from xling.device import AUTO
from xling.encoders.coverage import coverage_of, warn_of_lost_text
from xling.encoders.encoder import Encoder
from xling.encoders.encoders import Encoders
from xling.encoders.words import split_words
from xling.errors import XlingError
from xling.files import plain_or_gzipped
from xling.measures.word_links import align_words
from xling.pretraining.distributed import World
from xling.transfer.config import ContextSettings
from xling.transfer.regimes import Maps
from xling.transfer.stage import Run, data_files, describe, drop_states, run_and_write

# Longer than the words of scripts that write no spaces: Chinese and Japanese, Thai and its kin.
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
    """Learn a task on every layer of one model, test it on another's; nothing if current.

    ``OUT`` is as that of `xling transfer`; rows are called ``context-TASK``. Scores of the target
    are through the map, those under the condition ``unmapped`` without it (if both models are
    equally wide), those ``untrained`` of untrained models, which are mapped likewise.

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
    inputs = model_files({"source": source, "target": target})
    inputs |= {f"data/{key}": path for key, path in files.items()}
    inputs |= _parallel_files(folder, settings)
    description = describe("align context", settings.model_dump(mode="json"), inputs)
    if artefact.is_current(out, description):
        drop_states(out, description)
        return

    words = parallel_words(folder, settings)  # faults are said before models are opened

    def opened(process: World) -> Encoders:
        models = zip(settings.languages, (source, target), strict=True)
        of = {code: Encoder.load(path, code, process.device) for code, path in models}
        seen = [coverage_of(of[code], list(map(" ".join, lines))) for code, lines in words.items()]
        warn_of_lost_text(settings.train, seen)
        return Encoders(of)

    def maps(encoders: Encoders) -> Maps:
        return learn_maps(encoders, folder, settings)

    run_and_write(
        out,
        description,
        lambda process, work: Run(opened(process), folder, config, process, work, maps),
        device,
    )


def learn_maps(encoders: Encoders, data: DataFolder, settings: ContextSettings) -> Maps:
    """Align the words of the parallel lines and learn the target's map at every layer."""
    source, target = settings.languages
    words = parallel_words(data, settings)
    learnt = learn_state_maps(
        encoders.of[target],
        encoders.of[source],
        words[target],
        words[source],
        align_words(words[target], words[source], "intersection"),
        settings.normalization,
        settings.batch_tokens,
    )
    return {target: learnt}


def parallel_words(data: DataFolder, settings: ContextSettings) -> dict[str, list[list[str]]]:
    """Return the words of the lines that a map is learnt from, for both languages.

    They are those of ``LANG.words`` where the set has it; other lines are cut at white space and
    around punctuation.

    Raises:
        XlingError: unequal line counts, or words that are not those of their lines.
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
    """Warn where what stands between spaces is no word, as scripts without spaces have it."""
    words = [word for line in lines for word in line]
    clauses = sum(bool(_CLAUSE.search(word)) for word in words)
    if clauses > _MOST_CLAUSES * len(words):
        warnings.warn(
            f"{path}: not there, and {clauses / len(words):.0%} of what stands between the spaces "
            f"and punctuation of {path.stem} are whole clauses rather than words; put the lines "
            "there once more, cut into words by spaces",
            stacklevel=2,
        )


def _parallel_files(data: DataFolder, settings: ContextSettings) -> dict[str, Path]:
    """Return what the map is learnt from: the lines, and their words where there are any."""
    files = {}
    for language in settings.languages:
        files[f"parallel/{language}"] = _parallel_file(data, settings, language)
        words = data.words_file(settings.train, language)
        if words is not None:
            files[f"parallel/{language}.words"] = words
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
