"""Training the rows of embeddings that are used is training the whole table."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModel, RobertaConfig, RobertaModel

from xling.data.layout import DataFolder
from xling.encoders.encoder import Encoder
from xling.encoders.encoders import Encoders
from xling.pretraining.distributed import World
from xling.transfer.config import TransferConfig
from xling.transfer.finetune import FineTuner, Setting
from xling.transfer.regimes import FullRegime, UsedRows
from xling.transfer.stage import make_task
from xling.transfer.states import FineTuningState
from xling.transfer.task import prepare, read_items

HERE = World(0, 1, torch.device("cpu"))
MODELS = ["family", "separate", "untrained", "roberta"]


def encoders_of(kind: str, make_model) -> Encoders:
    """All words of the tests are in every model's vocabulary of 50, but not all 50 in the tests."""
    if kind == "separate":
        return Encoders.load(make_model("embeddings"), ["aa", "bb"])
    loaded = Encoders.load(make_model(dropout=0.1), ["aa", "bb"])
    if kind == "untrained":  # one parameter in a table of each language
        return loaded.untrained(3)
    if kind == "family":
        return loaded
    tokenizer = loaded.of["aa"].tokenizer
    torch.manual_seed(4)
    model = RobertaModel(
        RobertaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=40,
            pad_token_id=tokenizer.pad_token_id,
        ),
        add_pooling_layer=False,
    ).eval()
    return Encoders({code: Encoder(code, model, tokenizer) for code in ("aa", "bb")})


def fitted(encoders: Encoders, data, place, decay: float, whole_table: bool):
    """Return what fine-tuning for two epochs gives: dev scores, predictions, weights by name."""
    config = TransferConfig.model_validate(
        {"task": "ner", "source": "aa", "epochs": 2, "weight_decay": decay}
    )
    task = make_task(config)
    keys = [("aa", "train"), ("aa", "dev"), ("bb", "test")]
    items = {key: read_items(task, DataFolder(data), *key, 0)[:40] for key in keys}
    task.learn_labels(items["aa", "train"])
    splits = {key: prepare(task, encoders.of[key[0]], key[1], items[key]) for key in keys}
    # Rows that only other splits use must decay with the others.
    splits["aa", "train"] = prepare(task, encoders.of["aa"], "train", _short(items["aa", "train"]))
    with pytest.MonkeyPatch.context() as patch:
        if whole_table:
            patch.setattr(UsedRows, "can_replace", staticmethod(lambda table: False))
        regime = FullRegime(encoders, "aa", list(splits.values()), HERE.device)
    trainer = FineTuner(task, config, splits["aa", "train"], splits["aa", "dev"], HERE)
    learner = regime.learner(task, None, 1)
    progress = trainer.fit(learner, Setting(8, 1e-2, 1e-2), 1, FineTuningState(place, HERE))
    found = trainer.predict(learner, splits["bb", "test"])["label"].tolist()
    weights = {name: p.detach().clone() for name, p in learner.parameters().items()}
    regime.close()
    return progress.history, found, weights


def _short(items: list) -> list:
    """Take words of two kinds away from training."""
    kept = [
        [(w, t) for w, t in zip(*one, strict=True) if w not in ("toma", "kalt")] for one in items
    ]
    return [([w for w, _ in one], [t for _, t in one]) for one in kept if one]


@pytest.mark.parametrize("decay", [pytest.param(0.0, marks=pytest.mark.slow), 0.3])
@pytest.mark.parametrize("kind", MODELS)
def test_used_rows_learn_what_the_table_would(make_model, data, tmp_path, kind, decay):
    encoders = encoders_of(kind, make_model)
    tables = {code: side.body.get_input_embeddings() for code, side in encoders.of.items()}
    before = {code: table.weight.detach().clone() for code, table in tables.items()}
    history, found, weights = fitted(encoders, data, tmp_path / "rows", decay, False)
    for code, side in encoders.of.items():  # all is as it was
        assert side.body.get_input_embeddings() is tables[code]
        assert torch.equal(tables[code].weight, before[code])
    expected = fitted(encoders, data, tmp_path / "table", decay, True)
    assert (history, found) == expected[:2]
    assert len(set(found)) > 1 or kind == "separate"
    assert weights.keys() == expected[2].keys()
    (name,) = [name for name in weights if name.endswith("word_embeddings.weight")] or [None]
    assert (name is None) == (kind == "separate")
    if name is not None:
        rows, table = weights.pop(name), expected[2].pop(name)
        assert len(rows) < len(table)
        # Each row is the table's of some number, in order.
        distances = torch.cdist(rows.double(), table.double())
        numbers = distances.argmin(dim=1)
        assert (numbers.diff() > 0).all()
        assert distances.min(dim=1).values.max() < 1e-4
        others = [n for n in range(len(table)) if n not in set(numbers.tolist())]
        factor = table[others].norm() / before["aa"][others].norm()
        assert (factor == 1) == (not decay)  # of the dense optimizer, nothing but decay
    for key, value in weights.items():
        torch.testing.assert_close(value, expected[2][key], atol=1e-4, rtol=1e-4)


TINY = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
    "bos_token_id": 2,
    "eos_token_id": 2,
    "cls_token_id": 2,
    "sep_token_id": 2,
}
OF_DISTILBERT = {"dim": 32, "hidden_dim": 64, "n_layers": 1, "n_heads": 2}


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("bert", {}),
        ("xlm-roberta", {}),
        ("distilbert", OF_DISTILBERT),
        ("electra", {"embedding_size": 16}),
        ("albert", {"embedding_size": 16}),
        ("deberta-v2", {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
        ("mpnet", {}),
        ("modernbert", {}),
    ],
)
def test_rows_stand_in_for_the_table_of_any_encoder(kind, changes):
    torch.manual_seed(5)
    model = AutoModel.from_config(AutoConfig.for_model(kind, **TINY | changes)).eval()
    ids = torch.tensor([[2, 9, 30, 59, 2], [2, 9, 2, 1, 1]])
    mask = (ids != 1).long()
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask).last_hidden_state
    windows = SimpleNamespace(ids=ids.flatten().numpy(), padding=1)
    table = model.get_input_embeddings()
    regime = FullRegime(
        Encoders({"aa": Encoder("aa", model, None)}),
        "aa",
        [SimpleNamespace(language="aa", windows=windows)],
        HERE.device,
    )
    assert isinstance(model.get_input_embeddings(), UsedRows)
    assert len(model.get_input_embeddings().weight) == 5
    with torch.no_grad():
        found = model(input_ids=ids, attention_mask=mask).last_hidden_state
    assert torch.equal(found, expected)
    regime.close()
    assert model.get_input_embeddings() is table


def test_used_rows_give_what_the_table_gives():
    torch.manual_seed(1)
    for padding in (None, 0, 7):
        table = nn.Embedding(20, 4, padding_idx=padding)
        ids = torch.tensor([0, 3, 4, 7, 19])
        rows = UsedRows(table, ids)
        asked = torch.tensor([[19, 3, 0], [7, 7, 0]])
        weight = torch.randn(2, 3, 4)
        assert torch.equal(rows(asked), table(asked))
        for module in (rows, table):
            (module(asked) * weight).sum().backward()
        assert torch.equal(rows.weight.grad, table.weight.grad[ids])
        assert UsedRows.can_replace(table)
        with pytest.raises(IndexError):
            rows(torch.tensor([5]))
    assert not UsedRows.can_replace(nn.Embedding(20, 4, max_norm=1.0))
