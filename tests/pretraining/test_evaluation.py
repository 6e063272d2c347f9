"""Dev losses against transformers' own, on rows that do not depend on the run."""

import numpy as np
import pytest
import torch

from xling.errors import XlingError
from xling.pretraining.loop import DevSet
from xling.tokens.streams import TokenStream
from xling.vocabulary.vocabulary import Vocabulary

CPU = torch.device("cpu")


@pytest.fixture
def dev(corpus):
    def make(rows=40, length=16):
        texts = {language: corpus.text(language) for language in ("aa", "bb")}
        streams = {language: TokenStream.open(corpus.tokens, language, "dev") for language in texts}
        return DevSet(streams, texts, length, rows, 0.15, Vocabulary.special_ids)

    return make


def test_losses_are_those_of_bert_on_held_out_windows(dev, family, corpus):
    module, dev = family("embeddings"), dev()
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.3  # which dev losses must not show
    module.train()
    losses = dev.losses(module, CPU)
    assert module.training
    for language, batch in dev.batches.items():
        labels = np.full(batch.masked.ids_BT.size, -100)
        labels[batch.masked.positions_P] = batch.masked.labels_P
        member = module.member(language).eval()
        with torch.no_grad():
            expected = member(
                torch.from_numpy(batch.masked.ids_BT),
                labels=torch.from_numpy(labels.reshape(batch.masked.ids_BT.shape)),
            ).loss
        assert losses[language] == pytest.approx(float(expected), abs=1e-5)
        rows = batch.masked.ids_BT.copy()
        rows.reshape(-1)[batch.masked.positions_P] = batch.masked.labels_P
        stream = TokenStream.open(corpus.tokens, language, "dev")
        held_out = {tuple(row) for row in stream.rows(np.arange(stream.windows(15)), 15)}
        found = [tuple(row[1:]) for row in rows]
        assert set(found) <= held_out
        assert len(found) == min(40, stream.windows(15))


def test_the_same_rows_every_time(dev):
    one, two, fewer = dev(), dev(), dev(rows=2)
    for language in ("aa", "bb"):
        a, b = one.batches[language].masked, two.batches[language].masked
        assert np.array_equal(a.ids_BT, b.ids_BT)
        assert len(fewer.batches[language].masked.ids_BT) == 2


def test_too_little_held_out_text_is_said(dev):
    with pytest.raises(XlingError, match=r"aa: \d+ held-out tokens do not fill one row of 400"):
        dev(length=400)


def test_text_of_one_row_is_a_row(dev, corpus):
    """A window keeps room for any offset, a row of held-out text needs none."""
    streams = [TokenStream.open(corpus.tokens, language, "dev") for language in ("aa", "bb")]
    stream = min(streams, key=lambda stream: stream.tokens)
    length = stream.tokens + 1
    masked = dev(length=length).batches[stream.language].masked
    rows = masked.ids_BT.copy()
    rows.reshape(-1)[masked.positions_P] = masked.labels_P
    assert stream.windows(length - 1) == 0
    assert rows.shape == (1, length)
    assert np.array_equal(rows[:, 1:], stream.head(length - 1))
    with pytest.raises(XlingError, match="do not fill one row"):
        dev(length=length + 1)
