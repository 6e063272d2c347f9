"""Fine-tune the same token classifier with xling and with transformers' Trainer, side by side.

Run: ``python benchmarks/transfer.py [--data DATA] [--threads N] [--rounds N] [--layers 4 ...]``

Both sides get the same encoder, sentences, batch size, learning rate, clipping, precision
(fp32) and threads, in one process. Without ``--data`` the sentences are made up with lengths like
those of WikiAnn (PAN-X) English; with it, they are ``ner/en/train`` of a data folder. Segments
alternate (xling, Trainer, xling, ...), so that a machine shared with other work slows both alike;
medians of sentences a second are shown, with the share of tokens that are padding.

The Trainer runs as users run it for this task (transformers' run_ner example): examples tokenised
beforehand, DataCollatorForTokenClassification (pads each batch to its longest), shuffled, fused
AdamW, data loader in the process, no evaluation, saving or logging.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from figures import Figure, add_options, show
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForTokenClassification,
    BertModel,
    DataCollatorForTokenClassification,
    PreTrainedTokenizerFast,
    PrinterCallback,
    TrainerCallback,
    TrainingArguments,
)
from transformers import Trainer as HuggingFaceTrainer

from xling.data.layout import DataFolder
from xling.encoders.encoder import Encoder
from xling.encoders.encoders import Encoders
from xling.pretraining.distributed import World
from xling.transfer.batching import training_batches
from xling.transfer.config import TransferConfig
from xling.transfer.finetune import Optimizer, Setting, Trainer
from xling.transfer.ner import NER
from xling.transfer.regimes import FullRegime
from xling.transfer.task import prepare

VOCABULARY = 8_000
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG")
RATE = 1e-4
HERE = World(0, 1, torch.device("cpu"))
Sentences = list[tuple[list[str], list[str]]]


def main() -> None:
    """Measure, and print one table at the end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="data folder with ner/en/train")
    parser.add_argument("--sentences", type=int, default=3200)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3, help="segments of each side")
    parser.add_argument("--steps", type=int, default=30, help="steps of a segment")
    add_options(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.small:
        arguments.sentences, arguments.layers, arguments.hidden = 64, 1, 32
        arguments.batch, arguments.rounds, arguments.steps = 8, 1, 2
    sentences = read(arguments.data, arguments.sentences)
    tokenizer = make_tokenizer(sentences)
    shape = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=arguments.hidden,
        num_hidden_layers=arguments.layers,
        num_attention_heads=arguments.hidden // 32,
        intermediate_size=4 * arguments.hidden,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=256,
        type_vocab_size=1,
    )
    batch, steps = arguments.batch, arguments.steps
    ours = Ours(shape, tokenizer, sentences, batch, arguments.rounds * steps)
    theirs = Theirs(shape, tokenizer, sentences, batch)
    rates: dict[str, list[float]] = {"xling": [], "Trainer": []}
    for number in range(arguments.rounds + 1):
        found = {"xling": ours.segment(steps), "Trainer": theirs.segment(steps)}
        if number:  # the first round warms up
            for name, seconds in found.items():
                rates[name].append(batch * steps / seconds)
            so_far = ", ".join(f"{k} {statistics.median(v):,.0f}" for k, v in rates.items())
            print(f"round {number} of {arguments.rounds}: medians so far {so_far}", flush=True)
    mine, other = (statistics.median(values) for values in rates.values())
    paddings = ours.padding(), theirs.padding()
    show(
        "transfer",
        [
            Figure("fine-tune", mine, "sentences/s", "Trainer", other, least=1.5),
            Figure("padding", paddings[0], "of all tokens", "Trainer", paddings[1], most=1.0),
        ],
        arguments,
    )


def read(data: Path | None, count: int) -> Sentences:
    """Return sentences with tags, read or made up with lengths like PAN-X English."""
    if data:
        everything = list(DataFolder(data).ner("en", "train"))
        return everything[:count]
    random = np.random.default_rng(0)
    # PAN-X English: mean 8 tokens, median 6, one in a hundred above 30.
    lengths = np.clip(np.exp(random.normal(1.85, 0.68, count)), 2, 100).astype(int)
    made: Sentences = []
    for length in lengths:
        words = [f"w{number}" for number in random.zipf(1.3, length) % 5000]
        made.append((words, [TAGS[number] for number in random.integers(len(TAGS), size=length)]))
    return made


def make_tokenizer(sentences: Sentences) -> PreTrainedTokenizerFast:
    """Return a tokenizer that cuts words into pieces of three characters at most."""
    pieces = sorted({w[i : i + 3] for words, _ in sentences for w in words for i in (0, 3, 6)})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    known = [*special, *pieces[: (VOCABULARY - 4) // 2]]
    known += [f"##{piece}" for piece in pieces[: VOCABULARY - len(known)]]
    ids = {piece: number for number, piece in enumerate(dict.fromkeys(known))}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=256, **names)


class Ours:
    """xling's training step, on its batches."""

    def __init__(
        self,
        shape: BertConfig,
        tokenizer: PreTrainedTokenizerFast,
        sentences: Sentences,
        batch: int,
        steps: int,
    ) -> None:
        torch.manual_seed(0)
        encoder = Encoder("en", BertModel(shape, add_pooling_layer=False), tokenizer)
        task = NER()
        task.learn_labels(sentences)
        train = prepare(task, encoder, "train", sentences)
        config = TransferConfig(task="ner", source="en")
        self._trainer = Trainer(task, config, train, train, HERE)
        regime = FullRegime(Encoders({"en": encoder}), "en", [train], HERE.device)
        self._learner = regime.learner(task, None, 1)
        self._optimizer = Optimizer(self._learner, Setting(batch, RATE, RATE), config, 2 * steps)
        self._lengths = train.windows.sentence_lengths
        self._batch = batch
        self._step = 0

    def segment(self, steps: int) -> float:
        """Return the seconds of some steps."""
        order = training_batches(self._lengths, self._batch, 1, self._step)
        order = [sentences for sentences in order if len(sentences) == self._batch]
        for module in self._learner.modules:
            module.train()
        start = time.perf_counter()
        for number in range(steps):
            self._trainer.gradient(self._learner, order[number % len(order)])
            self._optimizer.step(self._step, HERE)
            self._step += 1
        return time.perf_counter() - start

    def padding(self) -> float:
        """Return the share of an epoch's tokens that are padding."""
        order = training_batches(self._lengths, self._batch, 1, 0)
        return 1 - self._lengths.sum() / sum(len(s) * self._lengths[s].max() for s in order)


class _Clock(TrainerCallback):
    """Times the steps, without the set-up of the training."""

    def __init__(self) -> None:
        self.start = self.end = 0.0

    def on_epoch_begin(self, *arguments, **more) -> None:
        self.start = self.start or time.perf_counter()

    def on_step_end(self, *arguments, **more) -> None:
        self.end = time.perf_counter()


class Theirs:
    """The Trainer, one call of ``train`` a segment."""

    def __init__(
        self,
        shape: BertConfig,
        tokenizer: PreTrainedTokenizerFast,
        sentences: Sentences,
        batch: int,
    ) -> None:
        torch.manual_seed(0)
        self._tokenizer, self._batch = tokenizer, batch
        shape = BertConfig(**{**shape.to_dict(), "id2label": dict(enumerate(TAGS))})
        self._model = BertForTokenClassification(shape)
        numbers = {tag: number for number, tag in enumerate(TAGS)}
        self._examples = []
        for words, tags in sentences:
            encoded = tokenizer(words, is_split_into_words=True)
            owners, labels, before = encoded.word_ids(), [], None
            for owner in owners:
                first = owner is not None and owner != before
                labels.append(numbers[tags[owner]] if first else -100)
                before = owner
            ids, mask = encoded["input_ids"], encoded["attention_mask"]
            self._examples.append({"input_ids": ids, "attention_mask": mask, "labels": labels})

    def segment(self, steps: int) -> float:
        """Return the seconds of some steps."""
        clock = _Clock()
        with tempfile.TemporaryDirectory() as folder:
            trainer = HuggingFaceTrainer(
                self._model,
                TrainingArguments(
                    folder,
                    max_steps=steps,
                    per_device_train_batch_size=self._batch,
                    learning_rate=RATE,
                    max_grad_norm=1.0,
                    optim="adamw_torch_fused",
                    use_cpu=True,
                    report_to="none",
                    save_strategy="no",
                    logging_strategy="no",
                    disable_tqdm=True,
                    dataloader_pin_memory=False,
                ),
                train_dataset=self._examples,
                data_collator=DataCollatorForTokenClassification(self._tokenizer),
                callbacks=[clock],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        return clock.end - clock.start

    def padding(self) -> float:
        """Return the share of an epoch's tokens that are padding, in shuffled batches."""
        lengths = np.array([len(example["input_ids"]) for example in self._examples])
        order = np.random.default_rng(0).permutation(len(lengths))
        batches = [order[i : i + self._batch] for i in range(0, len(order), self._batch)]
        return 1 - lengths.sum() / sum(len(b) * lengths[b].max() for b in batches)


if __name__ == "__main__":
    main()
