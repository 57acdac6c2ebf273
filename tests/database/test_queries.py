import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.database.queries import all_metric_rows, metric_rows

NUMBERS = st.one_of(st.none(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, width=64))


@given(st.lists(st.dictionaries(st.sampled_from(["f1", "auc"]), NUMBERS)))
def test_many_rows_of_metrics_are_read_as_one_by_one(rows: list[dict[str, float | None]]) -> None:
    texts = [json.dumps(row) for row in rows]
    assert repr(all_metric_rows(texts)) == repr(tuple(map(metric_rows, texts)))


def test_null_is_read_as_nan_among_finite_metrics() -> None:
    (finite, undefined) = all_metric_rows(['{"f1": 0.5}', '{"f1": null}'])
    assert finite == {"f1": 0.5}
    assert math.isnan(undefined["f1"])


@pytest.mark.parametrize("wrong", ["[0.5]", "0.5", '{"f1": 0.5}, {"f1": 0.5}', "{"])
def test_text_that_is_no_mapping_is_refused_among_many(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"not a mapping|Extra data|Expecting"):
        all_metric_rows(['{"f1": 0.5}', wrong])
