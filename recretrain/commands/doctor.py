"""`recretrain doctor`: the facts about a machine that a bug report should begin with."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from recretrain import __version__
from recretrain.configuration.compose import compose, conf_dir

PACKAGES = (
    "torch",
    "pytorch-lightning",
    "hydra-core",
    "omegaconf",
    "numpy",
    "pandas",
    "pyarrow",
    "duckdb",
    "hydra-joblib-launcher",
    "hydra-submitit-launcher",
)


def examine() -> str:
    return "\n".join(f"{name:<24} {value}" for name, value in _facts())


def _facts() -> Iterator[tuple[str, str]]:
    yield "recretrain", f"{__version__}, conf in {conf_dir()}"
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield from ((package, _version(package)) for package in PACKAGES)
    yield from _machine()
    yield from _folders()


def _machine() -> Iterator[tuple[str, str]]:
    import torch

    from recretrain.engine.machine import cores

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    yield "devices", ", ".join(["cpu", *gpus])
    yield "threads", f"{_threads(cores())}; {_waiting(os.environ.get('OMP_WAIT_POLICY', ''))}"
    yield "free memory", _free_memory()


def _threads(cores: int) -> str:
    return f"{cores} for a run alone, one a core, or fewer where more make its method no faster"


def _waiting(policy: str) -> str:
    """What threads that wait for each other do."""
    if policy.upper() == "ACTIVE":
        return "they spin while they wait (OMP_WAIT_POLICY=ACTIVE), which starves them beside any other busy process"
    return f"they sleep while they wait (OMP_WAIT_POLICY={policy}), so that busy neighbours do no harm"


def _folders() -> Iterator[tuple[str, str]]:
    from recretrain.preparation.prepare import list_sources

    paths = compose([])[0].paths
    for name in ("data", "cache", "outputs"):
        yield f"paths.{name}", f"{paths[name]}, {_free_disk(Path(paths[name]))} free"
    for source in list_sources(conf_dir(), Path(paths.data)):
        yield f"data={source['name']}", source["state"]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _free_memory() -> str:
    file = Path("/proc/meminfo")
    if not file.is_file():
        return "unknown here"
    kilobytes = dict(line.split()[:2] for line in file.read_text().splitlines())["MemAvailable:"]
    return f"{int(kilobytes) / 2**20:.1f} GB"


def _free_disk(folder: Path) -> str:
    existing = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    return f"{shutil.disk_usage(existing).free / 2**30:.1f} GB"
