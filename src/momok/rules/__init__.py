"""Rules of a graph: what its facts say of other facts, with counts that can be read."""

from momok.rules.evidence import Evidence
from momok.rules.rules import RuleLimits, Rules, mine_rules
from momok.rules.table import KINDS

__all__ = ["KINDS", "Evidence", "RuleLimits", "Rules", "mine_rules"]
