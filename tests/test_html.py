"""Tables in HTML: valid, escaped, and without colours of their own."""

from __future__ import annotations

import re

import html5lib

from momok.html import render_table


def test_a_table() -> None:
    rows = [("image", 1234, 0.5, None), ("a & b", 2, 59.25, 1.0)]
    table = render_table("Title", rows, header=("head", "queries", "MRR", "x"), note="a note")
    cells = re.findall(r"<t[hd][^>]*text-align: (\w+)[^>]*>(.*?)</t[hd]>", table)
    assert cells[:4] == [
        ("left", "head"),
        ("right", "queries"),
        ("right", "MRR"),
        ("right", "x"),
    ]
    assert [text for _, text in cells[4:]] == [
        *("image", "1,234", "0.5000", "–"),
        *("a &amp; b", "2", "59.2", "1.0000"),
    ]
    assert not re.search(r"[^-]color: (?!inherit)|background: (?!none)", table)
    assert "a note" in table


def test_rows_without_a_header_begin_with_their_name() -> None:
    table = render_table("Title", {"state": "finished"}.items())
    assert re.findall(r"<(t[hd])[^>]*>(\w+)</t", table) == [("th", "state"), ("td", "finished")]
    assert "<tr" not in render_table("Title", [])


def test_texts_of_others_are_escaped() -> None:
    table = render_table("<b>", [("<script>alert(1)</script>", "\x1b[1m\u202e\"'")], note="<i>")
    tree = html5lib.HTMLParser(strict=True).parseFragment(table)
    names = {element.tag.rpartition("}")[2] for element in tree.iter() if "}" in str(element.tag)}
    assert names == {"table", "caption", "b", "tbody", "tr", "th", "td", "div"}
    assert "<script>alert(1)</script>" in "".join(tree.itertext())
    assert "\x1b" not in table
    assert "\u202e" not in table
