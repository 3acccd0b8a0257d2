"""Raw files become period files once; the same source and files give the same folder again."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from recretrain import yaml_files
from recretrain.errors import DataError
from recretrain.once import aside_of, forget_lock, only_one
from recretrain.preparation.checks import PARTS
from recretrain.preparation.contents import content_of
from recretrain.preparation.cut import Cut
from recretrain.preparation.period_files import build
from recretrain.preparation.sources.base import Source, flat, plain
from recretrain.preparation.sql import quoted
from recretrain.sealed import reading

FORMAT = 1  # of the prepared folder; part of its digest
MEMORY = "1GB"

log = logging.getLogger(__name__)


def prepare(source: Source, *, data_root: Path, cache: Path, memory: str = MEMORY) -> Path:
    """Return the folder of period files (docs/contracts.md) of this source, made if it does not exist yet.

    `memory` is the most that DuckDB may use, the rest goes to the disk.
    """
    raw, recipe, digest = _recipe(source, Path(data_root), Path(cache).absolute())
    folder = _folder(source, cache, digest)
    if not folder.is_dir():
        with only_one(folder):
            if not folder.is_dir():
                raw.make()
                card = recipe | {"source": raw.kind, "digest": digest}
                build(raw.source, raw.files, folder, card, memory)
    forget_lock(folder)
    return folder


def prepared_before(source: Source, cache: Path, digest: str) -> Path | None:
    """The folder of period files of this digest, without a look at the raw files; None if it is not there."""
    folder = _folder(source, cache, digest)
    return folder if folder.is_dir() else None


def digest_now(source: Source, *, data_root: Path, cache: Path) -> str:
    """The digest of what the source would be prepared as, by what is in its raw files now."""
    return _recipe(source, Path(data_root), Path(cache).absolute())[-1]


def _recipe(source: Source, data_root: Path, cache: Path) -> tuple[Raw, dict[str, Any], str]:
    raw = find_raw(source, data_root, cache)
    recipe = {
        "format": FORMAT,
        "name": source.name,
        "reader": type(source).__name__,
        "options": source.options(raw.files) | ({} if raw.brings_periods else {"cut": _cut_options(source.needed_cut)}),
        "files": raw.identity,
    }
    return raw, recipe, digest_of(recipe)


def _folder(source: Source, cache: Path, digest: str) -> Path:
    return Path(cache).absolute() / f"{source.name}-{digest}"


def describe(folder: Path) -> dict[str, Any]:
    """The contents of a prepared folder, for people: stream.json and what can be counted in the files."""
    card = _card(folder)
    periods = card["periods"]
    arrivals = {kind: _arrivals(folder / f"{kind}.parquet") for kind in ("users", "items")}
    for index, period in enumerate(periods):
        period |= {f"new_{kind}": count.get(index, 0) for kind, count in arrivals.items()}
        period |= _parts(folder / f"period_{index:03d}.parquet") if "part" in card["columns"] else {}
        period |= {"space": card["spaces"][period["space"]]} if "spaces" in card else {}
    files = quoted(folder / "period_*.parquet")
    repeats = f'SELECT count(*) - count(DISTINCT ("user", item)) FROM read_parquet({files})'
    return card | {
        "rows": sum(p["rows"] for p in periods),
        "start": periods[0]["start"],
        "end": periods[-1]["end"],
        "repeats": duckdb.connect().sql(repeats).fetchall()[0][0],
    }


def _card(folder: Path) -> dict[str, Any]:
    """What stream.json says of a prepared folder. Raises DataError where it is damaged, or not that of one."""
    with reading(folder / "stream.json") as file:
        card: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if not (isinstance(card, dict) and {"name", "columns", "periods"} <= card.keys() and card["periods"]):
            raise ValueError("it is not that of a prepared folder")
    return card


def list_sources(conf_dir: Path, data_root: Path) -> list[dict[str, str]]:
    """Every data set of conf/data: its name, summary, state (found, missing, generator, ...) and place."""
    return [_listed(file, Path(data_root)) for file in sorted((conf_dir / "data").glob("*.yaml"))]


def load_source(file: Path, **changes: Any) -> Source:
    """The source of one file of conf/data with the cut it chooses there; a change of a group keeps its other keys."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    node = yaml_files.read(file)
    for default in node.pop("defaults", []):
        if isinstance(default, dict) and (cut := default.get("/cut@cut")):
            node["cut"] = yaml_files.read(file.parents[1] / "cut" / f"{cut}.yaml")
    source = instantiate(OmegaConf.merge(node, changes), _convert_="all")
    if not isinstance(source, Source):
        raise TypeError(f"{file}: {node['_target_']} is not a Source")
    return source


@dataclass(frozen=True)
class Raw:
    """The raw files a folder is made from: the user's, or generated ones."""

    kind: str  # raw | synthetic
    source: Source  # finds and reads them
    root: Path
    identity: list[Any]  # their part of the digest

    @property
    def brings_periods(self) -> bool:
        return self.source.brings_periods(self.files)

    @property
    def files(self) -> list[Path]:
        return self.source.find(self.root)

    def make(self) -> None:
        """Write the files if they are generated ones and do not exist yet."""
        if self.kind == "raw":
            return
        folder = Path(self.source.path)
        with only_one(folder):
            if not folder.is_dir():
                log.info("%s: generating synthetic files in %s", self.source.name, folder)
                with aside_of(folder) as aside:
                    self.source.synthesize(aside)


def find_raw(source: Source, data_root: Path, cache: Path) -> Raw:
    """Decide between the user's files and generated ones; a DataError says what is missing and what to do."""
    if source.lacks(data_root):
        raise DataError(source.missing(data_root))
    files = [] if source.source == "synthetic" else source.find(data_root)
    if files:
        return Raw("raw", source, data_root, [[source.known_as(f), content_of(f, cache / ".contents")] for f in files])
    generator = source.needed_generator
    identity = [type(generator).__name__, generator.version, flat({"generator": generator})]
    folder = cache / "synthetic" / f"{source.name}-{digest_of(identity)}"
    return Raw("synthetic", replace(source, path=str(folder)), data_root, identity)


def digest_of(value: Any) -> str:
    text = json.dumps(plain(value), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _cut_options(cut: Cut) -> dict[str, Any]:
    return {"by": type(cut).__name__} | flat({"cut": cut})


def _listed(file: Path, data_root: Path) -> dict[str, str]:
    if "path: ???" in file.read_text():
        source = load_source(file, path="")
        return {"name": file.stem, "about": source.about.summary, "state": "yours", "path": "data.path=..."}
    source = load_source(file)
    where = str(source.place(data_root))
    return {"name": file.stem, "about": source.about.summary, "state": _state(source, data_root), "path": where}


def _state(source: Source, data_root: Path) -> str:
    try:
        if source.find(data_root):
            return "found"
    except DataError:
        return "incomplete"
    return "generator" if source.generator else "missing"


def _parts(period: Path) -> dict[str, int]:
    """Numbers of rows by part."""
    query = f"SELECT part, count(*) FROM read_parquet({quoted(period)}) GROUP BY part"
    counts = dict(duckdb.connect().sql(query).fetchall())
    return {part: counts.get(code, 0) for code, part in enumerate(PARTS)}


def _arrivals(vocabulary: Path) -> dict[int, int]:
    """Numbers of users (or items) by the period in which they appear first."""
    counts = f"SELECT first_period, count(*) FROM read_parquet({quoted(vocabulary)}) GROUP BY 1"
    return dict(duckdb.connect().sql(counts).fetchall())
