"""Reads the source packages: CLDR tables, flags, time zone database, subtag registry."""

from __future__ import annotations

import importlib.resources
import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NPM_PACKAGES = {
    "cldr-core": "48.2.0",
    "flag-icons": "7.5.0",
    "language-subtag-registry": "0.4.2",
}


def fetch_npm_packages(cache: Path) -> None:
    """Download and unpack the pinned npm packages that `cache` does not hold yet.

    Each lands in `cache/<name>-<version>/`. Nothing of a package is executed.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for name, version in NPM_PACKAGES.items():
        folder = cache / f"{name}-{version}"
        if folder.is_dir():
            continue
        archive = cache / f"{name}-{version}.tgz"
        if not archive.is_file():
            subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=cache, check=True)
        with tarfile.open(archive) as packed:
            packed.extractall(cache / f"{name}-{version}.part", filter="data")
        (cache / f"{name}-{version}.part" / "package").rename(folder)
        (cache / f"{name}-{version}.part").rmdir()


@dataclass(frozen=True)
class Sources:
    """Access to the unpacked npm packages and to the data of installed Python packages."""

    cache: Path

    def _npm(self, name: str) -> Path:
        return self.cache / f"{name}-{NPM_PACKAGES[name]}"

    def load_cldr(self, table: str) -> Any:
        """The supplemental CLDR table of that file name, without its two outer levels."""
        path = self._npm("cldr-core") / "supplemental" / f"{table}.json"
        return json.loads(path.read_text(encoding="utf-8"))["supplemental"][table]

    def load_script_metadata(self) -> dict[str, dict[str, Any]]:
        """CLDR's facts about scripts, by script code."""
        path = self._npm("cldr-core") / "scriptMetadata.json"
        scripts: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))[
            "scriptMetadata"
        ]
        return scripts

    def load_family_names(self) -> dict[str, str]:
        """English names of language collections (ISO 639-5 codes) in the IANA subtag registry."""
        path = self._npm("language-subtag-registry") / "data" / "json" / "registry.json"
        return {
            record["Subtag"]: record["Description"][0]
            for record in json.loads(path.read_text(encoding="utf-8"))
            if record.get("Scope") == "collection"
        }

    def flag_svg(self, country: str) -> Path:
        """The 4:3 flag of a country code."""
        return self._npm("flag-icons") / "flags" / "4x3" / f"{country.lower()}.svg"


def load_zone_countries() -> list[tuple[str, str]]:
    """Pairs (country code, zone name) of the time zone database's zone.tab, in file order."""
    text = (importlib.resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text("utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return [(row[0], row[2]) for row in rows]


def load_zone_aliases() -> dict[str, str]:
    """Alternative zone name -> the name it links to, from the time zone database."""
    text = (importlib.resources.files("tzdata") / "zoneinfo" / "tzdata.zi").read_text("utf-8")
    rows = [line.split() for line in text.splitlines() if line.startswith("L ")]
    return {alias: target for _, target, alias in rows}
