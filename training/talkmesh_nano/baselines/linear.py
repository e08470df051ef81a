"""A plain autoencoder measured by the decoder's gate: python3 -m talkmesh_nano.baselines.linear [--numbers 8 32] [--avatars N]; prints the gate.

The linear optimum in closed form: principal components of 16 x 16 pixels x 4 frames of packed I420 (1,536 values), fitted on
training avatars; `numbers` of them per patch, 256 patches a latent frame. It has no reference picture, so identity is in its latents.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from functools import partial

import numpy as np
import torch

from ..decoder.data import HELD_OUT_SEED, TRAIN_SEED
from ..decoder.pixels import pack, to_float, to_rgb
from ..evaluate.decoder import evaluation_track, gate_table, measure
from ..motion.rig import TEMPORAL
from ..render.avatar import Avatar
from ..render.avatars import random_spec

PATCH = 8
"""Side of a patch in packed pixels."""


def patches(packed: np.ndarray) -> np.ndarray:
    """Packed pictures [4 n, 6, 128, 128] -> float32 [n * 256, 1536]."""
    cells = packed.reshape(-1, TEMPORAL, 6, 16, PATCH, 16, PATCH).astype(np.float32)
    return cells.transpose(0, 3, 5, 1, 2, 4, 6).reshape(-1, TEMPORAL * 6 * PATCH * PATCH)


def pictures(rows: np.ndarray) -> np.ndarray:
    """The inverse of `patches`, float32 [4 n, 6, 128, 128]."""
    cells = rows.reshape(-1, 16, 16, TEMPORAL, 6, PATCH, PATCH).transpose(0, 3, 4, 1, 5, 2, 6)
    return cells.reshape(-1, 6, 128, 128)


def principal(blocks: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean [1536], components [1536, 1536], strongest first, and their variances, of blocks of rows [n, 1536]."""
    total, product, count = np.zeros(1536), np.zeros((1536, 1536)), 0
    for rows in blocks:
        total += rows.sum(0)
        product += rows.T @ rows
        count += len(rows)
    mean = total / count
    variances, vectors = np.linalg.eigh(product / count - np.outer(mean, mean))
    return mean.astype(np.float32), vectors[:, ::-1].astype(np.float32), variances[::-1]


def fit(avatars: int, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean [1536] and components, strongest first, from `groups` latent frames of each of some training avatars."""

    def drawn(i: int) -> np.ndarray:
        avatar = Avatar(random_spec(TRAIN_SEED + i))
        return patches(np.stack([pack(avatar.draw(row)) for row in evaluation_track(5000 + i, TEMPORAL * groups)]))

    return principal(drawn(i) for i in range(avatars))[:2]


def through(mean: np.ndarray, components: np.ndarray, avatar: Avatar, rig: np.ndarray) -> np.ndarray:
    """Drawn frames, coded and decoded: uint8 [n, 256, 256, 3]."""
    rows = patches(np.stack([pack(avatar.draw(row)) for row in rig])) - mean
    decoded = pictures((rows @ components) @ components.T + mean).round().clip(0, 255).astype(np.uint8)
    rgb = to_rgb(to_float(torch.from_numpy(decoded)))
    return (rgb * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--avatars", type=int, default=6)
    parser.add_argument("--fit-avatars", type=int, default=32)
    args = parser.parse_args()
    torch.set_num_threads(1)
    mean, components = fit(args.fit_avatars, 8)
    for numbers in args.numbers:
        decode = partial(through, mean, np.ascontiguousarray(components[:, :numbers]))
        each = {}
        for i in range(args.avatars):
            spec = random_spec(HELD_OUT_SEED + i)
            each[spec.id] = measure(decode, Avatar(spec), 40 + i)[0]
        each["mean"] = {name: float(np.mean([scores[name] for scores in each.values() if name in scores])) for name in next(iter(each.values()))}
        print(f"{numbers} numbers a patch, {256 * numbers} a latent frame\n{gate_table(each)}", flush=True)


if __name__ == "__main__":
    main()
