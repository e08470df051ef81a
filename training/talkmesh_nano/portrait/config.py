"""Every number of the portrait finder's data and training; `load` reads overrides from JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..runs.config import overridden


@dataclass
class PortraitConfig:
    seed: int = 20250611
    folder: str = ".cache/portrait"
    threads: int = 1
    shards: int = 14
    avatars_per_shard: int = 40
    held_out: int = 80
    pictures_per_avatar: int = 6
    steps: int = 5000
    seconds: float = 0.0
    """Wall time after which a run ends, with its rate falling to that end; 0 is no limit."""
    batch: int = 32
    rate: float = 2e-3
    average: float = 0.997
    report_every: int = 200
    backgrounds: int = 300


def load(path: str | Path | None) -> PortraitConfig:
    """The defaults with the overrides of a JSON file. Raises ValueError for settings that do not exist."""
    return overridden(PortraitConfig(), path)


def smoke(folder: str) -> PortraitConfig:
    """A configuration that runs in seconds; it checks that the code runs, not the quality."""
    return PortraitConfig(
        folder=folder, shards=1, avatars_per_shard=2, held_out=2, pictures_per_avatar=2, steps=3, batch=8, report_every=2, backgrounds=12
    )
