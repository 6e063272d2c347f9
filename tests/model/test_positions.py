"""Fixed positions against the published formula; what a language's own table begins with."""

import math

import pytest
import torch
from transformers import AutoModelForMaskedLM

from xling.encoders.encoder import Encoder
from xling.encoders.random_encoder import untrained_twins
from xling.errors import XlingError
from xling.model.architecture import ModelShape, sinusoids
from xling.model.family import Family
from xling.model.sharing import SharingPlan
from xling.model.storage import load_family, save_family


def table(model):
    return model.bert.embeddings.position_embeddings.weight


def family_of(shape, vocabulary, separate, **positions):
    shape = shape.model_copy(update=positions)
    sizes = dict.fromkeys(("en", "fr"), vocabulary.size)
    return Family.build(shape, sizes, SharingPlan.parse(separate, shape.layers), seed=3)


def test_the_waves_are_those_of_the_paper():
    waves = sinusoids(50, 16, scale=1.0)
    for position in (0, 1, 7, 49):
        for pair in range(8):
            angle = position / 10_000 ** (2 * pair / 16)
            expected = (math.sqrt(2) * math.sin(angle), math.sqrt(2) * math.cos(angle))
            assert waves[position, 2 * pair : 2 * pair + 2].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("size", [None, 0.4])
def test_every_row_has_the_size_asked_for_whatever_the_first_weights(
    bert, vocabulary, tmp_path, size
):
    changes = {} if size is None else {"wave_size": size}
    family = family_of(bert, vocabulary, [], positions="sinusoidal", **changes)
    save_family(family, vocabulary, tmp_path / "model")
    for one in (family, load_family(tmp_path / "model")):
        sizes = table(one.member("en")).pow(2).mean(1).sqrt()
        assert sizes.tolist() == pytest.approx([size or 0.1] * bert.max_length)


def test_a_model_without_a_size_of_waves_keeps_its_table(bert, vocabulary, tmp_path):
    family = family_of(bert, vocabulary, [], positions="sinusoidal")
    size = bert.initializer_range
    for language in ("en", "fr"):
        member = family.member(language)
        del member.config.xling_wave_size
        table(member).data.copy_(sinusoids(bert.max_length, bert.hidden, size))
    save_family(family, vocabulary, tmp_path / "model")
    opened = load_family(tmp_path / "model")
    assert torch.equal(table(opened.member("en")), table(family.member("en")))


def test_fixed_positions_are_one_table_that_does_not_learn(bert, vocabulary):
    family = family_of(bert, vocabulary, ["embeddings"], positions="sinusoidal")
    one, other = (table(family.member(language)) for language in ("en", "fr"))
    assert torch.equal(one, other)
    assert not one.requires_grad
    assert not other.requires_grad
    ids = torch.randint(5, vocabulary.size, (2, bert.max_length))
    family("en", ids, torch.arange(4), ids.flatten()[:4]).backward()
    assert one.grad is None
    assert family.member("en").bert.embeddings.word_embeddings.weight.grad is not None


def test_a_saved_model_needs_no_code_of_ours(bert, vocabulary, tmp_path):
    family = family_of(bert, vocabulary, ["embeddings"], positions="sinusoidal").eval()
    save_family(family, vocabulary, tmp_path / "model")
    plain = AutoModelForMaskedLM.from_pretrained(tmp_path / "model" / "en")
    ids = torch.randint(5, vocabulary.size, (2, bert.max_length))
    torch.testing.assert_close(plain(ids).logits, family.member("en")(ids).logits)
    opened = load_family(tmp_path / "model")
    assert torch.equal(table(opened.member("fr")), table(family.member("fr")))
    assert not table(opened.member("fr")).requires_grad


def test_an_untrained_twin_has_the_same_positions(bert, vocabulary, tmp_path):
    family = family_of(bert, vocabulary, ["embeddings"], positions="sinusoidal")
    save_family(family, vocabulary, tmp_path / "model")
    encoders = [
        Encoder.of_family(family, tmp_path / "model", language) for language in ("en", "fr")
    ]
    (twins,) = untrained_twins(encoders, [1])
    for twin, encoder in zip(twins, encoders, strict=True):
        embeddings = twin.body.embeddings
        assert torch.equal(embeddings.position_embeddings.weight, table(encoder.model))
        assert not torch.equal(
            embeddings.word_embeddings.weight,
            encoder.model.bert.embeddings.word_embeddings.weight,
        )


@pytest.mark.parametrize(("first", "equal"), [("own", False), ("same", True)])
def test_tables_of_each_language_begin_as_asked(bert, vocabulary, first, equal):
    family = family_of(bert, vocabulary, ["embeddings.positions"], first_positions=first)
    one, other = (table(family.member(language)) for language in ("en", "fr"))
    assert one is not other
    assert torch.equal(one, other) == equal
    assert one.requires_grad


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="first_positions needs positions: learned"):
        ModelShape(positions="sinusoidal", first_positions="same")
    with pytest.raises(ValueError, match="wave_size needs positions: sinusoidal"):
        ModelShape(wave_size=0.2)
    positions = SharingPlan.parse(["embeddings.positions"], 8)
    with pytest.raises(XlingError, match="no weights that languages could have separately"):
        ModelShape(positions="sinusoidal").check_plan(positions)
    with pytest.raises(XlingError, match="share one table"):
        ModelShape(first_positions="same").check_plan(SharingPlan())


def test_settings_of_learned_positions_are_written_as_before():
    assert not {"positions", "wave_size"} & set(ModelShape().model_dump(mode="json"))
    written = ModelShape(positions="sinusoidal").model_dump(mode="json")
    assert (written["positions"], written["wave_size"]) == ("sinusoidal", 0.1)
    assert ModelShape.model_validate(written).positions == "sinusoidal"
