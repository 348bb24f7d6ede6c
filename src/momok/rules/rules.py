"""The rules of a graph: mined, kept in a file, asked for evidence."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from momok.arrays import Ints
from momok.errors import ConfigError, DataError, RunError
from momok.rules.constants import build_constant_rules
from momok.rules.evidence import Evidence, EvidenceFinder
from momok.rules.grounding import Grounding, ground_rules
from momok.rules.links import Links, build_links
from momok.rules.paths import build_one_step, build_two_steps, count_one_step, pair_entities
from momok.rules.table import KINDS, RuleTable, keep_strongest, make_table
from momok.storage import parse_json, write_file

_KEY, _VERSION = "momok-rules", 2
_REMEDY = "restore it from a copy or train again"


@dataclass(frozen=True, kw_only=True)
class RuleLimits:
    """What keeps rules and evidence small.

    Attributes:
        least_support: paths and properties that conclude fewer facts of train make no rule; one
            step between the same entities does with one.
        per_relation: the most confident rules of a kind that are kept of each relation, reversed
            ones apart; of constant rules as many with a constant and as many without.
        per_body: the most confident constant rules that are kept of each relation and body.
        most_links: entities in more facts are left out when properties are counted.
        candidates: the candidates that are kept of each query and kind.
    """

    least_support: int = 2
    per_relation: int = 100_000
    per_body: int = 1_000
    most_links: int = 150
    candidates: int = 1_000

    def __post_init__(self) -> None:
        """Refuse limits that leave nothing."""
        for name, value in asdict(self).items():
            if value < 1:
                raise ConfigError(f"{name} of rules is {value}: expected at least 1")


class Rules:
    """Rules over the facts of a graph, and the evidence that they give.

    Attributes:
        num_entities: N.
        num_relations: R, without reversed ones.
        tables: the rules by kind, in the order of ``KINDS``.
        limits: what they were mined with.
    """

    def __init__(self, links: Links, tables: Mapping[str, RuleTable], limits: RuleLimits) -> None:
        """Put rules together with the links of the facts that they were mined from."""
        self.num_entities, self.num_relations = links.num_entities, links.num_relations
        self.tables, self.limits, self._links = dict(tables), limits, links

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(table):,} {kind}" for kind, table in self.tables.items())
        return f"<Rules: {counts}>"

    @cached_property
    def _finder(self) -> EvidenceFinder:
        return EvidenceFinder(self._links, self.tables, self.limits.candidates)

    def find_evidence(self, heads: Ints, relations: Ints) -> Evidence:
        """Find what the rules say of the candidates of queries (h, r, ?).

        Known answers are not left out, nor is the fact itself where one is asked that rules saw.

        Args:
            heads: [B] entity ids.
            relations: [B] in 0..2R-1: r + R asks for the head of r.

        Raises:
            DataError: an id that does not exist.
        """
        heads = np.asarray(heads, dtype=np.int64).reshape(-1)
        relations = np.asarray(relations, dtype=np.int64).reshape(-1)
        for ids, size, what in (
            (heads, self.num_entities, "entity"),
            (relations, 2 * self.num_relations, "relation"),
        ):
            if len(ids) and not 0 <= ids.min() <= ids.max() < size:
                raise DataError(
                    f"{what} ids from {ids.min()} to {ids.max()}: expected 0 to {size - 1}"
                )
        return self._finder.find(heads, relations)

    def ground(self, head: int, relation: int, answer: int) -> list[Grounding]:
        """Find the rules that speak for an answer to (head, relation, ?), the strongest first.

        By kind, their weights add up to what ``find_evidence`` gives.
        """
        return ground_rules(self._links, self.tables, head, relation, answer)

    def leave_out(self, steps: Iterable[tuple[int, int]]) -> Rules:
        """The same without rules of one step, each given as (relation concluded, body)."""
        table, D = self.tables["one_step"], 2 * self.num_relations
        codes = [relation * D + body for relation, body in steps]
        kept = np.flatnonzero(~np.isin(table.relation * D + table.first, codes))
        return Rules(self._links, self.tables | {"one_step": table.take(kept)}, self.limits)

    def save(self, path: Path | str) -> None:
        """Write the rules, without the facts: the file is the old or the new one, never a part.

        Raises:
            StorageError: the disk refused.
        """
        about = {
            "version": _VERSION,
            "entities": self.num_entities,
            "relations": self.num_relations,
            "facts": _fingerprint(self._links),
            "limits": asdict(self.limits),
        }
        arrays = {
            f"{kind}/{name}": column
            for kind, table in self.tables.items()
            for name, column in table.columns().items()
        }
        about["checksum"] = _sum(about, arrays)
        write_file(Path(path), save(arrays, metadata={_KEY: json.dumps(about)}))

    @classmethod
    def load(cls, path: Path | str, facts: Ints) -> Rules:
        """Read what ``save`` wrote.

        Args:
            path: the file.
            facts: the facts [F, 3] that the rules were mined from.

        Raises:
            RunError: there is no such file, it is damaged or of another version, or the facts are
                others.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                about = parse_json((file.metadata() or {})[_KEY])
                if about["version"] != _VERSION:
                    raise ValueError(f"version {about['version']}")
                arrays = {
                    f"{kind}/{name}": file.get_tensor(f"{kind}/{name}")
                    for kind in KINDS
                    for name in _COLUMNS
                }
                if about.pop("checksum") != _sum(about, arrays):
                    raise ValueError("it is not what was written")
                tables = {
                    kind: make_table({name: arrays[f"{kind}/{name}"] for name in _COLUMNS})
                    for kind in KINDS
                }
            links = build_links(facts, about["entities"], about["relations"])
            limits = RuleLimits(**about["limits"])
            for table in tables.values():
                table.check(links.num_entities, links.num_relations)
        except FileNotFoundError:
            raise RunError(f"{path}: no such file of rules; {_REMEDY}") from None
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, DataError) as error:
            raise RunError(
                f"{path}: not a file of rules of this version, or damaged ({error}); {_REMEDY}"
            ) from error
        if about["facts"] != _fingerprint(links):
            raise RunError(f"{path}: these rules were mined from other facts; {_REMEDY}")
        return cls(links, tables, limits)


_COLUMNS = tuple(RuleTable.__dataclass_fields__)


def _sum(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> int:
    """The CRC-32 of what is written: names, types, shapes and bytes."""
    found = zlib.crc32(json.dumps(about, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        found = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), found)
        found = zlib.crc32(np.ascontiguousarray(array).tobytes(), found)
    return found


def _fingerprint(links: Links) -> str:
    digest = hashlib.sha256()
    for part in (links.step_keys, links.step_starts, links.targets):
        digest.update(np.ascontiguousarray(part, dtype="<i8").tobytes())
    return digest.hexdigest()


def mine_rules(
    facts: Ints, num_entities: int, num_relations: int, *, limits: RuleLimits | None = None
) -> Rules:
    """Mine the rules that facts support; no fact is counted as evidence of itself.

    Args:
        facts: [F, 3] head, relation and tail ids of train; repeated ones count once, those of an
            entity with itself not at all.
        num_entities: N.
        num_relations: R.
        limits: what keeps them small; the defaults suit graphs from a thousand to a million facts.

    Raises:
        DataError: ids out of range, or more entities and relations than 64-bit keys can tell apart.
    """
    facts = np.asarray(facts, dtype=np.int64).reshape(-1, 3)
    if len(facts) and ((facts < 0) | (facts >= [num_entities, num_relations, num_entities])).any():
        raise DataError("facts to mine rules from have ids outside the vocabulary")
    limits = limits or RuleLimits()
    links = build_links(facts, num_entities, num_relations)
    pairs = pair_entities(links)
    counts = count_one_step(links, pairs)
    one = build_one_step(links, counts)
    two = build_two_steps(links, pairs, counts, limits.least_support)
    constant = build_constant_rules(
        links,
        least_support=limits.least_support,
        most_links=limits.most_links,
        per_body=limits.per_body,
        per_relation=limits.per_relation,
    )
    tables = {
        "one_step": keep_strongest(one, one.relation, limits.per_relation).sort(),
        "two_steps": keep_strongest(two, two.relation, limits.per_relation).sort(),
        "constant": constant,
    }
    return Rules(links, tables, limits)
