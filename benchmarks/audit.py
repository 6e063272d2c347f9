"""How long an audit takes, beside bare forward passes and beside MEXA's way of measuring.

    python benchmarks/audit.py MODEL DATA [--lines 1000] [--languages en,fr,ru] [--prefix "query: "]

``MODEL`` is the folder of any encoder, ``DATA`` a data folder with a parallel set. Three things are
timed in turn, in seconds of processor time, on the same lines and with the same number of threads:

- bare forward passes of exactly the batches that the audit runs, one untrained model included if
  the audit measures one, with nothing computed of their states;
- the whole audit, from lines to scores, advice and page;
- MEXA's way, as its published code does it: one sentence a pass, and a loop over all pairs of
  sentences at every layer. It is timed on some lines of each language, and its time for all is
  that of one pass a line plus that of one comparison a pair of lines.
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import torch

from xling.audit.config import AuditSettings
from xling.audit.stage import audit_lines, lines_of
from xling.audit.subjects import open_subject
from xling.data.layout import DataFolder
from xling.encoders.representations import hidden_states

_LOOKED_AT = 40  # lines of each language that MEXA's way is timed on


def bare(subject, lines, settings) -> float:
    """Seconds of the forward passes of the audit's batches, and of nothing else."""
    subjects = [subject, *subject.untrained(settings.untrained_seeds)]
    sentences = {code: subject.tokens(code, texts) for code, texts in lines.items()}
    started = time.process_time()
    for one in subjects:
        for code, of in sentences.items():
            for _ in hidden_states(one.encoders[code], of, of.batches(settings.batch_tokens)):
                pass
    return time.process_time() - started


def whole(subject, lines, dataset, settings) -> tuple[float, float]:
    """Seconds of the whole audit, and its peak memory in GB above what there was before."""
    process, before = psutil.Process(), psutil.Process().memory_info().rss
    with tempfile.TemporaryDirectory() as work:
        started = time.process_time()
        openers = {subject.name: lambda: subject}
        found = audit_lines(openers, lines, dataset, settings, Path(work) / "kept")
        found.save(Path(work) / "out")
        seconds = time.process_time() - started
        page = (Path(work) / "out" / "audit.html").stat().st_size
    peak = getattr(process.memory_info(), "peak_wset", None) or _peak() - before
    print(f"page: {page / 1e6:.2f} MB")
    return seconds, peak / 1e9


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def mexa_way(subject, lines) -> float:
    """Seconds that one sentence a pass and a loop over pairs would take for all lines."""
    count = len(next(iter(lines.values())))
    looked_at = min(_LOOKED_AT, count)
    chosen = np.linspace(0, count - 1, looked_at).astype(int)
    vectors, passes = {}, 0.0
    for code, texts in lines.items():
        encoder = subject.encoders[code]
        started = time.process_time()
        vectors[code] = []
        for i in chosen:
            of = subject.tokens(code, [texts[i]])
            ids = torch.from_numpy(of.ids)[None]
            with torch.inference_mode():
                hidden = encoder.body(ids, output_hidden_states=True).hidden_states
            weights = torch.arange(1, ids.shape[1] + 1, dtype=torch.float32)
            weights /= weights.sum()
            vectors[code].append([(weights @ layer[0]).numpy() for layer in hidden])
        passes += (time.process_time() - started) * count / looked_at
    pivot, *others = vectors
    layers = len(vectors[pivot][0])
    started = time.process_time()
    for i in range(looked_at):
        for j in range(looked_at):
            a, b = vectors[pivot][i][0], vectors[others[0]][j][0]
            float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    pair = (time.process_time() - started) / looked_at**2
    return passes + pair * count**2 * layers * len(others)


def main() -> None:
    """Time all three and print them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--languages")
    parser.add_argument("--prefix")
    parser.add_argument("--untrained", type=int, default=1, help="untrained models to measure")
    parser.add_argument("--without-mexa", action="store_true")
    given = parser.parse_args()
    settings = AuditSettings(
        languages=tuple(given.languages.split(",")) if given.languages else None,
        maximum_lines=given.lines,
        prefix=given.prefix,
        untrained_seeds=tuple(range(1, 1 + given.untrained)),
    )
    dataset, lines = lines_of(DataFolder(given.data), settings)
    device = torch.device("cpu")
    opened = partial(open_subject, "model", given.model, list(lines), given.prefix, device)
    subject = opened()
    count = len(next(iter(lines.values())))
    print(f"{count} lines x {len(lines)} languages of {dataset}, {torch.get_num_threads()} threads")
    forward = bare(subject, lines, settings)
    print(f"bare forward passes   {forward:8.1f} s")
    seconds, peak = whole(subject, lines, dataset, settings)
    print(f"audit                 {seconds:8.1f} s   {seconds / forward:.2f} x   {peak:.2f} GB")
    if not given.without_mexa:
        loops = mexa_way(subject, lines)
        print(f"MEXA's way            {loops:8.1f} s   {loops / seconds:.1f} x the audit")


if __name__ == "__main__":
    main()
