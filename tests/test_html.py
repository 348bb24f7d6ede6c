"""Tables in HTML: valid, escaped, and without colours of their own."""

from __future__ import annotations

import re

import html5lib

from momok.html import Share, render_pictures, render_table


def test_a_table() -> None:
    rows = [("image", 1234, 0.5, None), ("a & b", 2, 59.25, 1.0)]
    table = render_table("Title", rows, header=("head", "queries", "MRR", "x"), notes=["a note"])
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


def test_a_share_is_in_percent_over_a_bar() -> None:
    table = render_table("Title", [("image", Share(0.256)), ("text", Share(0.744, own=False))])
    cells = re.findall(r"background: (linear-gradient\(.*?%\))[^>]*>(.*?)<", table)
    assert [text for _, text in cells] == ["26%", "(74%)"]
    assert cells[0][0].endswith(" 26%, transparent 26%)")


def test_warnings_stand_before_notes() -> None:
    table = render_table("Title", [], notes=["a note"], warnings=["a leak", "no features"])
    assert re.findall(r"<div[^>]*>(.*?)</div>", table) == ["a leak", "no features", "a note"]
    assert table.count("border-left") == 2


def test_pictures() -> None:
    shown = render_pictures([("a & b", b"RIFF"), ("c", b"")])
    assert re.findall(r"<figcaption>(.*?)<", shown) == ["a &amp; b", "c"]
    assert 'src="data:image/webp;base64,UklGRg=="' in shown
    assert render_pictures([]) == ""


def test_rows_without_a_header_begin_with_their_name() -> None:
    table = render_table("Title", {"state": "finished"}.items())
    assert re.findall(r"<(t[hd])[^>]*>(\w+)</t", table) == [("th", "state"), ("td", "finished")]
    assert "<tr" not in render_table("Title", [])


def test_texts_of_others_are_escaped() -> None:
    table = render_table(
        "<b>", [("<script>alert(1)</script>", "\x1b[1m\u202e\"'")], notes=["<i>"], warnings=["<u>"]
    )
    tree = html5lib.HTMLParser(strict=True).parseFragment(table)
    names = {element.tag.rpartition("}")[2] for element in tree.iter() if "}" in str(element.tag)}
    assert names == {"table", "caption", "b", "tbody", "tr", "th", "td", "div"}
    assert "<script>alert(1)</script>" in "".join(tree.itertext())
    assert "\x1b" not in table
    assert "\u202e" not in table
