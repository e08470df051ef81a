"""Training pictures of the portrait finder: drawn faces of any place, size and light, and pictures without such a face.

python3 -m talkmesh_nano.portrait.data [--config FILE] [--first N] [--count N] draws the shards; batches are made from them
while training, since what varies most (place, size, background, artefacts) costs little to draw again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

import numpy as np
import torch

from ..motion.rig import INDEX, NEUTRAL
from ..render.avatar import Avatar
from ..render.avatars import DESIGNED, AvatarSpec, random_spec
from ..render.pose import PICTURE_LEFT, PICTURE_SIZE, PICTURE_TOP, SCALE, layer_sources, sample_layers
from ..runs.config import write_shards
from .config import PortraitConfig, load

HELD_OUT_SEED = 900_000
TRAIN_SEED = 400_000
ATTRIBUTES = ("mouth_open", "blink", "yaw", "pitch")


def portrait_rig(rng: np.random.Generator) -> np.ndarray:
    """A random rig row for a still picture: often neutral, sometimes speaking, blinking or turned."""
    rig = NEUTRAL.copy()
    if rng.random() < 0.5:
        rig[INDEX["mouth_open"]] = rng.random() ** 1.2
        rig[INDEX["mouth_width"]] = rng.random()
        rig[INDEX["mouth_round"]] = rng.random() if rng.random() < 0.4 else 0.0
        rig[INDEX["mouth_teeth"]] = rng.random()
    rig[INDEX["smile"]] = rng.uniform(-0.1, 0.9)
    if rng.random() < 0.25:
        rig[INDEX["blink"]] = rng.choice([1.0, rng.random()])
    rig[INDEX["gaze_x"]], rig[INDEX["gaze_y"]] = rng.uniform(-1, 1, 2) * rng.choice([0.2, 1.0])
    rig[INDEX["brow"]] = rng.uniform(-1, 1)
    if rng.random() < 0.7:
        rig[INDEX["yaw"]], rig[INDEX["pitch"]], rig[INDEX["roll"]] = rng.uniform(-1.5, 1.5, 3) * rng.choice([0.3, 1.0])
        rig[INDEX["shift_x"]], rig[INDEX["shift_y"]] = rng.uniform(-1, 1, 2)
    return rig.astype(np.float32)


def posed_landmarks(avatar: Avatar, sources: torch.Tensor) -> np.ndarray:
    """Where the landmarks are in the posed picture, float32 [3, 2] pixels; `sources` [h, w, 2] is the head layer's map."""
    found = []
    for x, y in avatar.landmarks / SCALE + (PICTURE_LEFT, PICTURE_TOP):
        away = (sources[..., 0] - x).square() + (sources[..., 1] - y).square()
        row, column = divmod(int(away.argmin()), away.shape[1])
        found.append((column + 0.5, row + 0.5))
    return np.array(found, np.float32)


def portrait(avatar: Avatar, rig: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The posed picture with the figure's opacity as a fourth channel, uint8 [256, 256, 4], and its landmarks [3, 2]."""
    numbers = torch.from_numpy(rig)[None]
    sources = layer_sources(numbers, avatar.geometry[None], PICTURE_SIZE)
    frame, coverage = avatar._backdrop_pixels, torch.zeros(PICTURE_SIZE, PICTURE_SIZE)
    for layer in sample_layers(avatar.layers(rig)[None], sources)[0]:
        frame = layer[:3] + frame * (1 - layer[3:])
        coverage = layer[3] + coverage * (1 - layer[3])
    pixels = (torch.cat([frame, coverage[None]]) * 255).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(1, 2, 0).numpy(), posed_landmarks(avatar, sources[0, 2])


def shard_specs(config: PortraitConfig, shard: int) -> list[AvatarSpec]:
    """Identities of a shard: shard 0 begins with the designed ones, shard -1 is never trained on."""
    if shard < 0:
        return [random_spec(HELD_OUT_SEED + i) for i in range(config.held_out)]
    first = TRAIN_SEED + shard * config.avatars_per_shard
    drawn = [random_spec(first + i) for i in range(config.avatars_per_shard)]
    return [*DESIGNED, *drawn][: config.avatars_per_shard] if shard == 0 else drawn


def shard_path(config: PortraitConfig, shard: int, part: str) -> Path:
    return Path(config.folder) / f"{'held_out' if shard < 0 else f'shard_{shard:02d}'}_{part}.npy"


def write_shard(config: PortraitConfig, shard: int) -> None:
    """Draw one shard. The file of pictures gets its name last, so that a reader finds complete shards only."""
    Path(config.folder).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(config.seed + 104_729 * (shard + 2))
    pictures, landmarks, rigs = [], [], []
    for spec in shard_specs(config, shard):
        avatar = Avatar(spec)
        for _ in range(config.pictures_per_avatar):
            rig = portrait_rig(rng)
            picture, points = portrait(avatar, rig)
            pictures.append(picture)
            landmarks.append(points)
            rigs.append(rig[[INDEX[name] for name in ATTRIBUTES]])
    for part, rows in (("landmarks", landmarks), ("attributes", rigs), ("pictures", pictures)):
        partial = shard_path(config, shard, part).with_suffix(".partial.npy")
        np.save(partial, np.stack(rows))
        partial.rename(shard_path(config, shard, part))


class Portraits:
    """The shards drawn so far. Raises FileNotFoundError when there are none."""

    def __init__(self, config: PortraitConfig, held_out: bool = False) -> None:
        self.config, self.held_out = config, held_out
        self.parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._numbers: Sequence[int] = [-1] if held_out else range(config.shards)
        self._seen: set[int] = set()
        self.refresh()
        if not self.parts:
            raise FileNotFoundError(f"no pictures in {config.folder}; run python3 -m talkmesh_nano.portrait.data first")

    def refresh(self) -> None:
        """Picks up shards that appeared since."""
        for number in self._numbers:
            if number not in self._seen and shard_path(self.config, number, "pictures").exists():
                self._seen.add(number)
                names = ("pictures", "landmarks", "attributes")
                self.parts.append(tuple(np.load(shard_path(self.config, number, name), mmap_mode="r") for name in names))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return sum(len(part[0]) for part in self.parts)

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One picture [256, 256, 4], its landmarks and its attributes."""
        return self.at(int(rng.integers(len(self))))

    def at(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        for pictures, landmarks, attributes in self.parts:
            if index < len(pictures):
                return pictures[index], landmarks[index], attributes[index]
            index -= len(pictures)
        raise IndexError(index)


def main() -> None:
    write_shards(__doc__, load, write_shard)


if __name__ == "__main__":
    main()
