"""Which columns of a table of facts are head, relation and tail, and whether it has a header.

Names come first: each role has names in ranks, and the names of head and tail come in pairs. Where
the first line has none of them, the values tell: relations repeat, and the names of columns never
come again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from momok.errors import DataError, FormatError
from momok.graph.names import suggest_near_misses
from momok.graph.sources.raw import TableOptions

ROLES = ("head", "relation", "tail")
# Names of head and tail that belong together, by rank; ``simplify_name`` gives their form.
_PAIRS = (
    (("head", "tail"), ("h", "t")),
    (("subject", "object"), ("subj", "obj"), ("s", "o")),
    (
        *(("source", "target"), ("src", "dst"), ("from", "to"), ("start", "end")),
        *(("entity1", "entity2"), ("entity_1", "entity_2"), ("node1", "node2")),
        *(("node_1", "node_2"), ("x_name", "y_name")),
    ),
)
_RELATIONS = (
    ("relation", "rel", "r", "predicate", "pred", "p", "property"),
    ("relationship", "label", "edge", "metaedge", "link", "interaction"),
    ("type", "kind"),
)
_KNOWN: dict[str, dict[str, tuple[int, object]]] = {
    "relation": {n: (rank, None) for rank, names in enumerate(_RELATIONS) for n in names},
    **{
        role: {
            pair[side]: (rank, (rank, place))
            for rank, pairs in enumerate(_PAIRS)
            for place, pair in enumerate(pairs)
        }
        for side, role in ((0, "head"), (1, "tail"))
    },
}
"""Of every known name of a role its rank, and what the names of a pair have in common."""

# What may follow a known name, by rank: what is sure to be distinct comes first.
_OF_ALL = {"id": 1, "iri": 1, "uri": 1, "key": 1, "label": 2, "name": 2}
_ENDINGS = {
    "relation": {**_OF_ALL, "type": 1},
    "head": {**_OF_ALL, "entity": 1, "node": 1},
    "tail": {**_OF_ALL, "entity": 1, "node": 1},
}
_NOTHING = ("Directed", "Undirected", "Mutual")  # Gephi's column Type
WEIGHTS = ("weight", "confidence", "score")
"""Names of the column that says how much a fact counts, the best first."""
KEPT = frozenset(
    (
        *("time", "date", "year", "timestamp", "start", "end", "since", "until"),
        *("start_time", "end_time", "start_date", "end_date", "start_year", "end_year"),
        *("valid_from", "valid_to", "valid_until"),
        *("source", "sources", "reference", "references", "provenance", "evidence"),
    )
)
"""Names of columns that say more of a fact, and are kept."""
# What is between head and tail, but no relation.
_MEASURES = frozenset((*WEIGHTS, "probability", "count", "value", *KEPT))
_COUNTS = {2: "two", 3: "three"}
_SHARED = 0.05  # of a column's values are in another: it holds entities
_TYPES_OF_NEO4J = frozenset(
    ("string", "int", "integer", "long", "float", "double", "boolean", "date", "datetime")
)
_ENOUGH = 10  # rows that let their values tell what a column is


class _Rank(NamedTuple):
    """How well a name fits: the rank of the known name, of what follows it, and its pair."""

    name: int
    ending: int
    pair: object


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are.

    Attributes:
        places: the positions of head, relation and tail; of head and tail where all facts have one
            relation that is no column.
        has_header: the first row names the columns.
        doubt: what else might be meant, and the option that says so; "" where there is no doubt.
    """

    places: tuple[int, ...]
    has_header: bool
    doubt: str = ""


def simplify_name(name: str) -> str:
    """Give the name of a column as names are compared: ``start_id`` for ``:START_ID(Film)``.

    That is in lower case, with ``_`` between words, and without brackets, marks before the name
    (``?s``), prefixes of RDF and types of neo4j.
    """
    bare = re.sub(r"[(\[{].*$", "", name.strip().strip("?#@$<>\"'` "))
    front, _, last = bare.rpartition(":")
    bare = front if front and last.lower() in _TYPES_OF_NEO4J else last
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", re.split("[/#]", bare)[-1])
    return re.sub(r"[\W_]+", "_", words.lower()).strip("_")


def count_known_names(names: Sequence[str]) -> int:
    """Count the roles that one of the names is known to have."""
    plain = list(map(simplify_name, names))
    return sum(any(_rank(name, role) is not None for name in plain) for role in ROLES)


def find_columns(rows: pl.DataFrame, options: TableOptions, place: str) -> Columns:
    """Find the columns of a table, whose first row may be a header.

    Args:
        rows: columns of texts, which may be null.

    Raises:
        DataError: a column that was asked for is not there.
        FormatError: the columns cannot be told.
    """
    first, rest = [str(cell) for cell in rows.row(0)], rows.slice(1)
    rest = rest.filter(~pl.all_horizontal(rest[:, i] == first[i] for i in range(len(first))))
    roles = ROLES if options.relation is None else ("head", "tail")
    named = {} if options.header is False else find_named_columns(first, rest, roles, place)
    if options.columns is not None:
        places, has_header = _take_given(first, options.columns, roles, options.header, place)
        if has_header is None:
            has_header = len(named) > 1 or _tell_header(first, rest, places) == "header"
        return Columns(places, has_header)
    if len(named) > 1 and (options.header or not _is_fact(first, rest, named, roles)):
        doubt = (
            f"the first line is taken as the header by {len(named)} of its names; if it is a fact: "
            f"--no-header --columns 1,2,3"
        )
        places = _complete(first, named, roles, place)
        return Columns(
            places, True, doubt if len(named) < len(roles) and not options.header else ""
        )
    if len(first) != len(roles):
        numbers = ",".join(str(i + 1) for i in range(len(roles)))
        raise FormatError(
            f"{place}: {len(first)} columns, and none are called {', '.join(roles[:-1])} and tail: "
            f"{' | '.join(first)[:200]!r}; say which they are, as in --columns {numbers} or by "
            f"their names"
        )
    places, doubt = _guess_places(rest, roles)
    if options.header is not None:
        return Columns(places, options.header, doubt)
    told = "may be" if len(named) > 1 else _tell_header(first, rest, places)
    positions = ",".join(str(column + 1) for column in places)
    shown = " | ".join(first[column] for column in places)[:120]
    if told == "header":
        doubt = (
            f"the first line ({shown}) is taken as the header, as its words never come again; if "
            f"it is a fact: --no-header --columns {positions}"
        )
    elif told == "may be":
        doubt = (
            f"the first line is taken as a fact ({shown}); if it names the columns: --header "
            f"--columns {positions}"
        )
    return Columns(places, told == "header", doubt)


def find_named_columns(
    first: Sequence[str], rest: pl.DataFrame, roles: Sequence[str], place: str
) -> dict[str, int]:
    """Find the columns of the roles by the names in the first row, as far as they are known."""
    ranks: dict[str, dict[int, _Rank]] = {role: {} for role in roles}
    for column, name in enumerate(map(simplify_name, first)):
        for role in roles:
            rank = _rank(name, role)
            blank = rest[:, column].fill_null("").is_in(["", *_NOTHING])
            if rank is not None and (blank.is_empty() or not blank.all()):
                ranks[role][column] = rank
    heads, tails = ranks["head"], ranks["tail"]
    if heads and tails:
        ends = [
            ((h.pair != t.pair, h.name + t.name, h.ending + t.ending), (head, tail))
            for head, h in heads.items()
            for tail, t in tails.items()
        ]
        (head, tail) = _take_best(ends, first, place)
        found = {"head": head, "tail": tail}
    else:
        found = {
            role: _take_best([((r.name, r.ending), (c,)) for c, r in own.items()], first, place)[0]
            for role, own in (("head", heads), ("tail", tails))
            if own
        }
    if kinds := ranks.get("relation"):
        options = [((rank.name, rank.ending), (column,)) for column, rank in kinds.items()]
        found["relation"] = _take_best(options, first, place)[0]
    return found


def _rank(name: str, role: str) -> _Rank | None:
    """Rank a name, as ``simplify_name`` gives it, for a role; None if it is none of its names."""
    endings = 0
    while name not in _KNOWN[role]:
        name, _, ending = name.rpartition("_")
        if not name or ending not in _ENDINGS[role]:
            return None
        endings += _ENDINGS[role][ending]
    rank, pair = _KNOWN[role][name]
    return _Rank(rank, endings, pair)


def _take_best(
    options: Sequence[tuple[tuple[int, ...], tuple[int, ...]]], first: Sequence[str], place: str
) -> tuple[int, ...]:
    """Take the columns of the lowest rank."""
    (best, columns), *others = sorted(options)
    if others and others[0][0] == best:
        (here, there), *_ = (x for x in zip(columns, others[0][1], strict=True) if x[0] != x[1])
        raise FormatError(
            f"{place}: {first[here]!r} and {first[there]!r} fit equally: "
            f"{' | '.join(first)[:200]!r}; say which columns are head, relation and tail, as in "
            f"--columns 1,2,3 or by their names"
        )
    return columns


def _is_fact(
    first: Sequence[str], rest: pl.DataFrame, named: Mapping[str, int], roles: Sequence[str]
) -> bool:
    """Tell a fact whose labels are names of columns: they come again.

    Where all three names are known, the relation must; and no more columns than a fact has.
    """
    if len(first) > len(roles):
        return False
    telling = [named["relation"]] if len(named) == len(ROLES) else range(len(first))
    return any((rest[:, column] == first[column]).any() for column in telling)


def _complete(
    first: Sequence[str], named: Mapping[str, int], roles: Sequence[str], place: str
) -> tuple[int, ...]:
    """Give the columns of all roles where two are known by name: the third is the one left over."""
    missing = [role for role in roles if role not in named]
    spare = [column for column in range(len(first)) if column not in named.values()]
    if missing and (len(spare) != 1 or simplify_name(first[spare[0]]) in _MEASURES):
        shown = ",".join(first[named[r]] if r in named else "NAME" for r in roles)
        also = ", or --relation TEXT where all facts have the same" * (missing == ["relation"])
        raise FormatError(
            f"{place}: no column is called {missing[0]}: {' | '.join(first)[:200]!r}; say which "
            f"it is, as in --columns {shown}{also}"
        )
    return tuple(named.get(role, spare[0] if spare else -1) for role in roles)


def _take_given(
    first: Sequence[str],
    given: tuple[str, ...],
    roles: Sequence[str],
    header: bool | None,
    place: str,
) -> tuple[tuple[int, ...], bool | None]:
    """Find the columns that were asked for; whether there is a header is None where it is open."""
    shown = ",".join(given)
    if len(set(given)) < len(roles) or len(given) != len(roles):
        raise DataError(
            f"--columns {shown}: expected {_COUNTS[len(roles)]} different columns, those of "
            f"{', '.join(roles[:-1])} and tail"
        )
    if header is not False and all(name in first for name in given):
        return tuple(list(first).index(name) for name in given), True
    if all(name.isdecimal() for name in given):
        columns = tuple(int(name) - 1 for name in given)
        if min(columns) < 0 or max(columns) >= len(first):
            raise DataError(f"{place}: --columns {shown}: it has {len(first)} columns")
        return columns, header
    missing = next(name for name in given if name not in first)
    raise DataError(
        f"{place}: there is no column {missing!r}{suggest_near_misses(missing, first)} "
        f"(its first line: {' | '.join(first)[:200]!r})"
    )


def _guess_places(rest: pl.DataFrame, roles: Sequence[str]) -> tuple[tuple[int, ...], str]:
    """Tell by the values whether the relation stands first or last; and what speaks against it.

    Elsewhere than between head and tail it has far fewer values than the column there, whose values
    are heads or tails of other facts, or hardly come again.
    """
    middle: tuple[int, ...] = tuple(range(len(roles)))
    if len(roles) == 2 or len(rest) < _ENOUGH:
        return middle, ""
    distinct = [rest[:, column].drop_nulls().unique() for column in middle]
    sizes = [len(values) for values in distinct]

    def share(column: int, *others: int) -> float:
        known = pl.concat([distinct[other] for other in others]).implode()
        return float(distinct[column].is_in(known).mean() or 0)  # type: ignore[arg-type]

    for kind, order in ((2, (0, 2, 1)), (0, (1, 0, 2))):
        other = 2 - kind
        few, very_few = (sizes[kind] * n <= sizes[1] for n in (2, 10))
        apart = share(kind, 1, other) == 0 and share(1, other) >= _SHARED
        if sizes[1] < _ENOUGH or not few:
            continue
        ends = f"--columns {','.join(str(column + 1) for column in order)}"
        if apart or (very_few and (share(1, other) >= 0.5 or len(rest) < 3 * sizes[1])):
            return order, (
                f"column {kind + 1} is taken as the relation, as it has {sizes[kind]:,} values and "
                f"column 2 has {sizes[1]:,}; if column 2 is: --columns 1,2,3"
            )
        if very_few or share(kind, 1, other) == 0:
            return middle, (
                f"column 2 is taken as the relation and has {sizes[1]:,} values, column "
                f"{kind + 1} has {sizes[kind]:,}; if that is the relation: {ends}"
            )
    return middle, ""


def _tell_header(first: Sequence[str], rest: pl.DataFrame, places: Sequence[int]) -> str:
    """Tell by the values whether the first row is a ``header``, ``may be`` one, or is a ``fact``.

    The words of a header come never again; a fact shares its entities or relation with others.
    """
    if len(places) == 2:
        return "fact"
    head, relation, tail = (rest[:, column] for column in places)
    again = (
        *((ends == first[column]).any() for ends in (head, tail) for column in places[::2]),
        (relation == first[places[1]]).any(),
    )
    if any(again):
        return "fact"
    counts = pl.concat([head, tail]).value_counts(name="n")
    lone = counts.filter(pl.col("n") == 1)[counts.columns[0]].implode()
    alone = head.is_in(lone) & tail.is_in(lone) & relation.is_unique()
    return "may be" if len(rest) < _ENOUGH or alone.any() else "header"
