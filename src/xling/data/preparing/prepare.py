"""``xling data prepare``: cleans text in shards over processes, in order; resumes if killed.

Finished shards lie in a hidden folder beside the output until that is complete. Memory holds a few
shards per process and, if repeats are looked for, some 20 bytes for each line of one language: a
key, its copy while keys are merged, and two flags.
"""

import glob
import hashlib
import json
import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from xling.artefact import building, check_output, describe, is_current
from xling.data.layout import DataFolder
from xling.data.lines import Block, read_blocks
from xling.data.preparing.cleaning import NEAR, Cleaner, CleanShard, RawShard
from xling.data.preparing.contamination import Contamination, evaluation_sentences
from xling.data.preparing.duplicates import SeenKeys
from xling.data.preparing.evaluation import Place, evaluation_places, link, write_evaluation
from xling.data.preparing.languages import iso_code
from xling.data.preparing.settings import NOTHING, DisjointSettings, EqualSettings, PrepareSettings
from xling.data.preparing.writing import SEGMENTERS, needed_extras
from xling.data.provenance import Provenance, Record, Step, library_version
from xling.errors import XlingError
from xling.progress import bar
from xling.workers import ordered_map

Found = TypeVar("Found")
_STAGE = "data prepare"
_SHARD_BLOCKS = 8  # of about a megabyte
_LIBRARIES = {"sentences": "sentencex", "identify": "py3langid", "moses": "sacremoses"}


class Text(NamedTuple):
    """A language's text in one domain."""

    place: Place
    domain: str
    language: str


def prepare(
    folders: Sequence[DataFolder],
    settings: PrepareSettings,
    out: Path,
    workers: int,
    languages: Sequence[str] | None = None,
) -> None:
    """Write a prepared data folder; do nothing if it is current.

    The result does not depend on the number of workers, nor on how often the work was killed. Files
    that no step changes are linked to.

    Args:
        folders: The data folders; several with different files are merged.
        settings: The steps.
        out: The folder to write.
        workers: Number of processes.
        languages: Which to prepare; all, if None. Text is decontaminated against all languages.

    Raises:
        XlingError: no such language, an extra that is missing, a file in two folders, or a text
            with no line left.
    """
    check_output(out, _STAGE, *(folder.root for folder in folders))
    there = tuple(dict.fromkeys(code for folder in folders for code in folder.languages))
    if unknown := [code for code in languages or () if code not in there]:
        raise XlingError(
            f"{folders[0].root}: no language {unknown[0]}; its languages are {', '.join(there)}"
        )
    chosen = tuple(languages or there)
    needed_extras(chosen, settings)
    texts = _texts(folders, chosen)
    evaluated = [place for folder in folders for place in evaluation_places(folder)]
    others = [place for place in evaluated if {*place.languages} & {*chosen}]
    description = _describe(folders, settings, chosen, texts, evaluated)
    if is_current(out, description):
        _forget_work(out)
        return
    with building(out, description) as target:
        for place in others:
            write_evaluation(place, target, settings)
        if settings == NOTHING:
            steps: dict[Text, list[Step]] = {}
            for text in texts:
                link(text.place, target)
        else:
            work = _work_folder(out, description, settings)
            steps = _Preparation(folders, settings, texts, work, workers).write(target)
        _list(folders, settings, chosen, steps, others).write(target)
    _forget_work(out)


def _texts(folders: Sequence[DataFolder], languages: tuple[str, ...]) -> list[Text]:
    """Return the text to prepare, by language and domain.

    Raises:
        XlingError: two folders have the same.
    """
    found: dict[str, Text] = {}
    for language in languages:
        having = [(domain, data) for data in folders for domain in data.domains(language)]
        for domain, data in sorted(having, key=lambda pair: pair[0]):
            name = f"text/{domain}/{language}.txt"
            path = data.text(domain, language)
            if name in found:
                raise XlingError(
                    f"{path}: {found[name].place.path} is {name} too; expected it in one folder"
                )
            found[name] = Text(Place(path, name, (language,)), domain, language)
    return list(found.values())


def _describe(
    folders: Sequence[DataFolder],
    settings: PrepareSettings,
    languages: tuple[str, ...],
    texts: list[Text],
    evaluated: list[Place],
) -> dict[str, object]:
    """Describe the work; names of inputs begin with the number of their folder."""
    numbers = {folder.root: number for number, folder in enumerate(folders)}
    inputs = {
        f"{number}/{place.name}": place.path
        for place in (*(text.place for text in texts), *evaluated)
        for root, number in numbers.items()
        if place.path.is_relative_to(root)
    }
    listed = {
        f"{number}/data.yaml": root / "data.yaml"
        for root, number in numbers.items()
        if (root / "data.yaml").is_file()
    }
    config = {**settings.model_dump(mode="json"), "languages": list(languages)}
    return describe(_STAGE, config, {**inputs, **listed})


def _work_folders(out: Path) -> list[Path]:
    whole = Path(os.path.realpath(out))
    return sorted(whole.parent.glob(f".{glob.escape(whole.name)}.prepare-*"))


def _forget_work(out: Path, but: Path | None = None) -> None:
    for left in _work_folders(out):
        if left != but:
            shutil.rmtree(left, ignore_errors=True)


def _work_folder(out: Path, description: Mapping[str, object], settings: PrepareSettings) -> Path:
    """Return the folder for the shards of exactly this work; remove those of other work."""
    content = json.dumps([description, _versions(settings)], sort_keys=True)
    digest = hashlib.blake2b(content.encode(), digest_size=8).hexdigest()
    whole = Path(os.path.realpath(out))
    work = whole.parent / f".{whole.name}.prepare-{digest}"
    _forget_work(out, but=work)
    work.mkdir(exist_ok=True)
    return work


def _versions(settings: PrepareSettings) -> dict[str, str]:
    packages = [*_LIBRARIES.values(), "rensa", *(package for _, package in SEGMENTERS.values())]
    return {package: library_version(package) for package in ("xling", *packages)}


class _Repeats(NamedTuple):
    """Which lines of a shard repeat an earlier one of their language, bool ``[L]`` each."""

    exact: NDArray[np.bool_]
    near: NDArray[np.bool_]


def _there(found: Found | None, shard: RawShard) -> Found:
    if found is None:
        raise XlingError(f"{shard.place}: has gone or was altered; run again")
    return found


class _Preparation:
    """Writes the text of one preparation."""

    def __init__(
        self,
        folders: Sequence[DataFolder],
        settings: PrepareSettings,
        texts: list[Text],
        work: Path,
        workers: int,
    ) -> None:
        self._folders, self._settings, self._texts = folders, settings, texts
        self._work, self._workers = work, workers

    def write(self, target: Path) -> dict[Text, list[Step]]:
        """Write all text below ``target``; return what was done to each."""
        known = self._work / "evaluation.npz"
        if self._settings.decontaminate:
            sentences = (line for folder in self._folders for line in evaluation_sentences(folder))
            Contamination.of(sentences).save(known)
        counts: dict[Text, Counter[str]] = {}
        tasks = self._shards()
        total = sum(text.place.path.stat().st_size for text in self._texts)
        done = ordered_map(partial(Cleaner, self._settings, known), tasks, self._workers)
        with bar("Preparing text", total, "bytes") as advance:
            # Repeats are found within a language, across its domains.
            for _, cleaned in groupby(done, key=lambda shard: shard.language):
                shards = []
                for shard in cleaned:
                    shards.append(shard)
                    advance(shard.bytes)
                repeats = self._repeats(shards)
                for number, own in groupby(shards, key=lambda shard: shard.text):
                    text = self._texts[number]
                    counts[text] = self._write(list(own), repeats, target / text.place.name)
        for text in self._texts:
            self._refuse_nothing(text, counts.get(text, Counter()))
        if self._settings.equal:
            _equalise(self._settings.equal, target, counts)
        return {text: list(self._steps(text, found)) for text, found in counts.items()}

    def _shards(self) -> Iterator[RawShard]:
        for number, text in enumerate(self._texts):
            blocks: list[str] = []
            changed = begun = position = count = 0
            for block in read_blocks(text.place.path):
                own = _own_lines(block, text, self._settings.disjoint)
                blocks += [] if own is None else [own]
                changed, position = changed + block.changed, block.position
                if len(blocks) == _SHARD_BLOCKS:
                    yield self._shard(number, count, blocks, position - begun, changed)
                    blocks, changed, begun, count = [], 0, position, count + 1
            if blocks:
                yield self._shard(number, count, blocks, position - begun, changed)

    def _shard(
        self, number: int, count: int, blocks: list[str], size: int, changed: int
    ) -> RawShard:
        place = self._work / f"{number:05}-{count:06}.npz"
        return RawShard(number, self._texts[number].language, blocks, size, changed, place)

    def _repeats(self, shards: list[RawShard]) -> dict[Path, _Repeats]:
        """Find the lines of a language that repeat an earlier one.

        Keys are read one kind after the other, so that memory holds 8 bytes a line.
        """
        duplicates = self._settings.duplicates
        if duplicates is None:
            return {}
        found = {}
        seen = SeenKeys()
        for shard in shards:
            exact = seen.repeats(_there(CleanShard.load_keys(shard.place, "exact"), shard))
            found[shard.place] = _Repeats(exact, np.zeros(len(exact), dtype=np.bool_))
        for band in NEAR if duplicates.near else ():
            seen = SeenKeys()
            for shard in shards:
                near = seen.repeats(_there(CleanShard.load_keys(shard.place, band), shard))
                found[shard.place].near[:] |= near
        return found

    def _write(
        self, shards: list[RawShard], repeats: Mapping[Path, _Repeats], path: Path
    ) -> Counter[str]:
        """Write the lines of a text that repeat no earlier one; return its counts."""
        path.parent.mkdir(parents=True, exist_ok=True)
        counts: Counter[str] = Counter()
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            for shard in shards:
                clean = _there(CleanShard.load(shard.place), shard)
                counts.update(clean.counts)
                lines = clean.lines()
                if shard.place in repeats:
                    exact, near = repeats[shard.place]
                    counts["duplicates.exact"] += int(exact.sum())
                    counts["duplicates.near"] += int((near & ~exact).sum())
                    lines = [lines[place] for place in np.flatnonzero(~(exact | near))]
                    counts["duplicates.kept"] += len(lines)
                counts["lines"] += len(lines)
                counts["characters"] += sum(map(len, lines))
                file.write("\n".join([*lines, ""]))
        return counts

    def _refuse_nothing(self, text: Text, counts: Counter[str]) -> None:
        if not counts["lines"]:
            reasons = ", ".join(
                f"{count:,} {name}"
                for name, count in counts.items()
                if count and not name.endswith(".kept")
            )
            raise XlingError(
                f"{text.place.path}: no line is left ({reasons or 'there was none'}); is this text "
                f"of {text.language}? Loosen the step that took most, or leave the file out"
            )

    def _steps(self, text: Text, counts: Counter[str]) -> Iterator[Step]:
        """Yield the steps of a text with their counts, in the order in which they were done."""
        content = self._settings.model_dump(mode="json")
        done = [name for name, value in content.items() if value not in (None, False)]
        first = "disjoint" if _is_divided(text, self._settings.disjoint) else None
        of_language = {"segment": iso_code(text.language) in SEGMENTERS}
        of_language["moses"] = not (of_language["segment"] and self._settings.segment)
        for name in dict.fromkeys(["disjoint", "nfc", *done]):
            if name == "disjoint" and first is None:
                continue
            if name == "segment" and not of_language["segment"]:
                continue
            counted = {
                key.partition(".")[2]: count
                for key, count in sorted(counts.items())
                if key.startswith(f"{name}.")
            }
            value = content.get(name)
            settings = dict(value) if isinstance(value, dict) else {}
            if name == "moses":
                settings["tokenised"] = of_language["moses"]
            yield _step(name, text.language, settings, counted)


def _step(
    name: str, language: str, settings: Mapping[str, object], counts: Mapping[str, object]
) -> Step:
    if name == "nfc":
        version = unicodedata.unidata_version
        return Step(step=name, library="unicodedata", version=version, counts=dict(counts))
    library = _LIBRARIES.get(name, "xling")
    if name == "segment":
        library = SEGMENTERS[iso_code(language)][1]
    if name == "duplicates" and settings.get("near"):
        library = "rensa"
    return Step.of(name, library, settings, counts)


def _is_divided(text: Text, settings: DisjointSettings | None) -> bool:
    return (
        settings is not None
        and text.domain in settings.domains
        and text.language in settings.languages
    )


def _own_lines(block: Block, text: Text, settings: DisjointSettings | None) -> str | None:
    """Return the lines of a block that are this language's turn; None if there are none."""
    if settings is None or not _is_divided(text, settings):
        return block.text
    lines = block.lines()
    turn = settings.languages.index(text.language)
    turns = (block.first - 1 + np.arange(len(lines))) // settings.block % len(settings.languages)
    own = np.flatnonzero(turns == turn)
    return "\n".join([lines[place] for place in own]) if len(own) else None


def _equalise(settings: EqualSettings, target: Path, counts: Mapping[Text, Counter[str]]) -> None:
    """Cut texts to the size of the smallest in their group; their first whole lines stay."""
    group = {
        "languages": lambda text: text.domain,
        "domains": lambda text: text.language,
        "both": lambda text: "",
    }[settings.across]
    for name in dict.fromkeys(map(group, counts)):
        members = [text for text in counts if group(text) == name]
        least = min(counts[text][settings.unit] for text in members)
        for text in members:
            kept = _cut(target / text.place.name, least, settings.unit)
            counts[text].update({"equal.kept": kept, "equal.cut": counts[text]["lines"] - kept})


def _cut(path: Path, most: int, unit: str) -> int:
    """Keep the first lines of a file that hold at most so much; return how many they are."""
    kept = size = 0
    with open(path, "rb+") as file:
        for line in file:
            most -= 1 if unit == "lines" else len(line.decode()) - 1
            if most < 0:
                break
            kept, size = kept + 1, size + len(line)
        file.truncate(size)
    return kept


def _list(
    folders: Sequence[DataFolder],
    settings: PrepareSettings,
    languages: tuple[str, ...],
    steps: Mapping[Text, list[Step]],
    others: list[Place],
) -> Provenance:
    """Return what data.yaml says: what it said before, and what was done to each file since."""
    known = [Provenance.read(folder.root) for folder in folders]
    together = Provenance(languages, {}, {})
    for listed in known:
        together = together.having(listed.records)
        together = Provenance(languages, together.records, {**listed.rest, **together.rest})
    records: dict[str, Record] = {}
    for text, done in steps.items():
        before = _before(folders, known, text.place)
        records[text.place.record] = before.after(*done)
    if settings.changes_words:
        names = [name for name in ("moses", "segment", "lower") if getattr(settings, name)]
        for place in others:
            code = iso_code(place.languages[0])
            done = [
                _step(name, place.languages[0], {}, {})
                for name in names
                if name != "segment" or code in SEGMENTERS
            ]
            records[place.record] = _before(folders, known, place).after(*done)
    return together.having(records)


def _before(folders: Sequence[DataFolder], known: Sequence[Provenance], place: Place) -> Record:
    return next(
        listed.of(place.record)
        for folder, listed in zip(folders, known, strict=True)
        if place.path.is_relative_to(folder.root)
    )
