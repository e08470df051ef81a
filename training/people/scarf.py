"""A headscarf: the head's own surface, relaxed over hollows, folded, and open at the face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from scipy.spatial import cKDTree

from .anny_mesh import AnnyMesh
from .blender import Nodes, from_blender, get_attribute, make_mesh, points_of, set_attribute, subdivide, to_blender
from .hair import smooth_noise, unit

# The opening of the face in rest places, decimetres: middle height, half axes to the side, up and down.
MIDDLE_Y, HALF_X, UP, DOWN = 7.04, 0.655, 0.88, 0.80
# What lies further back is covered; under the chin, that is what lies behind its tip.
BEHIND, BEHIND_CHIN, CHIN_Y = 0.2, 1.0, 6.5


@dataclass(frozen=True)
class Scarf:
    colour: tuple[float, float, float]
    seed: int = 0


def opening(rest: np.ndarray) -> np.ndarray:
    """1 at the edge of the opening, less inside, more outside."""
    y = rest[:, 1] - MIDDLE_Y
    e = np.hypot(rest[:, 0] / HALF_X, y / np.where(y > 0, UP, DOWN))
    chin = BEHIND_CHIN - 0.6 * np.abs(rest[:, 0])
    return np.where(rest[:, 2] > np.where(rest[:, 1] < CHIN_Y, chin, BEHIND), e, 3.0)


def make_scarf(mesh: AnnyMesh, vertices: np.ndarray, scarf: Scarf) -> None:
    rest = mesh.rest
    faces = []
    for face in mesh.faces["body"]:
        middle = rest[face].mean(0)
        if middle[1] > 3.6 and abs(middle[0]) < 2.9 and opening(rest[face]).max() > 0.8 and not _mouth(rest[face]):
            faces.append(face)
    used = np.unique([v for face in faces for v in face])
    index = {int(v): i for i, v in enumerate(used)}
    thing = make_mesh("scarf", vertices[used], [[index[v] for v in face] for face in faces])
    set_attribute(thing.data, "rest", rest[used])
    subdivide(thing, 1)
    now = get_attribute(thing.data, "rest").astype(np.float64)
    points, normals = _hang(thing.data, now, 70)
    edge = opening(now)
    # Folds run around the face and down from the chin; they are flat at the edge and on top.
    below = np.clip((6.75 - now[:, 1]) / 0.6, 0, 1)
    bent = edge * 6.5 + 1.2 * smooth_noise(now * np.array([1, 0.8, 0.8]), 1.3, scarf.seed)[:, 0] + 0.8 * np.abs(now[:, 0])
    ridge = 0.5 + 0.5 * np.sin(2.4 * bent)
    fold = (0.03 + 0.10 * below) * ridge**1.6 * np.clip((edge - 1.03) / 0.25, 0, 1)
    fine = 0.012 * smooth_noise(now, 6.0, scarf.seed + 1)[:, 0]
    points = points + normals * (0.012 + 0.045 * np.clip((edge - 1.0) / 0.12, 0, 1) + fold + fine)[:, None]
    thing.data.vertices.foreach_set("co", to_blender(points).ravel())
    material = scarf_material(scarf)
    thing.data.materials.append(material)
    _hem(points, now, material)
    subdivide(thing, 2)


def _mouth(corners: np.ndarray) -> bool:
    """Faces of the inside of the mouth, the nose and the eye sockets lie behind the face."""
    middle = corners.mean(0)
    normal = unit(np.cross(corners[2] - corners[0], corners[3 % len(corners)] - corners[1]))
    under_chin = middle[1] < 6.5 and (normal[1] < -0.2 or abs(normal[0]) > 0.5)
    return bool(abs(middle[0]) < 0.45 and 6.2 < middle[1] < 7.6 and 0.3 < middle[2] < 1.25 and not under_chin)


def _hang(data: Any, rest: np.ndarray, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and normals after relaxing outwards only, so that the cloth spans jaw and neck. Each ear is pressed flat."""
    ear = (np.abs(rest[:, 0]) > 0.66) & (rest[:, 1] > 6.6) & (rest[:, 1] < 7.5) & (rest[:, 2] > -0.25) & (rest[:, 2] < 0.85)
    points = points_of(data)
    edges = np.empty(len(data.edges) * 2, np.int32)
    data.edges.foreach_get("vertices", edges)
    edges = edges.reshape(-1, 2)
    degree = np.bincount(edges.ravel(), minlength=len(points))[:, None].clip(1)
    normals = from_blender(np.array([v.normal for v in data.vertices]))
    points[ear, 0] = points[ear, 0].clip(-0.66, 0.66)
    start = points.copy()
    for _ in range(rounds):
        total = np.zeros_like(points)
        np.add.at(total, edges[:, 0], points[edges[:, 1]])
        np.add.at(total, edges[:, 1], points[edges[:, 0]])
        moved = 0.5 * points + 0.5 * total / degree
        inside = np.where(ear, 0, ((start - moved) * normals).sum(1).clip(0))
        points = moved + normals * inside[:, None]
    work = bpy.data.meshes.new("normals")
    work.from_pydata(to_blender(points).tolist(), [], [list(p.vertices) for p in data.polygons])
    outward = from_blender(np.array([v.normal for v in work.vertices]))
    bpy.data.meshes.remove(work)
    return points, outward


def _hem(points: np.ndarray, rest: np.ndarray, material: Any) -> None:
    """A rolled hem along the opening."""
    near = np.abs(opening(rest) - 1) < 0.2
    turn = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    line = np.stack([HALF_X * np.sin(turn), MIDDLE_Y + np.where(np.cos(turn) > 0, UP, DOWN) * np.cos(turn)], 1)
    distance, ids = cKDTree(rest[near][:, :2]).query(line, 6)
    weight = 1 / (distance + 0.02) ** 2
    path = (points[near][ids] * (weight / weight.sum(1, keepdims=True))[..., None]).sum(1)
    waves = np.fft.rfft(path, axis=0)
    waves[9:] = 0
    path = np.fft.irfft(waves, len(turn), axis=0)
    ahead = unit(np.roll(path, -1, 0) - np.roll(path, 1, 0))
    out = unit(path - path.mean(0))
    side = unit(np.cross(ahead, out))
    ring = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rows = [path + 0.024 * (np.cos(a) * out + np.sin(a) * side) for a in ring] + [path + 0.024 * out]
    grid = np.stack(rows)
    count, n, _ = grid.shape
    faces = [
        [r * n + i, r * n + (i + 1) % n, (r + 1) * n + (i + 1) % n, (r + 1) * n + i]
        for r in range(count - 1)
        for i in range(n)
    ]
    hem = make_mesh("hem", grid.reshape(-1, 3), faces)
    set_attribute(hem.data, "rest", grid.reshape(-1, 3) * np.array([1, 1, 0]) + np.array([0, 0, -9.0]))
    hem.data.materials.append(material)


def scarf_material(scarf: Scarf) -> Any:
    """Cloth; clear inside the opening, so that its edge is sharper than the mesh."""
    nodes = Nodes("scarf")
    rest = nodes.attribute("rest", "Vector")
    parts = nodes.tree.nodes.new("ShaderNodeSeparateXYZ")
    nodes.tree.links.new(rest, parts.inputs[0])
    x = nodes.math("POWER", nodes.math("ABSOLUTE", nodes.math("DIVIDE", parts.outputs[0], HALF_X)), 2.0)
    y = nodes.math("SUBTRACT", parts.outputs[1], MIDDLE_Y)
    y = nodes.math("MAXIMUM", nodes.math("DIVIDE", y, UP), nodes.math("DIVIDE", y, -DOWN))
    y = nodes.math("POWER", y, 2.0)
    low = nodes.math("LESS_THAN", parts.outputs[1], CHIN_Y)
    chin = nodes.math("SUBTRACT", BEHIND_CHIN - BEHIND, nodes.math("MULTIPLY", nodes.math("ABSOLUTE", parts.outputs[0]), 0.6))
    behind = nodes.math("ADD", BEHIND, nodes.math("MULTIPLY", low, chin))
    inside = nodes.math("LESS_THAN", nodes.math("ADD", x, y), 1.0)
    inside = nodes.math("MULTIPLY", inside, nodes.math("GREATER_THAN", parts.outputs[2], behind))
    weave = nodes.noise(rest, 130.0, 2.0, 0.7)
    shade = nodes.math("ADD", 0.85, nodes.math("MULTIPLY", weave, 0.3))
    channels = [nodes.math("MULTIPLY", shade, value) for value in scarf.colour]
    colour = nodes.add("ShaderNodeCombineColor", 0, None, i0=channels[0], i1=channels[1], i2=channels[2])
    normal = nodes.bump(weave, 0.3, 0.006)
    normal = nodes.bump(nodes.noise(rest, 9.0, 4.0), 0.3, 0.03, normal)
    cloth = nodes.add(
        "ShaderNodeBsdfPrincipled", 0, None,
        Base_Color=colour, Roughness=0.75, Normal=normal, Specular_IOR_Level=0.3, Sheen_Weight=0.3, Sheen_Roughness=0.35,
    )  # fmt: skip
    clear = nodes.add("ShaderNodeBsdfTransparent", 0)
    return nodes.finish(nodes.add("ShaderNodeMixShader", 0, None, i0=inside, i1=cloth, i2=clear))
