"""Eyes: eyeball with a painted iris, clear cornea, the pink corner, the wet rim of the lid, lashes and brows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from scipy.spatial import cKDTree

from .anny_mesh import AnnyMesh, eye_balls
from .blender import Nodes, make_mesh

# Of a human eyeball of 12 mm: radii of iris and pupil, and the height of the cornea, in eyeball radii.
IRIS = 0.50
PUPIL = 0.19


@dataclass(frozen=True)
class Eyes:
    """Linear colours of the inner and the outer iris; `gaze` shifts both eyes, radians (right and up)."""

    inner: tuple[float, float, float]
    outer: tuple[float, float, float]
    gaze: tuple[float, float] = (0.0, 0.0)
    seed: int = 0


def iris_picture(eyes: Eyes, size: int = 512) -> Any:
    """The eye from the front, [size, size, 4]: sclera with vessels, limbus, iris fibres, pupil. The picture spans 1.2 eyeball radii to each side."""
    rng = np.random.default_rng(eyes.seed)
    y, x = np.mgrid[0:size, 0:size]
    x, y = (x / (size - 1) - 0.5) * 2.4, (0.5 - y / (size - 1)) * 2.4
    radius, angle = np.hypot(x, y), np.arctan2(y, x)

    def fibres(count: int, jitter: float) -> np.ndarray:
        """Radial noise: values on a circle, bent by the radius."""
        values = rng.uniform(0, 1, count)
        bent = angle + jitter * np.sin(7 * angle + 9 * radius) + jitter * np.sin(19 * angle - 14 * radius)
        at = (bent / (2 * np.pi) % 1) * count
        low = at.astype(int) % count
        share = at - np.floor(at)
        share = share * share * (3 - 2 * share)
        return values[low] * (1 - share) + values[(low + 1) % count] * share

    inside = np.clip(radius / IRIS, 0, 1)
    lines = 0.5 * fibres(140, 0.012) + 0.3 * fibres(61, 0.03) + 0.2 * fibres(260, 0.008)
    collar = 0.46 + 0.05 * np.sin(11 * angle + 1) + 0.03 * np.sin(5 * angle) + 0.08 * (fibres(40, 0.02) - 0.5)
    mix = np.clip((inside - collar) / 0.16 + 0.5, 0, 1)[..., None]
    colour = np.array(eyes.inner) * (1 - mix) + np.array(eyes.outer) * mix
    colour = colour * (0.45 + 1.1 * lines[..., None])
    colour = colour * (1 - 0.45 * np.exp(-(((inside - collar) / 0.05) ** 2))[..., None] * (fibres(90, 0.02)[..., None]))
    colour = colour * (1 - 0.80 * np.clip((inside - 0.80) / 0.2, 0, 1)[..., None] ** 1.5)
    pupil = np.clip((radius - PUPIL) / 0.018, 0, 1)[..., None]
    colour = colour * pupil + 0.002 * (1 - pupil)
    white = np.array([0.54, 0.48, 0.45])[None, None] * np.ones((size, size, 1))
    vessels = np.zeros((size, size))
    for _ in range(26):
        at = rng.choice([0, np.pi]) + rng.normal(0, 0.55)
        r = rng.uniform(1.0, 1.15)
        width = rng.uniform(0.004, 0.008)
        while r > IRIS + 0.12:
            px, py = r * np.cos(at), r * np.sin(at)
            vessels = np.maximum(vessels, np.exp(-((x - px) ** 2 + (y - py) ** 2) / width**2) * (r - 0.55) * 0.9)
            r -= 0.008
            at += rng.normal(0, 0.022)
    red = np.clip(vessels, 0, 0.8)[..., None] * np.array([0.15, 0.75, 0.8])
    rosy = np.clip((np.abs(x) - 0.62) / 0.5, 0, 1)[..., None] * np.array([0.05, 0.32, 0.36])
    white = white * (1 - red) * (1 - rosy)
    limbus = np.clip((radius - IRIS + 0.035) / 0.085, 0, 1)[..., None]
    limbus = limbus * limbus * (3 - 2 * limbus)
    dark = np.array([0.05, 0.04, 0.04]) + 0.25 * np.array(eyes.outer)
    edge = np.exp(-(((radius - IRIS) / 0.055) ** 2))[..., None] * 0.45
    picture = colour * (1 - limbus) + white * limbus
    picture = picture * (1 - edge) + dark * edge
    pixels = np.concatenate([np.clip(picture, 0, 1), np.ones((size, size, 1))], -1)
    image = bpy.data.images.new("iris", size, size, float_buffer=True)
    image.colorspace_settings.name = "Linear Rec.709"
    image.pixels.foreach_set(np.ascontiguousarray(pixels[::-1], np.float32).ravel())
    return image


def _surface(profile: np.ndarray, turns: int = 64) -> tuple[np.ndarray, list[list[int]]]:
    """A surface of revolution about z from (radius, z) pairs that begin on the axis."""
    ring = np.linspace(0, 2 * np.pi, turns, endpoint=False)
    points = [np.array([[0.0, 0.0, profile[0, 1]]])]
    points += [np.stack([r * np.cos(ring), r * np.sin(ring), np.full(turns, z)], 1) for r, z in profile[1:]]
    faces = [[0, 1 + i, 1 + (i + 1) % turns] for i in range(turns)]
    for row in range(len(profile) - 2):
        a, b = 1 + row * turns, 1 + (row + 1) * turns
        faces += [[a + i, b + i, b + (i + 1) % turns, a + (i + 1) % turns] for i in range(turns)]
    return np.concatenate(points), faces


def _turn(points: np.ndarray, right: float, up: float) -> np.ndarray:
    c, s = np.cos(right), np.sin(right)
    yaw = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    c, s = np.cos(up), np.sin(up)
    pitch = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    return points @ (yaw @ pitch).T


def make_eyes(mesh: AnnyMesh, vertices: np.ndarray, eyes: Eyes, camera: np.ndarray) -> list[Any]:
    """Both eyes look into the camera, but for the gaze. @returns the corneas"""
    corneas = []
    image = iris_picture(eyes)
    ball, shell = _ball_material(image), _cornea_material()
    z_iris = np.sqrt(1 - IRIS**2)
    dish = [(r, z_iris - 0.02 - 0.05 * (1 - (r / IRIS) ** 2) * 1.0) for r in np.linspace(0, IRIS, 10)]
    white = [(np.sin(a), np.cos(a)) for a in np.linspace(np.arcsin(IRIS), 2.6, 40)]
    dome = []
    for r in np.linspace(0, IRIS * 1.12, 20):
        bulge = z_iris + 0.23 * (1 - (r / IRIS) ** 2) if r < IRIS else z_iris
        dome.append((r, max(bulge, np.sqrt(1 - r * r) + 0.004)))
    over = [(1.004 * np.sin(a), 1.004 * np.cos(a)) for a in np.linspace(np.arcsin(IRIS * 1.13), 2.4, 36)]
    for centre, radius in eye_balls(mesh, vertices):
        to_camera = camera - centre
        right = np.arctan2(to_camera[0], to_camera[2]) + eyes.gaze[0]
        up = np.arctan2(to_camera[1], np.hypot(to_camera[0], to_camera[2])) + eyes.gaze[1]
        for name, profile, material in (("ball", dish + white, ball), ("cornea", dome + over, shell)):
            points, faces = _surface(np.array(profile))
            thing = make_mesh(name, _turn(points, right, up) * radius + centre, faces)
            layer = thing.data.uv_layers.new(name="uv")
            flat = np.array([points[v][:2] / 2.4 + 0.5 for face in faces for v in face])
            layer.data.foreach_set("uv", flat.astype(np.float32).ravel())
            thing.data.materials.append(material)
            if name == "cornea":
                corneas.append(thing)
    return corneas


def _ball_material(image: Any) -> Any:
    nodes = Nodes("eyeball")
    colour = nodes.add("ShaderNodeTexImage", "Color", {"image": image, "extension": "EXTEND"})
    shader = nodes.add(
        "ShaderNodeBsdfPrincipled", 0, None,
        Base_Color=colour, Roughness=0.5, Specular_IOR_Level=0.2,
        Subsurface_Weight=0.35, Subsurface_Radius=(1.0, 0.5, 0.35), Subsurface_Scale=0.012,
    )  # fmt: skip
    return nodes.finish(shader)


def _cornea_material() -> Any:
    """Reflects like water and lets the rest through, unrefracted."""
    nodes = Nodes("cornea")
    share = nodes.math("MULTIPLY", nodes.add("ShaderNodeFresnel", 0, None, IOR=1.35), 0.5)
    ripple = nodes.noise(nodes.add("ShaderNodeTexCoord", "Object"), 9.0, 2.0)
    gloss = nodes.add("ShaderNodeBsdfGlossy", 0, None, Roughness=0.04, Normal=nodes.bump(ripple, 0.08, 0.004))
    clear = nodes.add("ShaderNodeBsdfTransparent", 0)
    return nodes.finish(nodes.add("ShaderNodeMixShader", 0, None, i0=share, i1=clear, i2=gloss))


def lid_edges(mesh: AnnyMesh, vertices: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each lid ('l1' lower left, 'l2' upper left, 'r1', 'r2'): root and tip rows of the lash helper, [n, 3] from the nose outwards."""
    edges = {}
    for side in ("l", "r"):
        for which in ("1", "2"):
            faces = mesh.faces[f"helper-{side}-eyelashes-{which}"]
            edges[side + which] = _rows(faces, vertices)
    return edges


def _rows(faces: list[list[int]], vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two long borders of a strip of quads: the one nearer to the strip's eye centre is the root."""
    count: dict[tuple[int, int], int] = {}
    for face in faces:
        for a, b in zip(face, face[1:] + face[:1], strict=True):
            count[min(a, b), max(a, b)] = count.get((min(a, b), max(a, b)), 0) + 1
    border = [edge for edge, uses in count.items() if uses == 1]
    near: dict[int, list[int]] = {}
    for a, b in border:
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    loop = [border[0][0]]
    while True:
        following = [v for v in near[loop[-1]] if v not in loop[-2:] and v != loop[0]]
        if not following or following[0] in loop:
            break
        loop.append(following[0])
    points = vertices[loop]
    # The four corners are where the loop turns most.
    before, after = np.roll(points, 1, 0), np.roll(points, -1, 0)
    a, b = points - before, after - points
    cosine = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1) + 1e-9)
    corners = np.sort(np.argsort(cosine)[:4])
    rows = []
    for i in range(4):
        start, end = corners[i], corners[(i + 1) % 4]
        rows.append(points[start : end + 1] if end > start else np.concatenate([points[start:], points[: end + 1]]))
    lengths = [np.linalg.norm(np.diff(row, axis=0), axis=1).sum() for row in rows]
    long = sorted(range(4), key=lambda i: -lengths[i])[:2]
    ordered = [row if abs(row[0, 0]) < abs(row[-1, 0]) else row[::-1] for row in (rows[i] for i in long)]
    depth = [row[:, 2].mean() for row in ordered]
    return (ordered[0], ordered[1]) if depth[0] < depth[1] else (ordered[1], ordered[0])


def along(row: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points of a polyline at shares 0..1 of its length."""
    steps = np.linalg.norm(np.diff(row, axis=0), axis=1)
    at = np.concatenate([[0], np.cumsum(steps)]) / steps.sum()
    return np.stack([np.interp(t, at, row[:, c]) for c in range(3)], -1)


def lashes(mesh: AnnyMesh, vertices: np.ndarray, surface: np.ndarray, upper: int, lower: int, length: float, seed: int) -> np.ndarray:
    """Strands [n, 8, 3] that leave the lids' edges; `surface` is [m, 3], the points of the head."""
    rng = np.random.default_rng(seed)
    tree = cKDTree(surface)
    strands = []
    for lid, (root, tip) in lid_edges(mesh, vertices).items():
        up = lid.endswith("2")
        count = upper if up else lower
        t = np.clip(rng.uniform(0.06, 1.0, count) ** 0.9, 0, 1)
        start = along(root, t)
        out = along(tip, np.clip(t + rng.normal(0, 0.05, count), 0, 1)) - start
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        start = start * 0.35 + surface[tree.query(start)[1]] * 0.65
        size = length * (0.85 if up else 0.4) * (0.45 + 0.55 * np.sin(np.pi * np.clip(t, 0.05, 0.95)) ** 0.5)
        size = size * rng.uniform(0.65, 1.1, count)
        sign = 1.0 if up else -1.0
        curl = np.array([0.0, sign, 0.0])
        s = np.linspace(0, 1, 8)[None, :, None]
        first = out * np.array([0.9, 0.55, 1.0]) + rng.normal(0, 0.12, (count, 3))
        first += np.array([0.0, -0.15 * sign, 0.25])
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        strand = start[:, None] + size[:, None, None] * (first[:, None] * s + (0.5 if up else 0.25) * curl * s**2)
        strands.append(strand)
    return np.concatenate(strands)
