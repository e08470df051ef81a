"""Hair as strands: brows, stubble and beards, cropped, combed, tied-back and curly hair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from .blender import Nodes


@dataclass(frozen=True)
class Hair:
    """`kind`: crop, swept, back, curls, none. Lengths, radii of strands and of their coils (`curl`) in decimetres. `melanin` .0 white .. 1 black, `red` share of pheomelanin."""

    kind: str
    count: int = 60000
    length: float = 0.3
    melanin: float = 0.8
    red: float = 0.1
    grey: float = 0.0
    part: float = 0.25
    hairline: float = 0.0
    recede: float = 0.0
    lift: float = 0.3
    radius: float = 0.0011
    curl: float = 0.022
    seed: int = 0


@dataclass(frozen=True)
class Beard:
    count: int = 0
    length: float = 0.05
    cheek: float = 0.0
    grey: float = 0.0


class Scalp:
    """The head's surface: roots are scattered on it and strands are kept outside of it."""

    def __init__(self, points: np.ndarray, normals: np.ndarray, triangles: np.ndarray, rest: np.ndarray) -> None:
        self.points, self.normals, self.triangles, self.rest = points, normals, triangles, rest
        self.tree = cKDTree(points)

    def scatter(self, density: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places, normals and rest places of `count` roots; density per point."""
        t = self.triangles
        area = np.linalg.norm(np.cross(self.points[t[:, 1]] - self.points[t[:, 0]], self.points[t[:, 2]] - self.points[t[:, 0]]), axis=1)
        weight = area * density[t].mean(1)
        chosen = t[rng.choice(len(t), count, p=weight / weight.sum())]
        r = rng.uniform(size=(count, 2))
        r = np.where(r.sum(1, keepdims=True) > 1, 1 - r, r)
        bary = np.stack([1 - r.sum(1), r[:, 0], r[:, 1]], 1)[..., None]
        normal = (self.normals[chosen] * bary).sum(1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
        return (self.points[chosen] * bary).sum(1), normal, (self.rest[chosen] * bary).sum(1)

    def height(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Signed distance to the surface (near it) and its normal."""
        near = self.tree.query(points)[1]
        normal = self.normals[near]
        return ((points - self.points[near]) * normal).sum(1), normal


def unit(v: np.ndarray) -> np.ndarray:
    return v / (np.linalg.norm(v, axis=-1, keepdims=True) + 1e-9)


def smooth_noise(points: np.ndarray, scale: float, seed: int) -> np.ndarray:
    """[n, 3] smooth vectors of about unit size."""
    rng = np.random.default_rng(seed)
    total = np.zeros((len(points), 3))
    for octave in range(3):
        waves = rng.normal(0, scale * 1.9**octave, (10, 3))
        phase = rng.uniform(0, 2 * np.pi, (10, 3))
        total += np.sin((points @ waves.T)[:, :, None] + phase[None]).sum(1) / (3.2 * 1.6**octave)
    return total


def hairline_map(rest: np.ndarray, hair: Hair) -> np.ndarray:
    """Where hair grows on the scalp, 0..1 with a soft border."""
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    jag = 0.03 * smooth_noise(rest, 9.0, 3)[:, 0] + 0.015 * smooth_noise(rest, 30.0, 4)[:, 0]
    front = np.interp(x, [0, 0.2, 0.40, 0.53, 0.63, 0.70, 0.77], [7.99, 8.0, 7.94, 7.79, 7.58, 7.38, 7.05]) + hair.hairline
    front = front + hair.recede * np.interp(x, [0, 0.15, 0.4, 0.6, 0.8], [0.25, 0.35, 0.6, 0.25, 0.0])
    # Behind each ear and on the neck the border is lower.
    low = np.interp(z, [-0.9, -0.2, 0.25, 0.5, 0.62, 0.95, 1.1], [6.45, 6.5, 6.75, 7.1, 6.95, 7.0, 7.5])
    edge = np.where(z > 0.62, np.maximum(front, low), low) + jag
    soft = 0.10 + 0.06 * (z > 0.6)
    grow = np.clip((y - edge) / soft + 0.3, 0, 1)
    ear = (x > 0.70) & (y < 7.38) & (y > 6.6) & (z > -0.1) & (z < 0.75)
    return grow * np.where(ear, 0.0, 1.0)


def walk(
    scalp: Scalp, start: np.ndarray, first: np.ndarray, length: np.ndarray, steps: int, comb: Any, gap: np.ndarray, hold: float = 0.0
) -> np.ndarray:
    """Strands [n, steps + 1, 3]: each step turns towards comb(points, share, heading, normal) and stays at least `gap` above the skin; `hold` is
    the share of what is higher that is pressed down."""
    heading, points = unit(first), [start]
    for step in range(steps):
        here = points[-1]
        height, normal = scalp.height(here)
        share = step / steps
        heading = unit(comb(here, share, heading, normal))
        following = here + heading * (length / steps)[:, None]
        height, normal = scalp.height(following)
        lack = np.clip(gap * min(1.0, 0.25 + 1.5 * share) - height, 0, 0.3)
        excess = np.clip(height - gap, 0, 0.5) * hold
        following = following + normal * (lack - excess)[:, None]
        heading = unit(following - here)
        points.append(following)
    return np.stack(points, 1)


def head_hair(scalp: Scalp, hair: Hair) -> np.ndarray:
    rng = np.random.default_rng(hair.seed)
    density = hairline_map(scalp.rest, hair)
    start, normal, rest = scalp.scatter(density, hair.count, rng)
    growth = np.clip(hairline_map(rest, hair), 0.25, 1)
    length = hair.length * (0.55 + 0.45 * growth) * rng.uniform(0.75, 1.15, hair.count)
    tufts = smooth_noise(rest, 6.0, hair.seed + 1)
    wild = rng.normal(0, 1, (hair.count, 3))
    makers = {"crop": _crop, "swept": _swept, "back": _back, "curls": _curls}
    return makers[hair.kind](scalp, hair, start, normal, rest, length, tufts, wild, rng)


def _whorl(rest: np.ndarray) -> np.ndarray:
    """Natural direction of growth: away from the crown, forwards on top, down at the sides."""
    crown = np.array([0.1, 8.2, -0.45])
    away = rest - crown
    away[:, 1] -= 0.35
    return unit(away)


def _crop(scalp, hair, start, normal, rest, length, tufts, wild, rng):  # noqa: ANN001, ANN202
    tangent = _whorl(rest)
    first = normal * (0.55 + hair.lift) + 0.6 * tangent + 0.16 * tufts + 0.16 * wild
    sides = np.clip((8.05 - rest[:, 1]) / 0.9, 0, 1) * np.clip((np.abs(rest[:, 0]) - 0.3) / 0.4 + (rest[:, 2] < 0.3), 0, 1)
    length = length * (1 - 0.45 * np.clip(sides, 0, 1))

    def comb(here, share, heading, normal):  # noqa: ANN001, ANN202
        return heading + 0.10 * tangent + 0.05 * tufts - 0.05 * np.array([0, 1, 0]) * share

    return walk(scalp, start, first, length, 5, comb, np.full(len(start), 0.01))


def _swept(scalp, hair, start, normal, rest, length, tufts, wild, rng):  # noqa: ANN001, ANN202
    """Short at the sides, longer on top and combed from a parting to the side and back."""
    top = np.clip((rest[:, 1] - 7.75 - 0.25 * np.clip(-rest[:, 2], 0, 1)) / 0.35, 0, 1)
    top = top * np.clip(1.25 - np.abs(rest[:, 0]) / 0.75, 0, 1)
    length = length * (0.22 + 0.78 * top)
    side = np.tanh((rest[:, 0] - hair.part) / 0.06)[:, None] if abs(hair.part) < 0.9 else np.zeros((len(rest), 1))
    across = np.array([1.0, 0.0, 0.0]) * side * (0.8 if hair.part > 0 else 1.0)
    back = np.array([0.0, 0.05, -0.55])
    front = np.clip((rest[:, 2] - 0.7) / 0.5, 0, 1)[:, None]
    wish = top[:, None] * (across + back + 0.25 * front * np.array([0, 0.9, 0.1])) + (1 - top[:, None]) * _whorl(rest)
    first = normal * (0.4 + hair.lift * (0.5 + top))[:, None] + 0.75 * wish + 0.22 * tufts + 0.07 * wild
    bend = rng.normal(0, 1, (len(start), 1))

    def comb(here, share, heading, normal):  # noqa: ANN001, ANN202
        flat = wish - (wish * normal).sum(1, keepdims=True) * normal
        fall = np.array([0.0, -0.20, 0.0]) * share
        return heading * 1.5 + 0.6 * flat + 0.14 * tufts + fall - 0.30 * share * normal * top[:, None] + 0.04 * wild * (1 + bend)

    gap = 0.015 + 0.05 * top * rng.uniform(0.2, 1, len(start)) * (1 + 2 * hair.lift)
    return walk(scalp, start, first, length, 9, comb, gap, 0.35)


def _back(scalp, hair, start, normal, rest, length, tufts, wild, rng):  # noqa: ANN001, ANN202
    """Combed back to a knot behind the head."""
    knot = np.array([0.0, 7.75, -1.35])
    gap = (0.02 + 0.10 * rng.uniform(0, 1, len(start)) ** 1.3) * (0.6 + hair.lift)
    fly = rng.uniform(0, 1, len(start)) < 0.02
    parted = np.tanh((rest[:, 0] - hair.part) / 0.05) if abs(hair.part) < 0.9 else np.zeros(len(rest))

    def comb(here, share, heading, normal):  # noqa: ANN001, ANN202
        to = unit(knot - here)
        to = to + 0.35 * (1 - share) * np.stack([parted, np.full(len(here), 0.05), np.zeros(len(here))], 1)
        flat = unit(to - (to * normal).sum(1, keepdims=True) * normal)
        near = np.clip(1.5 - np.linalg.norm(knot - here, axis=1), 0, 1)[:, None]
        aim = flat * (1 - near) + to * near
        return heading * 0.8 + aim + 0.10 * tufts + np.where(fly[:, None], 0.35 * wild * (1 - share), 0.03 * wild)

    distance = np.linalg.norm(knot - start, axis=1) * 1.12
    reach = np.where(fly, distance * rng.uniform(0.2, 0.6, len(start)), distance)
    return walk(scalp, start, 0.12 * normal + comb(start, 0.0, np.zeros_like(start), normal), reach, 16, comb, gap, 0.8)


def _curls(scalp, hair, start, normal, rest, length, tufts, wild, rng):  # noqa: ANN001, ANN202
    """Tight coils that stand off the head."""
    steps = 22
    length = length * np.clip(0.35 + (rest[:, 1] - 6.9) / 0.9, 0.35, 1)
    ids = np.floor(rest / (3.9 * hair.curl) + 0.35 * smooth_noise(rest, 14.0, 5)).astype(int)
    code = (ids * np.array([73856093, 19349663, 83492791])).sum(1)
    phase = (code % 6283) / 1000.0 + rng.normal(0, 0.5, len(start))
    radius = hair.curl * (0.7 + (code % 97) / 160.0) * rng.uniform(0.8, 1.25, len(start))
    turns = length / (3.4 * hair.curl) * rng.uniform(0.9, 1.1, len(start))
    heading = unit(normal + 0.35 * _whorl(rest) + 0.35 * tufts + 0.16 * wild)
    side = unit(np.cross(heading, np.array([0.31, 0.82, 0.47])))
    up = np.cross(heading, side)
    s = np.linspace(0, 1, steps)[None, :, None]
    angle = phase[:, None, None] + 2 * np.pi * turns[:, None, None] * s
    grow = radius[:, None, None] * np.clip(s * 6, 0, 1)
    along = length[:, None, None]
    spine = start[:, None] + heading[:, None] * along * s + 0.1 * along * s**2 * unit(tufts)[:, None]
    # Wide coils hang, tight ones stand.
    spine = spine - max(0.0, 40 * hair.curl - 0.9) * (along * s) ** 2 * np.array([0.0, 1.0, 0.0])
    return spine + grow * (np.cos(angle) * side[:, None] + np.sin(angle) * up[:, None])


def beard_hair(scalp: Scalp, density: np.ndarray, beard: Beard, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    start, normal, rest = scalp.scatter(density, beard.count, rng)
    down = np.array([0.0, -1.0, 0.15]) + np.stack([0.5 * np.sign(rest[:, 0]) * (np.abs(rest[:, 0]) > 0.08) * (rest[:, 1] > 6.66), 0 * rest[:, 0], 0 * rest[:, 0]], 1)
    tufts = smooth_noise(rest, 10.0, seed)
    wild = rng.normal(0, 1, (beard.count, 3))
    length = beard.length * rng.uniform(0.5, 1.2, beard.count)

    def comb(here, share, heading, normal):  # noqa: ANN001, ANN202
        flat = down - (down * normal).sum(1, keepdims=True) * normal
        return heading + 0.35 * flat + 0.12 * tufts + 0.1 * wild

    return walk(scalp, start, 0.55 * normal + 0.7 * down + 0.25 * tufts + 0.25 * wild, length, 5, comb, np.full(beard.count, 0.004))


def brow_hair(scalp: Scalp, count: int, thickness: float, arch: float, seed: int) -> np.ndarray:
    """Strands of both brows: the map lives in the mesh's rest places."""
    rng = np.random.default_rng(seed)
    strands = []
    for side in (1.0, -1.0):
        t = rng.beta(1.35, 1.3, count)
        middle = np.interp(t, [0, 0.3, 0.65, 1], [7.50, 7.52 + 0.3 * arch, 7.54 + arch, 7.485 + 0.3 * arch])
        thick = thickness * np.interp(t, [0, 0.1, 0.5, 0.8, 1], [0.55, 1, 0.95, 0.6, 0.2])
        v = np.clip(rng.normal(0, 0.5, count), -1.1, 1.1)
        x = side * (0.13 + 0.40 * t) + rng.normal(0, 0.006, count)
        y = middle + thick * v
        keep = scalp.rest[:, 2] > 0.9
        near = np.nonzero(keep)[0][cKDTree(scalp.rest[keep][:, :2]).query(np.stack([x, y], 1))[1]]
        start, normal = scalp.points[near].copy(), scalp.normals[near]
        start[:, 0] += x - scalp.rest[near, 0]
        start[:, 1] += y - scalp.rest[near, 1]
        climb = np.interp(t, [0, 0.15, 0.5, 1], [1.1, 0.75, 0.25, -0.35]) - 0.35 * v
        direction = np.stack([side * np.interp(t, [0, 0.2, 1], [0.25, 0.8, 1.0]), climb, np.zeros(count)], 1)
        wild = rng.normal(0, 1, (count, 3))
        length = np.interp(t, [0, 0.3, 1], [0.07, 0.095, 0.06]) * rng.uniform(0.6, 1.15, count)

        def comb(here, share, heading, normal, direction=direction, wild=wild):  # noqa: ANN001, ANN202
            flat = direction - (direction * normal).sum(1, keepdims=True) * normal
            return heading + 0.3 * flat + 0.03 * wild

        strands.append(walk(scalp, start, 0.3 * normal + unit(direction) + 0.10 * wild, length, 5, comb, np.full(count, 0.006)))
    return np.concatenate(strands)


def fuzz(scalp: Scalp, count: int, seed: int) -> np.ndarray:
    """Vellus hair: short, thin, almost clear."""
    rng = np.random.default_rng(seed)
    rest = scalp.rest
    density = ((rest[:, 2] > 0.2) & (rest[:, 1] > 6.2) & (rest[:, 1] < 8.0)).astype(float)
    start, normal, _ = scalp.scatter(density, count, rng)
    heading = unit(0.6 * normal + np.array([0.0, -0.6, 0.0]) + 0.3 * rng.normal(0, 1, (count, 3)))
    size = rng.uniform(0.015, 0.04, count)[:, None, None]
    s = np.linspace(0, 1, 4)[None, :, None]
    return start[:, None] + size * s * heading[:, None]


def hair_material(melanin: float, red: float, grey: float = 0.0, roughness: float = 0.32) -> Any:
    """`grey` is the share of strands without pigment."""
    nodes = Nodes("hair")
    pigment: Any = melanin
    if grey > 0:
        random = nodes.add("ShaderNodeHairInfo", "Random")
        white = nodes.ramp(random, grey - 0.04, grey + 0.04)
        pigment = nodes.math("ADD", nodes.math("MULTIPLY", white, melanin - 0.08), 0.08)
    shader = nodes.add(
        "ShaderNodeBsdfHairPrincipled", 0, {"parametrization": "MELANIN"},
        Melanin=pigment, Melanin_Redness=red, Roughness=roughness, Radial_Roughness=0.45, Coat=0.0, IOR=1.55,
        Random_Color=0.25, Random_Roughness=0.2,
    )  # fmt: skip
    return nodes.finish(shader)
