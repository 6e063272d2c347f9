"""Rows of parallel lines, against a line-by-line reference, and runs with them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.pretraining.batches import BatchMaker, ParallelText, load_parallel_text
from xling.vocabulary.vocabulary import Vocabulary

SEP = 3
TLM = {"sets": ["made"], "share": 0.5}


def reference_row(sources, targets, head, length):
    """Pairs one after the other; a target has its source's positions."""
    ids: list[int] = []
    places: list[int] = []
    base, pair = 1, head
    while len(ids) < length:
        sides = [[*side[pair], SEP] for side in (sources, targets)]
        for side in sides:
            ids += side
            places += range(base, base + len(side))
        base += max(map(len, sides))
        pair = (pair + 1) % len(sources)
    return ids[:length], places[:length]


line = st.lists(st.integers(5, 50), max_size=6)


@given(pairs=st.lists(st.tuples(line, line), min_size=1, max_size=7), length=st.integers(3, 40))
def test_rows_are_those_of_the_reference(pairs, length):
    sources, targets = zip(*pairs, strict=True)
    flat = [
        np.array([token for ids in side for token in [*ids, SEP]], dtype=np.uint16)
        for side in (sources, targets)
    ]
    text = ParallelText(*flat, SEP)
    assert text.pairs == len(pairs)
    rows = text.rows(np.arange(len(pairs)), length, 1, "aa>bb")
    expected = [reference_row(sources, targets, head, length) for head in range(len(pairs))]
    found = list(zip(rows.ids.tolist(), rows.position_ids.tolist(), strict=True))
    # In an epoch every pair begins one row.
    assert sorted(found) == sorted(expected)
    assert rows.position_ids.max() <= length


@pytest.fixture(scope="module")
def make(corpus, configure):
    def build(**changes) -> BatchMaker:
        config = configure(tlm=TLM, **changes)
        vocabulary = Vocabulary.load(corpus.vocabulary)
        languages = ["aa", "bb"]
        texts = {language: corpus.text(language) for language in languages}
        parallel = load_parallel_text(DataFolder(corpus.data), ["made"], vocabulary, languages)
        return BatchMaker(texts, config, vocabulary.special_ids, parallel)

    return build


def test_steps_of_both_directions_have_their_share(make):
    maker = make(steps=4000)
    names = [maker.batch(step).name for step in range(400)]
    assert {*names} == {"aa", "bb", "aa>bb", "bb>aa"}
    paired = [name for name in names if ">" in name]
    assert abs(len(paired) - 200) < 5 * 10
    assert abs(paired.count("aa>bb") - len(paired) / 2) < 5 * np.sqrt(len(paired)) / 2
    assert sum(maker.shares.values()) == pytest.approx(0.5)
    assert all(maker.language(step) == name[:2] for step, name in enumerate(names))


def test_a_batch_holds_lines_and_their_translations_with_places(make, corpus):
    maker = make(steps=50)
    step, batch = next((k, b) for k in range(50) if (b := maker.batch(k)).name == "aa>bb")
    again = make(steps=90).batch(step)
    assert np.array_equal(again.masked.ids_BT, batch.masked.ids_BT)
    ids = batch.masked.ids_BT.copy()
    ids.reshape(-1)[batch.masked.positions_P] = batch.masked.labels_P
    assert (ids[:, 0] == 2).all()
    assert (batch.position_ids_BT[:, 0] == 0).all()
    aa, bb = (corpus.text(language).replacements for language in ("aa", "bb"))
    for row, places in zip(ids, batch.position_ids_BT, strict=True):
        first, *rest = np.flatnonzero(row == SEP).tolist()
        assert np.isin(row[1:first], aa).all()
        assert places[1 : first + 1].tolist() == list(range(1, first + 1))
        if rest:
            assert np.isin(row[first + 1 : rest[0]], bb).all()
            assert places[first + 1] == 1
    # The parts of a batch take their places with them.
    parts = list(batch.micro_batches(0, 1, 2, torch.device("cpu")))
    assert np.array_equal(
        np.concatenate([part.position_ids_BT for part in parts]), batch.position_ids_BT
    )


def test_places_reach_the_model(family):
    model = family().eval()
    ids = torch.randint(5, 60, (2, 8), generator=torch.Generator().manual_seed(1))
    positions, labels = torch.tensor([1, 9]), torch.tensor([7, 8])
    columns = torch.arange(8).expand(2, 8)
    plain = model("aa", ids, positions, labels)
    assert torch.equal(model("aa", ids, positions, labels, columns), plain)
    member = model.member("aa")
    moved = member(input_ids=ids, position_ids=columns.flip(1)).logits.flatten(0, 1)[positions]
    expected = torch.nn.functional.cross_entropy(moved, labels, reduction="sum")
    torch.testing.assert_close(model("aa", ids, positions, labels, columns.flip(1)), expected)
    assert not torch.allclose(expected, plain, rtol=1e-4)


def test_a_run_learns_from_parallel_lines_and_goes_on_where_it_stopped(
    run_here, run_config, entries, tmp_path
):
    config = run_config(tlm=TLM, steps=12, checkpoint_every=5)
    whole = run_here(tmp_path / "whole", config)
    assert {e["language"] for e in entries(whole) if e["kind"] == "train"} >= {"aa", "aa>bb"}
    out = tmp_path / "again"
    run_here(out, config)
    for path in [out / "artefact.json", *(out / "checkpoints").glob("step-00000012*")]:
        path.unlink()
    run_here(out, config)
    for path in whole.glob("model/*/model.safetensors"):
        assert path.read_bytes() == (out / path.relative_to(whole)).read_bytes()


def test_what_it_needs_is_said(run_config, run_here, corpus, tmp_path):
    with pytest.raises(ValidationError, match=r"pretraining\.tlm puts tokens of two languages"):
        run_config("embeddings", tlm=TLM)
    with pytest.raises(XlingError, match=r"no aa.txt; tlm.sets .* \(there are: made\)"):
        run_here(tmp_path / "run", run_config(tlm={"sets": ["tatoeba"]}))
