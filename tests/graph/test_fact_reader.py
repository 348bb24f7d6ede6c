"""Files of facts, well-formed or not, against a reader that goes line by line."""

from __future__ import annotations

import codecs
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from momok.errors import FormatError
from momok.graph.fact_reader import read_facts, split_benchmark_lines, split_momok_lines
from momok.graph.text_files import FindingLog, read_lines


def split_benchmark_line(line):
    line = re.sub(r"[ \t]+\.?[ \t]*$", "", line)
    labels = [label.strip(" ") for label in line.split("\t" if "\t" in line else " ")]
    return [re.sub(r"^<([^\n]+)>$", r"\1", label) for label in labels if label]


def split_momok_line(line):
    return [label for label in line.split("\t") if label]


LAYOUTS = {
    "momok": (split_momok_lines, split_momok_line),
    "benchmark": (split_benchmark_lines, split_benchmark_line),
}

name = st.sampled_from(["a", "bb", "<a>", "漢字", "x y", ".", "a.", "\x85", "", "\r", "\ufeff"])
separator = st.sampled_from(["\t", " ", "  ", " \t", "\t\t", ""])
ending = st.sampled_from(["\n", "\r\n", " .\n", " . .\n", "\t.\n", " \n", "\n\n", "\r\r\n", "."])
odd_line = st.tuples(name, separator, name, separator, name, separator, name, ending).map("".join)
plain_name = st.sampled_from(["a", "bb", "<a>", "漢字", ".a", "\x85", "\0"])


@st.composite
def texts(draw):
    """Lines of facts in one style, or such lines with odd ones among them."""
    between = draw(st.sampled_from(["\t", " "]))
    end = draw(st.sampled_from(["\n", "\r\n", " .\n", " .\r\n"]))
    fact = st.tuples(plain_name, plain_name, plain_name).map(lambda f: between.join(f) + end)
    written = draw(st.lists(draw(st.sampled_from([fact, fact | odd_line])), max_size=12))
    mark = draw(st.sampled_from(["", "\ufeff"]))
    text = mark + "".join(written)
    return text.removesuffix("\n") if draw(st.booleans()) else text


def read(path, layout, *, strict=False):
    log = FindingLog(path.parent, strict)
    facts = read_facts(path, layout, log).facts
    return facts.drop("line").rows(), facts["line"].to_list(), log.findings


def read_line_by_line(content, split_line):
    facts, numbers, bad = [], [], []
    for number, line in enumerate(content.decode("utf-8-sig").split("\n"), 1):
        labels = split_line(line.removesuffix("\r"))
        if len(labels) == 3:
            facts.append(tuple(labels))
            numbers.append(number)
        elif labels:
            bad.append((number, labels))
    return facts, numbers, bad


@pytest.mark.parametrize("style", LAYOUTS)
@given(text=texts())
@example(text="a b c .\n")
@example(text="a\tb\tc d .\n")
@example(text="a\tb\t. .\n")
@example(text="a b . .\n")
@example(text="a  b\n")
@example(text="\ta\tb\n")
@example(text="a\t b\tc\n")
@example(text="a\tb \tc\n")
@example(text="a\tb\tc\r\n\n\r\nd\te\n")
@settings(deadline=None, max_examples=200)
def test_facts_lines_and_faults(tmp_path_factory, style, text):
    (layout, split_line), path = LAYOUTS[style], tmp_path_factory.mktemp("facts") / "train.txt"
    content = text.rstrip("\r").encode()  # which alone at the end is part of a label
    path.write_bytes(content)
    facts, numbers, bad = read_line_by_line(content, split_line)
    *found, findings = read(path, layout)
    assert found == [facts, numbers]
    assert [finding.count for finding in findings] == [len(bad)] * bool(bad)
    for finding in findings:
        assert [place.split(" ")[0] for place in finding.examples] == [
            f"train.txt:{number}:" for number, _ in bad[:5]
        ]
    if bad:
        with pytest.raises(FormatError) as caught:
            read(path, layout, strict=True)
        assert f"train.txt:{bad[0][0]}: {len(bad[0][1])} labels" in str(caught.value)


@pytest.mark.parametrize("bad", ["a\t\tc", "\ta\tc", "a\tc\t"])
def test_a_label_that_is_empty_is_none(tmp_path, bad):
    path = tmp_path / "train.txt"
    path.write_text(f"a\tb\tc\n{bad}\nd\te\tf\n")
    facts, lines, findings = read(path, split_momok_lines)
    assert (facts, lines) == ([("a", "b", "c"), ("d", "e", "f")], [1, 3])
    assert [finding.count for finding in findings] == [1]


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@given(before=st.integers(0, 30), broken=st.sampled_from([b"\xff", b"\xe4\xbd", b"\xc3\n"]))
@settings(deadline=None, max_examples=30)
def test_bytes_that_are_not_utf8_are_placed(tmp_path_factory, mark, before, broken):
    path = tmp_path_factory.mktemp("facts") / "train.tsv"
    text = ("a\tb\té\n" * 5).encode()[:before]
    text = text if text[-1:] != b"\xc3" else text[:-1]
    path.write_bytes(mark + text + broken + b"\na\tb\tc\n")
    said = rf"train.tsv:{text.count(10) + 1}: byte 0x{broken[0]:02x} is not UTF-8; save the file"
    with pytest.raises(FormatError, match=said):
        read(path, split_momok_lines)
    with pytest.raises(FormatError, match=said):
        read_lines(path)
