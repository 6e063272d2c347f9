"""``xling data import``: files in the formats that corpora come in, as parts of a data folder."""

import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from xling.data.importing.annotations import entities_job, treebank_job
from xling.data.importing.bitext import folder_jobs, moses_jobs, tmx_job
from xling.data.importing.dictionaries import panlex_jobs, vectors_job, words_job
from xling.data.importing.job import Job, Key, Reading, said, together
from xling.data.importing.languages import Tag, names_of
from xling.data.importing.look import Given, Look, given
from xling.data.importing.tables import table_job, table_of
from xling.data.importing.wiki import articles_job, plain_job
from xling.data.layout import TASK_ENDINGS, DataFolder
from xling.data.lines import counted
from xling.data.provenance import Provenance, Record, SourceFile, Step, library_version
from xling.errors import XlingError, need_extra
from xling.files import atomic_folder, plain_or_gzipped, refuse_unwritable
from xling.progress import bar

# Hidden, so that nothing takes it for data: what is ready to be moved into its place.
_READY = ".import"
_MOST_OPEN = 200
_LIBRARIES = ("langcodes", "pyarrow", "zstandard")
_NAMED = 5
# Files that lie beside data but are not data.
_ASIDE = ("readme", "license", "licence", "copying", "changelog", "contributing", "citation")
_ASIDE_ENDINGS = (".md", ".py", ".sh", ".xml", ".html", ".pdf", ".bib", ".rst")
_ASIDE_NAMES = ("stats.xml", "labels.txt", "languages.tsv", "metadata_dev.tsv")
_log = logging.getLogger(__name__)


def import_sources(
    sources: Sequence[Path],
    out: Path,
    part: str | None = None,
    languages: str | None = None,
    licence: str | None = None,
) -> None:
    """Read sources in any of the known formats and add them to a data folder.

    Unusable lines are left out and counted; messages name the first of each kind. All parts are
    written to a hidden folder before the first is moved into its place; existing parts stay.

    Args:
        sources: Files and folders.
        out: The data folder; made if it is not there.
        part: The part they become (``text/wiki``, ``nli``, ...); if None, the content decides.
        languages: Their languages, e.g. ``"fr"`` or ``"en,fr"``; if None, file names decide.
        licence: The sources' licence, to be recorded.

    Raises:
        XlingError: A source is not there, damaged, or of no known format; its language is not
            known; a part is there already; or the extra ``import`` is missing.
    """
    need_extra("import", "xling data import")
    _refuse_own(sources, out, part)
    wanted = given(part, languages)
    names = _names(sources)
    jobs = _jobs(sources, names, wanted)
    refuse_unwritable(out, within=out.is_dir())
    was_there = out.exists()
    try:
        _finish(out)
        total = sum(path.stat().st_size for job in jobs for path in job.files)
        with (
            atomic_folder(out / _READY) as folder,
            bar("Importing", total, unit="bytes") as advance,
        ):
            writer = _Writer(folder, out, names)
            for job in jobs:
                _log.info("%s: %s", _listed([names[path] for path in job.files]), job.what)
                reading = Reading(advance)
                writer.write(job, reading)
            records = writer.place(licence)
            listed = [*_languages_of(out), *writer.languages()]
            Provenance().having(records, dict.fromkeys(listed)).write(folder)
        _finish(out)
    finally:
        if not was_there:
            with suppress(OSError):
                out.rmdir()
    for line in writer.lines():
        _log.info("%s", line)


def _refuse_own(sources: Sequence[Path], out: Path, part: str | None) -> None:
    """Refuse an output that is no folder or among the sources, and a source that is a data folder.

    If no part is given, a data folder's parallel lines and test sets would become text.
    """
    if out.exists() and not out.is_dir():
        raise XlingError(f"{out}: is a file; name a folder to write to")
    for source in sources:
        if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
            raise XlingError(
                f"{out}: lies in {source}, which is imported; name a folder outside it with --out"
            )
        if source.is_dir() and part is None and _is_data(source):
            raise XlingError(
                f"{source}: is a data folder already; use it as it is, or import files of it and "
                "say what they become, e.g. --as text/wiki"
            )


def _is_data(source: Path) -> bool:
    with suppress(XlingError):
        folder = DataFolder(source)
        return bool(folder.domains() or folder.parallel_sets())
    return False


def _names(sources: Sequence[Path]) -> dict[Path, str]:
    """Return every file of the sources with its path from the folder that holds the source."""
    found: dict[Path, str] = {}
    for source in sources:
        if source.is_dir():
            files = [p for p in sorted(source.rglob("*")) if p.is_file()]
            inside = [p for p in files if not _is_aside(p.relative_to(source))]
            inside = _one_of_each(inside)
            if not inside:
                raise XlingError(f"{source}: no file in this folder to import")
            if len(inside) < len(files):
                left = sorted({*files} - {*inside})
                shown = _listed([str(path.relative_to(source)) for path in left])
                _log.info("%s: not read: %s", source, shown)
            base = source.resolve().parent
            found |= {path: str(path.resolve().relative_to(base)) for path in inside}
        elif source.exists() or source.is_symlink():
            found[source] = source.name
        else:
            raise XlingError(f"{source}: not found; expected a file or a folder to import")
    return found


def _is_aside(place: Path) -> bool:
    name = place.name.lower()
    return (
        any(step.startswith(".") for step in place.parts)
        or name.startswith(_ASIDE)
        or name.endswith(_ASIDE_ENDINGS)
        or name in _ASIDE_NAMES
        or "not-to-release" in place.parts
    )


def _one_of_each(files: list[Path]) -> list[Path]:
    """Leave out the second form of a file: XNLI has tsv and jsonl, UD has CoNLL-U and text."""
    there = {*files}
    treebanks = {path.with_suffix("") for path in files if path.suffix == ".conllu"}
    return [
        path
        for path in files
        if not (path.suffix == ".jsonl" and path.with_suffix(".tsv") in there)
        and not (path.suffix == ".txt" and path.with_suffix("") in treebanks)
    ]


def _jobs(sources: Sequence[Path], names: dict[Path, str], wanted: Given) -> list[Job]:
    """Return the jobs for the files; files of one kind are one job."""
    jobs: list[Job] = []
    used: set[Path] = set()
    for source in sources:
        if source.is_dir():
            files = [path for path in names if path.is_relative_to(source)]
            found, read = folder_jobs(source, files, wanted)
            jobs += found
            used |= read
    looks = [Look(path, _above(path, sources)) for path in names if path not in used]
    found, looks = moses_jobs(looks, wanted)
    jobs += found
    found, looks = panlex_jobs(looks, wanted)
    jobs += found
    kinds: dict[tuple[str, ...], list[Job]] = {}
    for look in looks:
        job = _job(look, wanted)
        look.forget()
        # Text may come in many files; of the rest, only shards of one file belong together.
        one = "" if job.part.startswith("text/") else str(look.path.parent / look.stem)
        kinds.setdefault((job.what, job.part, job.split, job.licence, one), []).append(job)
    return [*jobs, *map(together, kinds.values())]


def _above(path: Path, sources: Sequence[Path]) -> tuple[str, ...]:
    """Return the names of the folders of a source above a file, the closest first."""
    for source in sources:
        if source.is_dir() and path.is_relative_to(source):
            inner = path.resolve().relative_to(source.resolve().parent)
            return tuple(reversed(inner.parts[:-1]))
    return ()


def _job(look: Look, wanted: Given) -> Job:
    if look.kind != "parquet":
        for kind in (tmx_job, articles_job, vectors_job, treebank_job, entities_job, words_job):
            if job := kind(look, wanted):
                return _packed(look, job)
    table = table_of(look, wanted)
    if table and (table.named or wanted.kind != "text"):
        return _packed(look, table_job(look, table, wanted))
    return _packed(look, plain_job(look, wanted))


def _packed(look: Look, job: Job) -> Job:
    packed = look.kind not in ("plain", "parquet")
    return replace(job, what=f"{job.what}, packed with {look.kind}") if packed else job


@dataclass
class _Part:
    """One file of the data folder that is being written.

    Attributes:
        job: The job that it comes from.
        key: The language or pair that it belongs to.
        path: Where it is written for now.
        counts: What became of the lines.
        sources: The files it is made from.
        formats: How they were read.
    """

    job: Job
    key: Key
    path: Path
    counts: Counter[str]
    sources: list[Path]
    formats: list[str]
    name: str = ""


class _Writer:
    """Writes the entries of jobs, one file per key, and then gives the files their names."""

    def __init__(self, folder: Path, out: Path, names: Mapping[Path, str]) -> None:
        self._folder = folder
        self._out = out
        self._source_names = names
        self._files: dict[Path, SourceFile] = {}
        self._known = Provenance.read(out)
        self._present = _languages_of(out)
        self._parts: dict[tuple[str, str, Key], _Part] = {}
        self._said: list[str] = []
        self._names: dict[Tag, str] = {}

    def write(self, job: Job, reading: Reading) -> None:
        """Read a job's files and write what it yields."""
        written: dict[Key, _Part] = {}
        kept: Counter[Key] = Counter()
        sources: dict[tuple[Key, int], Job] = {}
        with ExitStack() as stack:
            files: dict[Key, IO[str]] = {}
            for key, entry in job.read(reading):
                file = files.get(key)
                if file is None:
                    if len(files) >= _MOST_OPEN:
                        files.pop(next(iter(files))).close()
                    written[key] = self._part(job, key, key in written)
                    file = files[key] = stack.enter_context(
                        open(written[key].path, "a", encoding="utf-8", newline="\n")
                    )
                file.write(entry + "\n")
                kept[key] += 1
                sources[key, id(reading.job)] = reading.job or job
        general = reading.counts.get(None, Counter())
        if not written:
            why = said(sum(reading.counts.values(), Counter()))
            raise XlingError(f"{job.files[0]}: {job.what}: nothing to import: {why}")
        for key, part in written.items():
            part.counts["kept"] += kept[key]
            part.counts.update(general)
            part.counts.update(reading.counts.get(key, Counter()))
            for (of, _), source in sources.items():
                if of == key:
                    own = source.own.get(key) if isinstance(key, Tag) else None
                    part.sources += [own] if own else source.files
            part.formats.append(job.what)
        for what, problem in reading.first.items():
            number = sum(counts[what] for counts in reading.counts.values())
            times = f" ({counted(number, 'line')}, the first)" if number > 1 else ""
            reason = problem.message if problem.message != what else what
            self._said.append(str(problem._replace(message=f"{reason}{times}")))

    def _part(self, job: Job, key: Key, again: bool) -> _Part:
        place = (job.part, job.split, key)
        part = self._parts.get(place)
        if part is None:
            path = self._folder / f"{len(self._parts):06}"
            part = self._parts[place] = _Part(job, key, path, Counter(), [], [])
            self._is_there(part, names_of(_tags(key), self._present), job.files)
        elif not again and not job.part.startswith("text/"):
            raise XlingError(
                f"{job.files[0]}: gives {_place(part, names_of(_tags(key), self._present))}, as "
                f"{part.sources[0]} does; import one of them"
            )
        return part

    def place(self, licence: str | None) -> dict[str, Record]:
        """Give the files their names in the layout; return their records."""
        tags = [tag for part in self._parts.values() for tag in _tags(part.key)]
        self._names = dict(names_of(tags, self._present))
        records: dict[str, Record] = {}
        for part in self._parts.values():
            part.name = _place(part, self._names)
            sources = list(dict.fromkeys(part.sources))
            if self._is_there(part, self._names, sources):
                part.path.unlink()
                self._said.append(f"{self._out / part.name}: is there from the same files; kept")
                continue
            target = self._folder / part.name
            target.parent.mkdir(parents=True, exist_ok=True)
            part.path.rename(target)
            settings = {"format": list(dict.fromkeys(part.formats)), "libraries": _versions()}
            records[_record_name(part.name)] = Record(
                source=_listed([self._source_names[path] for path in sources]),
                licence=licence or part.job.licence,
                files=tuple(map(self._file, sources)),
                steps=(Step.of("import", settings=settings, counts=part.counts),),
            )
        return records

    def _is_there(self, part: _Part, names: Mapping[Tag, str], sources: Sequence[Path]) -> bool:
        """Tell whether a part is in the data folder, made from these same files.

        Raises:
            XlingError: It is there, made from others.
        """
        place = _place(part, names)
        found = plain_or_gzipped(self._out / place)
        if part.job.part.startswith("parallel/") and (self._out / part.job.part).is_dir():
            found = found or next(iter(sorted((self._out / part.job.part).glob("*.txt*"))), None)
        if found is None:
            return False
        known = {file.sha256 for file in self._known.of(_record_name(place)).files}
        if known and known <= {self._file(path).sha256 for path in sources}:
            return True
        kind = part.job.part.partition("/")[0]
        advice = f"--as {kind}/OTHER" if kind in ("text", "parallel") else "another folder"
        raise XlingError(
            f"{found}: is there already, and is never overwritten; name {advice}, or move it away "
            "first"
        )

    def _file(self, path: Path) -> SourceFile:
        if path not in self._files:
            self._files[path] = SourceFile.read(path, self._source_names[path])
        return self._files[path]

    def languages(self) -> list[str]:
        """Return the names of the languages that were written, except as vectors."""
        parts = [part for part in self._parts.values() if part.job.part != "vectors"]
        return [self._names[tag] for part in parts for tag in _tags(part.key)]

    def lines(self) -> Iterator[str]:
        """Yield the messages for the end."""
        yield from self._said
        for part in self._parts.values():
            yield f"{self._out / part.name}: {said(part.counts)}"


def _tags(key: Key) -> list[Tag]:
    return [key] if isinstance(key, Tag) else list(key)


def _place(part: _Part, names: Mapping[Tag, str]) -> str:
    kind = part.job.part.partition("/")[0]
    name = "-".join(names[tag] for tag in _tags(part.key))
    if kind in ("text", "parallel"):
        return f"{part.job.part}/{name}.txt"
    if kind == "dictionaries":
        return f"dictionaries/{name}.{part.job.split}.tsv"
    if kind == "vectors":
        return f"vectors/{name}.vec"
    return f"{kind}/{name}/{part.job.split}{TASK_ENDINGS[kind]}"


def _record_name(place: str) -> str:
    return place.rpartition(".")[0]


def _versions() -> dict[str, str]:
    return {name: library_version(name) for name in _LIBRARIES}


def _languages_of(out: Path) -> tuple[str, ...]:
    """Return the languages of a data folder; none if it has no part yet."""
    if not out.is_dir():
        return ()
    with suppress(XlingError):
        return DataFolder(out).languages
    return Provenance.read(out).languages


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {counted(more, 'more file')}" if more > 0 else "")


def _finish(out: Path) -> None:
    """Move what is ready into its place, including what a killed import had ready.

    Raises:
        XlingError: A file was put there in the meantime.
    """
    ready = out / _READY
    if not ready.is_dir():
        return
    new = Provenance.read(ready)
    files = [path for path in sorted(ready.rglob("*")) if path.is_file()]
    parts = [path for path in files if path.parent != ready]
    for path in parts:
        if (out / path.relative_to(ready)).exists():
            raise XlingError(
                f"{out / path.relative_to(ready)}: was put there during the import; move it away "
                f"and run again, or delete {ready}"
            )
    for path in parts:
        target = out / path.relative_to(ready)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    Provenance.read(out).having(new.records, new.languages).write(out)
    shutil.rmtree(ready)
