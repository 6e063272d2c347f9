"""A worker's task: one shard of a language's text, from raw lines to those that may be kept.

Everything here depends on the shard's lines alone. Repeats of earlier lines are found afterwards,
in order, by the keys that come with a shard.
"""

import json
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xling.data.overlap import line_keys
from xling.data.preparing.contamination import Contamination
from xling.data.preparing.duplicates import BANDS, band_keys
from xling.data.preparing.filters import LineFilter
from xling.data.preparing.languages import Identifier, iso_code
from xling.data.preparing.settings import PrepareSettings
from xling.data.preparing.tokens import Keys, LineWords
from xling.data.preparing.writing import LineWriter
from xling.files import atomic_file

NEAR = tuple(f"near-{band}" for band in range(BANDS))


class RawShard(NamedTuple):
    """A run of a text's lines.

    Attributes:
        text: Number of the text it is from.
        language: Its language.
        blocks: Lines in NFC joined by line feeds, about a megabyte each.
        bytes: How many of the file's bytes it covers.
        changed: How many of its lines were not in NFC.
        place: Where the clean shard goes.
    """

    text: int
    language: str
    blocks: list[str]
    bytes: int
    changed: int
    place: Path


@dataclass
class CleanShard:
    """The lines of a shard that may be kept.

    Attributes:
        text: The lines, joined by line feeds.
        exact: Hash of each line before it was rewritten, uint64 ``[L]``.
        near: Its MinHash bands, uint64 ``[L, 14]``, or ``[L, 0]`` if not needed.
        counts: Lines by step and outcome, e.g. ``filters.kept``.
    """

    text: str
    exact: Keys
    near: Keys
    counts: Counter[str]

    def lines(self) -> list[str]:
        """Return the lines."""
        return self.text.split("\n") if len(self.exact) else []

    def save(self, path: Path) -> None:
        """Write the shard; the file is whole or absent."""
        with atomic_file(path, "wb") as file:
            np.savez(
                file,
                text=np.frombuffer(self.text.encode(), dtype=np.uint8),
                counts=np.frombuffer(json.dumps(self.counts).encode(), dtype=np.uint8),
                exact=self.exact,
                **dict(zip(NEAR, self.near.T, strict=False)),
            )

    @classmethod
    def load(cls, path: Path) -> "CleanShard | None":
        """Read a shard; None if it is not there or its checksums show damage."""
        found = _arrays(path)
        if found is None:
            return None
        text, counts = (found[name].tobytes().decode() for name in ("text", "counts"))
        exact = found["exact"]
        near = [found[band] for band in NEAR if band in found]
        bands = np.stack(near, axis=1) if near else np.zeros((len(exact), 0), np.uint64)
        return cls(text, exact, bands, Counter(json.loads(counts)))

    @staticmethod
    def load_keys(path: Path, kind: str) -> Keys | None:
        """Read one kind of keys of a shard, uint64 ``[L]``: ``exact`` or one of `NEAR`."""
        found = _arrays(path, kind)
        return found[kind] if found else None


def _arrays(path: Path, *names: str) -> dict[str, NDArray[np.uint64]] | None:
    """Read arrays of a file, all if none is named; None if it is not there or damaged."""
    try:
        with np.load(path) as file:
            return {name: file[name] for name in names or file.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


class Cleaner:
    """Cleans shards of any language; one lives in each worker.

    Args:
        settings: The steps.
        contamination: File of evaluation sentences' hashes.
    """

    def __init__(self, settings: PrepareSettings, contamination: Path) -> None:
        self._settings = settings
        self._contamination = cache(lambda: Contamination.load(contamination))
        self._of = cache(lambda language: _LanguageCleaner(language, settings))

    def __call__(self, shard: RawShard) -> RawShard:
        """Write the clean shard unless it is there already; return the task without its text."""
        if CleanShard.load(shard.place) is None:
            self.clean(shard).save(shard.place)
        return shard._replace(blocks=[])

    def clean(self, shard: RawShard) -> CleanShard:
        """Return what may be kept of a shard."""
        cleaner: _LanguageCleaner = self._of(shard.language)
        counts: Counter[str] = Counter({"nfc.changed": shard.changed})
        known = self._contamination() if self._settings.decontaminate else None
        done = [cleaner.clean(block.split("\n"), known, counts) for block in shard.blocks]
        return CleanShard(
            "\n".join(line for lines, _, _ in done for line in lines),
            np.concatenate([np.zeros(0, np.uint64), *(exact for _, exact, _ in done)]),
            np.concatenate([near for _, _, near in done]) if done else np.zeros((0, 0), np.uint64),
            counts,
        )


class _LanguageCleaner:
    def __init__(self, language: str, settings: PrepareSettings) -> None:
        self._settings = settings
        self._code = iso_code(language)
        identify, filters = settings.identify, settings.filters
        self._identifier = Identifier(language, identify.confidence) if identify else None
        self._filter = LineFilter(language, filters) if filters else None
        self._near = settings.duplicates is not None and settings.duplicates.near
        self._writer = LineWriter(language, settings)

    def clean(
        self, lines: list[str], known: Contamination | None, counts: Counter[str]
    ) -> tuple[list[str], Keys, Keys]:
        """Return the lines kept, as they are to be written, and their keys."""
        counts["nfc.lines"] += len(lines)
        lines = [line for line in lines if line and not line.isspace()]
        counts["nfc.kept"] += len(lines)
        if self._settings.sentences:
            lines = split_sentences(self._code, lines)
            counts["sentences.kept"] += len(lines)
        if self._identifier:
            foreign, unsure = self._identifier.foreign(lines)
            counts["identify.unsure"] += unsure
            lines = _only(lines, _kept({"foreign": foreign}, "identify", counts))
        near = np.zeros((len(lines), 0), np.uint64)
        if self._filter or known or self._near:
            words = LineWords.of(lines)
            if self._filter:
                kept = _kept(self._filter.judge(lines, words), "filters", counts)
                lines, words = _only(lines, kept), words.only(kept)
            if known:
                kept = _kept({"evaluation": known.find(words)}, "decontaminate", counts)
                lines, words = _only(lines, kept), words.only(kept)
            near = band_keys(words) if self._near else near[: len(lines)]
        exact = line_keys(lines) if self._settings.duplicates else np.zeros(len(lines), np.uint64)
        if self._settings.changes_words:
            lines = [self._writer.line(line) for line in lines]
        return lines, exact, near


def _kept(
    reasons: dict[str, NDArray[np.bool_]], step: str, counts: Counter[str]
) -> NDArray[np.bool_]:
    """Return the lines to keep; each line left out counts under its first reason."""
    out = np.zeros(len(next(iter(reasons.values()))), dtype=bool)
    for reason, flags in reasons.items():
        counts[f"{step}.{reason}"] += int((flags & ~out).sum())
        out |= flags
    counts[f"{step}.kept"] += int((~out).sum())
    return ~out


def _only(lines: list[str], kept: NDArray[np.bool_]) -> list[str]:
    return [lines[place] for place in np.flatnonzero(kept)]


def split_sentences(code: str, lines: list[str]) -> list[str]:
    """Return the sentences of lines, each on its own, without white space around them."""
    import sentencex

    found = (sentence.strip() for line in lines for sentence in sentencex.segment(code, line))
    return [sentence for sentence in found if sentence]
