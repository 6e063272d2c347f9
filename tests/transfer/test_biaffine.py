import pytest
import torch
from torch.nn.functional import cross_entropy, leaky_relu

from xling.transfer.heads import IGNORED, Biaffine

WIDTH, ARC, LABEL, LABELS = 7, 5, 4, 3


@pytest.fixture
def parser():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parser = Biaffine(WIDTH, ARC, LABEL, LABELS, dropout=0.5).double().eval()
        for parameter in parser.parameters():
            torch.nn.init.normal_(parameter)
    return parser


@pytest.fixture
def batch():
    words = torch.randn(2, 4, WIDTH, generator=torch.Generator().manual_seed(1)).double()
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    heads = torch.tensor([[2, 0, 2, 3], [0, 1, IGNORED, IGNORED]])
    labels = torch.tensor([[1, 0, 2, 2], [0, 1, IGNORED, IGNORED]])
    return words, mask, heads, labels


def layer(sequential, vector):
    linear = sequential[0]
    return leaky_relu(linear.weight @ vector + linear.bias, 0.1)


def arc_score(parser, dependent, head):
    """(d; 1)ᵀ U h, by loops over U."""
    d, h = layer(parser.arc_dependent, dependent), layer(parser.arc_head, head)
    d = [*d, 1.0]
    return sum(d[i] * parser.arc_form[i, j] * h[j] for i in range(ARC + 1) for j in range(ARC))


def label_score(parser, dependent, head, label):
    d = [*layer(parser.label_dependent, dependent), 1.0]
    h = [*layer(parser.label_head, head), 1.0]
    form = parser.label_form[:, label]
    return sum(d[i] * form[i, j] * h[j] for i in range(LABEL + 1) for j in range(LABEL + 1))


def test_at_first_all_heads_and_labels_are_as_good_and_root_is_as_long_as_a_word(batch):
    words, mask, heads, labels = batch
    wide = 400
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        parser = Biaffine(WIDTH, ARC, LABEL, LABELS).double()
        roots = torch.stack([Biaffine(wide, ARC, LABEL, LABELS).root.detach() for _ in range(40)])
    scores = parser(words, mask)
    candidates = torch.tensor([5.0] * 4 + [3.0] * 2).double()
    expected = candidates.log().mean() + torch.tensor(float(LABELS)).double().log()
    torch.testing.assert_close(parser.loss(scores, heads, labels).double(), expected)
    # A vector of independent normal numbers of variance 1/d has length 1, give or take 1/(2d)
    lengths = roots.norm(dim=1)
    assert float(lengths.mean()) == pytest.approx(1, abs=0.03)
    assert float(roots.mean()) == pytest.approx(0, abs=0.002)


@torch.no_grad()
def test_scores_equal_loops_over_the_formula(parser, batch):
    words, mask, heads, _ = batch
    scores = parser(words, mask)
    labels = parser.label_scores(scores, heads)
    for number, length in enumerate([4, 2]):
        candidates = [parser.root, *words[number]]
        for word in range(length):
            for head in range(5):
                found = scores.arcs_BNH[number, word, head]
                if head > length:
                    assert found == -torch.inf
                else:
                    expected = arc_score(parser, words[number, word], candidates[head])
                    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
            gold = candidates[heads[number, word]]
            for label in range(LABELS):
                expected = label_score(parser, words[number, word], gold, label)
                found = labels[number, word, label].double()
                torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_loss_is_the_mean_over_words_of_both_cross_entropies(parser, batch):
    words, mask, heads, labels = batch
    scores = parser(words, mask)
    arcs, relations = [], []
    for number, length in enumerate([4, 2]):
        for word in range(length):
            head = heads[number, word]
            arcs.append(cross_entropy(scores.arcs_BNH[number, word], head))
            row = parser.label_scores(scores, heads)[number, word]
            relations.append(cross_entropy(row, labels[number, word]))
    expected = torch.stack(arcs).mean() + torch.stack(relations).mean()
    loss = parser.loss(scores, heads, labels)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    for name, parameter in parser.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_padding_changes_nothing(parser, batch):
    words, mask, heads, labels = batch
    scores = parser(words[1:], mask[1:])
    short = parser(words[1:, :2], mask[1:, :2])
    torch.testing.assert_close(scores.arcs_BNH[:, :2, :3], short.arcs_BNH)
    torch.testing.assert_close(
        parser.loss(scores, heads[1:], labels[1:]),
        parser.loss(short, heads[1:, :2], labels[1:, :2]),
    )
    other = words.clone()
    other[1, 2:] = 1e3
    padded = parser(other[1:], mask[1:])
    torch.testing.assert_close(padded.arcs_BNH[:, :2], scores.arcs_BNH[:, :2])


def test_a_label_without_gold_is_left_out_and_an_unlabelled_batch_is_finite(parser, batch):
    words, mask, heads, labels = batch
    scores = parser(words, mask)
    none = torch.full_like(labels, IGNORED)
    arcs_only = parser.loss(scores, heads, none)
    assert arcs_only.isfinite()
    assert arcs_only < parser.loss(scores, heads, labels)
    assert parser.loss(scores, none, none) == 0


def test_it_learns_arcs_and_labels_of_a_few_sentences(batch):
    words, mask, heads, labels = batch
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        parser = Biaffine(WIDTH, 16, 8, LABELS).double()
        optimizer = torch.optim.Adam(parser.parameters(), lr=0.02)
        for _ in range(100):
            optimizer.zero_grad()
            parser.loss(parser(words, mask), heads, labels).backward()
            optimizer.step()
    scores = parser(words, mask)
    found = scores.arcs_BNH.argmax(dim=2)
    assert (found == heads)[mask].all()
    assert (parser.label_scores(scores, heads).argmax(dim=2) == labels)[mask].all()
