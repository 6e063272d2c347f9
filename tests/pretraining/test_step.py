"""The gradient of a step does not depend on how it is computed."""

from contextlib import contextmanager

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import BertForMaskedLM, LlamaForCausalLM

from xling.device import autocast
from xling.pretraining.batches import Batch, Masked
from xling.pretraining.distributed import World
from xling.pretraining.loop import forward_backward

CPU = torch.device("cpu")
HERE = World(0, 1, CPU)


def gradients_of(family, maker, step=0, config=None):
    family.zero_grad()
    batch = maker.batch(step)
    loss = forward_backward(family, batch, config or maker.config, HERE, step)
    return float(loss), {
        n: p.grad.clone() for n, p in family.named_parameters() if p.grad is not None
    }


@pytest.mark.parametrize("accumulation", [1, 4])
def test_loss_and_gradient_are_hugging_face_s(maker, configure, family, accumulation):
    """Absolute, not only alike: a scale that is wrong everywhere would cancel otherwise."""
    maker, family = maker(), family()
    batch = maker.batch(0)
    (whole,) = batch.micro_batches(0, 1, 1, CPU)
    member = family.member(batch.language)
    reference = BertForMaskedLM(member.config)
    reference.load_state_dict(member.state_dict())
    labels = torch.full(whole.ids_BT.shape, -100).flatten()
    labels[whole.positions_P] = whole.labels_P
    expected = reference(whole.ids_BT, labels=labels.view_as(whole.ids_BT)).loss
    expected.backward()
    loss, _ = gradients_of(family, maker, config=configure(accumulation=accumulation))
    assert loss == pytest.approx(float(expected.detach()), abs=1e-5)
    for (name, one), other in zip(member.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize("accumulation", [1, 4])
def test_a_decoder_s_loss_and_gradient_are_hugging_face_s(maker, configure, family, accumulation):
    """Each row is its own label, as the stock collator has it."""
    maker, family = maker(objective="clm"), family(kind="llama")
    batch = maker.batch(0)
    member = family.member(batch.language)
    reference = LlamaForCausalLM(member.config)
    reference.load_state_dict(member.state_dict())
    ids = torch.from_numpy(batch.masked.ids_BT)
    expected = reference(ids, labels=ids).loss
    expected.backward()
    loss, _ = gradients_of(family, maker, config=configure(accumulation=accumulation))
    assert loss == pytest.approx(float(expected.detach()), abs=1e-5)
    for (name, one), other in zip(member.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_processes_share_the_loss_and_their_gradients_average_to_the_whole(
    maker, configure, family, accumulation
):
    """Each process in turn, without others: what DDP averages is the gradient of one."""
    maker, family = maker(), family()
    batch, config = maker.batch(0), configure(accumulation=accumulation)
    expected_loss, expected = gradients_of(family, maker)
    family.zero_grad()
    losses = [
        float(forward_backward(family, batch, config, World(rank, 2, CPU), 0)) for rank in (0, 1)
    ]
    assert sum(losses) == pytest.approx(expected_loss, abs=1e-5)
    assert all(0 < loss < expected_loss for loss in losses)
    for name, parameter in family.named_parameters():
        if name in expected:
            torch.testing.assert_close(parameter.grad / 2, expected[name], atol=1e-6, rtol=1e-4)


class Wrapped(torch.nn.Module):
    """Notes, as DDP would, whether processes average gradients in each backward pass."""

    def __init__(self, module):
        super().__init__()
        self.module, self.averages, self.averaged = module, True, []

    def forward(self, *inputs):
        self.averaged.append(self.averages)
        return self.module(*inputs)

    @contextmanager
    def no_sync(self):
        self.averages = False
        yield
        self.averages = True


@pytest.mark.parametrize("accumulation", [1, 2, 4])
def test_processes_average_once_a_step(maker, configure, family, monkeypatch, accumulation):
    monkeypatch.setattr("xling.pretraining.loop.DistributedDataParallel", Wrapped)
    maker, model = maker(), Wrapped(family())
    forward_backward(model, maker.batch(0), configure(accumulation=accumulation), HERE, 0)
    assert model.averaged == [False] * (accumulation - 1) + [True]


@pytest.mark.parametrize("accumulation", [2, 4, 8])
def test_accumulation_does_not_change_the_gradient(maker, configure, family, accumulation):
    maker, family = maker(), family()
    expected_loss, expected = gradients_of(family, maker)
    config = configure(accumulation=accumulation)
    loss, gradients = gradients_of(family, maker, config=config)
    assert loss == pytest.approx(expected_loss, abs=1e-5)
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-4)


def test_only_the_language_s_own_and_shared_parts_get_gradients(maker, family):
    maker, family = maker(), family("embeddings", "layers 1")
    _, gradients = gradients_of(family, maker)
    language = maker.language(0)
    own = {id(p) for p in family.member(language).parameters()}
    assert set(gradients) == {n for n, p in family.named_parameters() if id(p) in own}


def test_dropout_is_a_function_of_the_step(maker, family):
    maker, family = maker(), family()
    for module in family.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.3
    family.train()
    losses = []
    for step, global_seed in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(global_seed)
        batch = maker.batch(0)
        losses.append(float(forward_backward(family, batch, maker.config, HERE, step)))
    assert losses[0] == losses[1] != losses[2]


def test_rows_with_nothing_to_predict_have_no_loss(family, configure):
    masked = Masked(torch.full((8, 16), 3).numpy(), *(torch.zeros(0).long().numpy(),) * 2)
    loss = forward_backward(family(), Batch("aa", masked), configure(), HERE, 0)
    assert float(loss) == 0.0


@pytest.mark.parametrize("kind", ["bert", "bert-rotary", "xlm-roberta", "modernbert", "llama"])
def test_bf16_autocast_runs_on_a_cpu_and_comes_near(maker, family, kind):
    family = family(kind=kind)
    maker = maker(objective=family.anatomy.objective)
    expected, _ = gradients_of(family, maker)
    with autocast(CPU, "bf16"):
        loss, gradients = gradients_of(family, maker)
    assert loss != expected
    assert loss == pytest.approx(expected, rel=0.02)
    assert all(g.dtype == torch.float32 and g.isfinite().all() for g in gradients.values())


def test_a_step_in_bf16_is_as_near_to_fp32_as_that_of_the_plain_model(maker, family):
    maker, family = maker(), family()
    batch = maker.batch(0)
    (whole,) = batch.micro_batches(0, 1, 1, CPU)
    labels = torch.full(whole.ids_BT.shape, -100).flatten()
    labels[whole.positions_P] = whole.labels_P
    member = family.member(batch.language)
    plain = BertForMaskedLM(member.config)
    plain.load_state_dict(member.state_dict())
    plain.set_attn_implementation("sdpa")

    def theirs(precision):
        plain.zero_grad()
        with autocast(CPU, precision):
            loss = plain(whole.ids_BT, labels=labels.view_as(whole.ids_BT)).loss
        loss.backward()
        return torch.cat([parameter.grad.flatten() for parameter in plain.parameters()])

    def ours(precision):
        with autocast(CPU, precision):
            gradients_of(family, maker)
        return torch.cat([parameter.grad.flatten() for parameter in member.parameters()])

    wanted = theirs("fp32")
    torch.testing.assert_close(ours("fp32"), wanted, atol=1e-6, rtol=1e-4)
    differences = [(of("bf16") - wanted).norm() / wanted.norm() for of in (ours, theirs)]
    assert 0 < differences[0] < 1.2 * differences[1] < 0.1


class Casts(TorchDispatchMode):
    """Counts how often each weight is turned into bf16."""

    def __init__(self, module):
        super().__init__()
        self.of = dict.fromkeys((p.data_ptr() for p in module.parameters()), 0)

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        options = options or {}
        if function.overloadpacket is torch.ops.aten._to_copy:
            place = arguments[0].data_ptr()
            if options.get("dtype") == torch.bfloat16 and place in self.of:
                self.of[place] += 1
        return function(*arguments, **options)


def test_weights_are_cast_once_a_step_whatever_its_parts(maker, family, configure):
    maker, family = maker(), family()
    with Casts(family) as casts, autocast(CPU, "bf16"):
        forward_backward(family, maker.batch(0), configure(accumulation=4), HERE, 0)
    matrices = {p.data_ptr() for n, p in family.named_parameters() if n.endswith("query.weight")}
    assert {casts.of[place] for place in matrices} == {1}
    assert max(casts.of.values()) == 1
