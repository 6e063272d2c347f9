"""The jobs of a study: what each reads, writes and costs in cores; shared ones appear once.

The name of a job's folder has a hash of everything its output depends on, so that changing a
setting makes new folders for what depends on it and leaves earlier results intact.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from xling.conlang.spec import ConlangSpec
from xling.data.derive import DeriveSettings, file_names, originals, source_dictionaries
from xling.data.layout import DataFolder
from xling.data.preparing.evaluation import evaluation_places
from xling.data.preparing.settings import NOTHING
from xling.data.selection import LanguageText, MatchedText, TextPart, named_parts, select
from xling.errors import XlingError
from xling.files import JsonObject, plain_or_gzipped
from xling.names import as_name, pair_name
from xling.pretraining.code_switching import dictionary_files
from xling.study.config import Pair, StudyConfig, Variant, derived_language, languages
from xling.study.inputs import Stamp
from xling.transfer.config import PARTS

DONE = ".done"


@dataclass(frozen=True)
class Job:
    """One stage's work on one thing.

    Attributes:
        stage: The verb, e.g. ``"tokens"``.
        name: Path of its folder under the stage's, e.g. ``"en-fr/joint-8000-1a2b3c4d"``.
        settings: Content of the configuration file the verb gets.
        parents: Folders of the jobs it reads from, by their stage.
        threads: Cores.
        files: Files of the user's data that it reads and that its name depends on.
    """

    stage: str
    name: str
    settings: Mapping[str, Any]
    parents: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1
    files: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The job's folder, relative to the study's."""
        return f"{self.stage}/{self.name}"

    @property
    def output(self) -> str:
        """The file that exists once the job is done.

        It is a separate mark of the workflow, because Snakemake deletes a job's outputs before it
        runs the job, and a stage refuses a folder without its record.
        """
        return f"{self.folder}/{DONE}"


@dataclass(frozen=True)
class Run:
    """One trained model of the study and its scores.

    Attributes:
        variant: Name of the variant.
        pair: The languages.
        seed: The seed.
        tokens: Its tokens job.
        pretrain: Its training job.
        scores: The jobs that measure it: probes of the base with each other language, and tasks.
    """

    variant: str
    pair: Pair
    seed: int
    tokens: Job
    pretrain: Job
    scores: tuple[Job, ...]


@dataclass(frozen=True)
class Plan:
    """Every job of a study, each once, parents before children.

    Attributes:
        data: The data folder, relative to the study's if the study makes it.
        given: The user's data folder; None for a study that makes its own.
        jobs: The jobs.
        runs: The runs.
        files: For each file of the user's data that jobs read, what it was.
    """

    data: str
    given: str | None
    jobs: tuple[Job, ...]
    runs: tuple[Run, ...]
    files: Mapping[str, Stamp]


class Planner:
    """Turns a study into its jobs.

    Args:
        study: The study.
        data: The data folder; None for a study that makes its own.

    Raises:
        XlingError: a fault in the specification of the study's world.
    """

    def __init__(self, study: StudyConfig, data: Path | None) -> None:
        self.study = study
        self.data = data
        self._jobs: dict[str, Job] = {}
        self._stamps: dict[str, Stamp] = {}
        self._read: set[str] = set()  # for the job that is planned next
        self._world = ConlangSpec.load(study.world) if study.world else None
        self._variants = {name: study.variant(name) for name in study.variants}
        self._derived: dict[str, dict[str, str]] = {}
        self._prepared = ""

    def plan(self) -> Plan:
        """Return all jobs and runs.

        Raises:
            XlingError: languages, text or parallel sets that the data does not have.
        """
        if self.study.world and self._world:
            data = self._job(
                "data", as_name(self.study.world.stem), self._world.model_dump(mode="json")
            ).folder
        else:
            data = str(self._given_data().resolve())
        data = self._derive(self._prepare(data))
        # If a variant derives its other language, pairs with the same base share its run.
        runs = {
            (name, variant.languages(pair), seed): self._run(name, variant, pair, seed)
            for pair in map(languages, self.study.pairs)
            for name, variant in self._variants.items()
            for seed in variant.seeds
        }
        given = str(self.data.resolve()) if self.data else None
        return Plan(data, given, tuple(self._jobs.values()), tuple(runs.values()), self._stamps)

    def _prepare(self, data: str) -> str:
        """Return the folder of the data as the study prepares them: a job for each language.

        Prepared data are identified by their folder, whose name has a hash of all files and steps.
        So what is read of them needs no hash of its own.
        """
        steps = self.study.prepare
        if steps is None:
            return data
        name = as_name(Path(data).name)
        made = {"data": self._jobs[data]} if data in self._jobs else {}
        content = steps.model_copy(update={"equal": None}).model_dump(mode="json")
        every = dict.fromkeys(code for pair in self.study.pairs for code in languages(pair))
        parts = {
            language: self._job(
                "prepare",
                f"{name}/{language}",
                content,
                parents=made,
                source=None if made else [data, self._read_to_prepare(language)],
                threads=self.study.threads,
            )
            for language in every
        }
        last = {**NOTHING.model_dump(mode="json"), "equal": steps.model_dump(mode="json")["equal"]}
        whole = self._job("prepare", f"{name}/all", last, parents=parts, threads=self.study.threads)
        self._prepared = whole.folder
        return whole.folder

    def _read_to_prepare(self, language: str) -> object:
        """Return what identifies a language's text and all parts for evaluation."""
        folder = self._folder
        paths = [folder.text(domain, language) for domain in folder.domains(language)]
        paths += [place.path for place in evaluation_places(folder)]
        return {str(path.relative_to(folder.root)): self._hash(path) for path in paths}

    def _derive(self, data: str) -> str:
        """Return the folder of the data with the languages that variants derive, if any do."""
        derived = {
            derived_language(base, variant.derive): {"of": base, "how": variant.derive}
            for base in dict.fromkeys(languages(pair)[0] for pair in self.study.pairs)
            for variant in self._variants.values()
            if variant.derive
        }
        if not derived:
            return data
        parents = {"data": self._jobs[data]} if data in self._jobs else {}
        settings = {"languages": dict(sorted(derived.items()))}
        source = None if parents else [data, self._read_to_derive(settings)]
        name = as_name(Path(data).name)
        self._derived = derived
        return self._job("derive", name, settings, parents=parents, source=source).folder

    def _read_to_derive(self, settings: Mapping[str, object]) -> object:
        """Return what identifies the data that languages are derived from, and all files' names."""
        folder = self._folder
        files = originals(folder, DeriveSettings.model_validate(settings))
        hashes = {str(path.relative_to(folder.root)): self._hash(path) for path in files}
        return [hashes, file_names(folder)]

    def _original(self, language: str) -> str:
        """Return the language that a language's text comes from: itself, or its original."""
        return str(self._derived.get(language, {}).get("of", language))

    def _run(self, name: str, variant: Variant, pair: Pair, seed: int) -> Run:
        chosen = variant.text_of(pair)
        pair = variant.languages(pair)
        text = {language: _written(parts) for language, parts in chosen.items()}
        where = pair_name(pair)
        source = self._source(chosen)
        vocabulary = variant.vocabulary
        if vocabulary.kind == "parity":
            source = [source, self._parallel(pair)]
        learn = self._job(
            "vocabulary",
            f"{where}/{vocabulary.kind}-{vocabulary.size}",
            {"text": text, "vocabulary": vocabulary.model_dump(mode="json")},
            source=source,
        )
        tokens = self._job(
            "tokens",
            f"{where}/{vocabulary.kind}-{vocabulary.size}",
            {"text": text, "tokens": variant.tokens.model_dump(mode="json")},
            parents={"vocabulary": learn},
            files=learn.files,
        )
        train = self._job(
            "pretrain",
            f"{where}/{name}/seed-{seed}",
            {
                "languages": list(pair),
                "model": variant.model.model_dump(mode="json"),
                "separate": list(variant.separate),
                "pretraining": {**variant.pretraining.model_dump(mode="json"), "seed": seed},
            },
            parents={"vocabulary": learn, "tokens": tokens},
            source=self._read_in_training(variant, pair),
            threads=self.study.threads,
        )
        probes = tuple(self._probe(name, (pair[0], other), seed, train) for other in pair[1:])
        geometry = tuple(
            job
            for other in pair[1:]
            for job in self._geometry(name, (pair[0], other), chosen, seed, train)
        )
        tasks = self._tasks(name, pair, seed, train)
        return Run(name, pair, seed, tokens, train, probes + tasks + geometry)

    def _probe(self, name: str, two: Pair, seed: int, train: Job) -> Job:
        return self._job(
            "probe",
            f"{pair_name(two)}/{name}/seed-{seed}",
            {"languages": list(two), "probe": self.study.probe.model_dump(mode="json")},
            parents={"pretrain": train},
            source=self._parallel(two),
            threads=self.study.threads,
        )

    def _tasks(self, name: str, pair: Pair, seed: int, train: Job) -> tuple[Job, ...]:
        """Return a job for each task; none for derived languages, which have no tasks."""
        if set(pair) & set(self._derived):
            return ()
        return tuple(
            self._job(
                "transfer",
                f"{pair_name(pair)}/{name}/{task}-seed-{seed}",
                self.study.transfer_config(task, pair, seed).model_dump(mode="json"),
                parents={"pretrain": train},
                source=self._gold(PARTS[task], pair),
                threads=self.study.threads,
            )
            for task in self.study.transfer
        )

    def _geometry(
        self, name: str, two: Pair, text: Mapping[str, LanguageText], seed: int, train: Job
    ) -> Iterator[Job]:
        """Yield the jobs that align and compare a model's languages, if the study asks for them."""
        geometry = self.study.geometry
        if geometry is None or not geometry.measures(name, seed):
            return
        base, other = two
        domains = {
            language: tuple(dict.fromkeys(part.domain for part in named_parts(text[language])))
            for language in two
        }
        for stage, what, settings in geometry.parts(
            (base, other), domains, seed, gold=not set(two) & set(self._derived)
        ):
            yield self._job(
                stage,
                f"{pair_name(two)}/{name}/{what}seed-{seed}",
                settings,
                parents={"pretrain": train},
                source=self._read_by(stage, two, text, settings),
                threads=self.study.threads,
            )

    def _read_by(
        self, stage: str, two: Pair, text: Mapping[str, LanguageText], settings: Mapping[str, Any]
    ) -> object:
        """Return what identifies the data that a stage of geometry reads."""
        if self._world:
            return self._world.model_dump(mode="json")
        if stage == "align-words":
            folder = self._folder
            base, other = two
            dictionaries = (
                source_dictionaries(folder, base)
                if other in self._derived
                else {
                    split: folder.dictionary_file(base, other, split) for split in ("train", "test")
                }
            )
            hashes = {key: self._hash(path) for key, path in dictionaries.items()}
            return [self._source({language: text[language] for language in two}), hashes]
        if stage == "align-context":
            gold = self._gold(PARTS[settings["transfer"]["task"]], two)
            return [self._parallel(two), gold, *self._parallel_words(settings["train"], two)]
        return self._parallel(two)

    def _parallel_words(self, name: str, pair: Pair) -> list[str]:
        """Return the content of a set's words, where the data that are given have any."""
        if self._world:
            return []
        folder = self._folder
        files = [folder.words_file(name, self._original(language)) for language in pair]
        return [self._hash(path) for path in files if path]

    def _job(
        self,
        stage: str,
        name: str,
        settings: Mapping[str, object],
        parents: Mapping[str, Job] | None = None,
        source: object = None,
        threads: int = 1,
        files: Sequence[str] = (),
    ) -> Job:
        """Plan a job; it reads ``files`` and the files that were hashed since the last job."""
        read, self._read = self._read.union(files), set()
        parents = parents or {}
        names = {kind: parent.folder for kind, parent in parents.items()}
        source = [source, self._prepared] if self._prepared else source
        identity = json.dumps([stage, settings, names, source], sort_keys=True)
        digest = hashlib.blake2b(identity.encode(), digest_size=4).hexdigest()
        job = Job(stage, f"{name}-{digest}", settings, names, threads, tuple(sorted(read)))
        return self._jobs.setdefault(job.folder, job)

    def _source(self, text: Mapping[str, LanguageText]) -> object:
        """Return what identifies the text: the world's specification, or the files' content."""
        named = {language: named_parts(parts) for language, parts in text.items()}
        if self._world:
            self._check_domains(named)
            return self._world.model_dump(mode="json")
        folder = self._folder
        found = {}
        for language, parts in named.items():
            original = self._original(language)
            files = select(folder, {original: parts})[original]
            found[language] = {str(part): self._hash(path) for part, path in files.items()}
        return found

    def _read_in_training(self, variant: Variant, pair: Pair) -> object:
        """Return what identifies the data that training reads besides the tokens."""
        training = variant.pretraining
        if self._world or not (training.code_switching or training.tlm):
            return None
        folder = self._folder
        paths: dict[str, Path] = {}
        if training.code_switching:
            paths |= (
                source_dictionaries(folder, pair[0])
                if variant.derive
                else dictionary_files(folder, pair)
            )
        if training.tlm:
            from xling.pretraining.batches import parallel_files  # which needs torch

            originals = list(dict.fromkeys(self._original(language) for language in pair))
            paths |= parallel_files(folder, training.tlm.sets, originals)
        return {name: self._hash(path) for name, path in paths.items()}

    def _parallel(self, pair: Pair) -> object:
        originals = [self._original(language) for language in pair]
        if self._world:
            self._check_languages(pair)
            return self._world.model_dump(mode="json")
        folder = self._folder
        found: dict[str, list[str]] = {}
        for name in folder.parallel_sets(*originals):
            files = [
                plain_or_gzipped(folder.root / "parallel" / name / f"{language}.txt")
                for language in originals
            ]
            found[name] = [self._hash(path) for path in files if path]
        if not found:
            raise XlingError(
                f"{folder.root}: no parallel set has {pair[0]} and {pair[1]}; probes need "
                "parallel/NAME/LANG.txt in both"
            )
        return found

    def _gold(self, part: str, pair: Pair) -> object:
        """Return what identifies a task's gold: the world's specification, or files' content."""
        if self._world:
            self._check_languages(pair)
            return self._world.model_dump(mode="json")
        folder = self._folder
        wanted = [(pair[0], "train"), (pair[0], "dev"), *((other, "test") for other in pair[1:])]
        wanted += [
            (language, split) for language in pair for split in folder.splits(part, language)
        ]
        return {
            f"{language}/{split}": self._hash(folder.task(part, language, split))
            for language, split in dict.fromkeys(wanted)
        }

    @cached_property
    def _folder(self) -> DataFolder:
        """The user's data; cached, since its list of languages may be long."""
        return DataFolder(self._given_data())

    def _given_data(self) -> Path:
        if self.data is None:
            raise XlingError(f"study {self.study.name} has no world and was given no data")
        return self.data

    def _check_domains(self, text: Mapping[str, Sequence[TextPart]]) -> None:
        assert self._world
        there = list(self._world.domains)
        for part in (part for parts in text.values() for part in parts):
            if part.domain not in there:
                raise XlingError(
                    f"{self.study.world}: no domain for the text {str(part)!r}; its domains are "
                    f"{', '.join(there)}"
                )

    def _check_languages(self, pair: Pair) -> None:
        assert self._world
        there = list(self._world.languages)
        for language in pair:
            if self._original(language) not in there:
                raise XlingError(
                    f"{self.study.world}: no language {language} for the pair {pair_name(pair)}; "
                    f"its languages are {', '.join(there)}"
                )

    def _hash(self, path: Path) -> str:
        name = str(path.absolute())
        self._read.add(name)
        if name not in self._stamps:
            self._stamps[name] = Stamp.of(path)
        return self._stamps[name].blake2b


def _written(text: LanguageText) -> object:
    """Return a language's text as a configuration file has it."""
    if isinstance(text, MatchedText):
        return {"parts": _written(text.parts), "size_of": _written(text.size_of)}
    return [str(part) for part in text]


def plan_as_json(plan: Plan) -> JsonObject:
    """Return a plan as the workflow and its jobs read it."""
    return {
        "files": {name: stamp.as_json() for name, stamp in plan.files.items()},
        "jobs": {job.folder: {**asdict(job), "output": job.output} for job in plan.jobs},
    }
