"""Studies: many runs as one command, and the tables and tests over them."""

from momok.studies.folder import Study, load_study
from momok.studies.plan import BUILT_IN, Plan, Scenario, Variant, load_plan
from momok.studies.search import Search, search
from momok.studies.study import study

__all__ = [
    "BUILT_IN",
    "Plan",
    "Scenario",
    "Search",
    "Study",
    "Variant",
    "load_plan",
    "load_study",
    "search",
    "study",
]
