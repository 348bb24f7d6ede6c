"""Labels and their numbers, against a dictionary; also where hashes or slots collide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.graph import label_numbers
from momok.graph.label_numbers import LabelNumbers

label = (
    st.text(st.sampled_from("ab\0é漢"), max_size=12)
    | st.text(max_size=20)
    | st.sampled_from([x * n for x in "ab" for n in (7, 8, 9, 16, 17, 511, 512, 513, 2000)])
)


def number(numbers: LabelNumbers, labels: list[bytes]) -> list[int]:
    lengths = np.array([len(label) for label in labels], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    return numbers.number(b"".join(labels), starts, lengths).tolist()


def check(calls: list[list[str]]) -> None:
    numbers, by_label = LabelNumbers(), {}
    for labels in calls:
        given_numbers = number(numbers, [label.encode() for label in labels])
        for label, given_number in zip(labels, given_numbers, strict=True):
            assert by_label.setdefault(label, given_number) == given_number
    assert sorted(by_label.values()) == list(range(len(by_label)))
    assert len(numbers) == len(by_label)
    listed = numbers.list_labels()
    assert {label: listed[n] for label, n in by_label.items()} == {x: x for x in by_label}


calls = st.lists(st.lists(label, max_size=30), max_size=4)


@given(calls)
@settings(deadline=None)
def test_equal_labels_and_no_others_share_a_number(calls):
    check(calls)


@pytest.mark.parametrize(
    "collide",
    [lambda hashes: hashes & np.uint64(3), lambda hashes: hashes << np.uint64(40)],
    ids=["of labels that differ", "in the slots"],
)
@given(calls=calls)
@settings(deadline=None, max_examples=30)
def test_hashes_that_collide(collide, calls):
    plain = label_numbers._Words.hash
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_numbers._Words, "hash", lambda words: collide(plain(words)))
        check(calls)


def test_tables_grow():
    labels = [f"http://example.org/{'x' * (i % 50)}{i}" for i in range(20_000)]
    check([labels[:3], labels[:5000], labels[4000:], labels[::-1], ["y" * 600, *labels[::7]]])
    check([[f"{'x' * 500}{i}"] for i in range(300)])
