"""The stage ``audit``: models and a data folder in, a card with tables and advice out."""

import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xling import artefact
from xling.audit.advice import Advice, advise, gain_of
from xling.audit.config import AuditSettings
from xling.audit.measure import Lines, Measured, measure
from xling.audit.result import Audit, Collector
from xling.audit.scores import PLAIN
from xling.audit.subjects import MODULES, Subject, fetched, names_of, open_subject
from xling.data.layout import DataFolder
from xling.device import AUTO, choose_device
from xling.encoders.encoders import Encoders, model_files
from xling.encoders.sentences import evenly_spaced
from xling.errors import XlingError
from xling.files import plain_or_gzipped
from xling.measures import precision_at_1
from xling.names import pair_name
from xling.progress import bar
from xling.report.html import bundling
from xling.results import SCORES, Score, as_scores, read_scores

_PIVOTS = ("en", "eng_Latn", "eng", "en-US", "en-GB")
_TRIAL_LINES, _TRIAL_LANGUAGES = 200, 5
_PREFIX_OF = {
    r"(?<![a-z0-9])e5(?![a-z0-9])": "query: "
}  # a model family whose folders rarely name the prefix that its authors require
_STAGE = "audit"
Opener = Callable[[], Subject]


def audit_models(
    models: Sequence[str],
    data: Path,
    out: Path,
    settings: AuditSettings,
    revisions: Sequence[str] = (),
    device: str = AUTO,
) -> None:
    """Audit models on a data folder's parallel lines and write the card; nothing if current.

    Vectors and the scores of single languages are kept next to it, in ``OUT.vectors``, so that an
    interrupted audit, or a later one with more languages, does not encode them again.

    Args:
        models: Families, Hugging Face or sentence-transformers folders, or names on the hub.
        data: Data folder with a parallel set.
        out: Where the card goes.
        settings: Settings of the audit.
        revisions: Revisions of each model: on the hub, or folders within its folder.
        device: Where models run, see :func:`xling.device.choose_device`.

    Raises:
        XlingError: a model, a language or a set is missing or cannot be used.
    """
    if not models:
        raise XlingError("no model is named; expected folders, or names on the hub (OWNER/NAME)")
    names = names_of(models, revisions)
    places = {name: fetched(*of, settings.trust_remote_code) for name, of in names.items()}
    artefact.check_output(out, _STAGE, data, *places.values())
    folder = DataFolder(data)
    dataset, languages = chosen_set(folder, settings)
    _check_mapped(settings, len(places), languages)
    inputs = _inputs(places, folder, dataset, languages, settings)
    config = {**settings.model_dump(mode="json"), "languages": languages, "models": list(places)}
    description = artefact.describe(_STAGE, config, inputs)
    if artefact.is_current(out, description):
        return
    place = choose_device(device)
    _, lines = lines_of(folder, settings)
    openers: dict[str, Opener] = {}
    for name, model in places.items():
        openers[name] = _opener(name, model, languages, settings, place)
    if settings.mapped:
        openers = {" and ".join(places): _mapped(places, languages, settings, place)}
    kept = out.with_name(f"{out.name}.vectors")
    found = audit_lines(openers, lines, dataset, settings, kept, places, data, device)
    with artefact.building(out, description, {"device": str(place)}) as temporary:
        found.write(temporary)


def audit_lines(
    openers: Mapping[str, Opener],
    lines: Lines,
    dataset: str,
    settings: AuditSettings,
    kept: Path,
    places: Mapping[str, Path] | None = None,
    data: Path | None = None,
    device: str = AUTO,
) -> Audit:
    """Audit models one after the other.

    Args:
        openers: For each model, by name, the function that opens it.
        lines: For each language its lines, the pivot first.
        dataset: Name of the set of lines.
        settings: Settings of the audit.
        kept: Folder for vectors.
        places: The models' folders, which tasks need.
        data: Data folder, which tasks need.
        device: Where tasks are learnt.
    """
    count = len(next(iter(lines.values())))
    if count < 4:
        raise XlingError(f"{dataset}: {count} lines; expected at least 4, better 200 or more")
    collector = Collector()
    bundling()  # for the page, while the models run
    conditions = 1 + len(settings.untrained_seeds)
    total = len(openers) * count * len(lines) * conditions
    with bar("Auditing", total, "lines") as progress:
        for name, opener in openers.items():
            progress(0, f"Auditing {name}")
            subject = opener()
            measured = measure(subject, lines, dataset, settings, kept, progress)
            advice = [*advise(measured), *_prefix_trial(measured, settings)]
            more: list[Score] = []
            if settings.tasks and places and data is not None:
                more = _tasks(measured, places[name], data, settings, device)
            collector.add(measured, advice, more)
    return collector.audit(dataset, settings.model_dump(mode="json"), count)


def chosen_set(folder: DataFolder, settings: AuditSettings) -> tuple[str, tuple[str, ...]]:
    """Return the parallel set to use and its languages, the pivot first.

    Raises:
        XlingError: there is none, or it lacks a language.
    """
    there = {name: folder.set_languages("parallel", name) for name in folder.parallel_sets()}
    if settings.dataset is not None:
        there = {name: has for name, has in there.items() if name == settings.dataset}
    wanted = settings.languages
    if wanted is not None:
        fitting = {name: has for name, has in there.items() if set(wanted) <= set(has)}
        if not fitting:
            known = {code for has in there.values() for code in has}
            missing = [code for code in wanted if code not in known]
            lacking = f"language {', '.join(missing)}" if missing else "one set with all of them"
            raise XlingError(
                f"{folder.root / 'parallel'}: no {lacking} ({_listed(there)}); expected "
                "parallel/NAME/LANG.txt in every language"
            )
        return min(fitting), tuple(wanted)
    there = {name: has for name, has in there.items() if len(has) > 1}
    if not there:
        asked = f"set {settings.dataset}" if settings.dataset else "set"
        raise XlingError(
            f"{folder.root / 'parallel'}: no {asked} with two languages; expected "
            "parallel/NAME/LANG.txt, line i meaning the same in every language"
        )
    name = min(there, key=lambda one: (-len(there[one]), one))
    pivot = next((code for code in _PIVOTS if code in there[name]), there[name][0])
    return name, (pivot, *(code for code in there[name] if code != pivot))


def lines_of(folder: DataFolder, settings: AuditSettings) -> tuple[str, dict[str, list[str]]]:
    """Return the name of the set to use and the lines of each language, the pivot first."""
    dataset, languages = chosen_set(folder, settings)
    return dataset, evenly_spaced(folder.parallel(dataset, *languages), settings.maximum_lines)


def _listed(sets: Mapping[str, Sequence[str]]) -> str:
    shown = [
        f"{name}: {', '.join(has[:8])}{', ...' if len(has) > 8 else ''}"
        for name, has in list(sets.items())[:4]
    ]
    return f"there are {'; '.join(shown)}" if shown else "there is none"


def _inputs(
    places: Mapping[str, Path],
    folder: DataFolder,
    dataset: str,
    languages: Sequence[str],
    settings: AuditSettings,
) -> dict[str, Path]:
    inputs: dict[str, Path] = {}
    for number, (name, place) in enumerate(places.items()):
        of_model = [languages[number]] if settings.mapped else languages
        if (place / MODULES).is_file():
            files = {
                str(path.relative_to(place)): path
                for path in sorted(place.rglob("*"))
                if path.suffix in (".json", ".safetensors") and path.is_file()
            }
        else:
            files = model_files(place, of_model)
        if settings.trust_remote_code:
            files |= {path.name: path for path in sorted(place.glob("*.py"))}
        inputs |= {f"{name}/{file}": path for file, path in files.items()}
    for code in languages:
        path = plain_or_gzipped(folder.root / "parallel" / dataset / f"{code}.txt")
        if path is not None:
            inputs[f"parallel/{dataset}/{code}"] = path
    return inputs


def _opener(
    name: str, model: Path, languages: Sequence[str], settings: AuditSettings, device: Any
) -> Opener:
    trusted = settings.trust_remote_code
    return lambda: open_subject(name, model, languages, settings.prefix, device, trusted)


def _check_mapped(settings: AuditSettings, models: int, languages: Sequence[str]) -> None:
    if settings.mapped and (models != 2 or len(languages) != 2):
        raise XlingError(
            f"mapped: {models} models and {len(languages)} languages; expected two models, and "
            "with --languages the language of each"
        )


def _mapped(
    places: Mapping[str, Path], languages: Sequence[str], settings: AuditSettings, device: Any
) -> Opener:
    def opened() -> Subject:
        encoders = {
            code: Encoders.load(place, [code], device, settings.trust_remote_code).of[code]
            for code, place in zip(languages, places.values(), strict=True)
        }
        return Subject.of_encoders(" and ".join(places), encoders, settings.prefix)

    return opened


def _prefix_trial(measured: Measured, settings: AuditSettings) -> list[Advice]:
    """Try the prefix that a model family requires, if the model's name says it belongs to one."""
    subject = measured.subject
    names = f"{subject.name} {getattr(subject.distinct[0].model.config, '_name_or_path', '')}"
    prefix = next(
        (text for name, text in _PREFIX_OF.items() if re.search(name, names.lower())), None
    )
    if prefix is None or subject.prefix or settings.prefix is not None or not measured.comparable:
        return []
    from xling.encoders.representations import sentence_vectors

    codes = measured.languages[:_TRIAL_LANGUAGES]
    lines = evenly_spaced({code: measured.lines[code] for code in codes}, _TRIAL_LINES)
    last = [name for name in measured.layers if name != "output"][-1]
    hits = []
    for text in ("", prefix):
        vectors = [
            sentence_vectors(
                subject.encoders[code],
                lines[code],
                batch_tokens=settings.batch_tokens,
                pooling=settings.pooling,
                prefix=text,
                precision=settings.precision,
            )[-1]
            for code in codes
        ]
        found = [
            precision_at_1(vectors[0], other, device=subject.measures_on) for other in vectors[1:]
        ]
        hits.append(np.stack([one.hits for one in found]))
    gain = gain_of(hits[1], hits[0])
    does = "gains" if gain.pays else "gains nothing sure:"
    return [
        Advice(
            "prefix",
            f"No prefix was used, and the name says that this model was trained with {prefix!r}: "
            f"at layer {last} it {does} {gain} in p@1. To audit with it: --prefix {prefix!r}.",
            subject.name,
            last,
            **gain.of_advice(),
        )
    ]


def _tasks(
    measured: Measured, model: Path, data: Path, settings: AuditSettings, device: str
) -> list[Score]:
    """Learn tasks in the pivot on the best frozen layer, and test them in all languages."""
    from xling.transfer.config import PARTS, TransferConfig
    from xling.transfer.stage import transfer

    found: list[Score] = []
    folder = DataFolder(data)
    numbered = [name for name in measured.layers if name != "output"]
    layer = min(measured.best, len(numbered) - 1)
    for task in settings.tasks:
        targets = [
            code for code in measured.languages[1:] if "test" in folder.splits(PARTS[task], code)
        ]
        config = TransferConfig(
            task=task,
            source=measured.pivot,
            targets=tuple(targets),
            regime="feature",
            layers=(layer,),
            new_layers=1,
            epochs=5,
        )
        work = Path(tempfile.mkdtemp(prefix="xling-audit-"))
        try:
            transfer(str(model), data, work / task, config, device)
            frame = read_scores(work / task / SCORES)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        found += as_scores(frame)
    return found


def check_limits(limits: Sequence[str]) -> dict[str, float]:
    """Return limits by the score they apply to.

    Raises:
        XlingError: a limit is not valid.
    """
    found = {}
    for limit in limits:
        what, _, number = limit.partition("=")
        try:
            least = float(number)
        except ValueError:
            least = float("nan")
        if what not in ("retrieval", "one-index") or not 0 <= least <= 1:
            raise XlingError(
                f"--fail-under {limit!r}: expected retrieval=NUMBER or one-index=NUMBER, with a "
                "number from 0 to 1"
            )
        found[what] = least
    return found


def failing(found: Audit, limits: Sequence[str]) -> list[str]:
    """Return a sentence for every score of a model that is below its limit.

    Args:
        found: The audit.
        limits: Such as ``retrieval=0.9``: every language's p@1 at the model's best layer;
            ``one-index=0.9``: the mean p@1 in one index of all languages at its best layer.

    Raises:
        XlingError: a limit is not valid.
    """
    return [
        sentence
        for what, least in check_limits(limits).items()
        for model in found.facts["models"]
        for sentence in _below(found, model, what, least)
    ]


def _below(found: Audit, model: Mapping[str, Any], what: str, least: float) -> list[str]:
    if what == "retrieval":
        return [
            f"{model['name']}: retrieval of {pair_name((model['languages'][0], code))} is "
            f"{of['value']:.3f} at layer {model['best layer']}, below {least:g}"
            for code, of in model["standing"].items()
            if of["value"] < least
        ]
    layer = model["best layer for one index"]
    scores = found.scores
    if layer is None:
        return []
    rows = scores[
        scores["model"].eq(model["name"])
        & scores["probe"].eq("retrieval-pooled")
        & scores["language"].eq("")
        & scores["metric"].eq(PLAIN)
        & scores["condition"].eq("trained")
        & scores["layer"].eq(model["layers"].index(layer))
    ]
    value = float(rows["value"].iloc[0])
    return (
        [f"{model['name']}: one index finds {value:.3f} at layer {layer}, below {least:g}"]
        if value < least
        else []
    )
