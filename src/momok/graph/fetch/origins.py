"""Where the benchmarks are published: addresses at fixed commits, sizes and hashes, as data.

The hashes are those of the files that the results in docs/results.md were measured on. Of the
authors' feature archive no hash is published: it is recorded when it is first fetched.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ORIGINS", "PublishedArchive", "PublishedFile", "PublishedGraph"]


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """One file at a public address.

    Attributes:
        name: its name in the folder of the graph.
        url: its address.
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
        page: the page that names it, for people.
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


_RAW = "https://raw.githubusercontent.com"
_MOMOK = f"{_RAW}/zjukg/MoMoK/376c5c295b3ace5bd95c8ed2a92e560545339096/datasets"
_MYGO = f"{_RAW}/zjukg/MyGO/50276d8d2bdb43496ca8685c748c59b64934efd4/data"
_MYGO_Y = f"{_RAW}/zjukg/MyGO/e2de998cd25c3bbe435a9c51ae0379c73fe139b5/data/MKG-Y"
_NATIVE = f"{_RAW}/zjukg/NATIVE/c5c864ec4749cbe70f654faa93361822c64bb353/benchmarks"

_ARCHIVE_ID = "1nRHdeWiVi9d_FKli3x7sO87ARasad39w"  # named in the README of zjukg/MoMoK


def _features(folder: str) -> PublishedArchive:
    return PublishedArchive(
        url=f"https://drive.usercontent.google.com/download?id={_ARCHIVE_ID}&export=download&confirm=t",
        page=f"https://drive.google.com/file/d/{_ARCHIVE_ID}/view",
        folder=folder,
    )


def _file(base: str, name: str, size: int, sha256: str) -> PublishedFile:
    return PublishedFile(name=name, url=f"{base}/{name}", size=size, sha256=sha256)


ORIGINS: dict[str, PublishedGraph] = {
    "MKG-W": PublishedGraph(
        files=(
            _file(
                f"{_MYGO}/MKG-W",
                "entity2id.txt",
                672_258,
                "805e2e9a9a8fff032e2caa17233d8ceaaf2356221c66d6ad3c17d31292d360f5",
            ),
            _file(
                f"{_MOMOK}/MKG-W",
                "relation2id.txt",
                6_652,
                "7035491ec0b2865e1220ec9491aafbcf3ff3d6c797816a0129735e0be9f2ea29",
            ),
            _file(
                f"{_MOMOK}/MKG-W",
                "train.txt",
                3_956_175,
                "66187e7d882a654915d8048897916ca8c5798e9c7df3a5b8ba8fab5d231cafcd",
            ),
            _file(
                f"{_MOMOK}/MKG-W",
                "valid.txt",
                494_720,
                "6840322036c394af6ab33be5c4f988edafbd48d61fdc9e3b9b485c42e6f5a2da",
            ),
            _file(
                f"{_MOMOK}/MKG-W",
                "test.txt",
                494_417,
                "f0cfb7b5091d8601d0298889533e4f128237a700207b5739d27c0d81152f8245",
            ),
        ),
        features=_features("MKG-W"),
    ),
    "MKG-Y": PublishedGraph(
        files=(
            _file(
                _MYGO_Y,
                "entity2id.txt",
                348_201,
                "ca7c45833c5454545e4ffbeb1e7dde6c5ff2548d6688c91ad44effc9d1095d06",
            ),
            _file(
                f"{_MOMOK}/MKG-Y",
                "relation2id.txt",
                388,
                "584d45c33a0d1003a28d08ee17507e8da21f3809491f1d511549a0287bdf8dcb",
            ),
            _file(
                f"{_MOMOK}/MKG-Y",
                "train.txt",
                1_003_671,
                "3be3e886268cade513b35429d7aa5e145f51692c2f2bedbd7ff7d60a7a6c263e",
            ),
            _file(
                f"{_MOMOK}/MKG-Y",
                "valid.txt",
                125_067,
                "bcc01dbedd4c25f87481ca47b00724a1de1808ec098d80e27fec595c13c8bae4",
            ),
            _file(
                f"{_MOMOK}/MKG-Y",
                "test.txt",
                125_073,
                "618b1a1ba2a1880e9cf0f56ae920b589df59a859442d4f1ff32a4e632c25bc4b",
            ),
        ),
        features=_features("MKG-Y"),
    ),
    "DB15K": PublishedGraph(
        files=(
            _file(
                f"{_MOMOK}/DB15K",
                "entity2id.txt",
                674_485,
                "e1e257f5850d0a3440a7020dc5c8af77664a60b69fa1869c45c2f20b8024020e",
            ),
            _file(
                f"{_MOMOK}/DB15K",
                "relation2id.txt",
                12_587,
                "bb002b2069d740a545dfa526c31bcd487aff0a5203db786f278e363c714f24ea",
            ),
            PublishedFile(
                name="train.txt",
                url=f"{_MYGO}/DB15K/train.txt",
                size=1_030_302,
                sha256="1631e7e8f7ab1a47fdc58634449b4be703c38f82dfaa68987f84cb9bc0cc9489",
                ids=True,
                written_sha256="0a9e724d71372f23432e5370e62bd8f94f6d37882be955deca460014d3f6e23c",
            ),
            _file(
                f"{_NATIVE}/DB15K",
                "valid.txt",
                1_355_449,
                "73e936ee24e11bd0fd31630a573ea3801da930c7fb6a7397ce0fed47f6f7f133",
            ),
            _file(
                f"{_NATIVE}/DB15K",
                "test.txt",
                1_335_480,
                "6c437beaaa65de21f910b447d0c02a5b3aac75ba91de9017eb72cf8495a2260f",
            ),
        ),
        features=_features("DB15K"),
    ),
    "KVC16K": PublishedGraph(
        files=(
            _file(
                f"{_MOMOK}/Kuai16K",
                "entity2id.txt",
                247_079,
                "7f65e608f23480e5dc0cb81230f2a948e1f42ff2ffd71b3328b0e9978b63472d",
            ),
            _file(
                f"{_MOMOK}/Kuai16K",
                "relation2id.txt",
                16,
                "f64081447d516d225669e1c018ee4377ad966243eff795952ae9cfb823511aa3",
            ),
            _file(
                f"{_MOMOK}/Kuai16K",
                "train.txt",
                4_074_788,
                "ebb91ee9d8a90cdfb58e06353ae2bf22f2086a477cd863a3945cfc289ea366aa",
            ),
            _file(
                f"{_MOMOK}/Kuai16K",
                "valid.txt",
                509_117,
                "b7f07994c9f27d604e4f50149dbff63bea54cdf560e31507a8d2dfa4a36d56db",
            ),
            _file(
                f"{_MOMOK}/Kuai16K",
                "test.txt",
                509_198,
                "0a7ec0e44221348858af5bfd4fa9775bd86f5b5395c90e306133b3758efc7d4a",
            ),
        ),
        features=_features("Kuai16K"),
    ),
}
