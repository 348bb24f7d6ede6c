"""Accepted facts as files: tab-separated labels, as graphs have them, and N-Triples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from starlette.responses import StreamingResponse

from momok.graph.names import flatten
from momok.prediction.missing.files import to_iri
from momok.serving.reviews import Fact
from momok.serving.service import Service

__all__ = ["MEDIA_TYPES", "ExportFormat", "export_accepted", "to_ntriples", "to_tsv"]

ExportFormat = Literal["tsv", "ntriples"]
MEDIA_TYPES: dict[ExportFormat, str] = {
    "tsv": "text/tab-separated-values; charset=utf-8",
    "ntriples": "application/n-triples; charset=utf-8",
}
_ENDINGS: dict[ExportFormat, str] = {"tsv": "tsv", "ntriples": "nt"}
_BATCH = 500


async def export_accepted(service: Service, form: ExportFormat) -> StreamingResponse:
    """The accepted facts as a file, sent while it is read."""
    write = to_tsv if form == "tsv" else to_ntriples
    name = re.sub(r"[^A-Za-z0-9._-]", "-", service.model.predictor.graph.name) or "graph"

    def lines() -> Iterator[bytes]:
        part: list[str] = []
        for review in service.store.iterate_accepted():
            part.extend(write([review.fact]))
            if len(part) >= _BATCH:
                yield "".join(part).encode()
                part.clear()
        yield "".join(part).encode()

    disposition = f'attachment; filename="{name}-accepted.{_ENDINGS[form]}"'
    return StreamingResponse(
        lines(),
        media_type=MEDIA_TYPES[form],
        headers={"content-disposition": disposition},
    )


def to_tsv(facts: Iterable[Fact]) -> Iterator[str]:
    """Lines of head, relation and tail label, without a header: as the splits of a graph."""
    for fact in facts:
        yield "\t".join(map(flatten, fact)) + "\n"


def to_ntriples(facts: Iterable[Fact]) -> Iterator[str]:
    """N-Triples; a label that is no IRI becomes ``urn:momok:entity/...``, percent-encoded."""
    for head, relation, tail in facts:
        parts = to_iri(head, "entity"), to_iri(relation, "relation"), to_iri(tail, "entity")
        yield " ".join(parts) + " .\n"
