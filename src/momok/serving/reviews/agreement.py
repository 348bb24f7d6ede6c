"""How far reviewers agree, beyond what chance would bring.

Only opinions that were given blind count: those from before a fact had all it needed. Cohen's
kappa is for two people, Fleiss' kappa for all; 1 is full agreement, 0 what chance brings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from momok.serving.reviews.opinions import STATE_AFTER
from momok.serving.reviews.records import Action, State


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """The blind opinions on one fact.

    Attributes:
        opinions: by reviewer.
        settled: where the fact stands, if somebody had the last word; None if not.
    """

    opinions: Mapping[str, Action]
    settled: State | None


@dataclass(frozen=True, kw_only=True)
class PairAgreement:
    """How far two reviewers agree.

    Attributes:
        first, second: who.
        facts: how many both have an opinion on.
        agreed: on how many of them it is the same.
        kappa: Cohen's; None where both say the same of all facts, so that chance explains it all.
    """

    first: str
    second: str
    facts: int
    agreed: int
    kappa: float | None


@dataclass(frozen=True, kw_only=True)
class ReviewerRecord:
    """What one reviewer did.

    Attributes:
        name: who.
        opinions: how many decisions that were not taken back, without those made along.
        minutes: spent on them, without pauses.
        compared: blind opinions of others on the same facts.
        agreed: how many of these are the same.
        settled: blind opinions on facts that somebody settled.
        upheld: how many of these were as it was settled.
    """

    name: str
    opinions: int
    minutes: float
    compared: int
    agreed: int
    settled: int
    upheld: int

    @property
    def pace(self) -> float | None:
        """Decisions a minute."""
        return self.opinions / self.minutes if self.minutes >= 1 else None


@dataclass(frozen=True, kw_only=True)
class Team:
    """All reviewers.

    Attributes:
        reviewers: each by name.
        pairs: those who have opinions on the same facts, most facts first.
        facts: how many have two blind opinions or more.
        kappa: Fleiss', over these; None as in ``PairAgreement``.
    """

    reviewers: list[ReviewerRecord]
    pairs: list[PairAgreement]
    facts: int
    kappa: float | None


def compute_cohen_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Agreement of two people on the same things: (p − e) / (1 − e).

    p is the share of things that they say the same of, e that by chance, if each of them said what
    they say as often but at random. Cohen 1960, "A coefficient of agreement for nominal scales".
    None where e is 1.
    """
    n = len(pairs)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    by_chance = sum(first[kind] * second[kind] for kind in first)
    if by_chance == n * n:  # in whole numbers, where 1 is 1
        return None
    agreed = sum(a == b for a, b in pairs)
    return (agreed * n - by_chance) / (n * n - by_chance)


def compute_fleiss_kappa(ballots: Sequence[Sequence[Hashable]]) -> float | None:
    """Agreement of two or more people on each of many things.

    Fleiss 1971, "Measuring nominal scale agreement among many raters", for as many people each;
    where their number differs, the means over things of the agreement within one and of its shares
    of kinds (Gwet 2014, "Handbook of inter-rater reliability", 4th edition, section 2.4). None
    where all say the same of all things.
    """
    counts = [Counter(ballot) for ballot in ballots]
    shares: Counter[Hashable] = Counter()
    observed = 0.0
    for count in counts:
        n = count.total()
        observed += sum(k * (k - 1) for k in count.values()) / (n * (n - 1)) / len(counts)
        for kind, k in count.items():
            shares[kind] += k / n / len(counts)  # type: ignore[assignment]
    if len(shares) <= 1:
        return None
    by_chance = sum(share * share for share in shares.values())
    return (observed - by_chance) / (1 - by_chance)


def compare(
    ballots: Sequence[Ballot], opinions: Mapping[str, int], minutes: Mapping[str, float]
) -> Team:
    """How far reviewers agree, and what each did.

    Args:
        ballots: the blind opinions, by fact.
        opinions: how many each gave in all.
        minutes: how long that took.
    """
    both: dict[tuple[str, str], list[tuple[Action, Action]]] = {}
    settled: Counter[str] = Counter()
    upheld: Counter[str] = Counter()
    for ballot in ballots:
        for a, b in combinations(sorted(ballot.opinions), 2):
            both.setdefault((a, b), []).append((ballot.opinions[a], ballot.opinions[b]))
        for name, action in ballot.opinions.items():
            settled[name] += ballot.settled is not None
            upheld[name] += ballot.settled == STATE_AFTER[action]
    pairs = [
        PairAgreement(
            first=a,
            second=b,
            facts=len(given),
            agreed=sum(x == y for x, y in given),
            kappa=compute_cohen_kappa(given),
        )
        for (a, b), given in both.items()
    ]
    reviewers = []
    for name in sorted({*opinions, *settled}, key=str.casefold):
        own = [pair for pair in pairs if name in (pair.first, pair.second)]
        reviewers.append(
            ReviewerRecord(
                name=name,
                opinions=opinions.get(name, 0),
                minutes=minutes.get(name, 0.0),
                compared=sum(pair.facts for pair in own),
                agreed=sum(pair.agreed for pair in own),
                settled=settled[name],
                upheld=upheld[name],
            )
        )
    shared = [[*ballot.opinions.values()] for ballot in ballots if len(ballot.opinions) > 1]
    return Team(
        reviewers=reviewers,
        pairs=sorted(pairs, key=lambda pair: (-pair.facts, pair.first, pair.second)),
        facts=len(shared),
        kappa=compute_fleiss_kappa(shared),
    )
