"""Rules of a graph: what its facts say of other facts, with counts that can be read."""

from momok.rules.evidence import Evidence
from momok.rules.grounding import Grounding
from momok.rules.reading import choose_rules, write_formula
from momok.rules.rules import RuleLimits, Rules, mine_rules
from momok.rules.table import KINDS, Rule

__all__ = [
    "KINDS",
    "Evidence",
    "Grounding",
    "Rule",
    "RuleLimits",
    "Rules",
    "choose_rules",
    "mine_rules",
    "write_formula",
]
