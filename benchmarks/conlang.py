"""Sentences a second and core, and peak memory, of the conlang generator.

    python benchmarks/conlang.py [--sentences 200000] [--spec worlds/presets]

Writes monolingual text only, then gold only, from the presets' world in one process, and text
again with a quarter of the sentences: memory must not grow with the corpus.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

from figures import Figure, add_options, show

from xling.conlang.generate import DataGenerator, generate, jobs
from xling.conlang.spec import ConlangSpec
from xling.study.shipped import find_study

PARTS = ("ner", "ud", "nli", "topics")


def text_only(spec: ConlangSpec, sentences: int) -> ConlangSpec:
    """Return the spec with so many sentences of text in all and nothing else but dictionaries."""
    each = sentences // len(spec.languages)
    nothing = dict.fromkeys(("train", "dev", "test"), 0)
    return ConlangSpec.parse(
        {
            **spec.model_dump(mode="json"),
            "domains": {"wiki": {"sentences": each}},
            "parallel": {"heldout": 0, "paraphrase": 0},
            **dict.fromkeys(PARTS, nothing),
        },
        "benchmark",
    )


def measure(spec: ConlangSpec, queue: "multiprocessing.Queue[tuple[float, float]]") -> None:
    """Generate in a fresh process; report CPU seconds and peak memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        generate(spec, Path(folder) / "data")
        used = time.process_time() - start
    queue.put((used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def in_fresh_process(spec: ConlangSpec) -> tuple[float, float]:
    """Run `measure` in a process of its own, so that peaks do not mix."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=measure, args=(spec, queue))
    process.start()
    result = queue.get()
    process.join()
    return result


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=200_000)
    parser.add_argument("--spec", type=Path, default=Path("worlds/presets"))
    add_options(parser)
    arguments = parser.parse_args()
    if arguments.small:
        arguments.sentences = 2000
    spec = ConlangSpec.load(find_study(arguments.spec))
    figures = []
    peaks = []
    for count in (arguments.sentences // 4, arguments.sentences):
        seconds, peak = in_fresh_process(text_only(spec, count))
        rate = count / seconds
        figures.append(Figure(f"text, {count:,} sentences", rate, "sentences/CPU s"))
        peaks.append(peak)
    work = "peak memory, 4 x the sentences"
    figures.append(Figure(work, peaks[1], "MB", "a quarter of them", peaks[0], most=1.1))
    start = time.process_time()
    generator = DataGenerator(spec)
    made = time.process_time() - start
    figures.append(Figure(f"world and {len(spec.languages)} languages", made, "CPU s"))
    for part in PARTS:
        # One full block of the training split, in all languages.
        job = next(job for job in jobs(spec) if job.part == part and job.count)
        start = time.process_time()
        generator.do(job)
        total = job.count * len(spec.languages)
        rate = total / (time.process_time() - start)
        figures.append(Figure(f"{part}, {total:,} items", rate, "items/CPU s"))
    show("conlang", figures, arguments)


if __name__ == "__main__":
    main()
