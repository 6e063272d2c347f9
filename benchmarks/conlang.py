"""Sentences a second and core, and peak memory, of the conlang generator.

    python benchmarks/conlang.py [--sentences 200000] [--spec studies/worlds/presets.yaml]

Writes monolingual text only, then gold only, from the presets' world in one process, and text
again with a quarter of the sentences: memory must not grow with the corpus.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

from xling.conlang.generate import DataGenerator, block_size, generate, jobs
from xling.conlang.spec import ConlangSpec

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
    parser.add_argument("--spec", type=Path, default=Path("studies/worlds/presets.yaml"))
    arguments = parser.parse_args()
    spec = ConlangSpec.load(arguments.spec)
    for count in (arguments.sentences // 4, arguments.sentences):
        seconds, peak = in_fresh_process(text_only(spec, count))
        print(f"text: {count:,} sentences, {count / seconds:,.0f} a CPU second, peak {peak:.0f} MB")
    start = time.process_time()
    generator = DataGenerator(spec)
    print(f"world and {len(spec.languages)} languages: {time.process_time() - start:.1f} s")
    for part in PARTS:
        # One full block of the training split, in all languages.
        job = next(job for job in jobs(spec) if job.part == part and job.count)
        start = time.process_time()
        generator.do(job)
        total = job.count * len(spec.languages)
        rate = total / (time.process_time() - start)
        print(
            f"{part}: {total:,} items in blocks of {block_size(spec):,}, {rate:,.0f} a CPU second"
        )


if __name__ == "__main__":
    main()
