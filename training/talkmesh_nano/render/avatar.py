"""Avatars as pictures: `Avatar(spec).draw(rig)` gives a 256x256 RGB frame (or larger), the neutral rig its reference picture."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from .avatars import AvatarSpec
from .features import Brush, draw_eye, draw_glasses, draw_mouth
from .layers import CENTRE_X, CENTRE_Y, paint_backdrop, paint_body, paint_head
from .pose import (
    CANVAS_EXTENT,
    CANVAS_LEFT,
    CANVAS_TOP,
    MARGIN,
    PICTURE_LEFT,
    PICTURE_EXTENT,
    PICTURE_SIZE,
    PICTURE_TOP,
    layer_sources,
    to_canvas,
)
from .shapes import painted_at
from ..motion.rig import NEUTRAL

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the picture."""


def premultiplied(layer: Image.Image) -> torch.Tensor:
    """RGBA picture -> float [4, H, W] 0..1 with colours multiplied by opacity."""
    pixels = torch.from_numpy(np.asarray(layer, np.float32) / 255)
    return torch.cat([pixels[..., :3] * pixels[..., 3:], pixels[..., 3:]], -1).permute(2, 0, 1).contiguous()


class Avatar:
    """One avatar, built once (about 0.3 s) and drawn many times.

    `size`: pixels a side of its frames, a multiple of 32; landmarks and boxes are in those pixels. Eyes, mouth and glasses
    are drawn at that size; the still layers are painted with one pixel per design unit, of which a frame shows 410, and with
    more for frames of more than 410 pixels. The decoder is trained on 256.
    """

    def __init__(self, spec: AvatarSpec, size: int = PICTURE_SIZE) -> None:
        if size < 64 or size % 32:
            raise ValueError(f"the size must be a multiple of 32 from 64 on, not {size}")
        self.spec, self.size = spec, size
        self.scale, self.margin = size / PICTURE_EXTENT, MARGIN * size // PICTURE_SIZE
        self._density = math.ceil(self.scale)
        with painted_at(self._density):
            self.backdrop = self._on_canvas(paint_backdrop(spec))
            self.body = self._on_canvas(paint_body(spec))
            behind, head, front = (self._on_canvas(layer) for layer in paint_head(spec))
        self.behind, self.head, self.front = behind, head, front
        self._eye_distance = spec.face_width * 0.44
        self._eye_y = CENTRE_Y - 8
        self._mouth_y = CENTRE_Y + (74 if spec.kind == "cat" else 70) * spec.face_height / 128
        self.glasses = self._paint_glasses()

    def _on_canvas(self, layer: Image.Image) -> Image.Image:
        side = self.size + 2 * self.margin
        box = (CANVAS_LEFT, CANVAS_TOP, CANVAS_LEFT + CANVAS_EXTENT, CANVAS_TOP + CANVAS_EXTENT)
        return layer.resize((side, side), Image.BILINEAR, box=tuple(place * self._density for place in box))

    @cached_property
    def landmarks(self) -> np.ndarray:
        """float32 [3, 2]: x, y in reference pixels of the mouth's centre, the left eye and the right eye of the picture."""
        points = [(CENTRE_X, self._mouth_y), (CENTRE_X - self._eye_distance, self._eye_y), (CENTRE_X + self._eye_distance, self._eye_y)]
        return ((np.array(points) - (PICTURE_LEFT, PICTURE_TOP)) * self.scale).astype(np.float32)

    @cached_property
    def geometry(self) -> torch.Tensor:
        """The numbers of this avatar that `pose` needs, float32 [4]."""
        drop = 0.0 if self.spec.kind == "robot" else 7.0
        return torch.tensor([self.spec.face_width, self.spec.face_height, self._mouth_y, drop])

    @cached_property
    def reference(self) -> np.ndarray:
        """The neutral picture, uint8 [size, size, 3]."""
        return self.draw(NEUTRAL)

    def _paint_glasses(self) -> Image.Image | None:
        if self.spec.glasses is None:
            return None
        x, y = self.landmarks[1:].mean(0) + self.margin
        brush = Brush(self.head.size, x, y, self.scale, oversample=2)
        draw_glasses(brush, self.spec, self._eye_distance)
        return brush.small()

    def _brush(self, box: Box, landmark: int) -> Brush:
        x, y = self.landmarks[landmark] - (box[0], box[1])
        return Brush((box[2] - box[0], box[3] - box[1]), x, y, self.scale)

    def _box(self, landmark: int, aside: int, above: int, below: int) -> Box:
        x, y = (int(value) for value in self.landmarks[landmark])
        aside, above, below = (length * self.size // PICTURE_SIZE for length in (aside, above, below))
        return x - aside, y - above, x + aside, y + below

    def mouth_box(self) -> Box:
        return self._box(0, 44, 28, 36)

    def eye_box(self, side: int) -> Box:
        return self._box(1 if side < 0 else 2, 26, 46, 22)

    def draw_mouth(self, rig: np.ndarray, box: Box) -> Image.Image:
        """The mouth alone, RGBA of the size of `box`."""
        brush = self._brush(box, 0)
        draw_mouth(brush, self.spec, rig)
        return brush.small()

    def draw_eye(self, rig: np.ndarray, side: int, box: Box) -> Image.Image:
        """One eye with its brow alone, RGBA of the size of `box`; `side` -1 is the left one in the picture."""
        brush = self._brush(box, 1 if side < 0 else 2)
        draw_eye(brush, self.spec, rig, side)
        return brush.small()

    @cached_property
    def _feature_box(self) -> Box:
        """The box of the canvas that eyes and mouth can change."""
        boxes = np.array([self.mouth_box(), self.eye_box(-1), self.eye_box(1)])
        left, top, right, bottom = *boxes[:, :2].min(0), *boxes[:, 2:].max(0)
        return int(left) + self.margin, int(top) + self.margin, int(right) + self.margin, int(bottom) + self.margin

    @cached_property
    def _plain_head(self) -> torch.Tensor:
        head = self.head.copy()
        if self.glasses is not None:
            head.alpha_composite(self.glasses)
        return premultiplied(head)

    def head_pixels(self, rig: np.ndarray) -> torch.Tensor:
        """The head layer on the canvas with eyes, mouth and glasses of `rig`, before any pose; premultiplied [4, H, W]."""
        left, top, right, bottom = self._feature_box
        part = self.head.crop(self._feature_box)
        for side in (-1, 1):
            box = self.eye_box(side)
            part.alpha_composite(self.draw_eye(rig, side, box), (box[0] + self.margin - left, box[1] + self.margin - top))
        box = self.mouth_box()
        part.alpha_composite(self.draw_mouth(rig, box), (box[0] + self.margin - left, box[1] + self.margin - top))
        if self.glasses is not None:
            part.alpha_composite(self.glasses.crop(self._feature_box))
        head = self._plain_head.clone()
        head[:, top:bottom, left:right] = premultiplied(part)
        return head

    @cached_property
    def _still(self) -> torch.Tensor:
        """Layers behind, body, (head) and front, [4, 4, H, W]; the head's place is empty."""
        return torch.stack([premultiplied(layer) for layer in (self.behind, self.body, Image.new("RGBA", self.head.size), self.front)])

    @cached_property
    def _reach(self) -> list[tuple[float, float]]:
        """The heights (grid_sample units of the canvas) between which each layer is not empty, with a margin, because only some columns are sampled."""
        side, reach = self.head.size[1], []
        for layer in (self.behind, self.body, self.head, self.front):
            box = layer.getchannel("A").getbbox() or (0, 0, 0, 0)
            top, bottom = (0, side) if layer is self.head else (box[1], box[3])
            reach.append(((2 * top - 8) / side - 1, (2 * bottom + 8) / side - 1))
        return reach

    @cached_property
    def _backdrop_pixels(self) -> torch.Tensor:
        inner = slice(self.margin, self.margin + self.size)
        return premultiplied(self.backdrop)[:3, inner, inner].contiguous()

    def layers(self, rig: np.ndarray) -> torch.Tensor:
        """Premultiplied layers behind, body, head, front before the pose, float [4, 4, H, W] (288 a side for 256)."""
        layers = self._still.clone()
        layers[2] = self.head_pixels(rig)
        return layers

    def draw(self, rig: np.ndarray, features: np.ndarray | None = None) -> np.ndarray:
        """One frame, uint8 [size, size, 3], for rig numbers float [15]. Raises ValueError for another shape.

        `features`: rig that eyes and mouth are drawn from, when it is not the one that poses the head.
        """
        if np.shape(rig) != NEUTRAL.shape:
            raise ValueError(f"rig must have shape {NEUTRAL.shape}, got {np.shape(rig)}")
        numbers = torch.as_tensor(np.asarray(rig, np.float32))[None]
        places = to_canvas(layer_sources(numbers, self.geometry[None], self.size)[0])
        head = self.head_pixels(rig if features is None else features)
        frame = self._backdrop_pixels.clone()
        heights = places[:, :, ::8, 1]
        highest, lowest = heights.amin(2), heights.amax(2)
        for i, (top, bottom) in enumerate(self._reach):
            rows = torch.nonzero((lowest[i] >= top) & (highest[i] <= bottom))
            if len(rows) == 0:
                continue
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            layer = (head if i == 2 else self._still[i])[None]
            warped = F.grid_sample(layer, places[i : i + 1, part], align_corners=False)[0]
            frame[:, part] *= 1 - warped[3:]
            frame[:, part] += warped[:3]
        return frame.mul_(255).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()

    def patch_drawer(self, box: Box) -> "PatchDrawer":
        return PatchDrawer(self, box)


class PatchDrawer:
    """Draws one small box of the unposed picture for many rigs, in about a millisecond each."""

    def __init__(self, avatar: Avatar, box: Box) -> None:
        self.avatar, self.box = avatar, box
        on_canvas = tuple(value + avatar.margin for value in box)
        self._under = avatar.backdrop.crop(on_canvas)
        for layer in (avatar.behind, avatar.body, avatar.head):
            self._under.alpha_composite(layer.crop(on_canvas))
        self._over = [layer.crop(on_canvas) for layer in (avatar.glasses, avatar.front) if layer is not None]

    def _finish(self, feature: Image.Image) -> np.ndarray:
        picture = self._under.copy()
        picture.alpha_composite(feature)
        for layer in self._over:
            picture.alpha_composite(layer)
        return np.asarray(picture)[..., :3]

    def mouth(self, rig: np.ndarray) -> np.ndarray:
        """uint8 [h, w, 3] of the box with the mouth of `rig`."""
        return self._finish(self.avatar.draw_mouth(rig, self.box))

    def eye(self, rig: np.ndarray, side: int) -> np.ndarray:
        """uint8 [h, w, 3] of the box with one eye of `rig`."""
        return self._finish(self.avatar.draw_eye(rig, side, self.box))
