"""What a source is: told by the files of a folder, or by the name and first bytes of a file."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from momok.errors import DataError
from momok.graph.graph import SPLIT_NAMES, SplitName
from momok.graph.sources.compressed import is_member, list_members, name_content
from momok.graph.sources.folder_formats import FOLDER_FORMATS

_RDF = (".nt", ".ttl", ".rdf", ".owl", ".xml", ".jsonld", ".json", ".nq", ".trig", ".n3")
_PARQUET = (".parquet", ".pq")
_TABLES = (".csv", ".tsv", ".tab", ".txt", ".psv", "")
_KNOWN = (*_RDF, *_PARQUET, *_TABLES)
_SPLITS: dict[str, SplitName] = {
    **{"train": "train", "training": "train"},
    **{"valid": "valid", "validation": "valid", "val": "valid", "dev": "valid"},
    **{"test": "test", "testing": "test"},
}
FACTS = ("facts", "triples", "graph", "edges", "kg", "statements")
ENTITIES = ("entities", "nodes", "items")
_ZIP = b"PK\x03\x04"
_PICTURES = ("pictures", "images", "photos")


def detect_format(path: Path) -> tuple[str, str]:
    """Tell the format of a source, and why it is taken for it.

    Raises:
        DataError: there is no such file or folder, or a folder holds nothing that is known.
    """
    if path.is_dir():
        return _detect_folder(path)
    if not path.exists() and not is_member(path):
        raise DataError(f"{path}: there is no such file or folder")
    if is_container(path):
        return _detect_archive(path)
    suffix = Path(name_content(path)).suffix.lower()
    if suffix in _RDF:
        return "rdf", f"RDF by its name (*{suffix})"
    if suffix in _PARQUET:
        return "parquet", f"Parquet by its name (*{suffix})"
    return "table", f"a table by its name (*{suffix})" if suffix else "a table"


def is_container(path: Path) -> bool:
    """Tell folders, and zip archives of several files, from files."""
    if path.is_dir():
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        is_zip = file.read(len(_ZIP)) == _ZIP
    return is_zip and len(list_members(path)) > 1


def _detect_archive(path: Path) -> tuple[str, str]:
    if find_split_files(path) or find_named(path, FACTS):
        return "splits", "an archive with files of facts"
    members = list_members(path)
    raise DataError(
        f"{path}: holds {len(members):,} files, and none is named train, facts or triples; unpack "
        f"it, or name one, as in {path / members[0]}"
    )


def _detect_folder(path: Path) -> tuple[str, str]:
    for kind, known in FOLDER_FORMATS.items():
        if known.recognise(path):
            return kind, known.because
    if find_split_files(path):
        return "splits", "files named train, valid or test are there"
    if find_named(path, FACTS):
        return "splits", "a file of facts is there"
    present = sorted(entry.name for entry in path.iterdir())[:8]
    raise DataError(
        f"{path}: holds no graph that is known here: neither train, valid and test files, nor a "
        f"file named facts or triples, nor entity2id.txt, entities.txt or graph.json; it has "
        f"{', '.join(present) or 'nothing'}; name the files of facts themselves"
    )


def find_split_files(folder: Path) -> dict[SplitName, Path]:
    """Find the files of a folder that are named train, valid or test.

    Raises:
        DataError: two files may be the same split.
    """
    found: dict[SplitName, Path] = {}
    for path in _list_files(folder):
        split = _SPLITS.get(_bare_name(path))
        if split is None:
            continue
        if split in found:
            raise DataError(
                f"{folder}: both {found[split].name} and {path.name} may be the {split} facts; "
                f"give --train, --valid and --test"
            )
        found[split] = path
    return {split: found[split] for split in SPLIT_NAMES if split in found and "train" in found}


def find_named(folder: Path, names: Collection[str]) -> Path | None:
    """Find the one file of a folder, of any kind that is known, with one of the names.

    Raises:
        DataError: several have.
    """
    found = [path for path in _list_files(folder) if _bare_name(path) in names]
    if len(found) > 1:
        shown = " and ".join(path.name for path in found[:3])
        raise DataError(f"{folder}: {shown} may be meant; name the files themselves")
    return found[0] if found else None


def find_pictures(folder: Path) -> Path | None:
    """Find the folder of pictures beside the facts."""
    return next((folder / name for name in _PICTURES if (folder / name).is_dir()), None)


def _list_files(folder: Path) -> list[Path]:
    """List the files of a folder or archive whose names tell a format that is known."""
    if folder.is_dir():
        files = [path for path in folder.iterdir() if path.is_file()]
    else:
        files = [folder / member for member in list_members(folder)]
    return sorted(path for path in files if _is_known(path))


def _bare_name(path: Path) -> str:
    return path.name.split(".", 1)[0].lower()


def _is_known(path: Path) -> bool:
    packed = re.sub(r"\.(gz|gzip|bz2|xz|zst|zstd|zip)$", "", path.name.lower())
    return Path(packed).suffix in _KNOWN
