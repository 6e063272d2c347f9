"""How long an audit takes, beside bare forward passes and beside MEXA's way of measuring.

    python benchmarks/audit.py [MODEL DATA] [--lines 1000] [--languages en,fr] [--prefix "query: "]

``MODEL`` is the folder of any encoder, ``DATA`` a data folder with a parallel set. Without them the
encoder has 12 layers, is 384 wide and untrained, and its lines are made of made-up words. Three
things are timed in turn, on the same lines and with the same number of threads; ``--cpu-time``
counts the processor's seconds instead of the clock's, for a machine that others use too (take it
with one thread):

- bare forward passes of exactly the batches that the audit runs, one untrained model included if
  the audit measures one, with nothing computed of their states;
- the whole audit, from lines to scores, advice and page;
- MEXA's way for the same models, as its published code does it: one sentence a pass, and a loop
  over all pairs of sentences at every layer, which calls SciPy's cosine. It is timed on some lines
  of each language, and its time for all is that of one pass a line plus that of one comparison a
  pair of lines, for each model. Its passes alone are shown too: what batches save on this
  processor.
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import torch
from figures import Figure, add_options, show
from scipy.spatial.distance import cosine
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from xling.audit.config import AuditSettings
from xling.audit.stage import audit_lines, lines_of
from xling.audit.subjects import open_subject
from xling.data.layout import DataFolder
from xling.encoders.representations import hidden_states

_LOOKED_AT = 40  # lines of each language that MEXA's way is timed on


def save_encoder(folder: Path, layers: int, width: int) -> None:
    """Save an untrained encoder whose words are ``w0`` to ``w7999``."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {name: i for i, name in enumerate([*special, *(f"w{i}" for i in range(8000))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True)),
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        intermediate_size=4 * width,
        max_position_embeddings=128,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)


def write_lines(folder: Path, lines: int, languages: int = 3) -> None:
    """Write parallel lines of 10 to 50 words; a translation has some of them in common."""
    random = np.random.default_rng(0)
    texts = [random.zipf(1.2, size=random.integers(10, 50)) % 8000 for _ in range(lines)]
    (folder / "parallel" / "made").mkdir(parents=True)
    for number in range(languages):
        other = [np.where(random.random(len(t)) < 0.5, t, (t + number) % 8000) for t in texts]
        text = "".join(" ".join(f"w{n}" for n in words) + "\n" for words in other)
        (folder / "parallel" / "made" / f"l{number}.txt").write_text(text)


def bare(subject, lines, settings, clock) -> float:
    """Seconds of the forward passes of the audit's batches, and of nothing else."""
    subjects = [subject, *subject.untrained(settings.untrained_seeds)]
    sentences = {code: subject.tokens(code, texts) for code, texts in lines.items()}
    started = clock()
    for one in subjects:
        for code, of in sentences.items():
            for _ in hidden_states(one.encoders[code], of, of.batches(settings.batch_tokens)):
                pass
    return clock() - started


def whole(subject, lines, dataset, settings, clock) -> tuple[float, float, float]:
    """Seconds of the whole audit, GB of memory above what there was, and MB of its page."""
    process, before = psutil.Process(), psutil.Process().memory_info().rss
    with tempfile.TemporaryDirectory() as work:
        started = clock()
        openers = {subject.name: lambda: subject}
        found = audit_lines(openers, lines, dataset, settings, Path(work) / "kept")
        found.save(Path(work) / "out")
        seconds = clock() - started
        page = (Path(work) / "out" / "audit.html").stat().st_size
    peak = getattr(process.memory_info(), "peak_wset", None) or _peak() - before
    return seconds, peak / 1e9, page / 1e6


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def mexa_way(subject, lines, clock) -> tuple[float, float]:
    """Seconds that MEXA's way would take for all lines: in passes, and in comparing vectors.

    As its published code: every sentence alone through the model; at every layer two vectors in
    float16, the position-weighted mean and the last token; for every pair of sentences SciPy's
    cosine of both as float64; and a search for the largest other entry of every row and column.
    """
    count = len(next(iter(lines.values())))
    looked_at = min(_LOOKED_AT, count)
    chosen = np.linspace(0, count - 1, looked_at).astype(int)
    vectors, passes = {}, 0.0
    for code, texts in lines.items():
        encoder = subject.encoders[code]
        started = clock()
        vectors[code] = []
        for i in chosen:
            of = subject.tokens(code, [texts[i]])
            ids = torch.from_numpy(of.ids)[None]
            with torch.inference_mode():
                hidden = encoder.body(ids, output_hidden_states=True).hidden_states
            weights = torch.arange(1, ids.shape[1] + 1)
            made = []
            for layer in hidden:
                mean = (layer * weights[None, :, None]).sum(dim=1) / weights.sum()
                made.append((mean[0].half().numpy(), layer[0, -1].half().numpy()))
            vectors[code].append(made)
        passes += (clock() - started) * count / looked_at
    pivot, *others = vectors
    layers = len(vectors[pivot][0])
    started = clock()
    for i in range(looked_at):
        for j in range(looked_at):
            a, b = vectors[pivot][i][0][0], vectors[others[0]][j][0][0]
            1 - cosine(a.astype(np.float64), b.astype(np.float64))
    pair = (clock() - started) / looked_at**2
    row = np.random.default_rng(0).random(count)
    started = clock()
    for i in range(looked_at):
        max(np.delete(row, i))
    search = 2 * (clock() - started) / looked_at  # of a row and a column
    return passes, (pair * count**2 + search * count) * layers * len(others)


def main() -> None:
    """Time all three and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?")
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--languages")
    parser.add_argument("--prefix")
    parser.add_argument("--untrained", type=int, default=1, help="untrained models to measure")
    parser.add_argument("--without-mexa", action="store_true")
    parser.add_argument("--cpu-time", action="store_true", help="count the processor's seconds")
    add_options(parser)
    given = parser.parse_args()
    if given.small:
        given.lines = 20
    with tempfile.TemporaryDirectory() as work:
        if given.model is None:
            save_encoder(Path(work) / "model", *((1, 32) if given.small else (12, 384)))
            given.model = str(Path(work) / "model")
        if given.data is None:
            given.data = Path(work) / "data"
            write_lines(given.data, given.lines)
        show("audit", measure(given), given)


def measure(given: argparse.Namespace) -> list[Figure]:
    """Time the audit and what it is compared with."""
    settings = AuditSettings(
        languages=tuple(given.languages.split(",")) if given.languages else None,
        maximum_lines=given.lines,
        prefix=given.prefix,
        untrained_seeds=tuple(range(1, 1 + given.untrained)),
    )
    dataset, lines = lines_of(DataFolder(given.data), settings)
    opened = partial(
        open_subject, "model", given.model, list(lines), given.prefix, torch.device("cpu")
    )
    subject = opened()
    work = f"audit of {given.lines} lines x {len(lines)} languages"
    clock, unit = (time.process_time, "CPU s") if given.cpu_time else (time.perf_counter, "s")
    forward = bare(subject, lines, settings, clock)
    seconds, peak, page = whole(subject, lines, dataset, settings, clock)
    found = [
        Figure(work, seconds, unit, "bare forward passes", forward, most=1.3),
        Figure("peak memory above the model", peak, "GB"),
        Figure("page", page, "MB", "goal", 5.0, most=1.0),
    ]
    if not given.without_mexa:
        models = 1 + given.untrained
        passes, loops = (models * part for part in mexa_way(subject, lines, clock))
        found += [
            Figure("MEXA's way", passes + loops, unit, "the audit", seconds, least=5.0),
            Figure("of it one sentence a pass", passes, unit, "bare forward passes", forward),
        ]
    return found


if __name__ == "__main__":
    main()
