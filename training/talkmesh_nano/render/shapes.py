"""Anti-aliased shapes on the 512-unit design canvas: masks, splines, fills and three ways of shading.

A canvas has one pixel per design unit, or more within `painted_at`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator, Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

DESIGN_SIZE = 512
SUPERSAMPLE = 2
_density = 1

Rgb = tuple[int, int, int]
Point = tuple[float, float]
Ellipse = tuple[float, float, float, float]
"""Centre x, centre y, radius x, radius y in design units."""


def rgb(colour: str | Sequence[float]) -> Rgb:
    """`#rrggbb` or three numbers 0..255 as an integer triple."""
    if isinstance(colour, str):
        digits = colour.lstrip("#")
        return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
    red, green, blue = (int(max(0, min(255, value))) for value in colour)
    return red, green, blue


def mix(first: Sequence[float], second: Sequence[float], amount: float) -> Rgb:
    """`first` moved towards `second` by `amount` 0..1."""
    return rgb([a + (b - a) * amount for a, b in zip(first, second)])


@contextmanager
def painted_at(density: int) -> Iterator[None]:
    """Within it shapes are painted with that many pixels per design unit."""
    global _density
    before, _density = _density, density
    try:
        yield
    finally:
        _density = before


def canvas_size() -> int:
    """Pixels a side of the canvas."""
    return DESIGN_SIZE * _density


def transparent_layer() -> Image.Image:
    return Image.new("RGBA", (canvas_size(), canvas_size()), (0, 0, 0, 0))


def _supersampled() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    side = canvas_size() * SUPERSAMPLE
    image = Image.new("L", (side, side), 0)
    return image, ImageDraw.Draw(image)


def _softened(image: Image.Image, blur: float) -> Image.Image:
    image = image.reduce(SUPERSAMPLE)
    return blurred(image, blur) if blur else image


def polygon_mask(points: Sequence[Point], blur: float = 0.0) -> Image.Image:
    """Coverage (mode L, the size of the canvas) of a polygon in design units, optionally blurred."""
    image, draw = _supersampled()
    scale = SUPERSAMPLE * _density
    draw.polygon([(x * scale, y * scale) for x, y in points], fill=255)
    return _softened(image, blur)


def ellipse_mask(*ellipses: Ellipse, blur: float = 0.0) -> Image.Image:
    """Coverage of the union of ellipses in design units."""
    image, draw = _supersampled()
    for x, y, radius_x, radius_y in ellipses:
        box = [(x - radius_x), (y - radius_y), (x + radius_x), (y + radius_y)]
        draw.ellipse([value * SUPERSAMPLE * _density for value in box], fill=255)
    return _softened(image, blur)


def spline(points: Sequence[Point], samples: int = 14) -> list[Point]:
    """Closed Catmull-Rom curve through `points`, `samples` per segment."""
    knots = np.array(points, float)
    count = len(knots)
    t = np.linspace(0, 1, samples, endpoint=False)[:, None]
    curve: list[Point] = []
    for i in range(count):
        p0, p1, p2, p3 = knots[(i - 1) % count], knots[i], knots[(i + 1) % count], knots[(i + 2) % count]
        segment = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
        curve.extend((float(x), float(y)) for x, y in segment)
    return curve


def spline_mask(points: Sequence[Point], blur: float = 0.0) -> Image.Image:
    return polygon_mask(spline(points), blur)


def faded(mask: Image.Image, amount: float) -> Image.Image:
    return mask.point(lambda value: int(value * amount))


def both(first: Image.Image, second: Image.Image) -> Image.Image:
    return ImageChops.multiply(first, second)


def without(first: Image.Image, second: Image.Image) -> Image.Image:
    return ImageChops.subtract(first, second)


def shifted(mask: Image.Image, dx: int, dy: int) -> Image.Image:
    return ImageChops.offset(mask, dx * _density, dy * _density)


def blurred(mask: Image.Image, radius: float) -> Image.Image:
    return mask.filter(ImageFilter.GaussianBlur(radius * _density))


def fill(layer: Image.Image, mask: Image.Image, colour: Rgb) -> None:
    """Paint `colour` over `layer` where `mask` covers it."""
    paint = Image.new("RGBA", layer.size, colour + (0,))
    paint.putalpha(mask)
    layer.alpha_composite(paint)


def outline(layer: Image.Image, mask: Image.Image, colour: Rgb, width: int) -> None:
    """Line of odd `width` (design units) around `mask`."""
    edge = without(mask.filter(ImageFilter.MaxFilter((width - 1) * _density + 1)), mask)
    fill(layer, blurred(edge, 0.6), colour)


def _height(mask: Image.Image, radii: Sequence[float]) -> np.ndarray:
    """A cushion over the mask, design units: its blurs with these radii, each as high as it is wide."""
    if _density == 1:
        return sum(np.asarray(blurred(mask, radius), np.float32) / 255 * radius for radius in radii)
    # the steps of 8-bit blurs would show as contours, so these are exact
    margin = round(3 * max(radii) * _density)
    padded = np.pad(np.asarray(mask, np.float64) / 255, margin, mode="edge")
    frequencies = np.fft.fftfreq(padded.shape[0])[:, None] ** 2 + np.fft.rfftfreq(padded.shape[1]) ** 2
    response = sum(radius * np.exp(-2 * (np.pi * radius * _density) ** 2 * frequencies) for radius in radii)
    height = np.fft.irfft2(np.fft.rfft2(padded) * response, padded.shape)
    return height[margin:-margin, margin:-margin].astype(np.float32)


def _lit(mask: Image.Image, base: np.ndarray, amount: float, radii: Sequence[float]) -> np.ndarray:
    height = _height(mask, radii)
    slope_y, slope_x = np.gradient(height, 1 / _density)
    normal = np.stack([-slope_x * 1.6, -slope_y * 1.6, np.ones_like(slope_x)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = np.array((-0.45, -0.6, 0.65)) / np.linalg.norm((-0.45, -0.6, 0.65))
    half = light + np.array([0, 0, 1])
    half /= np.linalg.norm(half)
    diffuse = 0.62 + 0.5 * (normal @ light).clip(0, 1)
    specular = (normal @ half).clip(0, 1) ** 30
    rim = (1 - normal[..., 2]).clip(0, 1) ** 1.5
    # red falls off slower than blue, so that shadows stay warm instead of grey
    image = base * (1 + (diffuse[..., None] - 1) * amount) ** np.array([0.72, 1.0, 1.12])
    image += np.array([40, 34, 30]) * specular[..., None] * amount
    return image + np.array([30, 10, 45]) * rim[..., None] * amount * 0.5


def shade(
    mask: Image.Image,
    colour: Rgb,
    style: str,
    amount: float = 1.0,
    radii: Sequence[float] = (40, 16, 6),
) -> Image.Image:
    """A coloured RGBA layer for `mask`: lit like a cushion (soft), a vertical ramp (anime) or plain (flat)."""
    base = np.broadcast_to(np.array(colour, np.float32), (canvas_size(), canvas_size(), 3))
    if style == "soft":
        image = _lit(mask, base, amount, radii)
    elif style == "anime":
        image = base * (1.06 - 0.12 * np.linspace(0, 1, canvas_size())[:, None, None])
    else:
        image = base
    alpha = np.asarray(mask, np.float32)[..., None]
    pixels = np.concatenate([image.clip(0, 255), alpha], -1).astype(np.uint8)
    return Image.fromarray(pixels, "RGBA")
