"""Orthogonalisation against the SVD, and steps of Muon against a plain loop."""

import pytest
import torch

from xling.pretraining.optimizer import Muon, orthogonalised


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(16, 16), (40, 12), (12, 40)])
def test_singular_values_come_near_one_and_vectors_stay(shape):
    matrix = random(*shape)
    result = orthogonalised(matrix[None])[0]
    values = torch.linalg.svdvals(result)
    # The square matrix has singular values near 0, which five steps cannot lift
    lifted = torch.linalg.svdvals(matrix / matrix.norm()) > 0.01
    assert ((values > 0.6) & (values < 1.3))[lifted].all()
    assert lifted.sum() >= min(shape) - 1
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    diagonal = u.mT @ result @ vh.mT
    assert (diagonal - diagonal.diagonal().diag()).abs().max() < 1e-3


def test_a_batch_is_one_matrix_at_a_time():
    matrices = random(5, 8, 12)
    one_by_one = torch.stack([orthogonalised(m[None])[0] for m in matrices])
    torch.testing.assert_close(orthogonalised(matrices), one_by_one, atol=1e-6, rtol=1e-5)


def test_scale_of_the_gradient_does_not_matter():
    matrix = random(1, 8, 8)
    torch.testing.assert_close(
        orthogonalised(matrix * 1e-3), orthogonalised(matrix), atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize("shape", [(24, 6), (6, 24)])
def test_steps_are_nesterov_momentum_made_orthogonal(shape):
    start = random(*shape, seed=1)
    parameter = torch.nn.Parameter(start.clone())
    optimizer = Muon([parameter], lr=0.1, momentum=0.9, weight_decay=0.5)
    expected, momentum = start.clone(), torch.zeros(shape)
    for step in range(3):
        gradient = random(*shape, seed=10 + step)
        parameter.grad = gradient.clone()
        optimizer.step()
        momentum = 0.9 * momentum + 0.1 * gradient
        direction = 0.1 * gradient + 0.9 * momentum
        scale = max(1.0, shape[0] / shape[1]) ** 0.5
        update = orthogonalised(direction[None])[0]
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * scale * update
    torch.testing.assert_close(parameter.detach(), expected, atol=1e-5, rtol=1e-4)


def test_without_a_gradient_nothing_changes_the_state_neither():
    one, other, fresh = (torch.nn.Parameter(random(6, 4, seed=k)) for k in range(3))
    optimizer = Muon([one, other, fresh])
    one.grad, other.grad = random(6, 4, seed=5), random(6, 4, seed=6)
    optimizer.step()
    optimizer.zero_grad()
    kept, momentum = other.detach().clone(), optimizer.state[other]["momentum"].clone()
    before = one.detach().clone()
    one.grad = random(6, 4, seed=7)
    optimizer.step()
    assert torch.equal(other, kept)
    assert torch.equal(optimizer.state[other]["momentum"], momentum)
    assert fresh not in optimizer.state
    assert not torch.equal(one, before)
