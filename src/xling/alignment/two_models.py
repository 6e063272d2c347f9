"""What all stages on two models share: their inputs, opening the models, lines and vectors."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xling.alignment.layers import describe_meeting
from xling.data.layout import DataFolder
from xling.device import choose_device
from xling.errors import XlingError
from xling.files import plain_or_gzipped
from xling.model.folder import model_files

if TYPE_CHECKING:
    from xling.encoders.encoder import Encoder

logger = logging.getLogger(__name__)

Vectors = NDArray[np.float32]


def model_inputs(models: Mapping[str, Path]) -> dict[str, Path]:
    """Files that determine the encoders' output, by names that do not depend on the folder.

    Raises:
        XlingError: a folder that lacks a part of a model, or holds a damaged one.
    """
    return {
        f"{name}/{file}": path
        for name, folder in models.items()
        for file, path in model_files(Path(folder)).items()
    }


def parallel_inputs(
    data: DataFolder, sets: Iterable[str], languages: Sequence[str]
) -> dict[str, Path]:
    """Return the files of some parallel sets, which have both languages."""
    files = {}
    for name in sets:
        for language in languages:
            path = plain_or_gzipped(data.root / "parallel" / name / f"{language}.txt")
            assert path is not None
            files[f"parallel/{name}/{language}"] = path
    return files


def open_both(
    one: Path, other: Path, languages: Sequence[str], device: str
) -> "tuple[Encoder, Encoder]":
    """Open both encoders on a device, see :func:`xling.device.choose_device`.

    Warns if each folder has the name of the other language.
    """
    from xling.encoders.encoder import Encoder

    first, second = languages
    if first != second and (Path(one).name, Path(other).name) == (second, first):
        logger.warning(
            "%s is read as %s and %s as %s; if the folders' names are right, say --languages %s,%s",
            *(one, first, other, second, second, first),
        )
    chosen = choose_device(device)
    return (
        Encoder.load(one, languages[0], chosen),
        Encoder.load(other, languages[1], chosen),
    )


def say_how_they_meet(one: "Encoder", other: "Encoder", map_name: str) -> None:
    """Log how a difference in depth or width is handled, if there is one."""
    shapes = [
        (encoder.model.config.num_hidden_layers + 1, encoder.model.config.hidden_size)
        for encoder in (one, other)
    ]
    how = describe_meeting((shapes[0], shapes[1]), (one.language, other.language), map_name)
    if how:
        logger.info("%s", how)


def chosen_lines(
    data: DataFolder, name: str, maximum: int, languages: Sequence[str]
) -> dict[str, list[str]]:
    """Return at most ``maximum`` (0: all) lines of a set by language, evenly spaced."""
    from xling.encoders.sentences import evenly_spaced

    return evenly_spaced(data.parallel(name, *languages), maximum)


def warn_of_set(
    encoders: "tuple[Encoder, Encoder]", data: DataFolder, name: str, maximum: int, prefix: str = ""
) -> None:
    """Warn where much of a set is cut off or unknown; see `warn_of_lost_text`."""
    from xling.encoders.coverage import coverage_of, warn_of_lost_text

    lines = chosen_lines(data, name, maximum, [encoder.language for encoder in encoders])
    warn_of_lost_text(name, [coverage_of(one, lines[one.language], prefix) for one in encoders])


def parallel_vectors(
    encoders: "tuple[Encoder, Encoder]",
    data: DataFolder,
    name: str,
    maximum: int,
    batch_tokens: int,
    kept: Path | None,
    **encoding: Any,
) -> tuple[Vectors, Vectors]:
    """Return sentence vectors of both sides of a set: [L + 1, N, d] and [M + 1, N, e].

    Args:
        encoders: Encoders of both sides.
        data: Data folder with the parallel set.
        name: The set.
        maximum: Maximum number of lines, see :func:`chosen_lines`.
        batch_tokens: Maximum number of tokens, padding included, in one forward pass.
        kept: Folder to keep vectors in, under ``SET/LANG``; none if not given.
        encoding: How lines are read, see :class:`xling.encoders.config.EncodingConfig`.
    """
    lines = chosen_lines(data, name, maximum, [encoder.language for encoder in encoders])
    one, other = (
        line_vectors(
            encoder,
            lines[encoder.language],
            batch_tokens,
            kept / name / encoder.language if kept else None,
            **encoding,
        )
        for encoder in encoders
    )
    return one, other


def line_vectors(
    encoder: "Encoder",
    lines: list[str],
    batch_tokens: int,
    kept: Path | None = None,
    **encoding: Any,
) -> Vectors:
    """Return sentence vectors at every layer [L + 1, N, d], kept in a folder if one is given."""
    from xling.encoders.kept_vectors import kept_sentence_vectors
    from xling.encoders.representations import sentence_vectors

    if kept is None:
        return sentence_vectors(encoder, lines, None, batch_tokens, **encoding)
    return kept_sentence_vectors(encoder, lines, kept, batch_tokens, **encoding)


def kept_beside(out: Path) -> Path:
    """Return the folder for a stage's sentence vectors, next to its output."""
    return out.with_name(f"{out.name}.vectors")


def lines_on_both_sides(x: Vectors, y: Vectors, name: str) -> NDArray[np.bool_]:
    """Tell which lines have tokens on both sides, from the vectors [N, d] and [N, e] of a layer.

    Raises:
        XlingError: there is no such line in the set ``name``.
    """
    whole = np.asarray(x.any(axis=1) & y.any(axis=1))
    if not whole.any():
        raise XlingError(f"{name}: no line has tokens on both sides")
    return whole
