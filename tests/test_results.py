"""The table of scores: what is written is read back, also what an earlier version wrote."""

import math
from pathlib import Path
from statistics import fmean

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.errors import XlingError
from xling.results import (
    ABOVE,
    BELOW,
    COLUMNS,
    KEY,
    OF_RUN,
    RESULT_COLUMNS,
    UNCLEAR,
    UNKNOWN,
    Score,
    as_scores,
    as_table,
    combined,
    joined,
    of_targets,
    over_draws,
    over_seeds,
    read_scores,
    standing,
    with_intervals,
    write_scores,
)

HEADER = ",".join(RESULT_COLUMNS) + "\n"
PACKED = "probe,dataset,language,layer,metric,value\n"
RUN = {"study": "s", "variant": "v", "pair": "en-fr", "seed": 1}
SCORE = Score("retrieval", "pud", "en-fr", layer=1, metric="p@1", value=0.5)
nan = float("nan")
STORED = Path(__file__).parent / "results"


def test_scores_come_back_from_their_table():
    scores = [SCORE, SCORE._replace(layer=None, draw=2, low=0.1, high=0.9, n=7)]
    assert as_scores(as_table(scores)) == scores


def test_the_order_of_columns_is_fixed() -> None:
    assert ",".join(COLUMNS) == (
        "probe,dataset,language,direction,layer,condition,draw,metric,value,low,high,n"
    )
    assert ("study", "variant", "pair", "seed", *COLUMNS) == RESULT_COLUMNS


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    scores = [
        Score("=1+1", "NA", "en-null", "en>null", 3, "untrained", 7, "p@1", 0.1, 0.05, 1 / 3, 12),
        Score("coverage", "007", "nan", metric="truncated", value=1e-300),
    ]
    write_scores(as_table(scores), tmp_path / "scores.csv")
    found = read_scores(tmp_path / "scores.csv")
    pd.testing.assert_frame_equal(found, as_table(scores))
    rows = found.astype(object).where(found.notna(), None).itertuples(index=False, name=None)
    assert [Score(*row) for row in rows] == scores


def test_of_several_rows_of_a_score_the_last_counts(tmp_path: Path) -> None:
    scores = [SCORE._replace(value=value) for value in (0.1, 0.2)]
    write_scores(as_table([*scores, SCORE._replace(draw=1)]), tmp_path / "scores.csv")
    assert read_scores(tmp_path / "scores.csv")["value"].tolist() == [0.2, 0.5]


def test_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("study,variant,value\na,b,1\n")
    with pytest.raises(XlingError, match="column pair, seed, probe"):
        read_scores(path, OF_RUN)
    path.write_text(HEADER.replace(",condition", ""))
    with pytest.raises(XlingError, match="column condition missing; expected study, variant"):
        read_scores(path, OF_RUN)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("s,v,en-fr,1,cka,pud,en-fr,,1,trained,,cka,high,,,", "value is 'high', expected a number"),
        ("s,v,en-fr,,cka,pud,en-fr,,1,trained,,cka,1,,,", "seed is '', expected a whole number"),
        ("s,v,en-fr,1,cka,pud,en-fr,,1,trained,,cka,1,x,,", "low is 'x', expected a number"),
        ("s,v,en-fr,1,cka,pud,en-fr,,1,trained,0.5,cka,1,,,", "draw is '0.5', expected a whole"),
    ],
)
def test_text_for_a_number_is_named_with_its_line(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "results.csv"
    first = "s,v,en-fr,1,cka,pud,en-fr,,0,trained,,cka,0.5,,,\n"
    path.write_text(f"{HEADER}{first}{row}\n")
    with pytest.raises(XlingError, match=rf"results\.csv:3: {said}"):
        read_scores(path, OF_RUN)


def test_a_row_without_a_value_is_no_score(tmp_path: Path) -> None:
    write_scores(as_table([SCORE, SCORE._replace(layer=2, value=nan)]), tmp_path / "scores.csv")
    assert read_scores(tmp_path / "scores.csv")["layer"].tolist() == [1]


def test_names_that_look_like_missing_values_stay_names(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text(HEADER + "null,NA,en-na,1,cka,None,en-na,,,trained,,cka,0.5,,,\n")
    frame = read_scores(path, OF_RUN)
    assert frame.loc[0, ["study", "variant", "dataset"]].tolist() == ["null", "NA", "None"]
    assert frame["layer"].isna().all()


def test_tables_are_joined_below_each_other() -> None:
    table = joined([(RUN, as_table([SCORE])), (RUN | {"seed": 2}, as_table([SCORE, SCORE]))])
    assert tuple(table.columns) == RESULT_COLUMNS
    assert table["seed"].tolist() == [1, 2, 2]
    assert joined([]).empty
    assert tuple(joined([]).columns) == RESULT_COLUMNS


@pytest.mark.parametrize("stage", sorted({path.name.split(".")[0] for path in STORED.iterdir()}))
def test_a_table_of_an_earlier_version_is_today_s_of_the_same_stage(stage: str) -> None:
    """Both were written by one stage on the same models and data, before the columns and after."""
    front = ("step",) if stage == "emergence" else ()
    old, new = (read_scores(STORED / f"{stage}.{age}.csv", front) for age in ("old", "new"))
    assert old["n"].isna().all()
    assert new["n"].notna().any()
    order = [*front, *KEY]
    pd.testing.assert_frame_equal(
        *(
            table.drop(columns="n").sort_values(order, ignore_index=True, kind="stable")
            for table in (old, new)
        ),
        rtol=0,
        atol=1e-12,
    )


def test_an_end_belongs_to_a_score_only_where_that_is(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    rows = ("drop-low,0.5", "p@1,0.4", "p@1-low,0.3", "p@1-high,", "random:p@1-low,0.2")
    path.write_text(PACKED + "".join(f"a,b,en-fr,0,{row}\n" for row in rows))
    found = read_scores(path).set_index(["condition", "metric"])
    assert found["value"].to_dict() == {
        ("trained", "drop-low"): 0.5,
        ("trained", "p@1"): 0.4,
        ("untrained", "p@1-low"): 0.2,
    }
    assert found["low"].dropna().tolist() == [0.3]
    assert found["high"].isna().all()


def test_directions_have_the_pair_of_their_mean_whatever_its_codes(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    ways = {
        "en-sw": ("en>sw", "sw>en", "en-sw"),
        "sw-en": ("en>sw", "sw>en", "sw-en"),
        "en+zh-Hans": ("zh-Hans>en", "en-zh-Hans", "zh-Hans"),
        "en+fr+zh-Hans": ("fr>en", "en-fr"),
    }
    rows = (f"s,v,{pair},1,a,b,{way},0,m,0.5\n" for pair, found in ways.items() for way in found)
    path.write_text(f"{','.join(OF_RUN)},{PACKED}{''.join(rows)}")
    found = read_scores(path, OF_RUN)[["pair", "language", "direction"]]
    expected = [
        *(("en-sw", "en-sw", "en>sw"), ("en-sw", "en-sw", "sw>en"), ("en-sw", "en-sw", "")),
        *(("sw-en", "sw-en", "en>sw"), ("sw-en", "sw-en", "sw>en"), ("sw-en", "sw-en", "")),
        ("en+zh-Hans", "en+zh-Hans", "zh-Hans>en"),
        ("en+zh-Hans", "en+zh-Hans", ""),
        ("en+zh-Hans", "zh-Hans", ""),
        ("en+fr+zh-Hans", "en-fr", "fr>en"),
        ("en+fr+zh-Hans", "en-fr", ""),
    ]
    assert [*found.itertuples(index=False, name=None)] == expected


def test_an_empty_table_of_an_earlier_version_is_empty(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text(PACKED)
    found = read_scores(tmp_path / "scores.csv")
    assert found.empty
    assert tuple(found.columns) == COLUMNS


def test_conditions_that_hold_at_once_are_named_together() -> None:
    assert combined("trained", "trained") == "trained"
    assert combined("untrained", "unmapped") == "untrained-unmapped"
    assert combined("trained", "dev") == "dev"


def test_the_mean_of_draws_is_of_each_score_by_itself() -> None:
    draws = [
        SCORE._replace(condition="untrained", draw=draw, layer=layer, value=draw + layer, n=7)
        for draw in (1, 2)
        for layer in (0, 1)
    ]
    found = over_draws(draws)
    assert [(one.layer, one.draw, one.value, one.n) for one in found] == [
        *((0, None, 1.5, 7), (1, None, 2.5, 7)),
    ]
    assert {one.condition for one in found} == {"untrained"}


def test_the_targets_are_the_other_languages_and_both_ways() -> None:
    languages = [("en", ""), ("fr", ""), ("en-fr", ""), ("en-fr", "en>fr")]
    rows = [SCORE._replace(language=code, direction=way) for code, way in languages]
    assert of_targets(joined([(RUN, as_table(rows))])).tolist() == [False, True, True, False]


def test_a_mean_of_directions_borrows_their_intervals_where_it_has_none() -> None:
    both = SCORE._replace(layer=None)
    ways = [
        both._replace(direction="en>fr", low=0.4, high=0.5),
        both._replace(direction="fr>en", low=0.2, high=0.6),
    ]
    own = both._replace(metric="own", low=0.1, high=0.9)
    other = own._replace(direction="en>fr", low=0.3)
    alone = both._replace(metric="alone")
    table = with_intervals(joined([(RUN, as_table([both, *ways, own, other, alone]))]))
    means = table[table["direction"].eq("")].set_index("metric")
    assert means.loc["p@1", ["low", "high"]].tolist() == pytest.approx([0.3, 0.55])
    assert means.loc["own", ["low", "high"]].tolist() == [0.1, 0.9]
    assert means.loc["alone", ["low", "high"]].isna().all()
    assert table[table["direction"].ne("")]["low"].tolist() == [0.4, 0.2, 0.3]


numbers = st.integers(0, 8).map(lambda n: n / 8)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(1, 3), numbers, st.none() | numbers),
        min_size=1,
        max_size=8,
    )
)
def test_averages_over_seeds_are_those_of_a_loop(rows: list[tuple]) -> None:
    frame = pd.DataFrame(rows, columns=["of", "seed", "value", "low"])
    frame = frame.astype({"low": float}).assign(high=frame["low"].astype(float))
    for row in over_seeds(frame, ["of"]).to_dict("records"):
        own = [one for one in rows if one[0] == row["of"]]
        by_seed = [fmean(v for _, s, v, _ in own if s == seed) for seed in {one[1] for one in own}]
        assert row["value"] == pytest.approx(fmean(one[2] for one in own))
        assert row["seeds"] == len(by_seed)
        assert (row["least"], row["greatest"]) == pytest.approx((min(by_seed), max(by_seed)))
        lows = [one[3] for one in own]
        if None in lows:
            assert math.isnan(row["low"])
        else:
            assert row["low"] == row["high"] == pytest.approx(fmean(lows))


@pytest.mark.parametrize(
    ("interval", "bound", "expected"),
    [
        ((0.3, 0.4), (0.1, 0.2), ABOVE),
        ((0.0, 0.05), (0.1, 0.2), BELOW),
        ((0.15, 0.4), (0.1, 0.2), UNCLEAR),
        ((0.05, 0.15), (0.1, 0.2), UNCLEAR),
        ((0.2, 0.4), (0.1, 0.2), UNCLEAR),  # touching is not above
        ((0.0, 0.1), (0.1, 0.2), UNCLEAR),
        ((nan, 0.4), (0.1, 0.2), UNKNOWN),
        ((0.3, 0.4), (nan, 0.2), UNKNOWN),
        ((0.3, 0.4), (0.1, nan), UNKNOWN),
    ],
)
def test_there_is_one_rule_of_verdict(interval: tuple, bound: tuple, expected: str) -> None:
    assert str(standing(*interval, *bound)) == expected
    assert standing(*([end] for end in interval), *bound).tolist() == [expected]
