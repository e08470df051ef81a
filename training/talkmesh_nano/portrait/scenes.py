"""Batches for the portrait finder: a face put into a scene, labelled by kind, with the artefacts that real files have.

Scenes are SIDE pixels a side: the network halves its input first, so artefacts smaller than that never reach it.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from ..render.pose import PICTURE_SIZE
from .config import PortraitConfig
from .data import ATTRIBUTES, Portraits

SIDE = 128
KINDS = ("fits", "none", "several", "upside_down", "cut_off", "too_small", "unlike")
"""The kinds of pictures that the finder distinguishes. `fits` is one drawn face as in training; `unlike` is a face of another texture, as in photographs."""
SHARES = (0.42, 0.11, 0.07, 0.06, 0.11, 0.07, 0.16)
WITH_LANDMARKS = ("fits", "too_small", "unlike")
WITH_ATTRIBUTES = ("fits", "unlike")
TOO_SMALL_BELOW = 0.25
"""Of the size that avatars have: eyes closer together than about 14 of 256 pixels."""


@dataclass
class Batch:
    """pictures float [B, 3, 128, 128] 0..255; kinds [B]; landmarks [B, 3, 2] in 0..1 of the picture; attributes [B, 4]."""

    pictures: Tensor
    kinds: Tensor
    landmarks: Tensor
    attributes: Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(*(part.to(device) for part in (self.pictures, self.kinds, self.landmarks, self.attributes)))


def pink_noise(rng: np.random.Generator, slope: float) -> np.ndarray:
    """Noise with a spectrum falling as 1/f**slope, as natural pictures have with 1: float [SIDE, SIDE], unit variance."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij")) + 1 / SIDE
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) / frequency**slope
    field = np.fft.irfft2(spectrum, (SIDE, SIDE))
    return ((field - field.mean()) / field.std()).astype(np.float32)


def _colour(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0, 255, 3).astype(np.float32)


def _drawing(rng: np.random.Generator) -> np.ndarray:
    """Shapes, lines and letters on a plain ground."""
    image = Image.new("RGB", (SIDE, SIDE), tuple(int(value) for value in _colour(rng)))
    draw = ImageDraw.Draw(image)
    letters = rng.random() < 0.4
    for _ in range(int(rng.integers(3, 30))):
        colour = tuple(int(value) for value in _colour(rng))
        x, y, w, h = (int(value) for value in (*rng.integers(-20, SIDE, 2), *rng.integers(4, 70, 2)))
        shape = rng.integers(4)
        if letters:
            draw.text((x, y), "".join(chr(int(c)) for c in rng.integers(33, 126, 16)), fill=colour)
        elif shape == 0:
            draw.ellipse((x, y, x + w, y + h), fill=colour)
        elif shape == 1:
            draw.rectangle((x, y, x + w, y + h), fill=colour)
        elif shape == 2:
            draw.line((x, y, x + w, y + h), fill=colour, width=int(rng.integers(1, 8)))
        else:
            draw.polygon([tuple(int(v) for v in rng.integers(0, SIDE, 2)) for _ in range(3)], fill=colour)
    return np.asarray(image, np.float32)


def background(rng: np.random.Generator) -> np.ndarray:
    """A scene without a face, float [SIDE, SIDE, 3] 0..255."""
    kind = rng.random()
    if kind < 0.12:
        return np.broadcast_to(_colour(rng), (SIDE, SIDE, 3)).astype(np.float32)
    if kind < 0.3:
        ramp = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None, None] ** rng.uniform(0.5, 2)
        field = np.broadcast_to(_colour(rng) * ramp + _colour(rng) * (1 - ramp), (SIDE, SIDE, 3))
        return field.swapaxes(0, 1) if rng.random() < 0.5 else field
    if kind < 0.6:
        return _drawing(rng)
    if kind < 0.68:
        return rng.uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    planes = [pink_noise(rng, rng.uniform(0.7, 2.2)) for _ in range(3)]
    shared = pink_noise(rng, rng.uniform(0.8, 2.0))
    mixed = np.stack([shared + 0.5 * plane for plane in planes], -1)
    return (_colour(rng) + mixed * rng.uniform(10, 60)).clip(0, 255)


class Scenes:
    """Draws batches; the same seed draws the same ones from the same shards."""

    def __init__(self, config: PortraitConfig, portraits: Portraits, seed: int) -> None:
        self.config, self.portraits, self.rng = config, portraits, np.random.default_rng(seed)
        grounds = np.random.default_rng(seed + 1)
        self.backgrounds = np.stack([background(grounds) for _ in range(config.backgrounds)]).astype(np.uint8)
        self.fields = np.stack([pink_noise(grounds, grounds.uniform(0.5, 1.6)) for _ in range(48)])

    def batch(self, count: int, kind: str | None = None) -> Batch:
        """`count` pictures of the usual mixture, or of one kind."""
        names = [kind or KINDS[int(self.rng.choice(len(KINDS), p=SHARES))] for _ in range(count)]
        scenes = [self._scene(name) for name in names]
        pictures = torch.stack([torch.from_numpy(self._artefacts(name, scene[0])) for name, scene in zip(names, scenes)])
        return Batch(
            pictures.permute(0, 3, 1, 2).contiguous(),
            torch.tensor([KINDS.index(name) for name in names]),
            torch.from_numpy(np.stack([scene[1] for scene in scenes])),
            torch.from_numpy(np.stack([scene[2] for scene in scenes])),
        )

    def _ground(self) -> np.ndarray:
        picture = self.backgrounds[int(self.rng.integers(len(self.backgrounds)))].astype(np.float32)
        return picture[:, ::-1] if self.rng.random() < 0.5 else picture

    def _scene(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """float [SIDE, SIDE, 3] 0..255, landmarks [3, 2] 0..1, attributes [4]."""
        nothing = np.full((3, 2), 0.5, np.float32), np.zeros(len(ATTRIBUTES), np.float32)
        rng = self.rng
        if name == "none":
            return self._no_face(), *nothing
        if name == "several":
            scene = self._ground()
            for side in (-1, 1):
                scale = rng.uniform(0.3, 0.6)
                centre = (0.5 + side * rng.uniform(0.18, 0.3), rng.uniform(0.3, 0.7))
                scene, *_ = self._place(scene, scale, centre, rng.uniform(-0.2, 0.2), cut=True)
            return scene, *nothing
        if name == "upside_down":
            scale = rng.uniform(0.35, 1.3)
            angle = math.pi + rng.uniform(-0.5, 0.5)
            return self._place(self._ground(), scale, self._centre(scale), angle, cut=bool(rng.random() < 0.5))[0], *nothing
        if name == "cut_off":
            return self._cut_off(), *nothing
        if name == "too_small":
            scale = rng.uniform(0.1, TOO_SMALL_BELOW)
        else:
            scale = rng.uniform(0.85, 1.18) if rng.random() < 0.55 else math.exp(rng.uniform(math.log(0.28), math.log(1.5)))
        return self._place(self._ground(), scale, self._centre(scale), float(rng.normal(0, 0.09)), cut=bool(rng.random() < 0.5))

    def _no_face(self) -> np.ndarray:
        scene = self._ground()
        if self.rng.random() < 0.25:
            # colours and outlines of a figure without its face
            pixels, landmarks, _ = self.portraits.draw(self.rng)
            left, top = int(self.rng.integers(0, 170)), int(self.rng.integers(190, 200))
            scrap = Image.fromarray(pixels[top:, left : left + 86, :3]).resize((SIDE, SIDE), Image.BILINEAR)
            return np.asarray(scrap, np.float32)
        if self.rng.random() < 0.3:
            share = self.rng.uniform(0.3, 0.7)
            scene = scene * share + self._ground() * (1 - share)
        return scene

    def _cut_off(self) -> np.ndarray:
        """A face of which a half is outside the picture or hidden behind something."""
        rng, scale = self.rng, self.rng.uniform(0.5, 1.5)
        if rng.random() < 0.55:
            away = 0.5 + rng.uniform(0.0, 0.1) * scale
            angle = rng.choice([0, math.pi, math.pi / 2])
            centre = (0.5 + away * math.cos(angle), 0.5 + away * math.sin(angle))
            return self._place(self._ground(), scale, centre, rng.uniform(-0.1, 0.1), cut=bool(rng.random() < 0.5))[0]
        scene, points, _ = self._place(self._ground(), scale, self._centre(scale), rng.uniform(-0.1, 0.1), cut=bool(rng.random() < 0.5))
        x, y = (points.mean(0) * SIDE).astype(int)
        cover, side = self._ground(), rng.integers(4)
        scene = scene.copy()
        if side == 0:
            scene[:, :x] = cover[:, :x]
        elif side == 1:
            scene[:, x:] = cover[:, x:]
        elif side == 2:
            scene[y:] = cover[y:]
        else:
            scene[:y] = cover[:y]
        return scene

    def _centre(self, scale: float) -> tuple[float, float]:
        """Where the middle of eyes and mouth goes so that all of them stay well inside."""
        room = max(0.02, 0.5 - 0.2 * scale - 0.06)
        shake = room if scale < 0.8 else min(room, 0.09)
        return tuple(0.5 + self.rng.uniform(-shake, shake, 2))  # type: ignore[return-value]

    def _place(
        self, scene: np.ndarray, scale: float, centre: tuple[float, float], angle: float, cut: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Puts a figure over the scene, cut out or with its own backdrop. `scale` 1 is the size avatars have."""
        pixels, landmarks, attributes = self.portraits.draw(self.rng)
        figure = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)
        if not cut:
            figure[3] = 255
        step = 1
        while PICTURE_SIZE / (SIDE * scale * step) > 1.5:
            step *= 2
        figure = F.avg_pool2d(figure[None], step)
        points = landmarks / PICTURE_SIZE
        attributes = attributes.copy()
        if self.rng.random() < 0.5:
            figure, points = figure.flip(3), points.copy()
            points[:, 0] = 1 - points[:, 0]
            points = points[[0, 2, 1]]
            attributes[ATTRIBUTES.index("yaw")] *= -1
        middle = points.mean(0)
        cos, sin = math.cos(angle), math.sin(angle)
        # a point p of the scene shows the point middle + R(p - centre) / scale of the figure
        back = np.array([[cos, sin], [-sin, cos]]) / scale
        shift = 2 * (middle - 0.5) - back @ (2 * (np.array(centre) - 0.5))
        grid = F.affine_grid(torch.tensor(np.concatenate([back, shift[:, None]], 1), dtype=torch.float32)[None], (1, 4, SIDE, SIDE), align_corners=False)
        drawn = F.grid_sample(figure, grid, align_corners=False)[0].permute(1, 2, 0).numpy()
        opacity = drawn[..., 3:] / 255
        inside = np.maximum(opacity, 1e-3)
        colour = drawn[..., :3] if cut else drawn[..., :3] / inside
        forward = np.array([[cos, -sin], [sin, cos]]) * scale
        moved = (points - middle) @ forward.T + np.array(centre)
        return scene * (1 - opacity) + colour * opacity, moved.astype(np.float32), attributes

    def _field(self) -> np.ndarray:
        field = self.fields[int(self.rng.integers(len(self.fields)))]
        return np.roll(field, tuple(self.rng.integers(0, SIDE, 2)), (0, 1))

    def _other_texture(self, scene: np.ndarray) -> np.ndarray:
        """What distinguishes photographs and paintings from clean drawings: texture everywhere, uneven light, irregular outlines."""
        rng = self.rng
        strength = rng.uniform(0.09, 0.35)
        scene = scene * np.exp(self._field()[..., None] * strength)
        if rng.random() < 0.6:
            bend = F.avg_pool2d(torch.from_numpy(np.stack([self._field(), self._field()]))[None], 9, 1, 4)[0].permute(1, 2, 0)
            steps = (torch.arange(SIDE) + 0.5) * (2 / SIDE) - 1
            y, x = torch.meshgrid(steps, steps, indexing="ij")
            grid = torch.stack([x, y], -1) + bend * rng.uniform(0.02, 0.06)
            source = torch.from_numpy(np.ascontiguousarray(scene, np.float32)).permute(2, 0, 1)[None]
            scene = F.grid_sample(source, grid[None], align_corners=False, padding_mode="border")[0].permute(1, 2, 0).numpy()
        if rng.random() < 0.6:
            angle = rng.uniform(0, 2 * math.pi)
            steps = np.linspace(-1, 1, SIDE, dtype=np.float32)
            slope = steps[None] * math.cos(angle) + steps[:, None] * math.sin(angle)
            scene = scene * np.exp(slope * rng.uniform(0.3, 1.0))[..., None]
        if rng.random() < 0.35:
            scene = np.repeat(scene @ np.float32([[0.299], [0.587], [0.114]]), 3, 2)
        if rng.random() < 0.5:
            scene = scene + rng.standard_normal(scene.shape) * rng.uniform(6, 22)
        return scene

    def _artefacts(self, name: str, scene: np.ndarray) -> np.ndarray:
        """Colour, blur, noise and JPEG of ordinary files; drawn faces keep them mild."""
        rng = self.rng
        if name == "unlike" or (name in ("several", "upside_down", "cut_off", "too_small") and rng.random() < 0.3):
            scene = self._other_texture(scene)
        scene = np.asarray(scene, np.float32)
        if rng.random() < 0.6:
            scene = (scene - 128) * rng.uniform(0.8, 1.2) + 128 + rng.uniform(-18, 18) + rng.uniform(-10, 10, 3)
        if rng.random() < 0.1:
            grey = scene @ np.float32([0.299, 0.587, 0.114])
            scene = scene + (grey[..., None] - scene) * rng.uniform(0.3, 0.8)
        if rng.random() < 0.3:
            scene = scene + rng.standard_normal(scene.shape) * rng.uniform(0, 5)
        picture = Image.fromarray(scene.clip(0, 255).astype(np.uint8))
        if rng.random() < 0.25:
            side = int(SIDE * rng.uniform(0.45, 0.9))
            picture = picture.resize((side, side), Image.BILINEAR).resize((SIDE, SIDE), Image.BICUBIC)
        if rng.random() < 0.4:
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=int(rng.integers(45, 95)))
            picture = Image.open(file)
        return np.asarray(picture, np.float32)
