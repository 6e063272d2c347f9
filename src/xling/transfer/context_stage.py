"""The stage ``align context``: a task learnt on one model, tested on another through a map.

PAPER 5.1.2 (Fig. 5): new layers and a head are trained on the source model's frozen layer i; the
target language's model gives its own states, which a rotation learnt from aligned words of
parallel lines leads into the source's space. Between the members of one bilingual model the map
is that of Fig. 8, and the scores without it are the bilingual model cut at layer i.
"""

from pathlib import Path

import numpy as np

from xling import artefact
from xling.alignment.context import learn_state_maps
from xling.alignment.sentence_stage import model_files
from xling.alignment.symmetrization import align_words
from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.files import plain_or_gzipped
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
    artefact.check_output(out, "align context", source, target, data)
    folder, config = DataFolder(data), settings.config
    files = data_files(folder, config)
    inputs = model_files({"source": source, "target": target})
    inputs |= {f"data/{key}": path for key, path in files.items()}
    for language in settings.languages:
        inputs[f"parallel/{language}"] = _parallel_file(folder, settings, language)
    description = artefact.describe("align context", settings.model_dump(mode="json"), inputs)
    if artefact.is_current(out, description):
        return

    def opened() -> Encoders:
        models = zip(settings.languages, (source, target), strict=True)
        return Encoders({language: Encoder.load(path, language) for language, path in models})

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
    lines = data.parallel(settings.train, source, target)
    count = len(lines[source])
    chosen = np.unique(np.linspace(0, count - 1, min(count, settings.train_lines)).astype(int))
    words = {
        language: [split_words(lines[language][number]) for number in chosen]
        for language in settings.languages
    }
    links = align_words(words[target], words[source], "intersection")
    learnt = learn_state_maps(
        encoders.of[target],
        encoders.of[source],
        words[target],
        words[source],
        links,
        settings.normalization,
        settings.batch_tokens,
    )
    return {target: learnt}


def _parallel_file(data: DataFolder, settings: ContextSettings, language: str) -> Path:
    path = plain_or_gzipped(data.root / "parallel" / settings.train / f"{language}.txt")
    if path is None:
        there = ", ".join(data.parallel_sets(*settings.languages)) or "none"
        raise XlingError(
            f"{data.root / 'parallel' / settings.train}: no {language}.txt to align words in; sets "
            f"with both languages: {there}"
        )
    return path
