"""Where the benchmarks are published: addresses at fixed commits, sizes and hashes, as data.

The hashes are those of the files that the results in docs/results.md were measured on. Of the
authors' feature archive no hash is published: it is recorded when it is first fetched.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """One file at a public address.

    Attributes:
        size: its bytes, 0 where they are not known.
        sha256: its hash, hexadecimal; "" where none is known.
        ids: it holds facts as "head relation tail" ids of ``entity2id.txt`` and
            ``relation2id.txt``, tab separated, and is written with labels.
        written_sha256: if ``ids``, the hash of what is then written.
    """

    name: str
    url: str
    size: int
    sha256: str
    ids: bool = False
    written_sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class PublishedArchive:
    """The authors' feature files of several graphs in one zip archive.

    Attributes:
        url: what gives the file.
        folder: the part of a path in the archive that marks the files of one graph.
    """

    url: str
    page: str
    folder: str


@dataclass(frozen=True, kw_only=True)
class PublishedGraph:
    """The files of one graph, and the archive with its features where there is one."""

    files: tuple[PublishedFile, ...]
    features: PublishedArchive | None = None


_RAW = "https://raw.githubusercontent.com/zjukg"
_REPOSITORIES = {
    "MoMoK": f"{_RAW}/MoMoK/376c5c295b3ace5bd95c8ed2a92e560545339096/datasets",
    "MyGO": f"{_RAW}/MyGO/50276d8d2bdb43496ca8685c748c59b64934efd4/data",
    "MyGO-2": f"{_RAW}/MyGO/e2de998cd25c3bbe435a9c51ae0379c73fe139b5/data",
    "NATIVE": f"{_RAW}/NATIVE/c5c864ec4749cbe70f654faa93361822c64bb353/benchmarks",
}

# Repository, path, bytes and sha256 of every file.
_FILES = {
    "MKG-W": """
MyGO MKG-W/entity2id.txt 672258 805e2e9a9a8fff032e2caa17233d8ceaaf2356221c66d6ad3c17d31292d360f5
MoMoK MKG-W/relation2id.txt 6652 7035491ec0b2865e1220ec9491aafbcf3ff3d6c797816a0129735e0be9f2ea29
MoMoK MKG-W/train.txt 3956175 66187e7d882a654915d8048897916ca8c5798e9c7df3a5b8ba8fab5d231cafcd
MoMoK MKG-W/valid.txt 494720 6840322036c394af6ab33be5c4f988edafbd48d61fdc9e3b9b485c42e6f5a2da
MoMoK MKG-W/test.txt 494417 f0cfb7b5091d8601d0298889533e4f128237a700207b5739d27c0d81152f8245
""",
    "MKG-Y": """
MyGO-2 MKG-Y/entity2id.txt 348201 ca7c45833c5454545e4ffbeb1e7dde6c5ff2548d6688c91ad44effc9d1095d06
MoMoK MKG-Y/relation2id.txt 388 584d45c33a0d1003a28d08ee17507e8da21f3809491f1d511549a0287bdf8dcb
MoMoK MKG-Y/train.txt 1003671 3be3e886268cade513b35429d7aa5e145f51692c2f2bedbd7ff7d60a7a6c263e
MoMoK MKG-Y/valid.txt 125067 bcc01dbedd4c25f87481ca47b00724a1de1808ec098d80e27fec595c13c8bae4
MoMoK MKG-Y/test.txt 125073 618b1a1ba2a1880e9cf0f56ae920b589df59a859442d4f1ff32a4e632c25bc4b
""",
    "DB15K": """
MoMoK DB15K/entity2id.txt 674485 e1e257f5850d0a3440a7020dc5c8af77664a60b69fa1869c45c2f20b8024020e
MoMoK DB15K/relation2id.txt 12587 bb002b2069d740a545dfa526c31bcd487aff0a5203db786f278e363c714f24ea
MyGO DB15K/train.txt 1030302 1631e7e8f7ab1a47fdc58634449b4be703c38f82dfaa68987f84cb9bc0cc9489
NATIVE DB15K/valid.txt 1355449 73e936ee24e11bd0fd31630a573ea3801da930c7fb6a7397ce0fed47f6f7f133
NATIVE DB15K/test.txt 1335480 6c437beaaa65de21f910b447d0c02a5b3aac75ba91de9017eb72cf8495a2260f
""",
    "KVC16K": """
MoMoK Kuai16K/entity2id.txt 247079 7f65e608f23480e5dc0cb81230f2a948e1f42ff2ffd71b3328b0e9978b63472d
MoMoK Kuai16K/relation2id.txt 16 f64081447d516d225669e1c018ee4377ad966243eff795952ae9cfb823511aa3
MoMoK Kuai16K/train.txt 4074788 ebb91ee9d8a90cdfb58e06353ae2bf22f2086a477cd863a3945cfc289ea366aa
MoMoK Kuai16K/valid.txt 509117 b7f07994c9f27d604e4f50149dbff63bea54cdf560e31507a8d2dfa4a36d56db
MoMoK Kuai16K/test.txt 509198 0a7ec0e44221348858af5bfd4fa9775bd86f5b5395c90e306133b3758efc7d4a
""",
}

# Files of ids, with the sha256 of what is written: the same facts with labels.
_WITH_IDS = {
    ("DB15K", "train.txt"): "0a9e724d71372f23432e5370e62bd8f94f6d37882be955deca460014d3f6e23c"
}

_ARCHIVE = "1nRHdeWiVi9d_FKli3x7sO87ARasad39w"  # named in the README of zjukg/MoMoK
_ARCHIVE_FOLDERS = {"MKG-W": "MKG-W", "MKG-Y": "MKG-Y", "DB15K": "DB15K", "KVC16K": "Kuai16K"}


def _build_graph(name: str) -> PublishedGraph:
    files = []
    for repository, path, size, sha256 in map(str.split, _FILES[name].strip().splitlines()):
        file = path.rpartition("/")[2]
        files.append(
            PublishedFile(
                name=file,
                url=f"{_REPOSITORIES[repository]}/{path}",
                size=int(size),
                sha256=sha256,
                ids=(name, file) in _WITH_IDS,
                written_sha256=_WITH_IDS.get((name, file), ""),
            )
        )
    features = PublishedArchive(
        url=f"https://drive.usercontent.google.com/download?id={_ARCHIVE}&export=download&confirm=t",
        page=f"https://drive.google.com/file/d/{_ARCHIVE}/view",
        folder=_ARCHIVE_FOLDERS[name],
    )
    return PublishedGraph(files=tuple(files), features=features)


ORIGINS: dict[str, PublishedGraph] = {name: _build_graph(name) for name in _FILES}
