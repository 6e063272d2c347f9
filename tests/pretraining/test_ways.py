"""Switches of what a shared table separates, other ways to meet, and gradients by language."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.torch import load_file

from xling.errors import XlingError
from xling.model.sharing import SharingPlan
from xling.pretraining import loop, run
from xling.pretraining.batches import BatchMaker
from xling.pretraining.config import PretrainingConfig, RunConfig
from xling.pretraining.distributed import World
from xling.pretraining.gradients import gradient_cosines
from xling.pretraining.loop import DevSet, forward_backward
from xling.pretraining.optimizer import FamilyOptimizer
from xling.pretraining.run import language_texts
from xling.pretraining.ways import Ways
from xling.study.config import Variant
from xling.tokens.streams import TokenStream
from xling.vocabulary.vocabulary import Vocabulary

HERE = World(0, 1, torch.device("cpu"))
SWITCHED = {"softmax": "own", "replacements": "own"}
TABLE = "bert.embeddings.word_embeddings.weight"
OF_TOKENS = (TABLE, "cls.predictions.bias", "cls.predictions.decoder.")


def parameters(family, language):
    return dict(family.member(language).named_parameters(remove_duplicate=False))


def made(corpus, config):
    """Return a family and the batches it learns from."""
    words = Vocabulary.load(corpus.vocabulary)
    texts = language_texts(corpus.tokens, words, config)
    return run._family(words, config, HERE.device), BatchMaker(
        texts, config.pretraining, words.special_ids
    )


def rows(words, language, specials):
    """Return where a language's special tokens and own tokens stand in a table."""
    return [*(words.special_ids_of(language) if specials else range(5)), *words.own_ids(language)]


def test_all_switches_together_are_separate_tokens(corpus, with_own_tokens, run_config):
    one, one_maker = made(corpus, run_config("embeddings.specials", **SWITCHED))
    two, two_maker = made(with_own_tokens, run_config("embeddings.tokens"))
    places = {}
    for language in ("aa", "bb"):
        places[language] = rows(Vocabulary.load(corpus.vocabulary), language, specials=True)
        theirs = rows(Vocabulary.load(with_own_tokens.vocabulary), language, specials=False)
        assert theirs == list(range(60))
        with torch.no_grad():
            for name, value in parameters(two, language).items():
                same = parameters(one, language)[name]
                value.copy_(same[places[language]] if name.startswith(OF_TOKENS) else same)
    for step in range(6):
        ours, theirs = one_maker.batch(step), two_maker.batch(step)
        language = ours.language
        place = np.array(places[language])
        assert theirs.language == language
        assert (ours.masked.ids_BT == place[theirs.masked.ids_BT]).all()
        assert (ours.masked.labels_P == place[theirs.masked.labels_P]).all()
        losses = [
            float(forward_backward(family, batch, maker.config, HERE, step))
            for family, batch, maker in ((one, ours, one_maker), (two, theirs, two_maker))
        ]
        assert losses[0] == pytest.approx(losses[1], rel=1e-6)
        for name, value in parameters(two, language).items():
            found = parameters(one, language)[name].grad
            if name.startswith(OF_TOKENS):
                others = np.setdiff1d(np.arange(len(found)), place)
                assert not found[others].any()
                found = found[place]
            assert torch.allclose(found, value.grad, rtol=1e-4, atol=1e-7), name
        one.zero_grad()
        two.zero_grad()


@pytest.mark.parametrize("switch", ["specials", "softmax", "replacements"])
def test_each_switch_changes_its_own_thing_only(corpus, run_config, switch):
    separate = ["embeddings.specials"] if switch == "specials" else []
    settings = {} if switch == "specials" else {switch: "own"}
    (plain, maker), (other, switched) = (
        made(corpus, run_config()),
        made(corpus, run_config(*separate, **settings)),
    )
    words = Vocabulary.load(corpus.vocabulary)
    kinds = {"specials": False, "random": False}
    for step in range(8):
        before, after = maker.batch(step).masked, switched.batch(step).masked
        assert (before.positions_P == after.positions_P).all()
        assert (before.labels_P == after.labels_P).all()
        where = before.ids_BT != after.ids_BT
        special = where & (before.ids_BT < 5)
        kinds["specials"] |= bool(special.any())
        kinds["random"] |= bool((where & ~special).any())
        if switch == "specials" and maker.language(step) == "bb":
            assert (after.ids_BT[special] == before.ids_BT[special] + words.size).all()
            assert not (after.ids_BT < 5).any()
    assert kinds == {"specials": switch == "specials", "random": switch == "replacements"}
    sizes = [family.member("aa").config.vocab_size for family in (plain, other)]
    assert sizes[1] - sizes[0] == (5 if switch == "specials" else 0)
    assert set(other.others) == ({"aa", "bb"} if switch == "softmax" else set())


def test_own_softmax_is_that_over_own_logits(corpus, run_config):
    family, maker = made(corpus, run_config(softmax="own"))
    words = Vocabulary.load(corpus.vocabulary)
    batch = next(b for b in map(maker.batch, range(12)) if b.language == "bb")
    (micro,) = batch.micro_batches(0, 1, 1, HERE.device)
    found = family("bb", micro.ids_BT, micro.positions_P, micro.labels_P)
    own = rows(words, "bb", specials=False)
    logits = family.member("bb")(micro.ids_BT).logits.flatten(0, 1)[micro.positions_P][:, own]
    labels = torch.tensor([own.index(label) for label in micro.labels_P.tolist()])
    expected = -logits.double().log_softmax(-1)[torch.arange(len(labels)), labels].sum()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


@given(share=st.floats(0.01, 0.99), languages=st.integers(2, 5), exponent=st.floats(0, 1))
def test_shares_that_are_given_are_not_flattened(share, languages, exponent):
    from xling.pretraining.batches import _step_shares

    lines = {f"l{n}": 10 ** (n + 1) for n in range(languages)}
    config = PretrainingConfig(steps=1, base_share=share, exponent=exponent)
    base, *others = _step_shares(lines, config).values()
    assert base == share
    assert others == pytest.approx([(1 - share) / (languages - 1)] * (languages - 1))


def test_the_base_language_is_drawn_as_often_as_it_says(maker):
    batches = maker(steps=4000, base_share=0.9)
    drawn = np.mean([batches.language(step) == "aa" for step in range(4000)])
    assert drawn == pytest.approx(0.9, abs=0.02)
    assert batches.shares == pytest.approx({"aa": 0.9, "bb": 0.1})


def test_a_mixed_step_is_the_mean_over_all_predictions(corpus, run_config):
    family, maker = made(corpus, run_config("layers 1", mixed=True, base_share=0.75))
    batch = maker.batch(3)
    assert batch.name == "aa+bb"
    assert [len(part.masked.ids_BT) for part in (batch, *batch.others)] == [6, 2]
    loss = forward_backward(family, batch, maker.config, HERE, 3)
    found = {name: p.grad.clone() for name, p in family.named_parameters() if p.grad is not None}
    assert {name for name, _ in family.named_parameters()} == set(found)
    family.zero_grad()
    total = torch.zeros(())
    for part in (batch, *batch.others):
        (micro,) = part.micro_batches(0, 1, 1, HERE.device)
        total = total + family(part.language, micro.ids_BT, micro.positions_P, micro.labels_P)
    predicted = sum(len(part.masked.labels_P) for part in (batch, *batch.others))
    assert predicted == batch.predicted
    (total / predicted).backward()
    assert float(loss) == pytest.approx(total.item() / predicted, rel=1e-6)
    for name, parameter in family.named_parameters():
        assert torch.allclose(found[name], parameter.grad, rtol=1e-4, atol=1e-8), name


def test_mixed_rows_go_through_the_text_once_an_epoch(corpus, run_config):
    _, maker = made(corpus, run_config(mixed=True, steps=40))
    for place, language in enumerate(("aa", "bb")):
        count = maker.mixed_rows[language]
        steps = maker.windows[language] // count
        assert steps > 1
        seen = [
            tuple(row)
            for step in range(steps)
            for row in maker._text(language, step * count + np.arange(count)).tolist()
        ]
        assert len(set(seen)) == len(seen)
        part = (maker.batch(0), *maker.batch(0).others)[place]
        restored = part.masked.ids_BT.copy()
        restored.reshape(-1)[part.masked.positions_P] = part.masked.labels_P
        assert [tuple(row) for row in restored[:, 1:].tolist()] == seen[:count]


@pytest.fixture(scope="module")
def frozen(run_here, run_config, with_own_tokens, tmp_path_factory):
    """A run of which the second half trains what bb has alone, and its settings."""
    config = run_config("embeddings.tokens", base_first=0.5, evaluate_every=3, checkpoint_every=6)
    out = run_here(tmp_path_factory.mktemp("runs") / "frozen", config, with_own_tokens)
    return out, config


def test_a_frozen_body_stays_as_it_was(frozen, with_own_tokens, entries):
    out, config = frozen
    half, end = (load_file(out / f"checkpoints/step-{k:08d}.safetensors") for k in (6, 12))
    family, maker = made(with_own_tokens, config)
    assert [maker.language(step) for step in range(12)] == ["aa"] * 6 + ["bb"] * 6
    own = {f"weights/members.1.{name}" for name in family.private_parameters("bb")}
    start = {f"weights/{name}": value for name, value in family.named_parameters()}
    for name, value in start.items():
        moved = not torch.equal(end[name], half[name])
        assert moved == (name in own), name
        assert torch.equal(half[name], value) == (name in own), name
    rates = [e["learning_rate"] for e in entries(out) if e["kind"] == "train"]
    assert rates[:6] == rates[6:]


def test_the_best_weights_of_a_frozen_body_are_those_of_the_others(frozen, entries):
    out, _ = frozen
    dev = {
        e["step"]: e["loss"] for e in entries(out) if (e["kind"], e["language"]) == ("dev", "bb")
    }
    later = {step: loss for step, loss in dev.items() if step > 6}
    best = min(later, key=later.get)
    record = json.loads((out / "checkpoints/step-00000012.json").read_text())
    assert (record["best_step"], record["best_loss"]) == (best, later[best])
    weights = load_file(out / "checkpoints/best.safetensors")
    end = load_file(out / "checkpoints/step-00000012.safetensors")
    table = f"members.1.{TABLE}"
    assert torch.equal(weights[table], end[f"weights/{table}"]) == (best == 12)
    body = "members.0.bert.encoder.layer.0.attention.self.query.weight"
    assert torch.equal(weights[body], end[f"weights/{body}"])


def test_forgetting_begins_tokens_anew_and_nothing_else(family, configure, maker):
    model, batches = family(), maker()
    settings = configure(forget_every=3)
    optimizer = FamilyOptimizer(model, settings.optimizer, 12)
    forward_backward(model, batches.batch(0), settings, HERE, 1)
    optimizer.step(5)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    state = set(optimizer.state_tensors())
    ways = Ways(settings, model, optimizer)
    for step in (1, 2, 3, 5, 6):
        ways.before(step)
    assert all(torch.equal(before[name], value) for name, value in model.named_parameters())
    ways.before(4)
    (changed,) = (n for n, value in model.named_parameters() if not torch.equal(before[n], value))
    assert changed == f"members.0.{TABLE}"
    table = dict(model.named_parameters())[changed]
    assert table.std().item() == pytest.approx(0.02, rel=0.1)
    assert {name.rpartition("/")[0] for name in state - set(optimizer.state_tensors())} == {changed}
    again = family()
    Ways(settings, again, optimizer).before(4)
    assert torch.equal(dict(again.named_parameters())[changed], table)
    Ways(settings, again, optimizer).before(7)
    assert not torch.equal(dict(again.named_parameters())[changed], table)


def test_a_frozen_body_has_nothing_left_to_forget(configure, family, maker):
    settings = configure(base_first=0.5, forget_every=2)
    model = family("embeddings.tokens")
    ways = Ways(settings, model, FamilyOptimizer(model, settings.optimizer, 12))
    changed = []
    for step in range(1, 13):
        before = model.member("aa").bert.embeddings.word_embeddings.weight.detach().clone()
        ways.before(step)
        after = model.member("aa").bert.embeddings.word_embeddings.weight
        changed += [] if torch.equal(before, after) else [step]
    assert changed == [3, 5]


WAYS = {
    "frozen": (("embeddings.tokens",), {"base_first": 0.5, "forget_every": 2}),
    "mixed": (("embeddings.specials",), {"mixed": True, "forget_every": 3, **SWITCHED}),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_stops_goes_on_as_if_it_had_not(
    run_here, run_config, corpus, with_own_tokens, curve, tmp_path, monkeypatch, way
):
    separate, settings = WAYS[way]
    of = with_own_tokens if way == "frozen" else corpus
    config = run_config(*separate, dropout=0.1, checkpoint_every=3, snapshots=4, **settings)
    whole = run_here(tmp_path / "whole", config, of)
    real = loop.forward_backward
    for moment in (5, 10):

        def stopping(*given, moment=moment):
            if given[-1] == moment:
                raise KeyboardInterrupt
            return real(*given)

        with monkeypatch.context() as patch:
            patch.setattr(loop, "forward_backward", stopping)
            with pytest.raises(KeyboardInterrupt):
                run_here(tmp_path / "stopped", config, of)
    out = run_here(tmp_path / "stopped", config, of)
    for path in whole.rglob("*.safetensors"):
        assert (out / path.relative_to(whole)).read_bytes() == path.read_bytes(), path
    assert curve(out) == curve(whole)


def dev_set(corpus, config, family_texts):
    streams = {k: TokenStream.open(corpus.tokens, k, "dev") for k in ("aa", "bb")}
    return DevSet(streams, family_texts, 16, 4, 0.15, Vocabulary.special_ids)


def test_cosines_of_gradients_are_those_of_whole_backward_passes(corpus, run_config):
    config = run_config("layers 1", "embeddings.positions")
    family, maker = made(corpus, config)
    dev = dev_set(corpus, config, maker.texts).batches
    state = torch.random.get_rng_state()
    found = gradient_cosines(family, dev, HERE.device)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in family.parameters())
    private = ("bert.encoder.layer.0.", "bert.embeddings.position_embeddings.", *OF_TOKENS)
    shared = [v for name, v in parameters(family, "aa").items() if not name.startswith(private)]
    halves = {}
    for language, batch in dev.items():
        for number, micro in enumerate(batch.micro_batches(0, 1, 2, HERE.device)):
            family.zero_grad()
            family(language, micro.ids_BT, micro.positions_P, micro.labels_P).backward()
            grad = [torch.zeros_like(p) if p.grad is None else p.grad for p in shared]
            halves[language, number] = torch.cat([g.flatten() for g in grad]).double().numpy()

    def cosine(one, two):
        a, b = halves[one], halves[two]
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    assert found == pytest.approx(
        {
            "aa": cosine(("aa", 0), ("aa", 1)),
            "bb": cosine(("bb", 0), ("bb", 1)),
            "aa-bb": np.mean([cosine(("aa", i), ("bb", j)) for i in (0, 1) for j in (0, 1)]),
        },
        abs=1e-5,
    )


def test_languages_that_are_one_have_the_cosine_of_halves(corpus, run_config):
    config = run_config()
    family, maker = made(corpus, config)
    rows_of = dev_set(corpus, config, maker.texts).batches["aa"]
    found = gradient_cosines(family, {"aa": rows_of, "bb": rows_of}, HERE.device)
    # A half with itself has a cosine of 1, and of the four pairs two are such
    assert found["aa-bb"] == pytest.approx((1 + found["aa"]) / 2, abs=1e-6)
    nothing, _ = made(corpus, config)
    nothing.plan = SharingPlan.parse(["embeddings", "layers 1-2", "head"], 2)
    assert gradient_cosines(nothing, {"aa": rows_of, "bb": rows_of}, HERE.device) == {}


def test_measuring_gradients_changes_no_weight(run_here, run_config, entries, curve, tmp_path):
    config = run_config("layers 1", dropout=0.1)
    plain = run_here(tmp_path / "plain", config)
    kept = config.pretraining.model_copy(update={"snapshots": 3})
    measured = run_here(tmp_path / "measured", config.model_copy(update={"pretraining": kept}))
    last = "checkpoints/step-00000012.safetensors"
    assert (plain / last).read_bytes() == (measured / last).read_bytes()
    gradients = [e for e in entries(measured) if e["kind"] == "gradients"]
    assert [(e["step"], e["language"]) for e in gradients] == [
        (step, language) for step in (1, 3, 12) for language in ("aa", "bb", "aa-bb")
    ]
    assert all(-1 <= e["cosine"] <= 1 for e in gradients)


@pytest.mark.parametrize(
    ("separate", "settings", "message"),
    [
        (["embeddings.tokens"], {"softmax": "own"}, "own is what separate token embeddings have"),
        (["embeddings"], {"replacements": "own"}, "own is what separate token embeddings have"),
        ([], {"base_first": 0.5}, "add embeddings.tokens"),
        ([], {"mixed": True, "tlm": {"sets": ["talks"]}}, "mixed: .* tlm gives each step to some"),
        (["embeddings"], {"base_first": 0.5, "base_share": 0.5}, "leave out base_share"),
        (["embeddings", "embeddings.specials"], {}, "embeddings.specials adds nothing"),
    ],
)
def test_settings_without_effect_are_refused(separate, settings, message):
    with pytest.raises((ValidationError, XlingError), match=message):
        RunConfig(languages=("aa", "bb"), separate=separate, pretraining={"steps": 4, **settings})


@pytest.mark.parametrize("setting", ["base_share", "base_first"])
def test_one_language_has_no_shares(setting):
    with pytest.raises(ValidationError, match=f"pretraining.{setting} needs a second language"):
        RunConfig(
            languages=("aa",),
            separate=["embeddings"],
            pretraining={"steps": 4, setting: 0.5},
        )


def test_a_joint_vocabulary_has_no_tokens_of_ones_own():
    with pytest.raises(
        ValidationError, match="in a joint vocabulary all tokens are all languages'"
    ):
        Variant(text=("wiki",), pretraining={"steps": 1, "softmax": "own"})


def test_rows_that_leave_a_language_out_are_refused(maker):
    with pytest.raises(XlingError, match="bb would have none of the 8 rows"):
        maker(mixed=True, base_share=0.95)


def test_rows_too_few_for_every_part_are_refused(run_here, run_config, tmp_path):
    config = run_config(mixed=True, base_share=0.75, accumulation=4)
    with pytest.raises(XlingError, match=r"bb has 2 rows in each step; .* \(1 x 4\) need one each"):
        run_here(tmp_path / "run", config)


def test_what_is_usual_does_not_name_jobs_anew():
    usual = PretrainingConfig(steps=1).model_dump(mode="json")
    new = {"base_share", "mixed", "base_first", "forget_every", "softmax", "replacements"}
    assert not new & set(usual)
    changed = PretrainingConfig(steps=1, mixed=True, softmax="own").model_dump(mode="json")
    assert set(changed) - set(usual) == {"mixed", "softmax"}
    assert PretrainingConfig.model_validate(changed).mixed
