"""A folder of pictures: which file shows which entity.

A file belongs to an entity if its name without the suffix is the label, the last part of a label
with slashes (``Q42``, and ``m.0abc`` for ``/m/0abc``) or the name, percent-encoded or not; where
that says nothing, without regard to case, the Unicode form, blanks and characters that file names
dislike. Further pictures end in ``_1``, ``-2`` and so on, or lie in a folder of the entity's name.
Paths and URLs that the sources give are looked up in the folder too. Links that lead out of the
folder are not followed.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from momok.errors import DataError
from momok.graph.names import fold_name, strip_brackets
from momok.graph.sources.raw import RawGraph
from momok.graph.text_files import FindingLog, is_ordinary_file

PICTURE_SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".jfif")
)
_TEXTS = (".txt", ".md", ".csv", ".tsv", ".json", ".html", ".xml", ".db", ".ini")  # beside pictures
_AWKWARD = re.compile(r"[^\w.()+,'-]")
_COUNTER = re.compile(r"([_\- .]\d+| ?\(\d+\))$")
_CURIE = re.compile(r"[A-Za-z][\w.-]*:[^\s/:#]+")
_MAX_DEPTH = 8


def add_picture_folder(raw: RawGraph, folder: Path) -> RawGraph:
    """Add the pictures of a folder to the entities that their names tell.

    Raises:
        DataError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; expected a folder of pictures")
    refused: list[Path] = []
    other: list[Path] = []
    files = sorted(_list_pictures(folder, folder.resolve(), refused, other))
    if not files:
        raise DataError(
            f"{folder}: has no picture ({', '.join(sorted(PICTURE_SUFFIXES))}); expected files "
            f"named by the labels of the entities"
        )
    by_path = _index_files(files)
    pictures = {label: _look_up(paths, by_path) for label, paths in raw.pictures.items()}
    used = {path for paths in pictures.values() for path in paths}
    by_name = _index_labels(raw)
    unmatched = []
    for file in files:
        label = _find_label(file, folder, by_name)
        if label is None:
            if str(file) not in used:
                unmatched.append(file)
        elif str(file) not in pictures.setdefault(label, []):
            pictures[label].append(str(file))
    log = FindingLog(folder, strict=False, findings=list(raw.findings))
    for kind, paths, what in (
        ("unknown-picture", unmatched, "are named like no entity; left out"),
        ("outside-picture", refused, "are links that lead out of it; not followed"),
    ):
        places = (str(path.relative_to(folder)) for path in sorted(paths))
        log.report(kind, f"pictures of {folder} {what}", places, len(paths))
    kinds = Counter(path.suffix.lower() or "none" for path in other)
    message = f"files of {folder} are of kinds that are not read ({', '.join(sorted(kinds))})"
    places = (str(path.relative_to(folder)) for path in sorted(other))
    log.report("unread-picture", message, places, len(other))
    note = (
        f"{folder}: {len(files) - len(unmatched):,} of {len(files):,} pictures belong to entities"
    )
    if len(unmatched) == len(files):
        wanted = _AWKWARD.sub("_", _find_last_part(raw.entities[0]))
        note += f"; a picture of {raw.entities[0]!r} should be called {wanted + files[0].suffix!r}"
    return replace(raw, pictures=pictures, findings=log.findings, notes=[*raw.notes, note])


def keep_inside(raw: RawGraph, roots: Iterable[Path]) -> RawGraph:
    """Leave out picture paths that lead out of all the folders given; URLs are no paths.

    A table from elsewhere must not be able to name any file of this machine.
    """
    inside = [Path(os.path.realpath(root)) for root in roots]
    outside: list[str] = []
    pictures: dict[str, list[str]] = {}
    for label, paths in raw.pictures.items():
        for path in paths:
            real = Path("/" if "\0" in path else os.path.realpath(path))
            if "://" in path or any(real.is_relative_to(root) for root in inside):
                pictures.setdefault(label, []).append(path)
            else:
                outside.append(f"{label}: {path}")
    log = FindingLog(Path(), strict=False, findings=list(raw.findings))
    message = (
        "pictures lie outside of the folders of the sources; left out (--pictures FOLDER says "
        "where pictures may be)"
    )
    log.report("outside-picture", message, outside, len(outside))
    return replace(raw, pictures=pictures, findings=log.findings)


def _list_pictures(
    folder: Path, root: Path, refused: list[Path], other: list[Path], depth: int = 0
) -> Iterator[Path]:
    """List the picture files at any depth; links that lead out of the root are refused.

    Files of other kinds, but for hidden ones and texts, are noted in ``other``.
    """
    for entry in os.scandir(folder):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if depth < _MAX_DEPTH:
                yield from _list_pictures(path, root, refused, other, depth + 1)
        elif path.suffix.lower() in PICTURE_SUFFIXES:
            if entry.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
                refused.append(path)
            elif is_ordinary_file(path):
                yield path
        elif (
            path.name[0] != "."
            and path.suffix.lower() not in _TEXTS
            and entry.is_file(follow_symlinks=False)
        ):
            other.append(path)


def _index_labels(raw: RawGraph) -> dict[str, str]:
    """Give the label of every file name that may stand for it.

    Labels themselves come first, then their last parts, then names, then the same loosely; a name
    that may stand for two entities of one kind stands for neither.
    """
    parts = {label: _find_last_part(label) for label in raw.entities}
    freebase = {
        label: re.sub("^/(.+)/", r"\1.", label) for label in raw.entities if label[0] == "/"
    }
    names = {label: raw.names[label] for label in raw.entities if label in raw.names}
    own = {label: label for label in raw.entities}
    index: dict[str, str] = {}
    paths = {label: label.strip("/") for label in freebase}
    kinds = (own, parts, freebase, names, paths)
    loose = [
        {label: simplify(text) for label, text in kind.items()}
        for simplify in (make_file_name, _simplify)
        for kind in kinds
    ]
    for kind in (*kinds, *loose):
        found: dict[str, str] = {}
        counts = Counter(kind.values())
        found.update({text: label for label, text in kind.items() if counts[text] == 1})
        index = {**found, **index}
    return index


def _find_last_part(label: str) -> str:
    """The part of a label that names the thing: ``Q42`` of an IRI, ``<IRI>`` or ``wd:Q42``."""
    plain = strip_brackets(label).rstrip("/#")
    if _CURIE.fullmatch(plain):
        return plain.partition(":")[2]
    return re.split("[/#]", plain)[-1]


def split_paths(cell: str) -> list[str]:
    """Take the paths and addresses of a cell apart: ``a.jpg|b.jpg``, ``a.jpg; b.jpg``, a list."""
    if cell[0] == "[" and cell[-1] == "]":  # as Python and JSON print it
        found = re.findall(r"""'([^']*)'|"([^"]*)\"""", cell)
        return [one or other for one, other in found if one or other]
    several = re.split(r"\||;\s*(?=\S+://)" if "://" in cell else r"[|;]", cell)
    paths = [text.strip() for one in several for text in _split_names(one)]
    return [text if "://" in text else text.replace("\\", "/") for text in paths if text]


def _split_names(text: str) -> list[str]:
    """Split at commas or blanks where each part is a name of a picture, as in ``a.jpg, b.jpg``."""
    for between in (",", None):
        parts = text.split(between)
        suffixes = {Path(part.strip()).suffix.lower() for part in parts}
        if len(parts) > 1 and suffixes <= PICTURE_SUFFIXES:
            return parts
    return [text]


def make_file_name(label: str) -> str:
    """Give a label as file names are compared: folded, with ``_`` for what they dislike."""
    return _AWKWARD.sub("_", fold_name(label))


def _simplify(label: str) -> str:
    """The same with ``_`` for all that is no letter or digit."""
    return re.sub(r"[\W_]+", "_", fold_name(label)).strip("_")


def _find_label(file: Path, folder: Path, by_name: dict[str, str]) -> str | None:
    parents = reversed(file.relative_to(folder).parts[:-1])  # the nearest first
    stem = file.stem
    plain = _COUNTER.sub("", stem)
    names = [file.name, stem, unquote(stem), plain, unquote(plain)]
    names += [name for parent in parents for name in (parent, unquote(parent))]
    for name in (*names, *map(make_file_name, names), *map(_simplify, names)):
        if name and name in by_name:
            return by_name[name]
    return None


def _index_files(files: Iterable[Path]) -> dict[str, str]:
    """Give the file that a path, the last part of a URL, or a name without a suffix may mean.

    Names come first, then names loosely; one that two files have means neither.
    """
    index: dict[str, str] = {}
    paths = list(files)
    for kind in (
        [path.name for path in paths],
        [make_file_name(path.name) for path in paths],
        [make_file_name(path.stem) for path in paths],
    ):
        counts = Counter(kind)
        found = zip(kind, map(str, paths), strict=True)
        index = {**{name: path for name, path in found if counts[name] == 1}, **index}
    return index


def _look_up(paths: list[str], index: dict[str, str]) -> list[str]:
    """Find given paths and URLs among the files of the folder; keep those that are not there."""
    found = []
    for path in paths:
        name = unquote(path.rsplit("/", 1)[-1])
        if "://" not in path and is_ordinary_file(Path(path)):
            found.append(path)
        else:
            found.append(index.get(name) or index.get(make_file_name(name)) or path)
    return found
