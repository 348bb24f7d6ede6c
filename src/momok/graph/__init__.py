"""The multi-modal knowledge graph: in memory, on disk, and its splits."""

from momok.graph.benchmark_format import read_benchmark_folder
from momok.graph.catalog import CATALOG, CatalogEntry, load_graph
from momok.graph.exports import to_networkx, to_pyg, to_pykeen, to_rdf
from momok.graph.features import FeatureManifest, Features, load_features, save_features
from momok.graph.frames import graph_from_frames
from momok.graph.graph import SPLIT_NAMES, MultimodalGraph, Split, SplitName
from momok.graph.momok_format import read_momok_folder, write_momok_folder
from momok.graph.names import Vocabulary
from momok.graph.reductions import l2_normalise, pool
from momok.graph.splits import CLEAN_SPLIT_SEED, carve_validation, make_clean
from momok.graph.text_files import Finding
from momok.graph.triples import Triples

__all__ = [
    "CATALOG",
    "CLEAN_SPLIT_SEED",
    "SPLIT_NAMES",
    "CatalogEntry",
    "FeatureManifest",
    "Features",
    "Finding",
    "MultimodalGraph",
    "Split",
    "SplitName",
    "Triples",
    "Vocabulary",
    "carve_validation",
    "graph_from_frames",
    "l2_normalise",
    "load_features",
    "load_graph",
    "make_clean",
    "pool",
    "read_benchmark_folder",
    "read_momok_folder",
    "save_features",
    "to_networkx",
    "to_pyg",
    "to_pykeen",
    "to_rdf",
    "write_momok_folder",
]
