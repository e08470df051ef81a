"""Avatars as pictures: `Avatar(spec).draw(rig)` gives a 256x256 RGB frame, the neutral rig its reference picture."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from PIL import Image

from .avatars import AvatarSpec
from .render_features import Brush, draw_eye, draw_glasses, draw_mouth
from .render_layers import CENTRE_X, CENTRE_Y, paint_backdrop, paint_body, paint_head
from .render_pose import (
    CANVAS_EXTENT,
    CANVAS_LEFT,
    CANVAS_SIZE,
    CANVAS_TOP,
    MARGIN,
    PICTURE_LEFT,
    PICTURE_SIZE,
    PICTURE_TOP,
    SCALE,
    layer_sources,
    sample_layers,
)
from .rig import NEUTRAL

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the picture."""


def _on_canvas(layer: Image.Image) -> Image.Image:
    box = (CANVAS_LEFT, CANVAS_TOP, CANVAS_LEFT + CANVAS_EXTENT, CANVAS_TOP + CANVAS_EXTENT)
    return layer.resize((CANVAS_SIZE, CANVAS_SIZE), Image.BILINEAR, box=box)


def premultiplied(layer: Image.Image) -> torch.Tensor:
    """RGBA picture -> float [4, H, W] 0..1 with colours multiplied by opacity."""
    pixels = torch.from_numpy(np.asarray(layer, np.float32) / 255)
    return torch.cat([pixels[..., :3] * pixels[..., 3:], pixels[..., 3:]], -1).permute(2, 0, 1).contiguous()


class Avatar:
    """One avatar, built once (about 0.3 s) and drawn many times."""

    def __init__(self, spec: AvatarSpec) -> None:
        self.spec = spec
        self.backdrop = _on_canvas(paint_backdrop(spec))
        self.body = _on_canvas(paint_body(spec))
        behind, head, front = paint_head(spec)
        self.behind, self.head, self.front = _on_canvas(behind), _on_canvas(head), _on_canvas(front)
        self._eye_distance = spec.face_width * 0.44
        self._eye_y = CENTRE_Y - 8
        self._mouth_y = CENTRE_Y + (74 if spec.kind == "cat" else 70) * spec.face_height / 128
        self.glasses = self._paint_glasses()

    @cached_property
    def landmarks(self) -> np.ndarray:
        """float32 [3, 2]: x, y in reference pixels of the mouth's centre, the left eye and the right eye as seen."""
        points = [(CENTRE_X, self._mouth_y), (CENTRE_X - self._eye_distance, self._eye_y), (CENTRE_X + self._eye_distance, self._eye_y)]
        return ((np.array(points) - (PICTURE_LEFT, PICTURE_TOP)) * SCALE).astype(np.float32)

    @cached_property
    def geometry(self) -> torch.Tensor:
        """What `render_pose` needs to know of this avatar, float32 [4]."""
        drop = 0.0 if self.spec.kind == "robot" else 7.0
        return torch.tensor([self.spec.face_width, self.spec.face_height, self._mouth_y, drop])

    @cached_property
    def reference(self) -> np.ndarray:
        """The neutral picture, uint8 [256, 256, 3]."""
        return self.draw(NEUTRAL)

    def _paint_glasses(self) -> Image.Image | None:
        if self.spec.glasses is None:
            return None
        x, y = self.landmarks[1:].mean(0) + MARGIN
        brush = Brush((CANVAS_SIZE, CANVAS_SIZE), x, y, SCALE, oversample=2)
        draw_glasses(brush, self.spec, self._eye_distance)
        return brush.small()

    def _brush(self, box: Box, landmark: int) -> Brush:
        x, y = self.landmarks[landmark] - (box[0], box[1])
        return Brush((box[2] - box[0], box[3] - box[1]), x, y, SCALE)

    def mouth_box(self) -> Box:
        x, y = (int(value) for value in self.landmarks[0])
        return x - 44, y - 28, x + 44, y + 36

    def eye_box(self, side: int) -> Box:
        x, y = (int(value) for value in self.landmarks[1 if side < 0 else 2])
        return x - 26, y - 46, x + 26, y + 22

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

    def posed_head(self, rig: np.ndarray) -> Image.Image:
        """The head layer on the canvas with eyes, mouth and glasses of `rig`, before any pose."""
        head = self.head.copy()
        for side in (-1, 1):
            box = self.eye_box(side)
            head.alpha_composite(self.draw_eye(rig, side, box), (box[0] + MARGIN, box[1] + MARGIN))
        box = self.mouth_box()
        head.alpha_composite(self.draw_mouth(rig, box), (box[0] + MARGIN, box[1] + MARGIN))
        if self.glasses is not None:
            head.alpha_composite(self.glasses)
        return head

    @cached_property
    def _still(self) -> list[torch.Tensor]:
        return [premultiplied(layer) for layer in (self.behind, self.body, self.front)]

    @cached_property
    def _backdrop_pixels(self) -> torch.Tensor:
        inner = slice(MARGIN, MARGIN + PICTURE_SIZE)
        return premultiplied(self.backdrop)[:3, inner, inner]

    def layers(self, rig: np.ndarray) -> torch.Tensor:
        """Premultiplied layers behind, body, head, front before the pose, float [4, 4, 288, 288]."""
        behind, body, front = self._still
        return torch.stack([behind, body, premultiplied(self.posed_head(rig)), front])

    def draw(self, rig: np.ndarray, features: np.ndarray | None = None) -> np.ndarray:
        """One frame, uint8 [256, 256, 3], for rig numbers float [15]. Raises ValueError for another shape.

        `features`: rig that eyes and mouth are drawn from, when it is not the one that poses the head.
        """
        if np.shape(rig) != NEUTRAL.shape:
            raise ValueError(f"rig must have shape {NEUTRAL.shape}, got {np.shape(rig)}")
        numbers = torch.as_tensor(np.asarray(rig, np.float32))[None]
        sources = layer_sources(numbers, self.geometry[None], PICTURE_SIZE)
        warped = sample_layers(self.layers(rig if features is None else features)[None], sources)[0]
        frame = self._backdrop_pixels
        for layer in warped:
            frame = layer[:3] + frame * (1 - layer[3:])
        return (frame * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()

    def patch_drawer(self, box: Box) -> "PatchDrawer":
        return PatchDrawer(self, box)


class PatchDrawer:
    """Draws one small box of the unposed picture for many rigs, in about a millisecond each."""

    def __init__(self, avatar: Avatar, box: Box) -> None:
        self.avatar, self.box = avatar, box
        on_canvas = tuple(value + MARGIN for value in box)
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
