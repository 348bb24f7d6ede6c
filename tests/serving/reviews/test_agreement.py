"""Agreement of reviewers against worked examples and scikit-learn."""

from __future__ import annotations

import random

import pytest

from momok.serving.reviews.agreement import (
    Ballot,
    compare,
    compute_cohen_kappa,
    compute_fleiss_kappa,
)

# Fleiss 1971, table 1 in the form of the handbooks: 14 people, 10 things, 5 kinds.
FLEISS = """
0 0 0 0 14
0 2 6 4 2
0 0 3 5 6
0 3 9 2 0
2 2 8 1 1
7 7 0 0 0
3 2 6 3 0
2 5 3 2 2
6 5 2 1 0
0 2 2 3 7
"""


def repeat(*counts: tuple[str, str, int]) -> list[tuple[str, str]]:
    return [(a, b) for a, b, count in counts for _ in range(count)]


def test_cohens_kappa_of_worked_examples() -> None:
    grants = repeat(("yes", "yes", 20), ("yes", "no", 5), ("no", "yes", 10), ("no", "no", 15))
    assert compute_cohen_kappa(grants) == pytest.approx(0.4)  # (0.7 - 0.5) / (1 - 0.5)
    for counts, expected in (((45, 15, 25, 15), 0.1304), ((25, 35, 5, 35), 0.2593)):
        kinds = (("y", "y"), ("y", "n"), ("n", "y"), ("n", "n"))
        pairs = repeat(*((a, b, count) for (a, b), count in zip(kinds, counts, strict=True)))
        assert compute_cohen_kappa(pairs) == pytest.approx(expected, abs=5e-5)
    assert compute_cohen_kappa([("y", "y"), ("n", "n")]) == 1.0
    assert compute_cohen_kappa([("y", "n"), ("n", "y")]) == -1.0
    assert compute_cohen_kappa([("y", "y")] * 3) is None
    assert compute_cohen_kappa([]) is None


def test_cohens_kappa_as_scikit_learn_has_it() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    draw = random.Random(0)
    for _ in range(20):
        kinds = ["accept", "reject", "unsure"][: draw.choice((2, 3))]
        first = [draw.choice(kinds) for _ in range(30)]
        second = [x if draw.random() < 0.6 else draw.choice(kinds) for x in first]
        expected = metrics.cohen_kappa_score(first, second)
        found = compute_cohen_kappa(list(zip(first, second, strict=True)))
        assert found == pytest.approx(expected)


def test_fleiss_kappa_of_a_worked_example() -> None:
    table = [[int(n) for n in line.split()] for line in FLEISS.split("\n") if line]
    ballots = [[kind for kind, n in enumerate(row) for _ in range(n)] for row in table]
    assert compute_fleiss_kappa(ballots) == pytest.approx(0.2099, abs=5e-5)
    assert compute_fleiss_kappa([["y", "y"], ["n", "n", "n"]]) == 1.0
    assert compute_fleiss_kappa([["y", "y"]]) is None
    assert compute_fleiss_kappa([]) is None


def test_fleiss_kappa_by_hand_where_numbers_differ() -> None:
    """Within: 1, 1/3; shares of y: (1 + 2/3) / 2 = 5/6, by chance 25/36 + 1/36 = 26/36."""
    found = compute_fleiss_kappa([["y", "y"], ["y", "n", "y"]])
    assert found == pytest.approx((2 / 3 - 26 / 36) / (1 - 26 / 36))


def test_what_each_reviewer_did() -> None:
    ballots = [
        Ballot(opinions={"ann": "accept", "bob": "accept"}, settled=None),
        Ballot(opinions={"ann": "accept", "bob": "reject"}, settled="rejected"),
        Ballot(opinions={"ann": "unsure", "cid": "reject"}, settled="accepted"),
        Ballot(opinions={"bob": "reject"}, settled=None),
    ]
    team = compare(ballots, {"ann": 5, "bob": 3, "dan": 1}, {"ann": 2.0, "bob": 0.5})
    ann, bob, cid, dan = team.reviewers
    assert (ann.name, ann.opinions, ann.pace) == ("ann", 5, 2.5)
    assert (ann.compared, ann.agreed, ann.settled, ann.upheld) == (3, 1, 2, 0)
    assert (bob.compared, bob.agreed, bob.settled, bob.upheld, bob.pace) == (2, 1, 1, 1, None)
    assert (cid.name, cid.opinions, dan.compared) == ("cid", 0, 0)
    assert [(p.first, p.second, p.facts, p.agreed) for p in team.pairs] == [
        ("ann", "bob", 2, 1),
        ("ann", "cid", 1, 0),
    ]
    assert team.facts == 3
    assert team.pairs[0].kappa == 0.0
