"""Clothes from the mesh's own body suit: a smoothed and folded shirt, with a ribbed, high or pointed collar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bmesh
import bpy
import numpy as np
from scipy.spatial import cKDTree

from .anny_mesh import AnnyMesh
from .blender import Nodes, bake_modifiers, from_blender, make_mesh, points_of, set_attribute, subdivide, to_blender
from .hair import smooth_noise, unit


@dataclass(frozen=True)
class Cloth:
    """`collar`: crew, turtle or shirt. Colours are linear light; `weave` is threads per decimetre of the relief; the neckline's heights are from the joint of the neck."""

    collar: str
    colour: tuple[float, float, float]
    neck_front: float = -0.28
    neck_back: float = 0.24
    weave: float = 90.0
    relief: float = 0.3
    sheen: float = 0.2
    fleck: float = 0.06
    jacket: tuple[float, float, float] | None = None
    seed: int = 0


def _suit(mesh: AnnyMesh, vertices: np.ndarray, away: float, relax: int) -> tuple[np.ndarray, list[list[int]]]:
    """The upper part of the body suit, relaxed so that it hangs over hollows instead of hugging them."""
    rest = mesh.rest
    faces = [f for f in mesh.faces["helper-tights"] if 3.4 < rest[f].mean(0)[1] < 6.6 and abs(rest[f].mean(0)[0]) < 2.9]
    used = np.unique([v for face in faces for v in face])
    index = {int(v): i for i, v in enumerate(used)}
    faces = [[index[v] for v in face] for face in faces]
    points = vertices[used].copy()
    near: list[set[int]] = [set() for _ in used]
    for face in faces:
        for a, b in zip(face, face[1:] + face[:1], strict=True):
            near[a].add(b)
            near[b].add(a)
    lists = [np.array(sorted(n)) for n in near]
    start = points.copy()
    for _ in range(relax):
        mean = np.stack([points[n].mean(0) for n in lists])
        points = np.where((rest[used][:, 1:2] < 6.0), 0.5 * points + 0.5 * mean, points)
    thing = make_mesh("suit", points, faces)
    normals = np.array([v.normal for v in thing.data.vertices])
    normals = from_blender(normals)
    bpy.data.objects.remove(thing)
    # Where relaxing went inside the body it is put back outside.
    inside = ((start - points) * normals).sum(1).clip(0)
    return points + normals * (inside + away)[:, None], faces


def _cut(thing: Any, neck: np.ndarray, front: float, back: float) -> np.ndarray:
    """Cuts the suit by a plane through the neckline. @returns the neckline's loop [n, 3], ordered, from the front"""
    middle = neck + np.array([0.0, (front + back) / 2, 0.3])
    slope = np.arctan2(back - front, 1.5)
    normal = np.array([0.0, np.cos(slope), np.sin(slope)])
    work = bmesh.new()
    work.from_mesh(thing.data)
    geometry = work.verts[:] + work.edges[:] + work.faces[:]
    cut = bmesh.ops.bisect_plane(
        work, geom=geometry, plane_co=to_blender(middle).tolist(), plane_no=to_blender(normal).tolist(),
        clear_outer=True,
    )  # fmt: skip
    edges = [e for e in cut["geom_cut"] if isinstance(e, bmesh.types.BMEdge)]
    loop = from_blender(np.array([v.co for v in {v for e in edges for v in e.verts}]))
    loop = loop[np.abs(loop[:, 0]) < 1.1]
    work.to_mesh(thing.data)
    work.free()
    centre = loop.mean(0)
    angle = np.arctan2(loop[:, 0] - centre[0], loop[:, 2] - centre[2])
    order = np.argsort(angle)
    angle, radius = angle[order], np.hypot(loop[:, 0] - centre[0], loop[:, 2] - centre[2])[order]
    # An even, smooth loop of 120 points.
    turn = np.linspace(-np.pi, np.pi, 120, endpoint=False)
    even = np.interp(turn, angle, radius, period=2 * np.pi)
    waves = np.fft.rfft(even)
    waves[9:] = 0
    even = np.fft.irfft(waves, 120)
    x, z = centre[0] + even * np.sin(turn), centre[2] + even * np.cos(turn)
    y = middle[1] - (z - middle[2]) * normal[2] / normal[1]
    return np.stack([x, y, z], 1)


def _band(rows: np.ndarray, name: str, closed: bool = True) -> Any:
    """A strip from rows [k, n, 3]."""
    count, n, _ = rows.shape
    faces = []
    for r in range(count - 1):
        for i in range(n if closed else n - 1):
            j = (i + 1) % n
            faces.append([r * n + i, r * n + j, (r + 1) * n + j, (r + 1) * n + i])
    return make_mesh(name, rows.reshape(-1, 3), faces)


def make_cloth(mesh: AnnyMesh, vertices: np.ndarray, cloth: Cloth, skin: tuple[np.ndarray, np.ndarray]) -> None:
    """`skin`: points and normals of the head and neck."""
    points, faces = _suit(mesh, vertices, 0.05, 14)
    thing = make_mesh("shirt", points, faces)
    set_attribute(thing.data, "rest", points)
    subdivide(thing, 1)
    neck = mesh.neck(vertices)
    loop = _cut(thing, neck, cloth.neck_front, cloth.neck_back)
    _fold(thing, neck, cloth)
    thick = thing.modifiers.new("thick", "SOLIDIFY")
    thick.thickness = 0.03
    bake_modifiers(thing)
    subdivide(thing, 2)
    material = cloth_material(cloth, cloth.colour)
    thing.data.materials.append(material)
    centre = loop.mean(0)
    out = unit((loop - centre) * np.array([1, 0, 1]))
    up = np.array([0.0, 1.0, 0.0])
    makers = {"crew": _crew, "turtle": _turtle, "shirt": _pointed}
    for part in makers[cloth.collar](loop, out, up, skin, cloth):
        set_attribute(part.data, "rest", points_of(part.data))
        solid = part.modifiers.new("thick", "SOLIDIFY")
        solid.thickness = 0.035 if cloth.collar != "shirt" else 0.02
        solid.offset = 0
        bake_modifiers(part)
        subdivide(part, 2)
        part.data.materials.append(material)


def _fold(thing: Any, neck: np.ndarray, cloth: Cloth) -> None:
    """Soft folds that run from the neck to the shoulders and arms."""
    points = points_of(thing.data)
    normals = from_blender(np.array([v.normal for v in thing.data.vertices]))
    stretched = points * np.array([1.0, 2.2, 1.6])
    wave = smooth_noise(stretched, 1.6, cloth.seed + 40)[:, 0] * 0.04 + smooth_noise(stretched, 4.5, cloth.seed + 41)[:, 0] * 0.015
    near_neck = np.clip((neck[1] - points[:, 1]) / 0.7, 0, 1)
    moved = points + normals * (wave * near_neck + 0.01)[:, None]
    thing.data.vertices.foreach_set("co", to_blender(moved).ravel())
    set_attribute(thing.data, "rest", moved)


def _crew(loop: np.ndarray, out: np.ndarray, up: np.ndarray, skin: tuple[np.ndarray, np.ndarray], cloth: Cloth) -> list[Any]:
    s = np.linspace(0, 1, 6)[:, None, None]
    lean = -out * 0.10 + up * 0.16
    rows = loop[None] + lean[None] * s + out[None] * (0.03 - 0.02 * s + 0.035 * np.sin(np.pi * s))
    return [_band(rows, "collar")]


def _turtle(loop: np.ndarray, out: np.ndarray, up: np.ndarray, skin: tuple[np.ndarray, np.ndarray], cloth: Cloth) -> list[Any]:
    """Rises along the neck, folds over and comes down outside."""
    height = 0.55
    inner = [loop - out * 0.03]
    for s in np.linspace(0, 1, 7)[1:]:
        inner.append(_towards(loop + up * height * s - out * 0.10 * s, skin, 0.06, min(1.0, 1.6 * s)))
    rows = list(inner)
    for i, s in enumerate(np.linspace(0.15, 1, 7)):
        beside = inner[6 - i] if i < 6 else inner[1]
        rows.append(beside + out * (0.05 + 0.06 * np.sin(np.pi * s) + 0.03 * s) + up * 0.04 * np.sin(np.pi * s))
    grid = np.stack(rows)
    grid += 0.012 * smooth_noise(grid.reshape(-1, 3) * np.array([1, 2.5, 1]), 3.0, cloth.seed)[:, :1].reshape(*grid.shape[:2], 1) * out[None]
    return [_band(grid, "collar")]


def _towards(row: np.ndarray, skin: tuple[np.ndarray, np.ndarray], away: float, share: float) -> np.ndarray:
    """A closed row of points moved to `away` above the skin, smoothed along its length."""
    near = cKDTree(skin[0]).query(row)[1]
    target = skin[0][near] + skin[1][near] * away
    target[:, 1] = row[:, 1]
    waves = np.fft.rfft(row + share * (target - row), axis=0)
    waves[8:] = 0
    return np.fft.irfft(waves, len(row), axis=0)


def _pointed(loop: np.ndarray, out: np.ndarray, up: np.ndarray, skin: tuple[np.ndarray, np.ndarray], cloth: Cloth) -> list[Any]:
    """A shirt collar, open at the front: a stand, a fold and two leaves with points."""
    turn = np.linspace(-np.pi, np.pi, 120, endpoint=False)
    keep = np.abs(turn) > 0.16
    order = np.concatenate([np.nonzero(keep & (turn > 0))[0], np.nonzero(keep & (turn < 0))[0]])
    whole = [_towards(loop + up * 0.25 * s - out * 0.05 * s, skin, 0.07, s) for s in np.linspace(0, 1, 4)]
    out, turn = out[order], turn[order]
    front = np.exp(-((np.abs(turn) / 0.55) ** 2))[:, None]
    stand = 0.30 - 0.10 * front[:, 0]
    rows = [row[order] + up[None] * (stand - 0.25)[:, None] * s for row, s in zip(whole, np.linspace(0, 1, 4), strict=True)]
    fold = rows[-1]
    length = (0.34 + 0.22 * front[:, 0])[:, None]
    sideways = np.stack([np.sign(turn), np.zeros_like(turn), np.zeros_like(turn)], 1)
    away = unit(out * 0.55 - up * (1.0 - 0.1 * front) + sideways * 0.45 * front)
    for s in np.linspace(0.12, 1, 6):
        rows.append(fold + out * 0.05 + up * 0.02 * (1 - s) + away * length * s)
    return [_band(np.stack(rows), "collar", closed=False)]


def cloth_material(cloth: Cloth, colour: tuple[float, float, float]) -> Any:
    nodes = Nodes("cloth")
    rest = nodes.attribute("rest", "Vector")
    weave = nodes.noise(rest, cloth.weave, 2.0, 0.7)
    fleck = nodes.math("SUBTRACT", nodes.noise(rest, cloth.weave * 0.8, 3.0, 0.7), 0.5)
    shade = nodes.math("ADD", 1.0, nodes.math("MULTIPLY", fleck, 6 * cloth.fleck))
    shade = nodes.math("MULTIPLY", shade, nodes.ramp(weave, 0.3, 0.7, 0.85, 1.0))
    parts = [nodes.math("MULTIPLY", shade, value) for value in colour]
    mixed = nodes.add("ShaderNodeCombineColor", 0, None, i0=parts[0], i1=parts[1], i2=parts[2])
    normal = nodes.bump(weave, cloth.relief, 0.008)
    normal = nodes.bump(nodes.noise(rest, 6.0, 4.0), 0.25, 0.03, normal)
    shader = nodes.add(
        "ShaderNodeBsdfPrincipled", 0, None,
        Base_Color=mixed, Roughness=0.85, Normal=normal, Specular_IOR_Level=0.25, Sheen_Weight=cloth.sheen, Sheen_Roughness=0.4,
    )  # fmt: skip
    return nodes.finish(shader)
