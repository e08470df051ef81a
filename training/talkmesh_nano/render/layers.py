"""The still layers of an avatar on the 512-unit canvas: backdrop, body, hair behind, head without eyes and mouth, hair in front."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image

from .avatars import AvatarSpec
from .hair import paint_accessory, paint_hair
from .shapes import (
    DESIGN_SIZE, Point, blurred, both, canvas_size, ellipse_mask, faded, fill, mix, outline, polygon_mask, rgb, shade, shifted,
    spline, spline_mask, transparent_layer, without,
)

CENTRE_X, CENTRE_Y = 256.0, 228.0
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def paint_backdrop(spec: AvatarSpec) -> Image.Image:
    """Opaque backdrop; its decoration depends on `spec.seed`."""
    y, x = np.mgrid[0 : canvas_size(), 0 : canvas_size()] / canvas_size()
    t = (y * 0.8 + x * 0.2)[..., None]
    ramp = np.array(spec.backdrop_top) * (1 - t) + np.array(spec.backdrop_bottom) * t
    layer = Image.fromarray(ramp.astype(np.uint8)).convert("RGBA")
    pale = mix(spec.backdrop_top, WHITE, 0.45)
    if spec.backdrop == "circle":
        fill(layer, ellipse_mask((256, 250, 205, 205)), mix(spec.backdrop_bottom, WHITE, 0.25))
    elif spec.backdrop == "bokeh":
        rng = random.Random(spec.seed)
        for _ in range(16):
            radius = rng.uniform(12, 52)
            spot = (rng.uniform(0, DESIGN_SIZE), rng.uniform(0, DESIGN_SIZE), radius, radius)
            fill(layer, faded(ellipse_mask(spot, blur=3), 0.3), pale)
    elif spec.backdrop == "stripes":
        for i in range(-6, 12, 2):
            band = [(i * 60, 0), (i * 60 + 60, 0), (i * 60 - 140, 512), (i * 60 - 200, 512)]
            fill(layer, faded(polygon_mask(band), 0.35), pale)
    elif spec.backdrop == "window":
        _paint_window(layer, spec, pale)
    elif spec.backdrop == "hills":
        ridge = [(-40, 380), (90, 300), (230, 360), (400, 290), (560, 360), (560, 600), (-40, 600)]
        fill(layer, spline_mask(ridge), mix(spec.backdrop_bottom, (60, 120, 80), 0.4))
    return layer


def _box(left: float, top: float, right: float, bottom: float) -> Image.Image:
    return polygon_mask([(left, top), (right, top), (right, bottom), (left, bottom)])


def _paint_window(layer: Image.Image, spec: AvatarSpec, pale: tuple[int, int, int]) -> None:
    fill(layer, _box(40, 40, 200, 300), mix(pale, WHITE, 0.5))
    fill(layer, _box(114, 40, 124, 300), spec.backdrop_bottom)
    fill(layer, _box(40, 165, 200, 175), spec.backdrop_bottom)
    fill(layer, _box(360, 120, 490, 132), mix(spec.backdrop_bottom, (60, 40, 30), 0.5))
    for i, colour in enumerate([(200, 90, 80), (90, 140, 190), (220, 180, 90), (120, 170, 120)]):
        fill(layer, _box(372 + i * 26, 60 + i % 2 * 14, 394 + i * 26, 120), colour)


def paint_body(spec: AvatarSpec) -> Image.Image:
    """Shoulders, neck and collar."""
    layer = transparent_layer()
    shoulders = [(256, 392), (330, 404), (412, 436), (450, 520), (450, 640), (62, 640), (62, 520), (100, 436), (182, 404)]
    mask = spline_mask(shoulders)
    layer.alpha_composite(shade(mask, spec.shirt, spec.style))
    if spec.style != "soft":
        outline(layer, mask, mix(spec.shirt, (20, 10, 30), 0.55), 5 if spec.style == "anime" else 3)
    neck = polygon_mask([(216, 330), (296, 330), (302, 408), (256, 430), (210, 408)])
    layer.alpha_composite(shade(neck, mix(spec.skin, spec.shadow, 0.55), spec.style, 0.5))
    fill(layer, both(neck, ellipse_mask((256, 352, 90, 42), blur=8)), mix(spec.shadow, (90, 20, 35), 0.22))
    _paint_collar(layer, spec)
    return layer


def _paint_collar(layer: Image.Image, spec: AvatarSpec) -> None:
    pale, dark = mix(spec.shirt, WHITE, 0.75), mix(spec.shirt, BLACK, 0.3)
    if spec.collar == "v":
        fill(layer, polygon_mask([(206, 398), (256, 470), (306, 398), (318, 404), (256, 492), (194, 404)]), pale)
    elif spec.collar == "suit":
        fill(layer, polygon_mask([(206, 398), (256, 420), (306, 398), (300, 520), (212, 520)]), (245, 245, 248))
        fill(layer, polygon_mask([(244, 424), (268, 424), (276, 520), (236, 520)]), rgb("#b03040"))
        fill(layer, polygon_mask([(204, 396), (190, 412), (236, 520), (200, 520), (170, 420)]), dark)
        fill(layer, polygon_mask([(308, 396), (322, 412), (276, 520), (312, 520), (342, 420)]), dark)
    elif spec.collar == "hood":
        fill(layer, without(ellipse_mask((256, 410, 92, 34)), ellipse_mask((256, 396, 62, 26))), dark)
        for x in (222, 284):
            fill(layer, polygon_mask([(x, 430), (x + 5, 430), (x + 4, 490), (x - 1, 490)]), pale)
    elif spec.collar == "crew":
        fill(layer, without(ellipse_mask((256, 402, 62, 30)), ellipse_mask((256, 394, 54, 26))), dark)


def face_outline(spec: AvatarSpec) -> list[Point]:
    """The face as a polygon, clockwise from the right cheek."""
    cx, cy, width, height = CENTRE_X, CENTRE_Y, spec.face_width, spec.face_height
    if spec.kind == "robot":
        right = [(0.7, -1.0), (1.0, -0.8), (1.0, 0.7), (0.75, 0.95)]
        left = [(-0.75, 0.95), (-1.0, 0.7), (-1.0, -0.8), (-0.7, -1.0)]
        return spline([(cx + x * width, cy + y * height) for x, y in right + left])
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    sine = np.sin(angle)
    x = width * np.cos(angle) * (1 - spec.jaw * np.clip(sine, 0, 1) ** 1.6 * 0.55)
    y = height * sine * (1 + 0.03 * np.clip(sine, 0, 1))
    return list(zip((cx + x).tolist(), (cy + y).tolist()))


def paint_head(spec: AvatarSpec) -> tuple[Image.Image, Image.Image, Image.Image]:
    """Hair behind, head, hair in front. The head has ears, face, beard, nose and cast shadows, but no eyes and mouth."""
    head = transparent_layer()
    face = polygon_mask(face_outline(spec))
    _paint_ears(head, spec)
    head.alpha_composite(shade(face, spec.skin, spec.style, 0.85))
    _paint_face_shadow(head, spec, face)
    for side in (-1, 1):
        if spec.blush:
            cheek = ellipse_mask((CENTRE_X + side * spec.face_width * 0.58, CENTRE_Y + 48, 24, 14), blur=9)
            fill(head, faded(cheek, spec.blush), (255, 110, 120))
    _paint_markings(head, spec)
    behind, front = paint_hair(spec, head, face, CENTRE_X, CENTRE_Y)
    paint_accessory(spec, front, CENTRE_X, CENTRE_Y)
    if spec.beard:
        _paint_beard(head, spec, face)
    _paint_nose(head, spec)
    return behind, head, front


def _paint_ears(head: Image.Image, spec: AvatarSpec) -> None:
    cx, cy, width, style = CENTRE_X, CENTRE_Y, spec.face_width, spec.style
    for side in (-1, 1):
        if spec.kind == "cat":
            ear = polygon_mask([(cx + side * 95, cy - 40), (cx + side * 112, cy - 168), (cx + side * 20, cy - 118)])
            head.alpha_composite(shade(ear, spec.skin, style))
            inner = polygon_mask([(cx + side * 90, cy - 70), (cx + side * 103, cy - 145), (cx + side * 42, cy - 112)])
            fill(head, inner, mix(spec.skin, (240, 130, 140), 0.6))
        elif spec.kind == "robot":
            head.alpha_composite(shade(ellipse_mask((cx + side * (width + 4), cy + 5, 16, 34)), spec.shadow, style))
        else:
            ear = ellipse_mask((cx + side * width * 0.97, cy + 16, 17, 28))
            head.alpha_composite(shade(ear, spec.skin, style, 0.8))
            fill(head, ellipse_mask((cx + side * width * 0.98, cy + 17, 8, 16), blur=2), spec.shadow)
            if style == "anime":
                outline(head, ear, spec.ink, 3)
    if spec.kind == "robot":
        top = cy - spec.face_height
        head.alpha_composite(shade(_box(cx - 4, top - 40, cx + 4, top + 5), spec.shadow, style))
        head.alpha_composite(shade(ellipse_mask((cx, top - 44, 13, 13)), rgb("#ff6a5a"), style))


def _paint_face_shadow(head: Image.Image, spec: AvatarSpec, face: Image.Image) -> None:
    if spec.style == "flat":
        fill(head, both(face, without(face, shifted(face, -14, -8))), mix(spec.skin, spec.shadow, 0.45))
    elif spec.style == "anime":
        side = blurred(without(face, shifted(face, -10, -6)), 1)
        fill(head, both(face, side), mix(spec.skin, spec.shadow, 0.5))
        outline(head, face, spec.ink, 5)


def _paint_markings(head: Image.Image, spec: AvatarSpec) -> None:
    cx, cy, width = CENTRE_X, CENTRE_Y, spec.face_width
    if spec.kind == "robot":
        visor = [(cx - width * 0.8, cy - 50), (cx + width * 0.8, cy - 50), (cx + width * 0.8, cy + 30), (cx - width * 0.8, cy + 30)]
        fill(head, spline_mask(visor), rgb("#1d2638"))
    elif spec.kind == "cat":
        top = cy - spec.face_height
        fill(head, ellipse_mask((cx, cy + 70, 56, 42), blur=2), mix(spec.skin, WHITE, 0.7))
        for i in (-1, 0, 1):
            stripe = polygon_mask([(cx + i * 26 - 8, top + 2), (cx + i * 26 + 8, top + 2), (cx + i * 18, top + 52)], blur=1)
            fill(head, stripe, mix(spec.skin, (60, 30, 10), 0.45))


def _paint_beard(head: Image.Image, spec: AvatarSpec, face: Image.Image) -> None:
    assert spec.beard is not None
    cx, cy, width, height = CENTRE_X, CENTRE_Y, spec.face_width, spec.face_height
    upper = [(-width - 9, 10), (-width * 0.74, 48), (-40, 48), (0, 42), (40, 48), (width * 0.74, 48), (width + 9, 10)]
    points = [(cx + x, cy + y) for x, y in upper + [(width, height + 10), (-width, height + 10)]]
    head.alpha_composite(shade(both(face, spline_mask(points, blur=2)), spec.beard, spec.style, 0.6, (20, 8, 4)))


def _paint_nose(head: Image.Image, spec: AvatarSpec) -> None:
    cx, ny = CENTRE_X, CENTRE_Y + 34
    if spec.kind == "robot":
        return
    if spec.kind == "cat":
        fill(head, spline_mask([(cx - 13, ny + 4), (cx + 13, ny + 4), (cx, ny + 18)]), rgb("#e07a88"))
    elif spec.style == "anime":
        fill(head, polygon_mask([(cx + 2, ny), (cx + 7, ny + 9), (cx, ny + 11)], blur=0.8), spec.shadow)
    elif spec.style == "flat":
        bridge = [(cx - 3, ny - 26), (cx + 12, ny + 8), (cx + 2, ny + 17), (cx - 12, ny + 12), (cx + 2, ny + 8)]
        fill(head, spline_mask(bridge), spec.shadow)
    else:
        bridge = [(cx - 7, ny - 44), (cx + 7, ny - 44), (cx + 15, ny + 6), (cx, ny + 15), (cx - 15, ny + 6)]
        mask = spline_mask(bridge, blur=5)
        fill(head, faded(shifted(mask, 5, 7), 0.33), spec.shadow)
        fill(head, faded(mask, 0.42), mix(spec.skin, WHITE, 0.18))
        fill(head, faded(ellipse_mask((cx - 3, ny - 1, 5, 5), blur=3), 0.8), mix(spec.skin, WHITE, 0.4))
        for side in (-1, 1):
            fill(head, ellipse_mask((cx + side * 8, ny + 12, 4, 2.4), blur=1), mix(spec.shadow, (60, 10, 10), 0.35))
