"""A family against transformers' own classes, and what its members share."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import ModernBertForMaskedLM

from xling.errors import XlingError
from xling.model.anatomy import fused_attention
from xling.model.architecture import ModelShape
from xling.model.family import Family, sublayers
from xling.model.sharing import SharingPlan, all_parts
from xling.pretraining.batches import next_tokens

PAPER = {
    "sep-emb": ["embeddings"],
    "sep-L1-3": ["layers 1-3"],
    "sep-L1-6": ["layers 1-6"],
    "sep-emb-L1-3": ["embeddings", "layers 1-3"],
    "sep-emb-L1-6": ["embeddings", "layers 1-6"],
}
FINER = {
    "nothing": [],
    "everything": ["embeddings", "layers 1-8", "head"],
    "tokens": ["embeddings.tokens"],
    "positions": ["embeddings.positions"],
    "head": ["head"],
    "attention": ["layers 1-8.attention"],
    "feed-forward": ["layers 2.feed-forward"],
    "top": ["layers last 1/4"],
    "share of depth": ["layers first 3/8", "head"],
}


def rows_with_labels(shape, vocabulary_size, rows=3):
    """Rows, the labels that the class in transformers takes, and what `Family.forward` takes."""
    draws = torch.Generator().manual_seed(5)
    ids = torch.randint(5, vocabulary_size, (rows, shape.max_length), generator=draws)
    if shape.objective == "clm":
        found = next_tokens(ids.numpy(), pad_id=0)
        assert len(found.positions_P) == ids.numel() - rows
        return ids, ids, torch.from_numpy(found.positions_P), torch.from_numpy(found.labels_P)
    labels = torch.randint(5, vocabulary_size, ids.shape, generator=draws)
    labels[torch.rand(ids.shape, generator=draws) > 0.15] = -100
    positions = (labels.flatten() != -100).nonzero().flatten()
    assert 3 < len(positions) < ids.numel() / 2
    return ids, labels, positions, labels.flatten()[positions]


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("separate", [[], ["embeddings", "layers 1-2"]])
def test_a_member_is_the_model_of_transformers(make_family, shape, vocabulary, separate, language):
    family = make_family(*separate)
    check_member(family, language, shape, vocabulary.size)


def check_member(family, language, shape, size):
    """Logits, loss and gradients against the same weights in the class of transformers."""
    member = family.member(language)
    config = copy.deepcopy(member.config)
    if fused_attention(member):
        config._attn_implementation = "sdpa"
    reference = type(member)(config).eval()
    reference.load_state_dict(copy.deepcopy(member.state_dict()))
    ids, labels, positions, chosen = rows_with_labels(shape, size)

    expected = reference(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels)
    expected.loss.backward()
    summed = family(language, ids, positions, chosen)
    (summed / len(positions)).backward()

    logits = member(input_ids=ids).logits
    torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(summed / len(positions), expected.loss, atol=1e-5, rtol=1e-5)
    gradients = {n: p.grad for n, p in member.named_parameters()}
    for name, parameter in reference.named_parameters():
        if not parameter.requires_grad:  # the waves of fixed positions
            assert gradients[name] is None
            continue
        assert parameter.grad.abs().max() > 0 or ".key.bias" in name, name
        torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-5, rtol=1e-5, msg=name)
    assert len(gradients) == len(list(reference.named_parameters()))


def test_local_attention_is_that_of_transformers(vocabulary):
    """A window narrower than a row: two of three layers see the neighbours only."""
    shape = ModelShape(
        architecture="modernbert", layers=4, heads=2, hidden=16, feed_forward=24, max_length=16
    )
    config = shape.config(vocabulary.size)
    config.local_attention = 4
    torch.manual_seed(2)
    member = ModernBertForMaskedLM(config)
    with torch.no_grad():
        for parameter in member.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    family = Family({"en": member}, SharingPlan()).eval()
    check_member(family, "en", shape, vocabulary.size)
    ids = torch.randint(5, vocabulary.size, (1, 16))
    wide = copy.deepcopy(member)
    wide.config.local_attention = 128
    assert not torch.allclose(member(ids).logits, wide(ids).logits, atol=1e-3)


def test_positions_can_be_given(make_family, shape, vocabulary):
    """As columns they change nothing; doubled, they are those that transformers takes."""
    family = make_family()
    member = family.member("en")
    ids, _, positions, labels = rows_with_labels(shape, vocabulary.size)
    half, columns = shape.max_length // 2, torch.arange(shape.max_length)
    plain = family("en", ids, positions, labels)
    assert torch.equal(plain, family("en", ids, positions, labels, columns.expand(len(ids), -1)))
    doubled = 2 * torch.arange(half).expand(len(ids), -1)
    places = torch.arange(3, len(ids) * half, 2)
    found = family("en", ids[:, :half], places, ids[:, :half].flatten()[places], doubled)
    taken = {"position_ids": doubled}
    if shape.architecture == "xlm-roberta":
        taken = {"position_ids": doubled + 1}  # from the padding's id + 1
    if shape.architecture == "bert" and shape.positions == "rotary":
        table = copy.deepcopy(member.roformer.encoder.embed_positions.weight)
        member.roformer.encoder.embed_positions.weight[:half] = table[::2]
        taken = {}
    logits = member(ids[:, :half], **taken).logits.flatten(0, 1)[places]
    expected = F.cross_entropy(logits, ids[:, :half].flatten()[places], reduction="sum")
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
    if taken == {}:
        with torch.no_grad():
            member.roformer.encoder.embed_positions.weight.copy_(table)


def test_a_decoder_sees_only_what_came_before(make_family, shape, vocabulary):
    member = make_family().member("en")
    ids, *_ = rows_with_labels(shape, vocabulary.size)
    changed = ids.clone()
    changed[:, 9] = (changed[:, 9] + 1) % vocabulary.size
    difference = (member(ids).logits - member(changed).logits).abs().amax(dim=(0, 2))
    sees_later = bool((difference[:9] > 1e-6).any())
    assert sees_later == (shape.architecture != "llama")
    assert (difference[9:] > 1e-6).any()


def test_the_loss_is_that_of_predicted_positions_only(make_family, shape, vocabulary):
    family = make_family()
    ids, _, positions, chosen = rows_with_labels(shape, vocabulary.size)
    log_probabilities = family.member("en")(input_ids=ids).logits.log_softmax(-1).flatten(0, 1)
    by_hand = -sum(log_probabilities[p, i].item() for p, i in zip(positions, chosen, strict=True))
    assert family("en", ids, positions, chosen).item() == pytest.approx(by_hand, rel=1e-5)
    none = family("en", ids, positions[:0], chosen[:0])
    assert none.item() == 0.0


def tensors_under(paths, of_member):
    return {
        name: parameter
        for name, parameter in of_member.items()
        if any(name == path or name.startswith(path + ".") for path in paths)
    }


@pytest.mark.parametrize("items", [*PAPER.values(), *FINER.values()], ids=[*PAPER, *FINER])
def test_shared_is_the_same_object_and_separate_is_not(shape, items):
    shape = shape.model_copy(update={"layers": 8})
    plan = SharingPlan.parse(items, 8)
    family = Family.build(shape, {"en": 40, "fr": 40, "ru": 40}, plan, seed=1)
    check_objects(family, plan)


@settings(max_examples=10, deadline=None)
@given(separate=st.sets(st.sampled_from(all_parts(2))))
def test_any_set_of_parts_can_be_separate(shape, separate):
    sizes = {"layers": 2, "heads": 1, "hidden": 4, "feed_forward": 4, "max_length": 8}
    shape = shape.model_copy(update=sizes)
    plan = SharingPlan(frozenset(separate))
    check_objects(Family.build(shape, {"en": 9, "fr": 9}, plan, seed=1), plan)


def check_objects(family, plan):
    languages = family.languages
    assert set(family.parts) <= set(all_parts(family.layers))
    members = [
        dict(family.member(language).named_parameters(remove_duplicate=False))
        for language in languages
    ]
    for part, paths in family.parts.items():
        held = [tensors_under(paths, member) for member in members]
        assert held[0]
        for name in held[0]:
            objects = {id(member[name]) for member in held}
            assert len(objects) == (len(languages) if part in plan.separate else 1), (part, name)
    for language in languages:
        # The output layer stays tied to the input embeddings of its own language
        member = family.member(language)
        output, table = member.get_output_embeddings(), member.get_input_embeddings()
        assert (output.weight is table.weight) == member.config.tie_word_embeddings
        if hasattr(member, "cls"):
            assert output.bias is member.cls.predictions.bias
        if hasattr(member, "roberta"):
            assert output.bias is member.lm_head.bias
    check_partition(family, plan)


def check_partition(family, plan):
    sets = [family.shared_parameters(), *(family.private_parameters(k) for k in family.languages)]
    ids = [id(parameter) for found in sets for parameter in found.values()]
    assert len(ids) == len(set(ids))
    assert set(ids) == {id(parameter) for parameter in family.parameters()}
    for language in family.languages:
        member = dict(family.member(language).named_parameters())
        private = family.private_parameters(language)
        assert all(member[name] is parameter for name, parameter in private.items())
        assert all(
            member[name] is parameter for name, parameter in family.shared_parameters().items()
        )
        assert len(private) + len(family.shared_parameters()) == len(member)
        assert bool(private) == bool(plan.separate.intersection(family.parts))


def test_one_language_has_nothing_private(shape):
    plan = SharingPlan.parse(["embeddings"], shape.layers)
    family = Family.build(shape, {"en": 30}, plan, seed=1)
    assert family.private_parameters("en") == {}
    assert len(family.shared_parameters()) == len(list(family.parameters()))


def test_weights_are_a_function_of_the_seed_alone(shape):
    def build(seed):
        plan = SharingPlan.parse(["layers 1"], shape.layers)
        return Family.build(shape, {"en": 30, "fr": 30}, plan, seed).state_dict()

    torch.manual_seed(3)
    expected_draw = torch.rand(4)
    torch.manual_seed(3)
    first = build(1)
    assert torch.equal(torch.rand(4), expected_draw)  # the global generator did not move
    torch.manual_seed(99)
    again, other = build(1), build(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    matrices = [
        name
        for name in first
        if first[name].dim() == 2
        and first[name].is_floating_point()
        and "embed_positions" not in name
    ]
    assert not any(torch.equal(first[name], other[name]) for name in matrices)


def test_private_parts_start_from_draws_of_their_own(shape):
    plan = SharingPlan.parse(["embeddings", "layers 1"], shape.layers)
    family = Family.build(shape, {"en": 30, "fr": 30}, plan, seed=1)
    english, french = family.private_parameters("en"), family.private_parameters("fr")
    assert english.keys() == french.keys()
    for name in english:
        drawn = english[name].requires_grad and "token_type" not in name
        if english[name].dim() == 2 and drawn:
            assert not torch.equal(english[name], french[name]), name


def test_any_code_may_name_a_language(shape):
    # "to" (Tongan) is a method of every module
    family = Family.build(shape, {"to": 30, "zh-Hans": 30}, SharingPlan(), seed=1)
    assert family.member("to").base_model is not family.member("zh-Hans").base_model


def test_an_unknown_language_is_said(make_family):
    with pytest.raises(XlingError, match="no language 'de'; it has en, fr"):
        make_family().member("de")


def test_shared_tokens_of_unequal_number_are_refused(shape):
    with pytest.raises(XlingError, match=r"embeddings.tokens are shared.*'en': 30, 'fr': 40"):
        Family.build(shape, {"en": 30, "fr": 40}, SharingPlan(), seed=1)
    plan = SharingPlan.parse(["embeddings.tokens"], shape.layers)
    family = Family.build(shape, {"en": 30, "fr": 40}, plan, seed=1)
    assert family.member("fr").get_input_embeddings().num_embeddings == 40


@pytest.mark.parametrize(
    ("separate", "count"), [([], 8), (["layers 1"], 10), (["layers 1-4.attention"], 12)]
)
def test_shared_sublayers_are_listed_once(make_family, separate, count):
    family = make_family(*separate)
    groups = sublayers(family)
    assert len(groups) == count
    held = [id(p) for modules in groups for m in modules for p in m.parameters()]
    assert len(held) == len(set(held))
    lists = (".layer.", ".layers.")
    in_layers = {id(p) for name, p in family.named_parameters() if any(k in name for k in lists)}
    assert set(held) == in_layers
