"""Operation counts and the bills of the datapaths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addersim.arithmetic.datapaths import DATAPATHS, datapath
from addersim.arithmetic.ops import OPERATIONS, OpCounts, sum_by_key, sum_counts
from addersim.errors import AddersimError, FormatError

counts = st.dictionaries(
    st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(1, 48)), st.integers(0, 10**12), max_size=6
).map(OpCounts)


@given(counts, counts, st.integers(0, 1000))
def test_counts_add_and_scale_like_numbers(first, second, times):
    both = first + second
    for operation in OPERATIONS:
        assert both.total(operation) == first.total(operation) + second.total(operation)
    assert both == second + first
    assert (first * times).total() == first.total() * times
    assert sum_counts([first, second, OpCounts()]) == both
    assert sum(both.by_operation().values()) == both.total()
    assert hash(both) == hash(second + first)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({("divide", 8): 1}, "unknown operation 'divide'; known: add, sub"),
        ({("add", 0): 1}, "operation add: 0 bits, 1 times"),
        ({("add", 8): -1}, "operation add: 8 bits, -1 times"),
    ],
)
def test_impossible_counts_are_refused(counts, message):
    with pytest.raises(AddersimError, match=message):
        OpCounts(counts)


@pytest.mark.parametrize("record", DATAPATHS.values(), ids=lambda record: record.name)
def test_bills_grow_with_taps_and_name_known_operations(record):
    bill = record.bill(10, 8, 20)
    assert bill == record.bill(1, 8, 20) * 10
    assert bill[record.accumulation, 20] == 10
    assert bill.total() == 10 * (len(record.tap_operations) + 1)
    assert record.paper_bill(10, 8).total() == 10 * len(record.arithmetic.paper_operations)


def test_the_paper_bills_an_adder_tap_as_two_additions():
    assert DATAPATHS["l1-2a"].paper_bill(1, 8) == OpCounts({("add", 8): 2})
    assert DATAPATHS["mac"].paper_bill(1, 8) == OpCounts({("mul", 8): 1, ("add", 8): 1})


def test_an_unknown_datapath_lists_the_known():
    with pytest.raises(FormatError, match="unknown datapath 'l3'; known: l1-2a, l1-1c1a, l1-xor, mac, l2"):
        datapath("l3")


def test_what_never_runs_is_not_kept():
    assert OpCounts({("add", 8): 0}) == OpCounts()
    assert list(OpCounts([(("add", 8), 0), (("mul", 8), 2), (("mul", 8), 3)]).items()) == [(("mul", 8), 5)]
    assert repr(OpCounts({("add", 8): 0})) == "OpCounts()"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-9, 9))))
def test_sums_by_key_keep_every_key_in_the_order_in_which_it_came(pairs):
    totals = sum_by_key(pairs)
    assert list(totals) == list(dict.fromkeys(key for key, _ in pairs))
    assert totals == {key: sum(number for other, number in pairs if other == key) for key, _ in pairs}
