"""New facts of a whole graph into a file: one relation at a time, and resumable.

While it goes on, a folder beside the file holds what is done::

    .FACTS.csv.unfinished/
      plan.json          what was asked of which model
      relation-12.bin    the facts of a finished relation, as safetensors
      output.partial     the file, while it is written
      .lock              held by the process at work

A killed command that is given again takes up the finished relations if it asks the same of the same
model, and begins anew otherwise. The file appears whole or not at all, then the folder is removed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from momok.errors import ConfigError, RunError, StorageError
from momok.graph import MultimodalGraph
from momok.prediction.missing.facts import (
    BulkOptions,
    calibrate_facts,
    check_calibrated,
    count_pairs,
    rank_relation,
    resolve_relations,
)
from momok.prediction.missing.files import (
    FactRows,
    FileOptions,
    choose_format,
    require_format,
    write_facts,
)
from momok.prediction.missing.search import FoundFacts
from momok.prediction.questions import Name
from momok.prediction.scorer import Scorer
from momok.progress import Progress, no_progress
from momok.storage import lock_file, settle_file, write_file

__all__ = ["BulkSummary", "write_new_facts"]

Ints: TypeAlias = NDArray[np.int64]

_VERSION = 1  # of what is in the folder
_BLOCK = 1 << 14  # facts written at once


@dataclass(frozen=True, kw_only=True)
class BulkSummary:
    """What was written.

    Attributes:
        facts: how many.
        relations: how many relations were looked at.
        resumed: how many of these a former attempt had finished.
        pairs: how many pairs of entities were looked at now.
    """

    facts: int
    relations: int
    resumed: int
    pairs: int


def write_new_facts(
    scorer: Scorer,
    path: str | Path,
    relations: Sequence[Name] | None = None,
    *,
    options: BulkOptions | None = None,
    top: int | None = None,
    file_options: FileOptions | None = None,
    memory_budget: int | None = None,
    progress: Progress = no_progress,
) -> BulkSummary:
    """Rank the new facts of relations and write the best into a file, the highest score first.

    Args:
        scorer: the model.
        path: ends in one of ``fact_files.FORMATS``.
        relations: by label, name or id; all by default.
        options: which facts of each relation.
        top: how many at most over all relations.
        file_options: how N-Triples are written.
        memory_budget: bytes of buffers, by default the scorer's. Beside them, the facts to be
            written are in memory (40 bytes each).
        progress: is told of the pairs of entities, and which relation it is at.

    Raises:
        UnknownLabelError: no such relation; near misses are suggested.
        ConfigError: a value out of range, an ending that is no format, or a least probability for a
            run without calibration.
        MissingExtraError: the format needs a package that is not installed.
        RunError: another process is writing this file.
        StorageError: the disk refused; finished relations are kept, and the file is as it was.
    """
    path, options = Path(path), options or BulkOptions()
    ending = choose_format(path)
    if path.is_dir():
        raise ConfigError(f"{path}: a folder; expected a file to write")
    if top is not None and top < 1:
        raise ConfigError(f"top = {top}: expected at least 1 fact")
    require_format(ending)
    chosen = resolve_relations(scorer.graph, relations)
    check_calibrated(scorer, options)
    folder = path.with_name(f".{path.name}.unfinished")
    _make_folder(folder)
    with lock_file(folder / ".lock") as held:
        if not held:
            raise RunError(f"{path}: another process is writing this file; wait for it or stop it")
        work = _Work(folder, scorer, options)
        resumed = work.begin()
        pairs = _rank_missing(work, chosen, memory_budget, progress)
        facts = work.read(chosen)
        order = facts.order()[:top]
        blocks = facts.rows(scorer, options, order)
        _put_in_place(folder, path, ending, blocks, file_options or FileOptions())
    shutil.rmtree(folder, ignore_errors=True)
    return BulkSummary(
        facts=len(order),
        relations=len(chosen),
        resumed=len(resumed.intersection(chosen)),
        pairs=pairs,
    )


def _rank_missing(
    work: _Work, relations: Sequence[int], memory_budget: int | None, progress: Progress
) -> int:
    """Rank the relations that are not finished; gives how many pairs were looked at."""
    graph = work.scorer.graph
    scorer = work.scorer
    sizes = {relation: count_pairs(scorer, relation, work.options) for relation in relations}
    missing = [relation for relation in relations if not work.has(relation)]
    total = sum(sizes.values())
    before = total - sum(sizes[relation] for relation in missing)
    done = before
    for relation in missing:
        name = graph.relation_names[relation]

        def tell(pairs: int, name: str = name) -> None:
            nonlocal done
            done += pairs
            progress(f"ranking pairs: {name}", done, total)

        tell(0)
        found = rank_relation(
            work.scorer,
            relation,
            work.options,
            memory_budget=memory_budget,
            progress=tell,
        )
        work.save(relation, found)
    return done - before


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{folder}: could not be made: {error.strerror or error}; finished relations are kept "
            "there until the file is complete"
        ) from error


def _put_in_place(
    folder: Path, path: Path, ending: str, blocks: Iterator[FactRows], options: FileOptions
) -> None:
    draft = folder / "output.partial"
    try:
        write_facts(draft, ending, blocks, options)
        settle_file(draft)
        draft.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: could not be written: {error.strerror or error}") from error


class _Work:
    """The folder of finished relations."""

    def __init__(self, folder: Path, scorer: Scorer, options: BulkOptions) -> None:
        self.folder, self.scorer, self.options = folder, scorer, options

    def begin(self) -> set[int]:
        """Keep what another attempt left if it asked the same of the same model."""
        try:
            return self._begin()
        except OSError as error:
            raise StorageError(
                f"{self.folder}: could not be written: {error.strerror or error}"
            ) from error

    def _begin(self) -> set[int]:
        plan = json.dumps(self._describe(), sort_keys=True).encode() + b"\n"
        path = self.folder / "plan.json"
        try:
            same = path.read_bytes() == plan
        except OSError:
            same = False
        if not same:
            path.unlink(missing_ok=True)  # first, so that a crash here leaves nothing that fits
            for old in self.folder.glob("relation-*.bin"):
                old.unlink()
            write_file(path, plan)
        for draft in (*self.folder.glob("output.partial*"), *self.folder.glob(".*.partial")):
            draft.unlink()
        return {r for r in range(self.scorer.graph.num_relations) if self.has(r)}

    def has(self, relation: int) -> bool:
        """Whether a relation is finished, and its file can be read."""
        return self._load(relation) is not None

    def save(self, relation: int, found: FoundFacts) -> None:
        """Keep the facts of a relation, for good."""
        write_file(self._locate(relation), save_arrays(asdict(found)))

    def read(self, relations: Sequence[int]) -> _Facts:
        """All facts of finished relations."""
        found = {relation: self._load(relation) for relation in relations}
        return _Facts({r: facts for r, facts in found.items() if facts is not None})

    def _load(self, relation: int) -> FoundFacts | None:
        try:
            return FoundFacts(**load_arrays(self._locate(relation).read_bytes()))
        except (OSError, SafetensorError, TypeError):
            return None

    def _locate(self, relation: int) -> Path:
        return self.folder / f"relation-{relation}.bin"

    def _describe(self) -> dict[str, Any]:
        """All that the facts of a relation depend on."""
        run, calibration = self.scorer.run, self.scorer.calibration
        fitted = None if calibration is None else calibration.outputs[self.options.output]
        with run.best_checkpoint.open("rb") as file:
            checkpoint = hashlib.file_digest(file, "sha256").hexdigest()
        return {
            "version": _VERSION,
            "checkpoint": checkpoint,
            "graph": run.data["fingerprint"],
            "calibration": None if fitted is None else asdict(fitted.map),
            "options": asdict(self.options),
        }


class _Facts:
    """The facts of several relations, as columns."""

    def __init__(self, found: dict[int, FoundFacts]) -> None:
        parts = [*found.values(), FoundFacts.none()]
        self.heads = np.concatenate([part.heads for part in parts])
        self.tails = np.concatenate([part.tails for part in parts])
        self.tail_answers = np.concatenate([part.tail_answers for part in parts])
        self.head_answers = np.concatenate([part.head_answers for part in parts])
        sizes = [len(part) for part in found.values()]
        self.relations = np.repeat(np.array(list(found), dtype=np.int64), sizes)

    def order(self) -> Ints:
        """Positions by score, the highest first; equal ones by ids."""
        scores = np.minimum(self.tail_answers, self.head_answers)
        return np.lexsort((self.tails, self.heads, self.relations, -scores))

    def rows(self, scorer: Scorer, options: BulkOptions, order: Ints) -> Iterator[FactRows]:
        """Blocks of what is to be written."""
        graph, calibration = scorer.graph, scorer.calibration
        for start in range(0, len(order), _BLOCK):
            chosen = order[start : start + _BLOCK]
            tail_answers, head_answers = self.tail_answers[chosen], self.head_answers[chosen]
            scores = np.minimum(tail_answers, head_answers)
            calibrated = calibrate_facts(calibration, options, scores)
            probabilities = [None] * len(chosen) if calibrated is None else calibrated.tolist()
            yield {
                "rank": list(range(start + 1, start + len(chosen) + 1)),
                **_say("relation", graph, self.relations[chosen]),
                **_say("head", graph, self.heads[chosen]),
                **_say("tail", graph, self.tails[chosen]),
                "probability": probabilities,
                "score": scores.tolist(),
                "tail_answer": tail_answers.tolist(),
                "head_answer": head_answers.tolist(),
            }


def _say(column: str, graph: MultimodalGraph, ids: Ints) -> FactRows:
    """Labels and names of entities or relations."""
    if column == "relation":
        labels, names = graph.relations.labels, graph.relation_names
    else:
        labels, names = graph.entities.labels, graph.entity_names
    places = ids.tolist()
    return {
        column: [labels[place] for place in places],
        f"{column}_name": [names[place] for place in places],
    }
