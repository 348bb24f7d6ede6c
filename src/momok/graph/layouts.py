"""How facts are written in the lines of a file: line by line, and fast for whole blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["BENCHMARK_LAYOUT", "MOMOK_LAYOUT", "Layout"]


@dataclass(frozen=True)
class Layout:
    r"""How facts are written in lines.

    Attributes:
        split_line: gives the labels of any line, none for a blank one.
        straighten: gives the same block of lines with tabs and nothing else between labels, where
            that is quickly done, or None. What it gives is used only if each line has two tabs, and
            must then hold the labels that ``split_line`` gives.
    """

    split_line: Callable[[str], list[str]]
    straighten: Callable[[bytes], bytes | None]


# What sets labels apart by more than one sign, or is a dot or blank that is no part of a label.
_ODD_BESIDE_TABS = (b"\t\t", b"\t\n", b"\n\t", b"\t ", b" \t", b" \n", b"\n ", b"\t.\n")
_ODD_BESIDE_BLANKS = (b"  ", b" \n", b"\n ")


def _split_benchmark_line(line: str) -> list[str]:
    """Take a line apart at tabs, or at blanks where it has no tab; a lone last dot is dropped."""
    if "\t" in line:
        labels = [label.strip(" ") for label in line.split("\t")]
        if labels[-1].endswith(" ."):
            labels[-1] = labels[-1][:-2].rstrip(" ")
    else:
        labels = line.split(" ")
    if "" in labels:
        labels = [label for label in labels if label]
    if labels and labels[-1] == ".":
        del labels[-1]
    return labels


def _straighten_benchmark_lines(block: bytes) -> bytes | None:
    """Put tabs between labels where all lines of a block have tabs or all have single blanks."""
    straight = (b"\n" + block).replace(b" .\n", b"\n")
    with_tabs = b"\t" in block
    if any(signs in straight for signs in (_ODD_BESIDE_TABS if with_tabs else _ODD_BESIDE_BLANKS)):
        return None
    return straight[1:] if with_tabs else straight[1:].replace(b" ", b"\t")


def _split_momok_line(line: str) -> list[str]:
    """Take a line apart at tabs; a label that is empty is none."""
    return [label for label in line.split("\t") if label]


def _straighten_momok_lines(block: bytes) -> bytes | None:
    """The block as it is, unless a label may be empty."""
    odd = (b"\t\t", b"\t\n", b"\n\t")
    return None if block.startswith(b"\t") or any(signs in block for signs in odd) else block


BENCHMARK_LAYOUT = Layout(_split_benchmark_line, _straighten_benchmark_lines)
MOMOK_LAYOUT = Layout(_split_momok_line, _straighten_momok_lines)
