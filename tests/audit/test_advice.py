"""What an audit advises, from hits that are known."""

from types import SimpleNamespace

import numpy as np
import pytest

from xling.audit.advice import rotation_advice


def test_a_rotation_pays_from_where_all_larger_numbers_of_pairs_gain():
    random = np.random.default_rng(0)
    base = (random.random(200) < 0.5).astype(float)
    better = np.maximum(base, random.random(200) < 0.5)
    worse = np.minimum(base, random.random(200) < 0.9)
    of_languages = {
        "late": [base, base, better, better],
        "chance": [base, better, base, worse],  # ten pairs gain, more do not
        "never": [base, worse, worse, base],
    }
    measured = SimpleNamespace(
        languages=("en", *of_languages),
        best=0,
        layers=("0",),
        subject=SimpleNamespace(name="tiny"),
        rotation_hits={
            (0, code): (np.stack(hits), (0, 10, 30, 100)) for code, hits in of_languages.items()
        },
    )
    (advice,) = rotation_advice(measured)
    assert "pays at layer 0 from 30 pairs for late (from 100 pairs most for late" in advice.sentence
    assert "not for chance and never up to 100 pairs" in advice.sentence
    assert advice.gain == pytest.approx((better - base).mean())
