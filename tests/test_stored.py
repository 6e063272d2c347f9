import numpy as np
import pytest

from xling.errors import XlingError
from xling.measures import LeastSquares, Procrustes, RefinedProcrustes, Ridge


@pytest.mark.parametrize(
    "fitted",
    [
        Procrustes(underdetermined=True).fit(np.eye(3), np.eye(3)[:, :2]),
        LeastSquares().fit(np.eye(3), np.eye(3)),
        Ridge(0.5).fit(np.eye(3), np.eye(3)),
        RefinedProcrustes(rounds=2, k=1).fit(np.eye(3), np.eye(3)),
    ],
    ids=lambda fitted: type(fitted).__name__,
)
def test_save_and_load(fitted, tmp_path):
    path = tmp_path / "map.safetensors"
    fitted.save(path)
    loaded = type(fitted).load(path)
    assert vars(loaded).keys() == vars(fitted).keys()
    for name, value in vars(fitted).items():
        np.testing.assert_array_equal(getattr(loaded, name), value)
    with pytest.raises(XlingError, match=rf"holds {type(fitted).__name__}; expected"):
        (LeastSquares if isinstance(fitted, Ridge) else Ridge).load(path)


def test_files_that_are_not_maps_are_refused(tmp_path):
    (tmp_path / "text").write_text("no tensors")
    for name in ("absent", "text"):
        with pytest.raises(XlingError, match=f"{name}: cannot be read as safetensors"):
            Procrustes.load(tmp_path / name)
    with pytest.raises(XlingError, match="has not been fitted"):
        Procrustes().save(tmp_path / "map")
