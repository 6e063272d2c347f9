"""Every form of a plan, against sets written out by hand."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from xling.errors import XlingError
from xling.model.anatomy import ANATOMIES
from xling.model.architecture import ModelShape
from xling.model.sharing import SharingPlan, all_parts
from xling.vocabulary.build import VocabularyConfig

EMBEDDINGS = {
    "embeddings.tokens",
    "embeddings.positions",
    "embeddings.language",
    "embeddings.norm",
}


def both(*layers: int) -> set[str]:
    return {f"layer {i}.{s}" for i in layers for s in ("attention", "feed-forward")}


@pytest.mark.parametrize(
    ("items", "layers", "expected"),
    [
        ([], 8, set()),
        (["embeddings"], 8, EMBEDDINGS),
        (["embeddings.tokens"], 8, {"embeddings.tokens"}),
        (["embeddings.positions"], 8, {"embeddings.positions"}),
        (["embeddings.language"], 8, {"embeddings.language"}),
        (["head"], 8, {"head"}),
        (["layers 5"], 8, both(5)),
        (["layers 1-3"], 8, both(1, 2, 3)),
        (["layers 1-3.attention"], 8, {f"layer {i}.attention" for i in (1, 2, 3)}),
        (["layers 2.feed-forward"], 8, {"layer 2.feed-forward"}),
        (["layers first 3/8"], 8, both(1, 2, 3)),
        (["layers first 3/8"], 16, both(1, 2, 3, 4, 5, 6)),
        (["layers first 6/8"], 4, both(1, 2, 3)),
        (["layers last 1/4"], 8, both(7, 8)),
        (["layers last 1/2.attention"], 4, {"layer 3.attention", "layer 4.attention"}),
        (["embeddings", "layers 1-6"], 8, EMBEDDINGS | both(1, 2, 3, 4, 5, 6)),
        (["layers 1-2", "layers 2-3"], 8, both(1, 2, 3)),
    ],
)
def test_a_plan_separates_what_it_names(items, layers, expected):
    assert SharingPlan.parse(items, layers).separate == expected


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("embedding", "unknown part 'embedding'; expected embeddings, embeddings.tokens"),
        ("embeddings.norms", "unknown part 'embeddings.norms'"),
        ("layers", "unknown part"),
        ("layers 1-3.mlp", "unknown part"),
        ("layers 1 - 3", "unknown part"),
        ("layers middle 1/2", "unknown part"),
        ("layers 0-3", "means layers 0 to 3, but the encoder has layers 1 to 8"),
        ("layers 3-9", "means layers 3 to 9, but the encoder has layers 1 to 8"),
        ("layers 5-3", "means layers 5 to 3"),
        ("layers first 9/8", "means layers 1 to 9"),
        ("layers last 1/100", "means layers 9 to 8"),
        ("layers first 1/0", "divides by zero"),
    ],
)
def test_what_cannot_be_separated_is_said(item, message):
    with pytest.raises(XlingError, match=f"^sharing plan: .*{message}"):
        SharingPlan.parse([item], 8)


TOKENS_APART = ("embeddings", "embeddings.tokens")
TOKENS_TOGETHER = ("head", "embeddings.positions", "layers 1-3")
# Kind of vocabulary, and whether it goes with token embeddings apart, and shared.
KINDS = {"joint": (True, True), "parity": (True, True), "separate": (True, False)}
KINDS |= dict.fromkeys(("union", "disjoint"), (False, True))


@pytest.mark.parametrize("kind", get_args(VocabularyConfig.model_fields["kind"].annotation))
def test_token_embeddings_and_vocabulary_fit_or_are_refused(kind):
    apart, together = KINDS[kind]
    for items, fits in ((TOKENS_APART, apart), (TOKENS_TOGETHER, together)):
        for item in items:
            plan = SharingPlan.parse([item], 8)
            if fits:
                plan.check_vocabulary(kind)
            else:
                with pytest.raises(XlingError, match=f"vocabulary.kind: {kind} "):
                    plan.check_vocabulary(kind)


@given(
    layers=st.integers(1, 5),
    end=st.sampled_from(["first", "last"]),
    eighths=st.integers(1, 8),
)
def test_a_fraction_takes_the_nearest_number_of_layers_from_its_end(layers, end, eighths):
    count = round(layers * eighths / 8)
    if count == 0:
        with pytest.raises(XlingError):
            SharingPlan.parse([f"layers {end} {eighths}/8"], layers)
        return
    numbers = range(1, layers + 1)
    expected = numbers[:count] if end == "first" else numbers[-count:]
    assert SharingPlan.parse([f"layers {end} {eighths}/8"], layers).separate == both(*expected)


# What an architecture has no weights for
LACKING = {
    "bert": set(),
    "xlm-roberta": set(),
    "modernbert": {"embeddings.positions", "embeddings.language"},
    "llama": {"embeddings.positions", "embeddings.language", "embeddings.norm"},
}


@pytest.mark.parametrize(("architecture", "positions"), ANATOMIES)
@pytest.mark.parametrize("layers", [1, 3])
def test_every_parameter_of_the_model_lies_under_exactly_one_part(layers, architecture, positions):
    shape = ModelShape(
        architecture=architecture,
        positions=positions,
        layers=layers,
        heads=1,
        hidden=4,
        feed_forward=4,
        max_length=8,
    )
    model = shape.anatomy.opened_by()(shape.config(10))
    anatomy = shape.anatomy.paths(layers)
    assert set(anatomy) == set(all_parts(layers)) - LACKING[architecture]
    # By every name, those of tied tensors included, and by what each path really holds
    owners = {name: [] for name, _ in model.named_parameters(remove_duplicate=False)}
    for part, paths in anatomy.items():
        for path in paths:
            held = [name for name in owners if name == path or name.startswith(path + ".")]
            # The first norm of ModernBERT is none
            assert held or isinstance(model.get_submodule(path), nn.Identity), path
            for name in held:
                owners[name].append(part)
    tensors = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        assert len(owners[name]) == 1, (name, owners[name])
        tensors.setdefault(id(parameter), set()).update(owners[name])
    assert all(len(parts) == 1 for parts in tensors.values())
