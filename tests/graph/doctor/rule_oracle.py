"""Rules of one step and what they give away, by sets of facts: slow, and independent of numpy."""

from __future__ import annotations

Fact = tuple[int, int, int]


def find_rules(train: list[Fact]) -> dict[tuple[str, int, int], tuple[int, float]]:
    """(kind, body, head) to (support, confidence) of all rules with any support."""
    facts = set(train)
    relations = {r for _, r, _ in facts}
    found = {}
    for body in relations:
        bodies = [(h, t) for h, r, t in facts if r == body]
        for head in relations:
            if body != head:
                support = sum((h, head, t) in facts for h, t in bodies)
                found["duplicate", body, head] = support, support / len(bodies)
            kind = "symmetric" if body == head else "inverse"
            support = sum((t, head, h) in facts for h, t in bodies if h != t)
            found[kind, body, head] = support, support / len(bodies)
    return {rule: (support, share) for rule, (support, share) in found.items() if support}


def find_leaks(train: list[Fact], test: list[Fact], rules: set[tuple[str, int, int]]) -> list[bool]:
    """Whether any of the rules gives each test fact."""
    facts = set(train)
    leaked = []
    for h, r, t in test:
        given = False
        for kind, body, head in rules:
            if head == r:
                told = (h, body, t) if kind == "duplicate" else (t, body, h)
                given = given or told in facts
        leaked.append(given)
    return leaked
