"""Write a complete data folder from a specification."""

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import yaml

from xling.artefact import building, check_output, describe, is_current
from xling.conlang.parts import Job, Workshop, jobs
from xling.conlang.spec import SPEC_FILE, ConlangSpec
from xling.files import atomic_file
from xling.progress import bar

_workshop: Workshop | None = None


def generate(spec: ConlangSpec, out: Path, workers: int = 1) -> None:
    """Write the data folder of a spec; do nothing if ``out`` already holds it.

    The bytes of all data files depend on the spec only, not on ``workers`` or the machine.
    Memory does not grow with the number of sentences.

    Args:
        spec: What to generate.
        out: The folder to write, in the data layout.
        workers: Number of processes.
    """
    check_output(out, "conlang")
    description = describe("conlang", spec.model_dump(mode="json"), {})
    if is_current(out, description):
        return
    todo = list(jobs(spec))
    with building(out, description) as folder:
        with bar(
            "Writing sentences", sum(_size(job, spec) for job in todo), "sentences"
        ) as advance:
            done = _in_order(spec, todo, workers)
            for job, files in zip(todo, done, strict=True):
                for name, text in files.items():
                    _append(folder / name, text)
                advance(_size(job, spec), f"Writing {job.part} {job.name} {job.language}")
        _write_record(folder, spec)


def _size(job: Job, spec: ConlangSpec) -> int:
    """Return how many sentences a job writes, all languages together."""
    return job.count if job.language else job.count * len(spec.languages)


def _in_order(spec: ConlangSpec, todo: list[Job], workers: int) -> Iterator[dict[str, str]]:
    """Yield the results of jobs in their order."""
    if workers <= 1:
        workshop = Workshop(spec)
        yield from map(workshop.do, todo)
        return
    # Spawned, not forked: the caller may hold threads (a progress bar, BLAS).
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=_open, initargs=(spec,)) as pool:
        yield from pool.imap(_do, todo)


def _open(spec: ConlangSpec) -> None:
    global _workshop
    _workshop = Workshop(spec)


def _do(job: Job) -> dict[str, str]:
    assert _workshop is not None
    return _workshop.do(job)


def _append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _write_record(folder: Path, spec: ConlangSpec) -> None:
    """Write data.yaml (what the folder holds) and the spec it came from."""
    parts = sorted(path.name for path in folder.iterdir() if path.is_dir())
    record = {
        "languages": list(spec.languages),
        "parts": {
            part: {"source": "xling conlang", "seed": spec.seed, "licence": "CC0-1.0"}
            for part in parts
        },
    }
    for name, value in (("data.yaml", record), (SPEC_FILE, spec.model_dump(mode="json"))):
        with atomic_file(folder / name) as file:
            yaml.safe_dump(value, file, sort_keys=False, allow_unicode=True)
