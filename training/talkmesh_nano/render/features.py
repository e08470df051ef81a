"""Eyes, brows, mouth and glasses: the parts that follow the rig, drawn at any scale around a point.

All lengths are design units (512 a side); a `Brush` maps them to pixels and anti-aliases by drawing larger.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from ..motion.rig import INDEX
from .avatars import AvatarSpec
from .shapes import Rgb, mix

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
MOUTH_INSIDE, TONGUE, TONGUE_LIGHT = (88, 18, 34), (222, 96, 108), (234, 120, 128)
Colour = tuple[int, ...]


class Brush:
    """Draws in design units relative to (`x`, `y`) on an RGBA picture of `size` pixels, `oversample` times larger."""

    def __init__(self, size: tuple[int, int], x: float, y: float, scale: float, oversample: int = 4) -> None:
        """(`x`, `y`): origin in pixels of the small picture; `scale`: pixels per design unit."""
        self.oversample = oversample
        self.scale = scale * oversample
        self.origin = np.array([x, y]) * oversample
        self.image = Image.new("RGBA", (size[0] * oversample, size[1] * oversample), (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self.image)

    def _pixels(self, points: np.ndarray) -> list[tuple[float, float]]:
        return [(x, y) for x, y in (points * self.scale + self.origin).tolist()]

    def polygon(self, points: np.ndarray, colour: Colour) -> None:
        self.draw.polygon(self._pixels(points), fill=colour)

    def line(self, points: np.ndarray, colour: Colour, width: float) -> None:
        self.draw.line(self._pixels(points), fill=colour, width=max(1, round(width * self.scale)), joint="curve")

    def ellipse(self, x: float, y: float, radius_x: float, radius_y: float, colour: Colour) -> None:
        self.draw.ellipse(self._box(x - radius_x, y - radius_y, x + radius_x, y + radius_y), fill=colour)

    def box(self, left: float, top: float, right: float, bottom: float, radius: float, **style: object) -> None:
        if "width" in style:
            style["width"] = max(1, round(float(style["width"]) * self.scale))  # type: ignore[arg-type]
        self.draw.rounded_rectangle(self._box(left, top, right, bottom), radius * self.scale, **style)  # type: ignore[arg-type]

    def _box(self, left: float, top: float, right: float, bottom: float) -> list[float]:
        (x0, y0), (x1, y1) = self._pixels(np.array([[left, top], [right, bottom]]))
        return [x0, y0, max(x0, x1), max(y0, y1)]

    def like(self, background: Colour) -> "Brush":
        """An empty brush of the same geometry, filled with `background`."""
        twin = object.__new__(Brush)
        twin.oversample, twin.scale, twin.origin = self.oversample, self.scale, self.origin
        twin.image = Image.new("RGBA", self.image.size, background)
        twin.draw = ImageDraw.Draw(twin.image)
        return twin

    def stencil(self, inner: "Brush", outline: np.ndarray) -> None:
        """Compose `inner` into this picture, cut by the polygon `outline`."""
        mask = Image.new("L", self.image.size, 0)
        ImageDraw.Draw(mask).polygon(self._pixels(outline), fill=255)
        inner.image.putalpha(mask)
        self.image.alpha_composite(inner.image)
        self.draw = ImageDraw.Draw(self.image)

    def small(self) -> Image.Image:
        return self.image.reduce(self.oversample)


def _between(x: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    return np.concatenate([np.stack([x, upper], 1), np.stack([x, lower], 1)[::-1]])


def _curve(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack([x, y], 1)


def eye_radius(spec: AvatarSpec) -> tuple[float, float]:
    """Half width unit of the eye and its height ratio."""
    if spec.kind == "robot":
        return 22.0, 1.0
    if spec.kind == "cat":
        return 30.0, 0.95
    radius = {"anime": 31.0, "soft": 25.0, "flat": 23.0}[spec.style]
    return radius * spec.eye_scale, {"anime": 1.12, "soft": 0.62, "flat": 0.95}[spec.style]


def draw_eye(brush: Brush, spec: AvatarSpec, rig: np.ndarray, side: int) -> None:
    """One eye and its brow; the brush's origin is the eye's centre. `side`: -1 left in the picture, 1 right."""
    radius, ratio = eye_radius(spec)
    blink = float(np.clip(rig[INDEX["blink"]], 0, 1))
    t = np.linspace(-1, 1, 25)
    half_width = radius * (1.06 if spec.style == "soft" else 0.92)
    half_height = radius * ratio
    bow = np.sqrt(np.clip(1 - np.abs(t) ** 2.2, 0, 1))
    upper = -half_height * bow
    lower = half_height * (0.95 if spec.style == "flat" else 0.62) * bow * (1 - 0.25 * float(rig[INDEX["smile"]]))
    lid = upper + (lower - upper) * blink
    x = t * half_width
    sclera: Rgb = {"robot": (60, 230, 240), "cat": (250, 225, 120)}.get(spec.kind, (250, 250, 252))
    ball = brush.like(sclera + (255,))
    _draw_iris(ball, spec, rig, radius, half_height)
    brush.stencil(ball, _between(x, lid, lower))
    if spec.kind == "robot":
        return
    _draw_lids(brush, spec, x, lid, lower, side)
    _draw_brow(brush, spec, float(rig[INDEX["brow"]]), side, radius, -half_height - 16)


def _draw_iris(ball: Brush, spec: AvatarSpec, rig: np.ndarray, radius: float, half_height: float) -> None:
    anime, soft = spec.style == "anime", spec.style == "soft"
    x = float(rig[INDEX["gaze_x"]]) * radius * 0.375
    y = float(rig[INDEX["gaze_y"]]) * radius * 0.25 + (0 if anime else 1)
    if spec.kind == "robot":
        ball.ellipse(x, y, 6, 6, (200, 255, 255))
        return
    if spec.kind == "cat":
        ball.ellipse(x, y, 5, 15, (20, 20, 20))
        ball.ellipse(x - 4.5, y - 8, 3.5, 3.5, WHITE)
        return
    if soft:
        ball.box(-60, -60, 60, -half_height * 0.45, 0, fill=(216, 214, 222))
    size = min(half_height * (0.78 if anime else 0.72 if soft else 0.55), radius * 0.75)
    narrow = 0.86 if anime else 1.0
    ball.ellipse(x, y, size * narrow, size, mix(spec.eye, BLACK, 0.45))
    ball.ellipse(x, y + size * 0.06, size * narrow * 0.88, size * 0.88, spec.eye)
    if anime:
        ball.ellipse(x, y + size * 0.45, size * 0.6, size * 0.42, mix(spec.eye, WHITE, 0.4))
    ball.ellipse(x, y, size * 0.46, size * 0.48, (15, 12, 18))
    ball.ellipse(x - size * 0.34, y - size * 0.38, size * 0.24, size * 0.24, WHITE)
    if spec.style != "flat":
        ball.ellipse(x + size * 0.3, y + size * 0.36, size * 0.12, size * 0.12, (240, 240, 255))


def _draw_lids(brush: Brush, spec: AvatarSpec, x: np.ndarray, lid: np.ndarray, lower: np.ndarray, side: int) -> None:
    soft = spec.style == "soft"
    line = _curve(x, lid)
    if spec.style == "anime":
        line = np.concatenate([[[x[0] - 1.5, lid[0] + 1]], line, [[x[-1] + 1.5, lid[-1] + 1]]])
    ink = mix(spec.ink, (20, 10, 10), 0.5) if soft else spec.ink
    brush.line(line, ink + (255,), 4.5 if spec.style == "anime" else 2.5)
    if soft:
        brush.line(_curve(x, lid - 4.5)[4:-4], spec.shadow + (255,), 1.5)
        brush.line(_curve(x, lower)[5:-5], spec.shadow + (255,), 1.5)


def _draw_brow(brush: Brush, spec: AvatarSpec, raise_: float, side: int, radius: float, height: float) -> None:
    t = np.linspace(-1, 1, 13)
    thick = {"flat": 5.0, "soft": 4.5, "anime": 3.0}[spec.style]
    colour = spec.shadow if spec.haircut == "bald" else mix(spec.hair, (30, 20, 20), 0.35)
    outward = side * t
    upper = height - raise_ * 4.5 - 5 * (1 - t * t) - 1.5 * raise_ * outward - 1.5
    lower = upper + thick * (1 - 0.75 * np.maximum(0, outward))
    brush.polygon(_between(t * radius * 0.875, upper, lower), colour + (255,))


def draw_mouth(brush: Brush, spec: AvatarSpec, rig: np.ndarray) -> None:
    """The mouth; the brush's origin is its centre when closed."""
    opening = float(np.clip(rig[INDEX["mouth_open"]], 0, 1))
    width, round_ = float(rig[INDEX["mouth_width"]]), float(rig[INDEX["mouth_round"]])
    teeth = float(rig[INDEX["mouth_teeth"]])
    if spec.kind == "robot":
        _draw_grille(brush, opening, round_, teeth)
        return
    t = np.linspace(-1, 1, 33)
    bow = np.clip(1 - t * t, 0, 1)
    half = (33 * 0.9 if spec.style == "anime" else 40) * spec.mouth_scale * (0.72 + 0.46 * width - 0.42 * round_)
    height = 41.4 * opening * (1 - 0.1 * width)
    smile = (float(rig[INDEX["smile"]]) * 0.8 + 0.2) * (0.3 + 0.7 * width) * 14 * (1 - 0.6 * round_)
    base = smile * (0.35 - t * t)
    power = 0.5 + 0.1 * round_
    upper = base - height * 0.28 * bow**power
    lower = base + height * 0.74 * bow ** (power + 0.05)
    x = t * half
    if spec.style != "anime" and spec.kind != "cat":
        _draw_lips(brush, spec, t, x, upper, lower, round_)
    inside = brush.like(MOUTH_INSIDE + (255,))
    if height > 1.2:
        _draw_inside(inside, spec, x, upper, lower, half, height, opening, teeth)
    brush.stencil(inside, _between(x, upper, lower))
    ink = mix(spec.shadow, (70, 15, 30), 0.55) + (255,)
    brush.line(_curve(x, upper), ink, 1.5 if spec.style == "soft" else 2.5)
    if spec.style == "anime" and height > 1.2:
        brush.line(_curve(x, lower), ink, 1.5)
    if spec.style != "soft":
        crease = float(lower[16]) + 10
        brush.line(np.array([[-half * 0.25, crease], [half * 0.25, crease]]), mix(spec.skin, spec.shadow, 0.5) + (255,), 2)
    if spec.kind == "cat":
        brush.line(np.array([[0, -17], [0, float(upper[16])]]), ink, 2)


def _draw_lips(brush: Brush, spec: AvatarSpec, t: np.ndarray, x: np.ndarray, upper: np.ndarray, lower: np.ndarray, round_: float) -> None:
    bow = np.clip(1 - t * t, 0, 1)
    outer = x + t * 2.5
    if spec.style == "flat":
        brush.polygon(_between(outer, upper - 3.5 * bow**0.4 - 0.5, lower + 4.5 * bow**0.5), mix(spec.lips, spec.skin, 0.1) + (255,))
        return
    thick_upper, thick_lower = (9 + 3 * round_) * 0.62, (12 + 4 * round_) * 0.62
    top = upper - np.clip(1 - np.abs(t), 0, 1) ** 0.55 * thick_upper + 2 * np.exp(-((t * 6) ** 2))
    bottom = lower + thick_lower * bow**0.7
    brush.polygon(_between(outer, top, bottom), spec.lips + (255,))
    shaded = np.concatenate([_curve(x, upper), _curve(outer, top)[::-1]])
    brush.polygon(shaded, mix(spec.lips, (80, 10, 30), 0.22) + (255,))
    brush.line(_curve(x, lower + thick_lower * 0.5)[12:-12], mix(spec.lips, WHITE, 0.3) + (255,), 2)


def _draw_inside(
    inside: Brush, spec: AvatarSpec, x: np.ndarray, upper: np.ndarray, lower: np.ndarray, half: float, height: float, opening: float, teeth: float
) -> None:
    inside.ellipse(0, height * 0.82, half * 0.62, height * 0.48, TONGUE)
    inside.ellipse(-half * 0.2, height * 0.66, half * 0.3, height * 0.24, TONGUE_LIGHT)
    # teeth fade in over a small range so that nearby rig values give nearby pictures
    show = float(np.clip((teeth - 0.08) / 0.25, 0, 1)) * min(1.0, 0.45 + teeth)
    if show > 0:
        edge = upper + min(height * 0.34, 7.5) * show
        inside.polygon(_between(x * 0.9, upper - 3, edge + np.abs(x / half)), (250, 248, 244))
    lower_show = float(np.clip((teeth - 0.5) / 0.3, 0, 1)) * float(np.clip((0.6 - opening) / 0.2, 0, 1))
    if lower_show > 0:
        inside.polygon(_between(x * 0.8, lower - 4 * lower_show, lower + 3), (238, 234, 228))
    if spec.kind == "cat":
        for side in (-1, 1):
            fang = [[side * half * 0.5 - 3.5, upper[8] - 2], [side * half * 0.5 + 3.5, upper[8] - 2], [side * half * 0.5, upper[8] + 8]]
            inside.polygon(np.array(fang), (250, 250, 245))


def _draw_grille(brush: Brush, opening: float, round_: float, teeth: float) -> None:
    brush.box(-33, -12, 33, 21, 7, fill=(29, 38, 56, 255))
    for i in range(9):
        away = abs(i - 4) / 4
        tall = 1.5 + 13 * opening * (1 - 0.6 * away * away) * (1 - 0.5 * round_ * away) + 2 * teeth * (i % 2)
        brush.box(-29 + i * 6.5, 4.5 - tall, -25 + i * 6.5, 4.5 + tall, 1.5, fill=(90, 240, 200, 255))


def draw_glasses(brush: Brush, spec: AvatarSpec, eye_distance: float) -> None:
    """Frame over both eyes; the brush's origin is the middle between them, `eye_distance` half their distance."""
    assert spec.glasses is not None
    frame = spec.glasses + (255,)
    for side in (-1, 1):
        x = side * eye_distance
        brush.box(x - 34, -35, x + 34, 25, 22, outline=frame, width=4.5, fill=(255, 255, 255, 28))
    brush.line(np.array([[-eye_distance + 33, -12], [0, -17], [eye_distance - 33, -12]]), frame, 4)
