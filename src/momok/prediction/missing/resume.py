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
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from momok.errors import ConfigError, RunError, StorageError
from momok.graph.candidates import Name
from momok.prediction.missing.facts import (
    BulkOptions,
    count_pairs,
    rank_relations,
    resolve_relations,
)
from momok.prediction.missing.files import SCHEMA, FileOptions, choose_format, write_facts
from momok.prediction.missing.search import FoundFacts
from momok.prediction.scorer import Scorer
from momok.progress import Progress, no_progress
from momok.storage import lock_file, settle_file, write_file

_VERSION = 2  # of what is in the folder
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
    progress: Progress = no_progress,
) -> BulkSummary:
    """Rank the new facts of relations and write the best into a file, the highest score first.

    Args:
        scorer: the model. Beside its buffers the facts to be written are in memory (40 bytes each).
        path: ends in one of ``files.FORMATS``.
        relations: by label, name or id; all by default.
        options: which facts of each relation.
        top: how many at most over all relations.
        file_options: how N-Triples are written.
        progress: is told of the pairs of entities, and which relation it is at.

    Raises:
        UnknownLabelError: no such relation; near misses are suggested.
        ConfigError: a value out of range, an ending that is no format, or a least probability for a
            run without calibration.
        RunError: another process is writing this file.
        StorageError: the disk refused; finished relations are kept, and the file is as it was.
    """
    path, options = Path(path), options or BulkOptions()
    ending = choose_format(path)
    if path.is_dir():
        raise ConfigError(f"{path}: a folder; expected a file to write")
    if top is not None and top < 1:
        raise ConfigError(f"top = {top}: expected at least 1 fact")
    chosen = resolve_relations(scorer.graph, relations)
    options.check_calibrated(scorer)
    with _open_folder(path, _describe_plan(scorer, options)) as folder:
        found = {r: facts for r in chosen if (facts := _load_relation(folder, r)) is not None}
        missing = [relation for relation in chosen if relation not in found]
        ranked = rank_relations(scorer, missing, options, list(found), progress)
        for relation, facts in zip(missing, ranked, strict=True):
            write_file(folder / f"relation-{relation}.bin", save_arrays(asdict(facts)))
            found[relation] = facts
        best = FoundFacts.concatenate(*found.values()).rank(top)
        draft = folder / "output.partial"
        blocks = _iterate_blocks(scorer, options, best)
        write_facts(draft, ending, blocks, file_options or FileOptions())
        settle_file(draft)
        draft.replace(path)
    return BulkSummary(
        facts=len(best),
        relations=len(chosen),
        resumed=len(chosen) - len(missing),
        pairs=sum(count_pairs(scorer, relation, options) for relation in missing),
    )


@contextmanager
def _open_folder(path: Path, plan: bytes) -> Iterator[Path]:
    """The folder of finished relations, kept from attempts that asked the same; gone at the end."""
    folder = path.with_name(f".{path.name}.unfinished")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock_file(folder / ".lock") as held:
            if not held:
                raise RunError(
                    f"{path}: another process is writing this file; wait for it or stop it"
                )
            said = folder / "plan.json"
            if not said.is_file() or said.read_bytes() != plan:
                said.unlink(missing_ok=True)  # first: a crash here leaves nothing that fits
                for old in folder.glob("relation-*.bin"):
                    old.unlink()
                write_file(said, plan)
            for draft in (*folder.glob("output.partial*"), *folder.glob(".*.partial")):
                draft.unlink()
            yield folder
    except OSError as error:
        raise StorageError(
            f"{path}: could not be written: {error.strerror or error}; finished relations are "
            f"kept in {folder} until the file is complete"
        ) from error
    shutil.rmtree(folder, ignore_errors=True)


def _describe_plan(scorer: Scorer, options: BulkOptions) -> bytes:
    """All that the facts of a relation depend on."""
    fitted = None if scorer.calibration is None else scorer.calibration.outputs[options.output]
    with scorer.run.best_checkpoint.open("rb") as file:
        checkpoint = hashlib.file_digest(file, "sha256").hexdigest()
    plan = {
        "version": _VERSION,
        "checkpoint": checkpoint,
        "graph": scorer.run.data["fingerprint"],
        "calibration": None if fitted is None else asdict(fitted.map),
        "options": asdict(options),
    }
    return json.dumps(plan, sort_keys=True).encode() + b"\n"


def _load_relation(folder: Path, relation: int) -> FoundFacts | None:
    """The facts of a finished relation; None where it is not, or its file cannot be read."""
    try:
        return FoundFacts(**load_arrays((folder / f"relation-{relation}.bin").read_bytes()))
    except (OSError, SafetensorError, TypeError):
        return None


def _iterate_blocks(
    scorer: Scorer, options: BulkOptions, facts: FoundFacts
) -> Iterator[polars.DataFrame]:
    """Tables of what is to be written."""
    graph = scorer.graph
    entities, relations = (
        [polars.Series(texts, dtype=polars.String) for texts in (vocabulary.labels, names)]
        for vocabulary, names in (
            (graph.entities, graph.entity_names),
            (graph.relations, graph.relation_names),
        )
    )
    for start in range(0, len(facts), _BLOCK):
        block = facts[start : start + _BLOCK]
        columns: dict[str, Any] = {
            "rank": np.arange(start + 1, start + len(block) + 1),
            "probability": options.calibrate(scorer, block.scores),
            "score": block.scores,
            "tail_answer": block.tail_answers,
            "head_answer": block.head_answers,
        }
        for column, (labels, names), ids in (
            ("relation", relations, block.relations),
            ("head", entities, block.heads),
            ("tail", entities, block.tails),
        ):
            columns |= {column: labels.gather(ids), f"{column}_name": names.gather(ids)}
        yield polars.DataFrame({name: columns[name] for name in SCHEMA}, schema=SCHEMA)
