"""Reads mouth opening and width from pixels, by a regression fitted on drawn frames of the same avatar.

Frames are first aligned by the head's pose, so that the same places of the face are compared. What the jaw does is
left in: the alignment must not reveal the answer to the probe.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from ..decoder.data import random_mouth, random_pose
from ..motion.rig import INDEX
from ..render.avatar import Avatar
from ..render.pose import PICTURE_LEFT, PICTURE_TOP, SCALE, layer_sources, to_picture

GRID = (20, 28)
EXTENT = (40.0, 56.0)
"""Rows and columns that are read, and the half height and half width of the box around the mouth, in design units."""
HEAD = 2


def visible_width(rig: np.ndarray) -> np.ndarray:
    """Half the drawn mouth's width relative to its rest, rig [n, 15] -> [n]: rounding narrows the mouth, width widens it."""
    return 0.72 + 0.46 * rig[:, INDEX["mouth_width"]] - 0.42 * rig[:, INDEX["mouth_round"]]


def targets(avatar: Avatar, rig: np.ndarray) -> np.ndarray:
    """[n, 2]: opening and visible width; a robot's grille has no width, so its column repeats the opening."""
    opening = rig[:, INDEX["mouth_open"]]
    return np.stack([opening, opening if avatar.spec.kind == "robot" else visible_width(rig)], 1)


def face_places(avatar: Avatar, rig: np.ndarray, rounds: int = 5) -> torch.Tensor:
    """The places of the mouth's box in posed pictures: grid_sample coordinates [n, rows, columns, 2]."""
    posed = torch.from_numpy(rig.copy())
    posed[:, INDEX["mouth_open"]] = 0
    x, y = avatar.landmarks[0] / SCALE + (PICTURE_LEFT, PICTURE_TOP)
    rows = torch.linspace(-EXTENT[0] + 8, EXTENT[0] + 8, GRID[0]) + float(y)
    columns = torch.linspace(-EXTENT[1], EXTENT[1], GRID[1]) + float(x)
    wanted = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], -1).expand(len(rig), -1, -1, -1)
    size = 64
    field = layer_sources(posed, avatar.geometry.expand(len(rig), -1), size)[:, HEAD].permute(0, 3, 1, 2)
    places = wanted
    for _ in range(rounds):
        found = F.grid_sample(field, to_picture(places), align_corners=False, padding_mode="border").permute(0, 2, 3, 1)
        places = places - (found - wanted)
    return to_picture(places)


def looked_at(avatar: Avatar, frames: np.ndarray, rig: np.ndarray) -> np.ndarray:
    """Features [n, k] of frames uint8 [n, 256, 256, 3] posed by rig [n, 15]."""
    pictures = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    # slightly blurred, so that the sampling grid misses no lip between two places
    pictures = F.avg_pool2d(pictures, 3, 1, 1)
    aligned = F.grid_sample(pictures, face_places(avatar, rig), align_corners=False, padding_mode="border")
    return aligned.flatten(1).numpy()


class MouthProbe:
    """Kernel ridge regression from the mouth's pixels to opening and width, fitted on `count` drawn frames."""

    def __init__(self, avatar: Avatar, count: int = 160, seed: int = 77, ridge: float = 1e-3) -> None:
        rng = np.random.default_rng(seed)
        rig = random_pose(rng, count)
        rig[:, :5] = np.stack([random_mouth(rng)[:5] for _ in range(count)])
        rig[:, INDEX["breath"]] = 0
        frames = np.stack([avatar.draw(row) for row in rig])
        self.avatar, self.known = avatar, looked_at(avatar, frames, rig)
        self.scale = np.median(self._distances(self.known))
        kernel = np.exp(-self._distances(self.known) / self.scale)
        truth = targets(avatar, rig)
        self.mean = truth.mean(0)
        self.weights = np.linalg.solve(kernel + ridge * np.eye(count), truth - self.mean)

    def _distances(self, features: np.ndarray) -> np.ndarray:
        square = (features**2).sum(1)[:, None] + (self.known**2).sum(1)[None] - 2 * features @ self.known.T
        return square.clip(0)

    def read(self, frames: np.ndarray, rig: np.ndarray) -> np.ndarray:
        """Opening and width [n, 2] in frames uint8 [n, 256, 256, 3]; of rig [n, 15] only the head's pose is used."""
        features = looked_at(self.avatar, frames, rig)
        return np.exp(-self._distances(features) / self.scale) @ self.weights + self.mean
