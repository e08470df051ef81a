"""Training data of the decoder: shards of avatars with mouth patches, eye patches and pose layers, drawn from seeds.

python3 -m talkmesh_nano.decoder.data [--config FILE] [--first N] [--count N]
"""

from __future__ import annotations

from itertools import count as count_from
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from ..motion.rig import INDEX, LOW, NEUTRAL
from ..render.avatar import Avatar, Box, PatchDrawer
from ..render.avatars import DESIGNED, AvatarSpec, random_spec
from ..render.pose import MARGIN, PICTURE_SIZE
from ..runs.config import write_shards
from .config import DecoderConfig, PatchSize, load
from .pixels import pack

HELD_OUT_SEED = 900_000
TRAIN_SEED = 1_000
HARD_SEED = 500_000
MOUTH_NUMBERS = ("mouth_open", "mouth_width", "mouth_round", "mouth_teeth", "smile")
EYE_NUMBERS = ("blink", "gaze_x", "gaze_y", "brow", "smile")
POSE_NUMBERS = ("yaw", "pitch", "roll", "shift_x", "shift_y", "breath", "mouth_open")
POSE_SCALE = np.float32([0.45, 0.4, 0.4, 0.7, 0.6, 0.7, 0.4])


SWING_OPENINGS = 5
"""Number of mouth openings, from 0 to 1, for which the effect of the width is stored."""
SWING_SMILES = (0.0, 0.3, 0.6)


def columns(names: tuple[str, ...]) -> list[int]:
    return [INDEX[name] for name in names]


def patch_box(x: float, y: float, patch: PatchSize) -> Box:
    """The box around a landmark, with its corner on an even pixel."""
    left = 2 * int(np.round((x - patch.width / 2) / 2))
    top = 2 * int(np.round((y - patch.above) / 2))
    return left, top, left + patch.width, top + patch.height


def random_mouth(rng: np.random.Generator) -> np.ndarray:
    """A rig whose mouth numbers cover what speech uses and the corners of the space."""
    rig = NEUTRAL.copy()
    plain = rng.random() < 0.4
    rig[INDEX["mouth_open"]] = 0.0 if rng.random() < 0.15 else rng.random() ** 1.3
    rig[INDEX["mouth_width"]] = np.clip(rng.normal(0.5, 0.15), 0, 1) if plain else rng.random()
    rig[INDEX["mouth_round"]] = rng.random() ** 1.5 if rng.random() < 0.7 else 0.0
    rig[INDEX["mouth_teeth"]] = rng.random()
    rig[INDEX["smile"]] = np.clip(rng.normal(0.27, 0.1), LOW[INDEX["smile"]], 0.9) if plain else rng.uniform(-0.1, 0.9)
    return rig


def random_eyes(rng: np.random.Generator) -> np.ndarray:
    """A rig whose eye numbers cover blinks, gaze and brows."""
    rig = NEUTRAL.copy()
    kind = rng.random()
    rig[INDEX["blink"]] = 0.0 if kind < 0.4 else 1.0 if kind < 0.52 else rng.random()
    spread = 1.0 if rng.random() < 0.6 else 0.25
    for name in ("gaze_x", "gaze_y"):
        rig[INDEX[name]] = rng.uniform(-spread, spread)
    rig[INDEX["brow"]] = np.clip(rng.normal(0, 0.5), -1, 1)
    rig[INDEX["smile"]] = np.clip(rng.normal(0.3, 0.2), -0.1, 0.9)
    return rig


def random_pose(rng: np.random.Generator, count: int) -> np.ndarray:
    """Rig rows [count, 15] with random head poses and mouth openings."""
    rig = np.tile(NEUTRAL, (count, 1))
    numbers = rng.normal(size=(count, len(POSE_NUMBERS))).astype(np.float32) * POSE_SCALE * rng.uniform(0.3, 1.5, (count, 1))
    numbers = np.clip(numbers, -1.5, 1.5)
    numbers[:, -1] = np.abs(numbers[:, -1]).clip(0, 1)
    rig[:, columns(POSE_NUMBERS)] = numbers
    return rig.astype(np.float32)


def eye_number_rows(rigs: np.ndarray, side: int) -> np.ndarray:
    """Input of the eye network, [n, 6]: the eye numbers with gaze mirrored for the right eye, and the side."""
    rows = rigs[:, columns(EYE_NUMBERS)].copy()
    if side > 0:
        rows[:, 1] *= -1
    return np.concatenate([rows, np.full((len(rows), 1), side, np.float32)], 1)


def oriented(picture: np.ndarray, side: int) -> np.ndarray:
    """Right eyes are shown to the network mirrored, so that it learns one kind of eye."""
    return picture[:, ::-1] if side > 0 else picture


def width_swing(drawer: PatchDrawer) -> np.ndarray:
    """Where, and by how many levels, the narrowest and the widest mouth differ, by opening: packed uint8 [5, 6, h/2, w/2]."""
    swings = []
    for opening in np.linspace(0, 1, SWING_OPENINGS):
        changes = []
        for smile in SWING_SMILES:
            narrow = NEUTRAL.copy()
            narrow[columns(MOUTH_NUMBERS)] = (opening, 0, 1, 0.3, smile)
            wide = narrow.copy()
            wide[columns(MOUTH_NUMBERS[1:3])] = (1, 0)
            changes.append(np.abs(pack(drawer.mouth(wide)).astype(np.float32) - pack(drawer.mouth(narrow))))
        swings.append(np.mean(changes, 0))
    return np.stack(swings).round().astype(np.uint8)


def _mouths(avatar: Avatar, config: DecoderConfig, rng: np.random.Generator, jitter: np.ndarray) -> dict[str, np.ndarray]:
    drawer = avatar.patch_drawer(patch_box(*(avatar.landmarks[0] + jitter), config.mouth_patch))
    rigs = np.stack([random_mouth(rng) for _ in range(config.mouth_samples)])
    return {
        "mouth_reference": pack(drawer.mouth(NEUTRAL)),
        "mouth_patch": np.stack([pack(drawer.mouth(rig)) for rig in rigs]),
        "mouth_numbers": rigs[:, columns(MOUTH_NUMBERS)],
        "mouth_swing": width_swing(drawer),
    }


def _eyes(avatar: Avatar, config: DecoderConfig, rng: np.random.Generator, jitter: np.ndarray) -> dict[str, np.ndarray]:
    references, patches, numbers = [], [], []
    for side in (-1, 1):
        landmark = avatar.landmarks[1 if side < 0 else 2] + jitter
        drawer = avatar.patch_drawer(patch_box(*landmark, config.eye_patch))
        rigs = np.stack([random_eyes(rng) for _ in range(config.eye_samples)])
        references.append(pack(oriented(drawer.eye(NEUTRAL, side), side)))
        patches.append(np.stack([pack(oriented(drawer.eye(rig, side), side)) for rig in rigs]))
        numbers.append(eye_number_rows(rigs, side))
    return {"eye_reference": np.stack(references), "eye_patch": np.stack(patches), "eye_numbers": np.stack(numbers)}


def _layers(avatar: Avatar) -> dict[str, np.ndarray]:
    half = torch.nn.functional.avg_pool2d(avatar.layers(NEUTRAL), 2)
    inner = slice(MARGIN, MARGIN + PICTURE_SIZE)
    backdrop = np.asarray(avatar.backdrop)[inner, inner, :3].reshape(128, 2, 128, 2, 3).mean((1, 3))
    return {
        "picture": pack(avatar.reference),
        "landmarks": avatar.landmarks,
        "geometry": avatar.geometry.numpy(),
        "layers": (half * 255).round().to(torch.uint8).numpy(),
        "backdrop": backdrop.round().astype(np.uint8).transpose(2, 0, 1),
    }


def avatar_data(spec: AvatarSpec, config: DecoderConfig, seed: int, shake: float = 2.4) -> dict[str, np.ndarray]:
    """All training data of one avatar. `shake`: how far in pixels the patch boxes may be off the landmarks."""
    avatar, rng = Avatar(spec), np.random.default_rng(seed)
    jitter = rng.uniform(-shake, shake, (2, 2))
    return {**_layers(avatar), **_mouths(avatar, config, rng, jitter[0]), **_eyes(avatar, config, rng, jitter[1])}


def shard_specs(config: DecoderConfig, shard: int) -> list[AvatarSpec]:
    """The avatars of a shard; shard 0 starts with the designed ones, shard -1 holds the held-out ones."""
    if shard < 0:
        return [random_spec(HELD_OUT_SEED + i) for i in range(config.held_out)]
    if shard >= config.shards - config.hard_shards:
        return hard_specs(shard, config.avatars_per_shard)
    first = TRAIN_SEED + shard * config.avatars_per_shard
    specs = [random_spec(first + i) for i in range(config.avatars_per_shard)]
    return [*DESIGNED, *specs][: config.avatars_per_shard] if shard == 0 else specs


def hard_specs(shard: int, count: int) -> list[AvatarSpec]:
    """Rare avatars whose mouths are hard to redraw: two bearded ones for every robot."""
    seeds = count_from(HARD_SEED + 100_000 * shard)
    drawn = map(random_spec, seeds)
    hard = [spec for spec in islice(drawn, 200 * count) if spec.beard or spec.kind == "robot"]
    robots = [spec for spec in hard if spec.kind == "robot"][: count // 3]
    return [*[spec for spec in hard if spec.beard][: count - len(robots)], *robots]


def shard_path(config: DecoderConfig, shard: int) -> Path:
    return Path(config.folder) / ("held_out.npz" if shard < 0 else f"shard_{shard:02d}.npz")


def write_shard(config: DecoderConfig, shard: int) -> Path:
    """Draws one shard into its file. Only complete files get the final name."""
    path = shard_path(config, shard)
    path.parent.mkdir(parents=True, exist_ok=True)
    specs = shard_specs(config, shard)
    # avatars that ship, and those of the evaluation, are cut exactly at their landmarks
    exact = [shard < 0 or spec in DESIGNED for spec in specs]
    rows = [avatar_data(spec, config, config.seed + 7919 * shard + i, 0.0 if exact[i] else 2.4) for i, spec in enumerate(specs)]
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **{key: np.stack([row[key] for row in rows]) for key in rows[0]})
    partial.rename(path)
    return path


def read_shards(config: DecoderConfig, keys: tuple[str, ...], held_out: bool = False) -> dict[str, np.ndarray]:
    """The named arrays of all training shards that exist, or of the held-out one. Raises FileNotFoundError without any."""
    numbers = [-1] if held_out else range(config.shards)
    paths = [path for path in (shard_path(config, number) for number in numbers) if path.exists()]
    if not paths:
        raise FileNotFoundError(f"no data in {config.folder}; run python3 -m talkmesh_nano.decoder.data first")
    files = [np.load(path) for path in paths]
    return {key: np.concatenate([file[key] for file in files]) for key in keys}


def main() -> None:
    write_shards(__doc__, load, write_shard)


if __name__ == "__main__":
    main()
