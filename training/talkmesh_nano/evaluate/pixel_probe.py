"""Reads a face's numbers from pixels: how far the mouth is open, how wide it is, how closed the eyes are.

A probe belongs to one avatar. It is fitted to frames that the renderer drew of that avatar with known numbers, in random poses, and has
no decoded frame among them. Pixels are I420 at half resolution (luma averaged over 2x2), cut around the landmarks after the head's pose
was undone (the pose is known: the rig's for drawn frames, the latents' for decoded ones), so that only lips and lids are left to read.
"""
import numpy as np
import torch
import torch.nn.functional as F

from ..decoder.data import random_eyes, random_mouth
from ..decoder.pixels import to_i420
from ..motion.rig import INDEX
from ..motion.tracks import rig_track
from ..render.pose import layer_sources, to_picture

SIZE = 256
READ = ("opening", "width", "blink")
_CROPS = {"mouth": (46, 26, 42), "eyes": (80, 30, 22)}
_COMPONENTS = 72


def drawn(rig):
    """The three numbers as they are drawn, [n, 3]: rounding narrows a mouth as much as the width number widens it (`draw_mouth`)."""
    rig = np.asarray(rig, np.float64)
    width = 0.72 + 0.46 * rig[:, INDEX["mouth_width"]] - 0.42 * rig[:, INDEX["mouth_round"]]
    return np.stack([rig[:, INDEX["mouth_open"]], width, rig[:, INDEX["blink"]]], 1)


def halved_yuv(i420):
    """I420 bytes [n, 98304] or [n, 384, 256] -> float32 [n, 3, 128, 128]."""
    flat = np.asarray(i420).reshape(len(i420), -1)
    half = SIZE // 2
    luma = flat[:, :SIZE * SIZE].reshape(-1, half, 2, half, 2).astype(np.float32).mean((2, 4))
    chroma = flat[:, SIZE * SIZE:].reshape(-1, 2, half, half).astype(np.float32)
    return np.concatenate([luma[:, None], chroma], 1)


def _displacement(rig, geometry):
    """How far each pixel of a frame is from where the head layer of the reference shows the same, [n, 2, 128, 128] in grid_sample units."""
    still = np.array(rig, np.float32)
    # the chin's drop is part of the opening that is to be read
    still[:, INDEX["mouth_open"]] = 0
    half = SIZE // 2
    there = to_picture(layer_sources(torch.from_numpy(still), geometry[None].expand(len(still), -1), half)[:, 2])
    steps = (torch.arange(half) + 0.5) * (2 / half) - 1
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return (there - torch.stack([x, y], -1)).permute(0, 3, 1, 2)


def steady(yuv, rig, geometry, landmarks, part, block=250):
    """The mouth's or the eyes' box with the head held still: halved frames [n, 3, 128, 128] and their rig rows [n, 15] -> [n, 3, h, w]."""
    half_width, above, below = _CROPS[part]
    x, y = landmarks[0] if part == "mouth" else landmarks[1:].mean(0)
    xs = torch.arange(half_width) * 2 + (x - half_width) + 1
    ys = torch.arange((above + below) // 2) * 2 + (y - above) + 1
    box = torch.stack(torch.meshgrid(ys, xs, indexing="ij")[::-1], -1).float() * (2 / SIZE) - 1
    out = []
    for at in range(0, len(yuv), block):
        frames, rows = torch.from_numpy(np.ascontiguousarray(yuv[at:at + block])), rig[at:at + block]
        field = _displacement(rows, geometry)
        place = box[None].expand(len(frames), -1, -1, -1)
        for _ in range(4):
            place = box[None] - F.grid_sample(field, place, align_corners=False, padding_mode="border").permute(0, 2, 3, 1)
        out.append(F.grid_sample(frames, place, align_corners=False, padding_mode="border").numpy())
    return np.concatenate(out)


def training_rigs(seed, count):
    """Rig rows [count, 15] that cover mouths, eyes and the poses of a call, to which a probe is fitted."""
    rng = np.random.default_rng([77, seed])
    rig = np.concatenate([rig_track(rng, np.zeros((125, 4), np.float32), rng.random(125).astype(np.float32)) for _ in range(count // 125 + 1)])[:count]
    for row in rig:
        row[:5] = random_mouth(rng)[:5]
        row[5:9] = random_eyes(rng)[5:9]
    shut = rng.random(count) < 0.2
    rig[shut, INDEX["mouth_open"]] = 0
    return rig.astype(np.float32)


class _Reader:
    """Kernel ridge regression on principal components of a crop."""

    def __init__(self, pixels, values, ridge=2e-3):
        flat = pixels.reshape(len(pixels), -1)
        self.mean = flat.mean(0)
        centred = flat - self.mean
        gram = centred @ centred.T
        power, vectors = np.linalg.eigh(gram)
        keep = slice(-min(_COMPONENTS, len(power) - 1), None)
        self.basis = (centred.T @ vectors[:, keep]) / np.sqrt(power[keep])
        self.known = centred @ self.basis
        # large components dominate less than in plain pixels, noise still counts little
        self.scale = 1 / np.sqrt(self.known.std(0) * self.known[:, -1].std())
        self.known = self.known * self.scale
        squared = self._distances(self.known)
        self.width = np.median(squared)
        self.offset = values.mean(0)
        kernel = np.exp(-squared / self.width)
        self.weights = np.linalg.solve(kernel + ridge * np.eye(len(kernel)), values - self.offset)

    def _distances(self, points):
        return np.maximum(0, (points ** 2).sum(1)[:, None] + (self.known ** 2).sum(1)[None] - 2 * points @ self.known.T)

    def __call__(self, pixels):
        points = ((pixels.reshape(len(pixels), -1) - self.mean) @ self.basis) * self.scale
        return np.exp(-self._distances(points) / self.width) @ self.weights + self.offset


class Probe:
    """`Probe(avatar, seed)` is fitted to `count` drawn frames; `read(yuv, rig)` gives [n, 3]: opening, width, blink."""

    def __init__(self, avatar, seed, count=320):
        rig = training_rigs(seed, count)
        yuv = halved_yuv(np.stack([to_i420(avatar.draw(row)) for row in rig]))
        self.landmarks, self.geometry = avatar.landmarks, avatar.geometry
        self.mouth = _Reader(self._pixels(yuv, rig, "mouth"), drawn(rig)[:, :2])
        self.eyes = _Reader(self._pixels(yuv, rig, "eyes"), drawn(rig)[:, 2:])

    def _pixels(self, yuv, rig, part):
        return steady(yuv, rig, self.geometry, self.landmarks, part).astype(np.float64)

    def read(self, yuv, rig):
        """Halved frames [n, 3, 128, 128] and the rig rows that pose them -> float64 [n, 3] in the order of READ."""
        return np.concatenate([self.mouth(self._pixels(yuv, rig, "mouth")), self.eyes(self._pixels(yuv, rig, "eyes"))], 1)
