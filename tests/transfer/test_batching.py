"""Batches: everything once an epoch, little padding, and the words where they belong."""

import numpy as np
import torch

from xling.encoders.encoders import Encoders
from xling.encoders.windows import word_windows
from xling.transfer.batching import collate, training_batches

SENTENCES = [["the"] * n for n in (3, 30, 1, 7)] + [["mira", "kalt"]]


def test_an_epoch_has_every_sentence_once_and_depends_on_seed_and_epoch_only():
    lengths = np.random.default_rng(0).integers(3, 60, size=1000)
    one, again = training_batches(lengths, 16, 1, 0), training_batches(lengths, 16, 1, 0)
    assert sorted(np.concatenate(one).tolist()) == list(range(1000))
    assert all((a == b).all() for a, b in zip(one, again, strict=True))
    for other in (training_batches(lengths, 16, 1, 1), training_batches(lengths, 16, 2, 0)):
        assert not np.array_equal(np.concatenate(one), np.concatenate(other))
    padded = sum(len(batch) * lengths[batch].max() for batch in one)
    assert padded < 1.1 * lengths.sum()


def test_rows_words_and_sentences_are_where_the_tensors_say(model):
    encoder = Encoders.load(model, ["aa"]).of["aa"]
    windows = word_windows(encoder, SENTENCES)
    chosen = np.array([4, 1, 0])
    batch = collate(windows, chosen, torch.device("cpu"))
    assert batch.ids_BL.shape == batch.mask_BL.shape
    assert batch.sentence_B.tolist() == [0, 1, 1, 2]
    assert batch.words_S.tolist() == [2, 30, 3]
    expected = windows.ids[windows.word_tokens[batch.units]]
    assert batch.ids_BL.flatten()[batch.first_U].tolist() == expected.tolist()
    assert batch.units.tolist() == [41, 42, *range(3, 33), *range(3)]
    assert int(batch.mask_BL.sum()) == windows.lengths[[5, 1, 2, 0]].sum()
    assert torch.equal(batch.inner_BL, batch.mask_BL.bool() & (batch.ids_BL > 4))
