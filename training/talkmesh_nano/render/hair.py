"""Haircuts and things worn on the head, painted into the layers behind and in front of the head."""

from __future__ import annotations

import math
from typing import Sequence

import numpy as np
from PIL import Image

from .avatars import AvatarSpec
from .shapes import (
    Point, blurred, both, ellipse_mask, faded, fill, mix, outline, polygon_mask, rgb, shade, shifted, spline_mask,
    transparent_layer, without,
)

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


class _HairPainter:
    """Paints locks of one avatar's hair; those in front cast a shadow on the face."""

    def __init__(self, spec: AvatarSpec, head: Image.Image, face: Image.Image, cx: float, cy: float) -> None:
        self.spec, self.head, self.face, self.cx, self.cy = spec, head, face, cx, cy
        self.half = spec.face_width + 14
        self.top = -spec.face_height
        self.behind, self.front = transparent_layer(), transparent_layer()

    def at(self, points: Sequence[Point]) -> list[Point]:
        return [(self.cx + x, self.cy + y) for x, y in points]

    def lock(self, layer: Image.Image, mask: Image.Image) -> None:
        layer.alpha_composite(shade(mask, self.spec.hair, self.spec.style, 1.0, (26, 10, 4)))
        if self.spec.style == "anime":
            outline(layer, mask, self.spec.ink, 3)

    def curl_behind(self, points: Sequence[Point]) -> None:
        self.lock(self.behind, spline_mask(self.at(points)))

    def fringe(self, mask: Image.Image) -> None:
        style = self.spec.style
        cast = blurred(shifted(mask, 4, 11), 5 if style == "soft" else 0.8)
        fill(self.head, faded(both(cast, self.face), 0.35 if style == "flat" else 0.5), self.spec.shadow)
        self.lock(self.front, mask)

    def highlight(self) -> None:
        width, height = self.half * 0.86, self.spec.face_height * 0.98
        outer = ellipse_mask((self.cx - 8, self.cy - 30, width, height))
        inner = ellipse_mask((self.cx - 8, self.cy - 16, width * 1.02, height * 0.98))
        band = both(self.front.getchannel("A"), without(outer, inner))
        fill(self.front, faded(blurred(band, 2), 0.55), mix(self.spec.hair, WHITE, 0.28))


def paint_hair(spec: AvatarSpec, head: Image.Image, face: Image.Image, cx: float, cy: float) -> tuple[Image.Image, Image.Image]:
    """Layers behind and in front of the head; shadows of the fringe are painted into `head`."""
    hair = _HairPainter(spec, head, face, cx, cy)
    cut = spec.haircut
    _behind(hair, cut)
    _front(hair, cut)
    if cut in ("long", "bob", "bun", "spiky", "pony", "short") and spec.style != "flat":
        hair.highlight()
    return hair.behind, hair.front


def _behind(hair: _HairPainter, cut: str) -> None:
    w, top = hair.half, hair.top
    if cut == "long":
        side = [(w * 0.75, top - 6), (w + 8, -20), (w + 14, 120), (w - 6, 205), (30, 190)]
        hair.curl_behind([(0, top - 28), *side, *_mirrored(side)])
    elif cut == "bob":
        side = [(w * 0.8, top), (w + 16, 0), (w + 18, 100), (w - 20, 122)]
        hair.curl_behind([(0, top - 26), *side, (0, 100), *_mirrored(side)])
    elif cut in ("pony", "bun"):
        side = [(w * 0.85, top + 20), (w, 0), (w * 0.8, 60)]
        hair.curl_behind([(0, top - 20), *side, *_mirrored(side)])
        if cut == "bun":
            hair.lock(hair.behind, ellipse_mask((hair.cx, hair.cy + top - 32, 44, 40)))
        else:
            tail = [(w - 20, -60), (w + 34, -86), (w + 66, -10), (w + 50, 120), (w + 30, 150), (w + 26, 40)]
            hair.curl_behind([(-x, y) for x, y in tail])
            hair.curl_behind(tail)
    elif cut == "afro":
        turns = np.linspace(math.pi * 0.86, 2.14 * math.pi, 12)
        puffs = [(hair.cx + math.cos(a) * 92, hair.cy - 48 + math.sin(a) * 86, 62.0, 60.0) for a in turns]
        hair.lock(hair.behind, ellipse_mask(*puffs, (hair.cx, hair.cy - 50, 100, 90)))
    elif cut == "short":
        side = [(w * 0.8, top + 4), (w, -20), (w - 8, 30)]
        hair.curl_behind([(0, top - 22), *side, *_mirrored(side)])
    elif cut == "spiky":
        right = [(w * 0.42, top - 54), (w * 0.68, top), (w + 32, top + 30), (w + 8, -40), (w + 26, 30)]
        left = [(-w - 26, 30), (-w - 8, -40), (-w - 34, top + 44), (-w * 0.62, top + 4), (-w * 0.5, top - 46), (-10, top - 22)]
        hair.curl_behind([*left, *right, (0, 60)])


def _front(hair: _HairPainter, cut: str) -> None:
    w, top, width = hair.half, hair.top, hair.spec.face_width
    if cut == "afro":
        outer = [(-width + 6, -30), (-width * 0.8, top - 6), (0, top - 22), (width * 0.8, top - 6), (width - 6, -30)]
        hair.fringe(spline_mask(hair.at([*outer, (width * 0.7, -62), (0, -74), (-width * 0.7, -62)])))
    elif cut == "short":
        outer = [(-w + 2, 8), (-w, -66), (-w * 0.6, top - 20), (20, top - 34), (w * 0.75, top - 10), (w, -60), (w - 2, 8)]
        inner = [(w - 16, -40), (w * 0.55, -70), (10, -66), (-40, -84), (-w * 0.62, -52), (-w + 16, -34)]
        hair.fringe(spline_mask(hair.at(outer + inner)))
    elif cut in ("long", "bob", "bun"):
        outer = [(-w, 44), (-w - 2, -50), (-w * 0.65, top - 18), (0, top - 32), (w * 0.65, top - 18), (w + 2, -50), (w, 44)]
        inner = [(w - 18, -14), (w * 0.5, -62), (-6, -84), (-w * 0.3, -58), (-w * 0.75, -28), (-w + 14, 10)]
        hair.fringe(spline_mask(hair.at(outer + inner)))
    elif cut in ("spiky", "pony"):
        crown = [(-w - 2, 36), (-w - 12, -40), (-w * 0.85, top + 2), (-20, top - 36), (w * 0.8, top - 4), (w + 12, -40), (w + 2, 36), (w - 22, -22)]
        tips = [(0.62, -30), (0.5, -78), (0.3, -24), (0.16, -80), (-0.06, -18), (-0.22, -78), (-0.42, -28), (-0.58, -74), (-0.72, -22)]
        jagged = polygon_mask(hair.at(crown + [(w * x, y) for x, y in tips] + [(-w + 20, -22)]))
        rounded = blurred(jagged, 2.2).point(lambda value: max(0, min(255, (value - 110) * 9)))
        hair.fringe(blurred(rounded, 0.7))


def _mirrored(side: Sequence[Point]) -> list[Point]:
    return [(-x, y) for x, y in reversed(side)]


def paint_accessory(spec: AvatarSpec, front: Image.Image, cx: float, cy: float) -> None:
    """Headset, cap or flower, painted into the layer in front of the head."""
    w, top = spec.face_width + 14, cy - spec.face_height
    if spec.accessory == "headset":
        ring = without(ellipse_mask((cx, cy - 6, w + 16, spec.face_height + 46)), ellipse_mask((cx, cy - 2, w + 4, spec.face_height + 32)))
        fill(front, both(ring, polygon_mask([(0, 0), (512, 0), (512, cy), (0, cy)])), rgb("#2a2d38"))
        for side in (-1, 1):
            front.alpha_composite(shade(ellipse_mask((cx + side * (w + 4), cy + 12, 20, 36)), rgb("#3b4050"), "soft"))
    elif spec.accessory == "cap":
        crown = [(cx - w - 4, cy - 58), (cx - w * 0.8, top - 20), (cx, top - 52), (cx + w * 0.8, top - 20), (cx + w + 4, cy - 58), (cx, cy - 80)]
        front.alpha_composite(shade(spline_mask(crown), spec.shirt, spec.style))
        brim = [(cx - w * 0.9, cy - 64), (cx, cy - 88), (cx + w * 0.9, cy - 64), (cx + w * 0.6, cy - 44), (cx, cy - 60), (cx - w * 0.6, cy - 44)]
        front.alpha_composite(shade(spline_mask(brim), mix(spec.shirt, BLACK, 0.3), spec.style))
    elif spec.accessory == "flower":
        for angle in np.linspace(0, 6.28, 6)[:-1]:
            fill(front, ellipse_mask((cx + 86 + 13 * math.cos(angle), cy - 78 + 13 * math.sin(angle), 10, 10)), rgb("#ff8fa8"))
        fill(front, ellipse_mask((cx + 86, cy - 78, 8, 8)), rgb("#ffd95a"))
