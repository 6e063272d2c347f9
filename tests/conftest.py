"""Fixtures shared by the whole suite."""

from pathlib import Path

import pytest

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "real"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real-text data folder beside the checkout, if there is one."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data at {REAL_DATA}: this check needs real text")
    return REAL_DATA
