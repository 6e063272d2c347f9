"""The scores of an audit against brute force, and on models whose scores are known beforehand."""

import numpy as np
import pandas as pd
import pytest
import torch

from xling.audit import measure as measuring
from xling.audit import subjects
from xling.audit.config import AuditSettings
from xling.audit.measure import measure
from xling.audit.pair_scores import score_pair
from xling.audit.space_scores import all_pairs
from xling.audit.subjects import Subject
from xling.audit.vectors import LAST, MAIN, WEIGHTED, Vectors
from xling.encoders.encoder import Encoder
from xling.measures import arrays, cka, linear_cka, precision_at_1, tiles
from xling.measures.cka import cka_interval
from xling.results import CHANCE, TRAINED, UNTRAINED, Key, as_table

from .conftest import aligned_model, parallel_lines, word_tokenizer

QUICK = AuditSettings(resamples=50, untrained_seeds=())


def audit_of(model, lines, folder, settings=QUICK, own=None):
    tokenizer = word_tokenizer()
    encoders = {code: Encoder(code, model, tokenizer) for code in lines}
    subject = Subject.of_encoders("tiny", encoders, own=own)
    return measure(subject, lines, "talks", settings, folder)


def table_of(measured):
    return as_table([*measured.found.scores, *measured.others])


def rows(measured, **wanted):
    frame = table_of(measured)
    for column, value in wanted.items():
        frame = frame[frame[column].eq(value)]
    return frame


def test_the_same_language_twice_scores_one(tmp_path, lines):
    measured = audit_of(aligned_model(), {"en": lines["en"], "en2": lines["en"]}, tmp_path)
    for probe, metric in (("retrieval", "p@1"), ("cka", "cka"), ("mexa", "mexa")):
        found = rows(measured, probe=probe, metric=metric, condition=TRAINED, direction="")
        assert len(found) == 3
        np.testing.assert_allclose(found["value"], 1, atol=1e-6)


def test_permuted_lines_fall_to_chance(tmp_path):
    many = parallel_lines(300)
    order = np.random.default_rng(1).permutation(300)
    shuffled = {"en": many["en"], "en2": [many["en"][i] for i in order]}
    measured = audit_of(aligned_model(), shuffled, tmp_path)
    found = rows(measured, probe="retrieval", metric="p@1", condition=TRAINED, direction="")
    assert found["value"].max() < 5 / 300
    chance = rows(measured, probe="retrieval", metric="p@1", condition=CHANCE)
    assert chance["value"].eq(1 / 300).all()


def test_a_constant_encoder_scores_chance(tmp_path, lines):
    model = aligned_model()
    with torch.no_grad():
        for table in (model.embeddings.word_embeddings, model.embeddings.position_embeddings):
            table.weight.zero_()
    measured = audit_of(model, lines, tmp_path)
    count, languages = 60, 3
    for metric in ("p@1", "p@1-centred", "p@1-csls", "p@1-rotated", "p@1-subspace"):
        found = rows(measured, probe="retrieval", metric=metric, condition=TRAINED, direction="")
        np.testing.assert_allclose(found["value"], 1 / count, atol=1e-9, err_msg=metric)
    pooled = rows(measured, probe="retrieval-pooled", metric="p@1", condition=TRAINED, language="")
    chance = (languages - 1) / (languages * count - 1)
    np.testing.assert_allclose(pooled["value"], chance, atol=1e-9)
    said = rows(measured, probe="retrieval-pooled", condition=CHANCE)
    np.testing.assert_allclose(said["value"], chance)
    assert rows(measured, probe="mexa", metric="mexa", condition=TRAINED)["value"].eq(0).all()


def test_mexa_is_the_published_definition(tmp_path, lines):
    measured = audit_of(aligned_model(), lines, tmp_path)
    for form, metric in ((MAIN, "mexa"), (WEIGHTED, "mexa-weighted"), (LAST, "mexa-last")):
        for layer in range(3):
            x, y = (measured.vectors[code].at(layer, form) for code in ("en", "fr"))
            assert_mexa(rows(measured, metric=metric, layer=layer, language="en-fr"), x, y)


def assert_mexa(found, x, y):
    """Kargaran et al. 2024: a pair counts if it beats all others of its row and its column."""

    def cosine(a, b):
        a, b = a.astype(np.float64), b.astype(np.float64)
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))

    aligned = 0
    for i in range(len(x)):
        own = cosine(x[i], y[i])
        others = [cosine(x[i], y[j]) for j in range(len(y)) if j != i]
        others += [cosine(x[j], y[i]) for j in range(len(x)) if j != i]
        aligned += own > max(others) + 1e-12
    trained = found[found["condition"].eq(TRAINED)]["value"]
    assert trained.item() == pytest.approx(aligned / len(x), abs=1e-12)


def test_one_index_is_harder_than_pairs_where_languages_lie_apart(tmp_path, lines):
    two = {code: lines[code] for code in ("en", "fr")}
    measured = audit_of(aligned_model(shift=3.0), two, tmp_path)
    pairs = rows(measured, probe="retrieval", metric="p@1-centred", direction="", layer=0)
    pooled = rows(measured, probe="retrieval-pooled", metric="p@1", language="", layer=0)
    pooled = pooled[pooled["condition"].eq(TRAINED)]
    assert pairs[pairs["condition"].eq(TRAINED)]["value"].item() > 0.9
    assert pooled["value"].item() < 0.1
    centred = rows(measured, probe="retrieval-pooled", metric="p@1-centred", language="", layer=0)
    assert centred["value"].item() > 0.9


def test_the_untrained_model_is_worse_and_has_rows_of_its_own(tmp_path, lines):
    settings = AuditSettings(resamples=50, untrained_seeds=(1, 2))
    measured = audit_of(aligned_model(), lines, tmp_path, settings)
    twin = rows(measured, metric="p@1", condition=UNTRAINED, language="en-fr", layer=1)
    twin = twin[twin["direction"].eq("") & twin["probe"].eq("retrieval")]
    assert set(twin["draw"].dropna()) == {1, 2}
    mean = twin[twin["draw"].isna()]["value"].item()
    assert mean == pytest.approx(twin[twin["draw"].notna()]["value"].mean())
    assert mean < 0.15
    assert not (tmp_path / "tiny" / "untrained-1").exists()


def test_scores_do_not_depend_on_the_number_of_threads(tmp_path, lines, monkeypatch):
    tables = []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        measured = audit_of(aligned_model(), lines, tmp_path / str(threads))
        tables.append(table_of(measured))
        tables[-1] = tables[-1].assign(rotation=len(measured.rotation))
    pd.testing.assert_frame_equal(*tables, rtol=1e-6, atol=1e-9)


def test_directions_average_to_the_pair(tmp_path, lines):
    measured = audit_of(aligned_model(), lines, tmp_path)
    found = rows(measured, probe="retrieval", metric="p@1", condition=TRAINED, language="en-fr")
    by_way = found.pivot_table(index="layer", columns="direction", values="value")
    np.testing.assert_allclose(by_way[""], (by_way["en>fr"] + by_way["fr>en"]) / 2)
    assert (found["low"] <= found["value"]).all()
    assert (found["high"] >= found["value"]).all()


class Held:
    """Vectors of an array [layers, N, d], as those in files."""

    def __init__(self, array):
        self.array, self.count = array, len(array)

    def at(self, layer, form=MAIN):
        return self.array[layer]

    def has(self, form, layer):
        return False


def test_a_rotated_copy_at_one_layer_is_found_there_and_only_there():
    random = np.random.default_rng(0)
    x = random.normal(size=(3, 200, 8)).astype(np.float32)
    y = random.normal(size=(3, 200, 8)).astype(np.float32)
    rotation = np.linalg.qr(random.normal(size=(8, 8)))[0]
    y[1] = x[1] @ rotation.astype(np.float32)
    none = np.zeros(200, dtype=bool)
    found = score_pair(Key(), ("en", "fr"), (Held(x), Held(y)), none, none, 50)
    rotated = found.hits["retrieval", "p@1-rotated", "fr"].mean(axis=1)
    plain = found.hits["retrieval", "p@1", "fr"].mean(axis=1)
    assert rotated[1] == 1
    assert max(rotated[0], rotated[2], *plain) < 0.1
    cka = {s.layer: s.value for s in found.scores if s.probe == "cka"}
    assert cka[1] == pytest.approx(1, abs=1e-6)
    assert max(cka[0], cka[2]) < 0.3


def test_planted_hubs_and_outliers_are_named():
    random = np.random.default_rng(0)
    x = random.normal(size=(1, 100, 32)).astype(np.float32)
    y = x + 0.1 * random.normal(size=x.shape).astype(np.float32)
    y[0, 7] = x[0].mean(axis=0)
    x[0] += x[0].mean(axis=0) * 20
    none = np.zeros(100, dtype=bool)
    found = score_pair(Key(), ("en", "fr"), (Held(x), Held(y)), none, none, 20)
    values = {score.metric: score.value for score in found.scores if score.probe == "neighbours"}
    assert values["largest-hub"] > 5
    assert values["hubness"] > 1
    assert values["reciprocity"] < 1


def test_lines_without_tokens_are_misses(tmp_path, lines):
    broken = {code: list(texts) for code, texts in lines.items()}
    broken["fr"][5] = ""
    measured = audit_of(aligned_model(), broken, tmp_path)
    assert (measured.found.hits["retrieval", "p@1", "fr"][:, 5] == 0).all()
    empty = rows(measured, probe="coverage", metric="empty", language="fr")
    assert empty["value"].item() == 1


def test_vectors_are_the_means_that_the_probes_take(tmp_path, lines):
    from xling.encoders.representations import sentence_vectors

    measured = audit_of(aligned_model(), lines, tmp_path)
    encoder = Encoder("fr", aligned_model(), word_tokenizer())
    expected = sentence_vectors(encoder, lines["fr"])
    vectors = measured.vectors["fr"]
    for layer in range(3):
        np.testing.assert_allclose(vectors.at(layer), expected[layer], atol=1e-5)
    assert vectors.count == 3


def test_anchor_free_forms_are_those_of_the_probes(tmp_path):
    from xling.similarity.config import ProbeConfig
    from xling.similarity.probe import probe_lines

    texts = parallel_lines(40)
    mixed = [f"{line} a1 a2" if i % 2 else line for i, line in enumerate(texts["fr"])]
    both = {"en": texts["en"], "fr": mixed}
    measured = audit_of(aligned_model(), both, tmp_path)
    one, other = (Encoder(code, aligned_model(), word_tokenizer()) for code in both)
    config = ProbeConfig(random_seeds=(), resamples=0)
    probed = probe_lines(one, other, {"talks": both}, config)
    keys = ["probe", "layer", "metric", "direction"]
    chosen = ("cka", "cka-anchor-free", "retrieval", "retrieval-anchor-free")
    left, right = (
        frame[frame["probe"].isin(chosen) & frame["condition"].eq(TRAINED)]
        .query("language == 'en-fr' and direction == ''")
        .set_index(keys)["value"]
        for frame in (table_of(measured), probed)
    )
    assert len(right) == 3 * 6
    np.testing.assert_allclose(left.reindex(right.index), right, atol=1e-5)


def test_all_pairs_are_those_of_precision_at_1():
    random = np.random.default_rng(0)
    base = random.normal(size=(30, 6))
    vectors = np.stack([base + noise * random.normal(size=base.shape) for noise in (0, 0.5, 2)])
    vectors[1, 3] = vectors[1, 4]  # a tie
    found = all_pairs(vectors)
    for i in range(3):
        for j in range(3):
            assert found[i, j] == pytest.approx(precision_at_1(vectors[i], vectors[j]).forward)


@pytest.mark.parametrize("width", [5, 60])
@pytest.mark.parametrize("quiet", [1.0, 1e-4, 1e-6])
def test_the_interval_of_cka_is_the_jackknife_of_blocks(width, quiet):
    """Also where one block has nearly all the variance, so that little is left without it."""
    random = np.random.default_rng(0)
    X = random.normal(size=(40, width))
    Y = X[:, ::-1] + random.normal(size=X.shape)
    X[5:] *= quiet
    Y[5:] *= quiet
    left = []
    for part in np.array_split(np.arange(40), 8):
        rest = np.delete(np.arange(40), part)
        left.append(linear_cka(X[rest], Y[rest]))
    error = np.sqrt(7 / 8 * np.square(np.array(left) - np.mean(left)).sum())
    value = linear_cka(X, Y)
    low, high = cka_interval(X, Y, blocks=8)
    assert low == pytest.approx(max(0, value - 1.959964 * error), abs=1e-9)
    assert high == pytest.approx(min(1, value + 1.959964 * error), abs=1e-9)


def test_vectors_of_other_depth_and_width_are_matched(tmp_path):
    place = tmp_path / "vectors" / "main"
    place.mkdir(parents=True)
    for layer, array in enumerate(np.arange(24, dtype=np.float32).reshape(3, 2, 4)):
        np.save(place / f"layer-{layer}.npy", array)
    vectors = Vectors(tmp_path, [0, 2], 6)
    assert vectors.count == 2
    np.testing.assert_array_equal(vectors.at(1)[:, :4], np.arange(16, 24).reshape(2, 4))
    assert vectors.at(1).shape == (2, 6)
    assert not vectors.at(1)[:, 4:].any()


def test_products_are_taken_where_the_model_runs(tmp_path, lines, monkeypatch):
    """A torch device stands for the model's GPU; it gets every product, and changes no score."""
    expected = table_of(audit_of(aligned_model(), lines, tmp_path / "numpy"))
    asked = []

    def moved(array, device):
        asked.append(device)
        return arrays.to_device(array, device)

    for module in (cka, tiles):
        monkeypatch.setattr(module, "to_device", moved)
    monkeypatch.setattr(subjects, "measuring_device", lambda device: device)
    monkeypatch.setattr(measuring, "ceiling", lambda *of: [])  # of one language only
    found = table_of(audit_of(aligned_model(), lines, tmp_path / "torch"))
    assert len(asked) > 100
    assert set(asked) == {torch.device("cpu")}
    expected = expected[expected["condition"].ne("itself")]
    for column in ("value", "low", "high"):
        np.testing.assert_allclose(
            found[column].to_numpy(), expected[column].to_numpy(), atol=2e-7, err_msg=column
        )
