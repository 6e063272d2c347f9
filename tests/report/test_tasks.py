"""Tables of tasks: what stands where, over pairs, seeds and conditions."""

import pandas as pd
from xling.report.transfer_scores import task_tables, transfer_scores

from xling.results import Score, as_table, joined


def results() -> pd.DataFrame:
    tables = []
    for variant, shift in (("default", 0.0), ("sep", -0.1)):
        for pair in ("en-fr", "en-ru"):
            scores = []
            for language in pair.split("-"):
                value = {"en": 0.9, "fr": 0.7, "ru": 0.5}[language] + shift
                score = Score("transfer-ner", "ner", language, metric="f1", value=value)
                scores.append(score._replace(low=value - 0.05, high=value + 0.05))
                scores += [
                    score._replace(condition=condition, value=other)
                    for condition, other in (("untrained", 0.2), ("lookup", 0.3), ("dev", 0.99))
                ]
            run = {"study": "s", "variant": variant, "pair": pair, "seed": 1}
            tables.append((run, as_table(scores)))
    return joined(tables)


def test_columns_are_source_and_targets_of_each_pair() -> None:
    (table,) = task_tables(
        transfer_scores(results()), "ner", ["default", "sep"], ["en-fr", "en-ru"]
    )
    assert table.columns == ("", "en (source)", "fr", "en (source)", "ru", "all pairs")
    assert table.groups == (("en-fr", 2), ("en-ru", 2), ("mean of targets", 1))
    texts = [[cell.text for cell in row] for row in table.rows]
    assert texts == [
        ["default", "0.900", "0.700", "0.900", "0.500", "0.600"],
        ["sep", "0.800", "0.600", "0.800", "0.400", "0.500"],
        ["words as tagged in training", "0.300", "0.300", "0.300", "0.300", "0.300"],
    ]
    notes = table.rows[1][2].notes
    assert notes == ("Δ \N{MINUS SIGN}0.100", "[0.550, 0.650]", "untrained 0.200")


def test_a_mean_is_given_only_over_all_targets() -> None:
    frame = results()
    frame = frame[~(frame["variant"].eq("sep") & frame["pair"].eq("en-ru"))]
    (table,) = task_tables(transfer_scores(frame), "ner", ["default", "sep"], ["en-fr", "en-ru"])
    assert [cell.text for cell in table.rows[1]][3:] == ["–", "–", "–"]


def test_the_feature_regime_is_a_table_by_layer() -> None:
    frame = pd.concat([results().assign(layer=layer) for layer in (0, 1)])
    tables = task_tables(transfer_scores(frame), "ner", ["default", "sep"], ["en-fr", "en-ru"])
    assert [table.columns[3:] for table in tables] == [("layer 0", "layer 1")]
