"""The corpus without a service: each value arrives in its type, or is refused by name; floats keep their digits."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dpone.errors import DataError
from dpone.schema import FLOAT64, INT64, Field, decimal
from dpone.testing.suite.compare import normal, python_values
from dpone.testing.testkit import Native, Sample
from dpone_rest.samples import SAMPLES
from dpone_rest.testkit import json_of
from dpone_rest.typemap import TYPES
from dpone_rest.values import column_of


@pytest.mark.parametrize("sample", SAMPLES, ids=[f"{n}-{sample.native}" for n, sample in enumerate(SAMPLES)])
@pytest.mark.parametrize("fraction", [str.encode, Decimal], ids=["text", "decimal"])
def test_a_value_arrives_or_is_refused(sample: Sample, fraction: type) -> None:
    field = Field("c", TYPES.read(sample.native))
    values = json.loads("[" + ",".join(json_of(v, field.type) for v in sample.values) + ",null]", parse_float=fraction)
    if sample.refused is not None:
        with pytest.raises(DataError) as caught:
            column_of(values, field)
        assert caught.value.code == sample.refused
        return
    import pyarrow as pa

    found = python_values(pa.chunked_array([column_of(values, field)]))
    expected = [v.value if isinstance(v, Native) else v for v in sample.values]
    assert [normal(v, field.type) for v in found] == [*(normal(v, field.type) for v in expected), None]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
@example([2.0**-24])  # whose exact digits end in a tie
def test_a_float_that_was_written_is_the_float_that_is_read(values: list[float]) -> None:
    read = json.loads(json.dumps(values), parse_float=str.encode)
    assert column_of(read, Field("c", FLOAT64)).to_pylist() == values


@given(st.decimals(-(10**10), 10**10, places=4), st.integers(-(2**63), 2**63 - 1))
def test_decimals_and_whole_numbers_stay(fraction: Decimal, whole: int) -> None:
    read = json.loads(f"[{fraction}, {whole}]", parse_float=str.encode)
    assert column_of(read[:1], Field("c", decimal(18, 4))).to_pylist() == [fraction]
    assert column_of(read[1:], Field("c", INT64)).to_pylist() == [whole]
    assert column_of(read, Field("c", decimal())).to_pylist() == [f"{fraction:f}", str(whole)]


@given(st.integers(2**53, 2**70) | st.integers(-(2**70), -(2**53)))
def test_a_whole_number_becomes_a_float_only_where_it_stays_itself(number: int) -> None:
    stays = int(float(number)) == number
    short = len(str(number).rstrip("0").removeprefix("-")) <= 17  # the float may print these very digits
    try:
        found = column_of([number], Field("c", FLOAT64)).to_pylist()
    except DataError:
        found = None
    assert found == [float(number)] if stays else found is None or short
