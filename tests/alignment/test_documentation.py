import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).resolve().parents[2] / "docs" / "alignment.md"


def test_the_example_of_the_page_aligns_two_rotated_vocabularies():
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 10)) + 1
    rotation = np.linalg.qr(random.normal(size=(10, 10)))[0]
    partner = random.permutation(200)
    Y = np.empty_like(X)
    Y[partner] = 5 * (X + 0.1 * random.normal(size=X.shape)) @ rotation
    pairs = np.column_stack([np.arange(200), partner])
    names = {"X": X, "Y": Y, "train": pairs[:100], "test": pairs[100:]}
    exec(code, names)
    assert names["forward"].precision(1) > 0.95
    assert names["backward"].mrr > 0.95
