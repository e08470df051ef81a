"""Every size and number of the decoder and its training in one place; `load` reads overrides from JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..runs.config import overridden


@dataclass
class PatchSize:
    """A box around a landmark, in pixels of the 256-pixel picture; all even, so that chroma stays aligned."""

    width: int
    height: int
    above: int
    """Rows above the landmark."""
    feather: int = 4
    """Pixels over which the residual fades to nothing at the border."""


@dataclass
class PatchNetSize:
    numbers: int
    """Rig numbers that drive the patch."""
    coarse: int = 48
    fine: int = 24
    blocks: int = 3
    code: int = 16
    hidden: int = 128
    slide: tuple[float, float] | None = None
    """For eyes: pixels by which the reference may slide per unit of the second and third number (gaze), before it is edited."""


@dataclass
class FlowNetSize:
    width: int = 40
    fields: int = 24
    size: int = 32
    """Pixels a side of the flow fields as they are first made."""
    refine: int = 24
    """Channels of a second pass that sharpens the fields at twice that size; 0 leaves it out."""

    @property
    def final_size(self) -> int:
        return self.size * (2 if self.refine else 1)


@dataclass
class StageTraining:
    steps: int
    avatars_per_step: int = 8
    samples_per_avatar: int = 3
    rate: float = 2e-3
    warmup_steps: int = 50
    cooldown: float = 0.3
    """Share of the steps at the end over which the rate falls to 2 %."""
    average: float = 0.998
    """Decay of the running average of the weights, which is what is exported."""
    blend: float = 1.0
    """Share of a run's weights in what is exported; the rest is the weights it started from."""
    width_weight: float = 0.0
    """Mouth only: weight of the error in the lips' width, which counts every avatar alike whatever its contrast."""
    focus: tuple[str, ...] = ()
    """Mouth only: designed avatars that get `focus_share` of the draws, half of them narrow, nearly closed mouths."""
    focus_share: float = 0.5
    mouth_weight: float = 1.0
    """Flow only: how much more than elsewhere errors count in the box around the mouth."""
    report_every: int = 100


@dataclass
class DecoderConfig:
    seed: int = 20250604
    folder: str = ".cache/decoder"
    run: str = ""
    """Folder of checkpoints and curves inside `folder`; files that are missing there are taken from `folder` itself."""
    threads: int = 1
    shards: int = 10
    hard_shards: int = 0
    """Number of shards, counted from the last, that hold only beards and robots."""
    avatars_per_shard: int = 44
    held_out: int = 24
    mouth_samples: int = 96
    eye_samples: int = 64
    mouth_patch: PatchSize = field(default_factory=lambda: PatchSize(80, 56, 20))
    eye_patch: PatchSize = field(default_factory=lambda: PatchSize(48, 64, 44))
    mouth_net: PatchNetSize = field(default_factory=lambda: PatchNetSize(5))
    eye_net: PatchNetSize = field(default_factory=lambda: PatchNetSize(6, coarse=40, fine=20, blocks=2, slide=(3.0, 2.0)))
    flow_net: FlowNetSize = field(default_factory=FlowNetSize)
    mouth: StageTraining = field(default_factory=lambda: StageTraining(5200))
    eyes: StageTraining = field(default_factory=lambda: StageTraining(6600, cooldown=0.2))
    flow: StageTraining = field(default_factory=lambda: StageTraining(1500, avatars_per_step=8, samples_per_avatar=1, rate=1e-3))

    def checkpoint(self, stage: str) -> Path:
        """Where a run writes the checkpoint of a stage."""
        return Path(self.folder) / self.run / f"checkpoint_{stage}.pt"

    def trained(self, stage: str) -> Path:
        """The checkpoint of a stage to use: that of the run, else the one it started from."""
        own = self.checkpoint(stage)
        return own if own.exists() else Path(self.folder) / own.name


def load(path: str | Path | None) -> DecoderConfig:
    """The defaults with the overrides of a JSON file. Raises ValueError for settings that do not exist."""
    return overridden(DecoderConfig(), path)


def smoke(folder: str) -> DecoderConfig:
    """A configuration that runs every stage in seconds; it checks that the code runs, not the quality."""
    config = DecoderConfig(folder=folder, shards=1, avatars_per_shard=2, held_out=1, mouth_samples=4, eye_samples=3)
    for stage in (config.mouth, config.eyes, config.flow):
        stage.steps, stage.avatars_per_step, stage.samples_per_avatar, stage.report_every = 3, 2, 2, 2
    config.flow.samples_per_avatar = 1
    return config


def as_dict(config: DecoderConfig) -> dict[str, Any]:
    return asdict(config)
