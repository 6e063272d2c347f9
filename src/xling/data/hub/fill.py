"""``xling data hub``: fill a data folder piece by piece; resumes if interrupted."""

import logging
from collections.abc import Iterator
from pathlib import Path

from xling.artefact import (
    RECORD,
    check_output,
    describe,
    is_current,
    read_record,
    recorded_versions,
    versions,
)
from xling.data.hub.dataset import DataSet
from xling.data.hub.spec import HubSpec, PairsSource, ParallelSource, Source, TaskSource
from xling.data.hub.tasks import task_unit
from xling.data.hub.text import text_unit
from xling.data.hub.units import Facts, Unit, dictionary_unit, pairs_unit, parallel_unit
from xling.data.layout import DataFolder
from xling.data.provenance import LISTED, Provenance, Record, Step
from xling.errors import XlingError, need_extra
from xling.files import JsonObject, read_json, write_json
from xling.settings import load_settings

# Hidden, so that nothing takes it for data: one record per unit of what was fetched and how.
RECORDS = ".hub"
_FACTS = "facts.json"
_STEP = "hub"
_log = logging.getLogger(__name__)


def fill(spec: Path, out: Path, mirror: Path | None = None) -> None:
    """Fill a data folder from what a specification names.

    Files that were fetched from the same source with the same settings are not fetched
    again. Text comes last, since test sentences of the other parts are left out of it.

    Args:
        spec: The specification (YAML); see docs/data.md.
        out: The data folder.
        mirror: Folder with copies of repositories as OWNER/NAME, to be read instead of the hub.

    Raises:
        XlingError: A fault in the specification, data that are not there or cannot be reached,
            a file in ``out`` that something else wrote, or a missing extra.
    """
    need_extra("hub", "xling data hub")
    import datasets

    datasets.disable_progress_bars()
    settings = load_settings(spec, HubSpec)
    check_output(out, "data hub", in_place=True)
    _refuse_foreign(out / LISTED, out / RECORDS)
    (out / RECORDS).mkdir(parents=True, exist_ok=True)
    places = {part: DataSet(source, mirror) for part, source in settings.sources()}
    done = [_make(unit, out) for unit in _evaluation(settings, places, spec.parent)]
    _list(out, settings, done)
    done += [_make(unit, out) for unit in _texts(settings, places, out)]
    _list(out, settings, done)
    _name_leftovers(out, {unit.name for unit, _ in done})


def _evaluation(spec: HubSpec, places: dict[str, DataSet], folder: Path) -> Iterator[Unit]:
    """Yield the units of all parts but text."""
    for part, source in spec.sources():
        yield from _units(part, spec.languages_of(source), source, places[part])
    for pair, words in spec.dictionaries.items():
        for split, path in (("train", words.train), ("test", words.test)):
            if path is not None:
                yield dictionary_unit(pair, split, folder / path.expanduser(), words)


def _units(
    part: str, languages: tuple[str, ...], source: Source, dataset: DataSet
) -> Iterator[Unit]:
    name = part.rpartition("/")[2]
    if isinstance(source, ParallelSource):
        yield parallel_unit(name, languages, source, dataset)
    elif isinstance(source, PairsSource):
        for language in languages:
            yield pairs_unit(name, language, source, dataset)
    elif isinstance(source, TaskSource):
        for language in languages:
            for split in source.splits:
                if split != "train" or source.train is None or language in source.train:
                    yield task_unit(part, language, split, source, dataset)


def _texts(spec: HubSpec, places: dict[str, DataSet], out: Path) -> Iterator[Unit]:
    for domain, source in spec.text.items():
        for language in spec.languages_of(source):
            enough = None
            if source.size_of:
                enough = _facts(out, f"text/{source.size_of}/{language}")["characters"]
            dataset = places[f"text/{domain}"]
            yield text_unit(DataFolder(out), domain, language, source, dataset, enough)


def _make(unit: Unit, out: Path) -> tuple[Unit, Facts]:
    """Write a unit's files unless they are there from the same source."""
    record = out / RECORDS / unit.name
    description = describe("data hub", unit.config, unit.inputs)
    if is_current(record, description) and all((out / file).is_file() for file in unit.files):
        return unit, _facts(out, unit.name)
    for file in unit.files:
        _refuse_foreign(out / file, record)
    before = set(_read(out, unit.name).get("files", ()))
    # If killed from here on, the unit counts as not fetched, and both fetches' files as ours.
    write_json(record / RECORD, {"stage": description["stage"]})
    write_json(record / _FACTS, {"files": sorted({*before, *unit.files})})
    for file in before - set(unit.files):
        (out / file).unlink(missing_ok=True)
    facts = unit.write(out)
    write_json(record / _FACTS, {"files": unit.files, "facts": facts})
    write_json(record / RECORD, {**description, "versions": versions()})
    kept = ", ".join(f"{count:,} {what}" for what, count in facts.items() if count)
    _log.info("%s: %s", unit.name, kept)
    return unit, facts


def _facts(out: Path, name: str) -> Facts:
    return Facts(_read(out, name).get("facts", {}))


def _read(out: Path, name: str) -> JsonObject:
    """Read what a unit's last fetch left behind; nothing if there was none."""
    path = out / RECORDS / name / _FACTS
    return dict(read_json(path)) if path.is_file() else {}


def _refuse_foreign(path: Path, record: Path) -> None:
    """Refuse to write over a file that this command did not write."""
    if path.exists() and not record.exists():
        raise XlingError(
            f"{path}: is there already and was not fetched by this command; name another folder, "
            "or move the file away"
        )


def _list(out: Path, spec: HubSpec, done: list[tuple[Unit, Facts]]) -> None:
    """Write data.yaml: languages, and where each part comes from; what others put there stays."""
    known = Provenance.read(out)
    others = {
        place: record
        for place, record in known.records.items()
        if not any(step.step == _STEP for step in record.steps)
    }
    records: dict[str, Record] = {}
    for unit, facts in done:
        if unit.part not in records:
            fetched = recorded_versions(read_record(out / RECORDS / unit.name))
            step = Step(step=_STEP, library="xling", version=fetched.get("xling", ""))
            records[unit.part] = Record.model_validate({**unit.about, "steps": [step]})
        records[unit.part].steps[0].counts[unit.name] = {k: n for k, n in facts.items() if n}
    languages = (*spec.languages, *(known.languages if others else ()))
    listed = Provenance(tuple(dict.fromkeys(languages)), others, known.rest)
    listed.having(records).write(out)


def _name_leftovers(out: Path, current: set[str]) -> None:
    """Say what is still in the folder from an earlier specification."""
    records = (path.parent for path in (out / RECORDS).rglob(_FACTS))
    left = sorted({str(record.relative_to(out / RECORDS)) for record in records} - current)
    if left:
        _log.info("no longer in the specification, but still in %s: %s", out, ", ".join(left))
