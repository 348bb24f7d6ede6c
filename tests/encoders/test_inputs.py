"""What is read to be encoded: texts put together, pictures opened with care, numbers scaled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.encoders import NumberTable
from momok.encoders.inputs import (
    MOST_ATTRIBUTES,
    MOST_CHARACTERS,
    read_entities,
    read_numeric_inputs,
    read_picture_inputs,
    read_text_inputs,
)
from momok.encoders.scaling import ScalingEncoder
from momok.errors import FeatureError, FormatError
from tests.encoders.tiny_pictures import draw_picture


class TestTexts:
    @pytest.mark.parametrize(
        ("name", "description", "text"),
        [
            ("France", "", "France"),
            ("France", "A country.", "France. A country."),
            ("France", "France is a country.", "France is a country."),
            ("France", "FRANCE · République", "FRANCE · République"),
            ("France", "France", "France"),
            ("France", " – ", "France"),
            ("", "A country.", "e0. A country."),
            ("😀", "", "😀"),
            ("中国", "中国是一个国家", "中国是一个国家"),
        ],
    )
    def test_name_and_description(self, graph_folder, name, description, text):
        folder = graph_folder(2, names={0: name}, descriptions={0: description})
        inputs = read_text_inputs(read_entities(folder), ("name", "description"))
        ((owners, items, problems),) = inputs.read(0, 1, 8)
        assert (owners.tolist(), list(items), problems) == ([0], [text], [])

    @pytest.mark.parametrize("name", ["Q42", "/m/0dgr", "m.0dgr_1", "0123456789abcdef" * 2, "P31"])
    def test_identifiers_are_no_texts(self, graph_folder, name):
        folder = graph_folder(2)
        path = folder / "entities.tsv"
        path.write_text(path.read_text().replace("e0\tName 0", f"{name}\t"))
        for split in ("train", "valid", "test"):
            facts = folder / f"{split}.tsv"
            facts.write_text(facts.read_text().replace("e0", name))
        inputs = read_text_inputs(read_entities(folder), ("name",))
        assert [(p.kind, p.label) for p in inputs.problems] == [("identifier", name)]

    def test_a_description_stands_without_the_identifier(self, graph_folder):
        folder = graph_folder(2, descriptions={0: "A writer."})
        path = folder / "entities.tsv"
        path.write_text(path.read_text().replace("e0\tName 0", "Q42\t"))
        inputs = read_text_inputs(read_entities(folder), ("name", "description"))
        assert next(inputs.read(0, 1, 1))[1] == ["A writer."]

    def test_a_given_name_is_a_name_whatever_it_looks_like(self, graph_folder):
        inputs = read_text_inputs(read_entities(graph_folder(2, names={0: "Q42"})), ("name",))
        assert inputs.problems == []

    def test_a_book_is_cut(self, graph_folder):
        folder = graph_folder(2, descriptions={0: "word " * 10_000})
        inputs = read_text_inputs(read_entities(folder), ("description", "name"))
        _, items, _ = next(inputs.read(0, 1, 1))
        assert len(items[0]) == MOST_CHARACTERS

    def test_other_columns(self, graph_folder):
        inputs = read_text_inputs(read_entities(graph_folder(3)), ("motto",))
        _, items, _ = next(inputs.read(0, 3, 3))
        assert list(items) == ["motto 0", "motto 1", "motto 2"]

    def test_nothing_at_all(self, graph_folder):
        with pytest.raises(FeatureError, match="none of the 3 entities has a text in description"):
            read_text_inputs(read_entities(graph_folder(3)), ("description",))


class TestPictures:
    def test_a_graph_with_a_link_out_of_it_is_refused(self, graph_folder, tmp_path):
        folder = graph_folder(3, pictures={0: ["a.png"]})
        draw_picture(1).save(tmp_path / "secret.png")
        (folder / "a.png").symlink_to(tmp_path / "secret.png")
        with pytest.raises(FormatError, match="not inside the folder"):
            read_picture_inputs(read_entities(folder))


class TestNumbers:
    @given(
        values=st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=200),
        scale=st.sampled_from(["quantile", "log"]),
    )
    @settings(max_examples=60, deadline=None)
    def test_order_is_kept_and_range_bounded(self, values, scale):
        table = NumberTable(("a",), np.array(values)[:, None])
        encoded = ScalingEncoder(scale, table).encode(list(table.values))
        assert (encoded[:, 1] == 1).all()
        assert (np.abs(encoded[:, 0]) <= (1 if scale == "quantile" else 4)).all()
        order = np.argsort(values, kind="stable")
        assert (np.diff(encoded[order, 0]) >= -1e-6).all()

    def test_quantiles_by_hand(self):
        table = NumberTable(("a",), np.array([[7.0], [7.0], [7.0], [100.0], [np.nan]]))
        encoded = ScalingEncoder("quantile", table).encode(list(table.values))
        # The middle of the ties of 7 is rank 1.5 of 4, that of 100 is 3.5: 2 p - 1.
        np.testing.assert_allclose(encoded[:, 0], [-0.25, -0.25, -0.25, 0.75, 0], atol=1e-7)
        assert encoded[:, 1].tolist() == [1, 1, 1, 1, 0]
        # A value between two, as a new entity may have: straight between their places.
        new = ScalingEncoder("quantile", table).encode([np.array([53.5])])
        np.testing.assert_allclose(new[0, 0], 0.25, atol=1e-7)

    def test_many_values_keep_their_places(self):
        values = np.random.default_rng(0).lognormal(0, 3, 5000)
        encoded = ScalingEncoder("quantile", NumberTable(("a",), values[:, None]))
        places = encoded.encode(list(values[:, None]))[:, 0]
        expected = 2 * (np.argsort(np.argsort(values)) + 0.5) / 5000 - 1
        assert np.abs(places - expected).max() < 2 / 32  # a step of the scale

    def test_logarithms_by_hand(self):
        values = np.array([0.0, 9.0, -9.0, 99.0])
        encoded = ScalingEncoder("log", NumberTable(("a",), values[:, None]))
        logs = np.array([0, np.log(10), -np.log(10), np.log(100)])
        expected = (logs - logs.mean()) / logs.std()
        result = encoded.encode(list(values[:, None]))[:, 0]
        np.testing.assert_allclose(result, expected, atol=1e-6)

    def test_a_constant_is_no_division_by_zero(self):
        table = NumberTable(("a",), np.full((5, 1), 3.0))
        for scale in ("quantile", "log"):
            assert (ScalingEncoder(scale, table).encode(list(table.values))[:, 0] == 0).all()

    def test_the_most_common_attributes_are_kept(self, graph_folder):
        lines = [f"e{i}\trare{i:03}\t{i}\n" for i in range(3)]
        lines += [f"e{i}\tcommon{j:03}\t1\n" for j in range(MOST_ATTRIBUTES - 1) for i in range(2)]
        folder = graph_folder(4, numbers="".join(lines))
        inputs, table = read_numeric_inputs(read_entities(folder))
        assert len(table.attributes) == MOST_ATTRIBUTES
        assert "rare000" in table.attributes
        assert inputs.settings["attributes_left_out"] == ["rare001", "rare002"]

    def test_there_are_none(self, graph_folder):
        with pytest.raises(FeatureError, match=r"numbers.tsv: no entity of the graph has a number"):
            read_numeric_inputs(read_entities(graph_folder(3)))
