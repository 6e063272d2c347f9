"""Means, differences and marks of variants over seeds."""

import pandas as pd
import pytest

from xling.report.tables import BEST, WORST, over_seeds, reference, score_cell


def scores(values: dict[str, dict[int, float]]) -> pd.DataFrame:
    rows = [
        (variant, "c", seed, value, value - 0.1, value + 0.1)
        for variant, by_seed in values.items()
        for seed, value in by_seed.items()
    ]
    return pd.DataFrame(rows, columns=["variant", "column", "seed", "value", "low", "high"])


def test_the_difference_is_over_common_seeds_only() -> None:
    # Over all seeds a's mean is 0.5, which would make the difference +0.1 instead of -0.2.
    found = over_seeds(
        scores({"default": {1: 0.8, 2: 0.2}, "a": {1: 0.6}, "b": {3: 0.1}}), "default"
    )
    rows = {row["variant"]: row for _, row in found.iterrows()}
    assert rows["a"]["difference"] == pytest.approx(-0.2)
    assert pd.isna(rows["default"]["difference"])
    assert pd.isna(rows["b"]["difference"])
    assert (rows["default"]["least"], rows["default"]["greatest"]) == (0.2, 0.8)
    assert rows["default"]["seeds"] == 2
    assert [rows[name]["rank"] for name in ("default", "a", "b")] == ["", BEST, WORST]


def test_two_variants_or_equal_ones_get_no_mark() -> None:
    assert set(over_seeds(scores({"a": {1: 0.1}, "b": {1: 0.2}}), "a")["rank"]) == {""}
    equal = scores({"a": {1: 0.1}, "b": {1: 0.1}, "c": {1: 0.1}})
    assert set(over_seeds(equal, "a")["rank"]) == {""}


def test_a_cell_says_what_its_number_rests_on() -> None:
    found = over_seeds(scores({"default": {1: 0.8, 2: 0.7}, "a": {1: 0.6, 2: 0.6}}), "default")
    cell = score_cell(found.iloc[1], ["untrained 0.100"])
    assert cell.text == "0.600"
    expected = ("Δ \N{MINUS SIGN}0.150", "[0.500, 0.700]", "0.600 to 0.600", "2 seeds")
    assert cell.notes == (*expected, "untrained 0.100")


def test_the_reference_is_default_or_the_first() -> None:
    assert reference(["a", "default"]) == "default"
    assert reference(["a", "b"]) == "a"


@pytest.mark.filterwarnings("error")
def test_columns_of_several_kinds_are_compared_without_a_word() -> None:
    table = pd.concat(
        [
            scores({"default": {1: 0.8}, "a": {1: 0.6}}).assign(column=column)
            for column in ("mean", "mean of all")
        ],
        ignore_index=True,
    )
    table["column"] = [
        ("en-fr", "fr") if column == "mean" else "mean of all" for column in table["column"]
    ]
    found = over_seeds(table, "default")
    assert list(found["column"]) == [("en-fr", "fr"), ("en-fr", "fr"), "mean of all", "mean of all"]
    assert found["difference"].dropna().tolist() == pytest.approx([-0.2, -0.2])
