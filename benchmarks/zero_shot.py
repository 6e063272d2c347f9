"""Zero-shot transfer of any encoder on frozen features, beside a plain logistic regression.

    python benchmarks/zero_shot.py MODEL DATA OUT [--source en] [--targets fr,de] [--layer 8]

``MODEL`` is the folder of any multilingual encoder, ``DATA`` a data folder with gold in the source
and the targets. Every task that DATA has is learnt in the source on one frozen layer (``regime:
feature``) and tested in all languages on the first sentences of their test sets. Beside it stands
what multinomial logistic regression makes of the vectors as they are: for entities the state of
each word's first subword with text; for topics the mean of a text's tokens; for inference the means
u and v of premise and hypothesis as (u, v, |u - v|, u * v). Its penalty is chosen on the source's
dev. For trees there is no such thing; there, the better of two guesses that need no model.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xling.data.layout import SPLITS, TASK_ENDINGS, DataFolder
from xling.encoders.encoder import Encoder
from xling.encoders.representations import hidden_states, sentence_vectors
from xling.encoders.words import tokenise_words
from xling.files import open_bytes
from xling.results import read_scores
from xling.transfer.config import TransferConfig
from xling.transfer.spans import entity_types, micro_f1, span_counts
from xling.transfer.stage import transfer

METRICS = {"ner": "f1", "parsing": "las", "nli": "accuracy", "topics": "accuracy"}
STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # inverse penalties that the source's dev chooses among
BATCH_TOKENS = 2048
Vectors = NDArray[np.float32]


def cut_data(data: DataFolder, out: Path, most: dict[str, int]) -> DataFolder:
    """Copy the beginning of every task's files; what is there already stays."""
    for part, ending in TASK_ENDINGS.items():
        for language in data.task_languages(part):
            for split in set(SPLITS) & set(data.splits(part, language)):
                path = out / part / language / f"{split}{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                with open_bytes(data.task(part, language, split)) as file:
                    kept = b"".join(_beginning(file, most[split], ending != ".tsv"))
                path.write_bytes(kept)
    return DataFolder(out)


def _beginning(lines: Iterable[bytes], most: int, blocks: bool) -> Iterator[bytes]:
    seen = 0
    for line in lines:
        yield line
        seen += not line.strip() if blocks else 1
        if seen == most:
            return


def first_subwords(encoder: Encoder, sentences: Sequence[Sequence[str]], layer: int) -> Vectors:
    """States of each word's first subword with text [W, d]; zeros for a word cut off."""
    tokens = tokenise_words(encoder, sentences)
    words, first = np.unique(tokens.word_of, return_index=True)
    result = np.zeros((len(tokens.words), encoder.model.config.hidden_size), dtype=np.float32)
    word_at = np.full(len(tokens.word_of), -1)
    word_at[first[words >= 0]] = words[words >= 0]
    parts = tokens.sentences.batches(BATCH_TOKENS)
    for _, batch, hidden in hidden_states(encoder, tokens.sentences, parts):
        found = np.where(batch.real_BL, word_at[batch.tokens_BL], -1)
        result[found[found >= 0]] = hidden[layer].numpy()[found >= 0]
    return result


def means(encoder: Encoder, texts: Sequence[str], layer: int) -> Vectors:
    """Mean state of each text's tokens [N, d]."""
    return sentence_vectors(encoder, texts, batch_tokens=BATCH_TOKENS)[layer]


def examples(
    task: str, encoder: Encoder, data: DataFolder, language: str, split: str, layer: int
) -> tuple[Vectors, list[str]]:
    """Vectors of a split's words or texts, and their labels."""
    if task == "ner":
        sentences = list(data.ner(language, split))
        vectors = first_subwords(encoder, [words for words, _ in sentences], layer)
        return vectors, [tag for _, tags in sentences for tag in tags]
    if task == "topics":
        rows = data.topics(language, split)
        return means(encoder, [text for _, _, text in rows], layer), [label for _, label, _ in rows]
    pairs = data.nli(language, split)
    u, v = (means(encoder, [pair[side] for pair in pairs], layer) for side in (0, 1))
    return np.hstack([u, v, np.abs(u - v), u * v]), [label for _, _, label in pairs]


def score(task: str, data: DataFolder, language: str, split: str, found: Sequence[str]) -> float:
    """F1 of entities after the repair of invalid tags, or accuracy."""
    if task != "ner":
        rows = data.topics(language, split) if task == "topics" else data.nli(language, split)
        gold = [row[1 if task == "topics" else 2] for row in rows]
        return float(np.mean([one == other for one, other in zip(gold, found, strict=True)]))
    tags = [tags for _, tags in data.ner(language, split)]
    ends = np.cumsum([len(sentence) for sentence in tags]).tolist()
    guesses = [list(found[a:b]) for a, b in zip([0, *ends], ends, strict=False)]
    return float(micro_f1(span_counts(tags, guesses, entity_types(tags, guesses)).sum(axis=0)))


def regression(
    task: str, encoder: Encoder, data: DataFolder, source: str, languages: Sequence[str], layer: int
) -> dict[str, float]:
    """Score logistic regression, learnt in the source, in every language."""
    x, y = examples(task, encoder, data, source, "train", layer)
    dev, _ = examples(task, encoder, data, source, "dev", layer)
    best, chosen = -1.0, None
    for strength in STRENGTHS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
        model.fit(x, y)
        value = score(task, data, source, "dev", model.predict(dev).tolist())
        if value > best:
            best, chosen = value, model
    assert chosen is not None
    return {
        language: score(task, data, language, "test", chosen.predict(tests).tolist())
        for language in languages
        for tests, _ in [examples(task, encoder, data, language, "test", layer)]
    }


def main() -> None:
    """Run every task that the data have, and print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--source", default="en")
    parser.add_argument("--targets", default="fr,de,ru,zh")
    parser.add_argument("--tasks", default="ner,parsing,nli,topics")
    parser.add_argument("--layer", type=int, default=8)
    parser.add_argument("--train", type=int, default=1000, help="sentences, at most")
    parser.add_argument("--test", type=int, default=500, help="of dev and of each test, at most")
    parser.add_argument("--new-layers", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    targets = arguments.targets.split(",")
    languages = [arguments.source, *targets]
    most = {"train": arguments.train, "dev": arguments.test, "test": arguments.test}
    data = cut_data(DataFolder(arguments.data), arguments.out / "data", most)
    encoder = Encoder.load(arguments.model, arguments.source)
    print(f"{'task':<9}{'metric':<10}{'':<12}" + "".join(f"{code:>7}" for code in languages))
    for task in arguments.tasks.split(","):
        metric = METRICS[task]
        config = TransferConfig.model_validate(
            {
                "task": task,
                "source": arguments.source,
                "targets": targets,
                "regime": "feature",
                "layers": [arguments.layer],
                "new_layers": arguments.new_layers,
                "encoder_rates": [1e-3],
                "epochs": arguments.epochs,
                "averaged": 1,
                "resamples": 0,
            }
        )
        transfer(str(arguments.model), data.root, arguments.out / task, config)
        table = read_scores(arguments.out / task / "scores.csv")
        of_condition = table[table["metric"].eq(metric)].set_index("condition")
        guesses = of_condition.drop(["trained", "dev"])
        rows = {
            "transfer": of_condition.loc[["trained"]].set_index("language")["value"].to_dict(),
            "guess": guesses.groupby("language")["value"].max().to_dict(),
        }
        if task != "parsing":
            rows["regression"] = regression(
                task, encoder, data, arguments.source, languages, arguments.layer
            )
        for name, values in rows.items():
            numbers = "".join(f"{values[code]:>7.3f}" for code in languages)
            print(f"{task:<9}{metric:<10}{name:<12}{numbers}", flush=True)


if __name__ == "__main__":
    main()
