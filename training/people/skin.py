"""The skin: a subdivided head with maps of melanin and blood per point, and a subsurface shader with fine noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from .anny_mesh import AnnyMesh
from .blender import Nodes, get_attribute, make_mesh, points_of, set_attribute, subdivide, uv_of

# Reflectance of skin without pigment and blood, and what one unit of each lets through (red, green, blue), linear light.
BARE = (0.88, 0.70, 0.58)
MELANIN = (0.50, 0.385, 0.325)
BLOOD = (0.93, 0.52, 0.58)
STUBBLE = (0.55, 0.58, 0.62)


@dataclass(frozen=True)
class Skin:
    """melanin 0 (very pale) to 2.8 (very dark); blood about .35; the others 0..1."""

    melanin: float
    blood: float = 0.35
    freckles: float = 0.0
    stubble: float = 0.0
    wrinkles: float = 0.2
    oily: float = 0.4
    lip_melanin: float = 0.0
    lip_blood: float = 1.5
    moles: tuple[tuple[float, float], ...] = ()
    seed: int = 0


def blob(rest: np.ndarray, centre: tuple[float, float, float], radii: tuple[float, float, float], both: bool = True) -> np.ndarray:
    """A soft spot of 1 at the centre; on both sides of the face."""
    points = rest.copy()
    if both:
        points[:, 0] = np.abs(points[:, 0])
    return np.exp(-(((points - np.array(centre)) / np.array(radii)) ** 2).sum(1))


def beard_map(rest: np.ndarray, cheek: float = 0.0) -> np.ndarray:
    """Where a beard grows, 0..1. `cheek` moves the upper edge, decimetres."""
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    # The upper edge falls from the sideburn to the corner of the mouth and rises to the moustache.
    edge = np.interp(x, [0.0, 0.12, 0.26, 0.34, 0.5, 0.62, 0.72], [6.84, 6.84, 6.74, 6.66, 6.74, 6.9, 7.25]) + cheek
    low = np.interp(x, [0.0, 0.3, 0.6, 0.75], [6.12, 6.14, 6.3, 6.45])
    inside = np.clip((edge - y) / 0.09, 0, 1) * np.clip((y - low) / 0.12, 0, 1) * np.clip((z - 0.25) / 0.2, 0, 1)
    soul = 1 - 0.75 * blob(rest, (0.17, 6.46, 1.5), (0.07, 0.06, 0.3))
    ear = np.clip((x - 0.66) / 0.05, 0, 1) * np.clip((0.95 - z) / 0.1, 0, 1)
    return inside * soul * (1 - ear)


def make_head(mesh: AnnyMesh, vertices: np.ndarray, levels: int, flat_sides: bool = False) -> Any:
    """Head, neck and shoulders with UV and the attribute `rest`, subdivided. `flat_sides`: each ear is pressed to the head, under a scarf."""
    rest = mesh.rest
    if flat_sides:
        vertices = vertices.copy()
        ear = (rest[:, 1] > 6.5) & (rest[:, 1] < 7.6)
        vertices[ear, 0] = vertices[ear, 0].clip(-0.64, 0.64)
    keep = [
        i
        for i, face in enumerate(mesh.faces["body"])
        if rest[face].mean(0)[1] > 3.6 and abs(rest[face].mean(0)[0]) < 2.9
    ]
    faces = [mesh.faces["body"][i] for i in keep]
    used = np.unique([v for face in faces for v in face])
    index = {int(v): i for i, v in enumerate(used)}
    thing = make_mesh("head", vertices[used], [[index[v] for v in face] for face in faces])
    layer = thing.data.uv_layers.new(name="uv")
    uv = np.array([mesh.uv[u] for i in keep for u in mesh.face_uv["body"][i]])
    layer.data.foreach_set("uv", uv.astype(np.float32).ravel())
    set_attribute(thing.data, "rest", rest[used])
    return subdivide(thing, levels)


def paint(thing: Any, mesh: AnnyMesh, skin: Skin, scalp: np.ndarray) -> None:
    """Writes the maps of the skin onto the head. `scalp` [n] darkens the skin between roots of hair, 0..1."""
    data = thing.data
    rest = get_attribute(data, "rest").astype(np.float64)
    uv = uv_of(data)
    lips = _mask(mesh, "lips", uv)
    inside = _mask(mesh, "inside-mouth", uv)
    face = np.clip((rest[:, 1] - 6.1) / 0.4, 0, 1) * np.clip((rest[:, 2] - 0.3) / 0.5, 0, 1)
    blood = np.full(len(rest), skin.blood) + 0.0
    blood += 0.34 * blob(rest, (0.45, 6.92, 1.2), (0.24, 0.2, 0.5))
    blood += 0.34 * blob(rest, (0.0, 6.95, 1.72), (0.14, 0.14, 0.25))
    blood += 0.18 * blob(rest, (0.15, 6.88, 1.5), (0.08, 0.1, 0.2))
    blood += 0.10 * blob(rest, (0.0, 6.33, 1.45), (0.2, 0.15, 0.4))
    blood += 0.06 * blob(rest, (0.31, 7.3, 1.4), (0.22, 0.12, 0.3))
    blood += 0.12 * blob(rest, (0.19, 7.25, 1.4), (0.07, 0.07, 0.2))
    blood += 0.28 * np.clip((np.abs(rest[:, 0]) - 0.74) / 0.1, 0, 1) * (rest[:, 1] > 6.7)
    blood -= 0.10 * blob(rest, (0.0, 7.75, 1.3), (0.5, 0.3, 0.6))
    blood *= 0.5 + 0.5 / (1 + 0.3 * skin.melanin)
    melanin = np.full(len(rest), skin.melanin)
    melanin *= 1 + 0.05 * blob(rest, (0.0, 7.8, 1.2), (0.6, 0.35, 0.8)) - 0.05 * blob(rest, (0.4, 6.95, 1.2), (0.3, 0.2, 0.6))
    melanin += (0.10 + 0.1 * skin.melanin) * blob(rest, (0.32, 7.14, 1.4), (0.2, 0.07, 0.3))
    melanin += (0.05 + 0.12 * skin.melanin) * blob(rest, (0.32, 7.36, 1.4), (0.2, 0.06, 0.3))
    melanin += 0.06 * skin.melanin * blob(rest, (0.0, 6.62, 1.5), (0.36, 0.22, 0.4))
    lower = np.clip((6.62 - rest[:, 1]) / 0.06, 0, 1)
    melanin = melanin * (1 - 0.75 * lips) + lips * (skin.lip_melanin * (1.25 - 0.45 * lower))
    blood = blood * (1 - lips) + lips * (skin.lip_blood * (0.95 + 0.15 * lower))
    blood = blood * (1 - inside) + inside * 1.6
    melanin *= 1 - 0.8 * inside
    for x, y in skin.moles:
        melanin += 2.2 * np.exp(-(((rest[:, 0] - x) ** 2 + (rest[:, 1] - y) ** 2) / 0.011**2)) * face
    melanin += 2.2 * scalp
    set_attribute(data, "melanin", melanin)
    set_attribute(data, "blood", np.clip(blood, 0, 2))
    set_attribute(data, "lips", lips)
    set_attribute(data, "face", face)
    set_attribute(data, "beard", beard_map(rest) * (1 - lips))
    oily = 0.5 * blob(rest, (0.0, 7.1, 1.6), (0.12, 0.35, 0.4)) + 0.5 * blob(rest, (0.0, 7.7, 1.3), (0.45, 0.25, 0.6))
    oily += 0.35 * blob(rest, (0.0, 6.33, 1.5), (0.15, 0.12, 0.3)) + 0.3 * blob(rest, (0.42, 7.0, 1.3), (0.15, 0.1, 0.3))
    set_attribute(data, "oily", np.clip(oily, 0, 1))
    set_attribute(data, "crease", _creases(rest))


def lip_points(mesh: AnnyMesh, vertices: np.ndarray) -> np.ndarray:
    """[n, 3] the vertices of the lips."""
    ids = np.array([v for face in mesh.faces["body"] for v in face])
    uv = mesh.uv[[u for face in mesh.face_uv["body"] for u in face]]
    return vertices[np.unique(ids[_mask(mesh, "lips", uv) > 0.5])]


def _mask(mesh: AnnyMesh, name: str, uv: np.ndarray) -> np.ndarray:
    """A mask of the package at UV places, 0..1."""
    picture = Image.open(mesh.data / "mpfb2" / "textures" / f"mpfb_{name}.jpg").convert("L")
    values = np.asarray(picture, np.float32) / 255
    height, width = values.shape
    x = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    y = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    return np.clip(values[y, x] * 1.1 - 0.05, 0, 1).astype(np.float64)


def _creases(rest: np.ndarray) -> np.ndarray:
    """Folds of an older face: forehead lines, crow's feet, frown lines, 0..1."""
    x, y = rest[:, 0], rest[:, 1]
    ax = np.abs(x)
    wave = 0.012 * np.sin(7 * x + 0.6) + 0.006 * np.sin(19 * x + 1)
    lines = np.zeros(len(rest))
    for i, at in enumerate((7.62, 7.73, 7.85, 7.95)):
        shape = np.exp(-(((y - at - 0.05 * np.cos(3 * x) + 0.05 - wave * (1 + 0.3 * i)) / 0.012) ** 2))
        broken = 0.6 + 0.4 * np.sin(11 * x + 2.3 * i)
        lines += shape * np.clip((0.48 - ax) / 0.2, 0, 1) * (0.8 - 0.15 * i) * broken
    for angle in (-0.45, -0.12, 0.2, 0.5):
        dx, dy = ax - 0.5, y - 7.27
        along, across = np.cos(angle) * dx + np.sin(angle) * dy, -np.sin(angle) * dx + np.cos(angle) * dy
        lines += 0.55 * np.exp(-((across / 0.009) ** 2)) * np.clip(along / 0.03, 0, 1) * np.clip((0.17 - along) / 0.1, 0, 1)
    frown = np.exp(-(((ax - 0.06 - 0.1 * (y - 7.5)) / 0.009) ** 2)) * np.clip(1 - np.abs(y - 7.48) / 0.11, 0, 1)
    return np.clip(lines + 0.6 * frown, 0, 1) * (rest[:, 2] > 0.5)


def skin_material(skin: Skin) -> Any:
    nodes = Nodes("skin")
    rest = nodes.attribute("rest", "Vector")
    offset = nodes.add("ShaderNodeVectorMath", 0, {"operation": "ADD"}, i0=rest, i1=(skin.seed * 3.1, skin.seed * 1.7, 0))
    lips, face, oily = nodes.attribute("lips"), nodes.attribute("face"), nodes.attribute("oily")
    bare = nodes.math("SUBTRACT", 1.0, lips)
    # Melanin: blotches of centimetres and of millimetres, freckles.
    broad = nodes.math("SUBTRACT", nodes.noise(offset, 5.0, 5.0, 0.6), 0.5)
    fine = nodes.math("SUBTRACT", nodes.noise(offset, 45.0, 4.0, 0.65), 0.5)
    broad = nodes.math("MULTIPLY", broad, 0.16 + 0.14 * skin.melanin)
    melanin = nodes.math("ADD", nodes.attribute("melanin"), broad)
    melanin = nodes.math("ADD", melanin, nodes.math("MULTIPLY", fine, 0.22 + 0.16 * skin.melanin))
    if skin.freckles > 0:
        spots = nodes.ramp(nodes.voronoi(offset, 26.0), 0.10, 0.26, 1.0, 0.0)
        small = nodes.ramp(nodes.voronoi(offset, 52.0), 0.12, 0.30, 0.7, 0.0)
        some = nodes.ramp(nodes.noise(offset, 11.0, 3.0, 0.7), 0.42, 0.60)
        both = nodes.math("MULTIPLY", nodes.math("MAXIMUM", spots, small), nodes.math("MULTIPLY", some, face))
        melanin = nodes.math("ADD", melanin, nodes.math("MULTIPLY", nodes.math("MULTIPLY", both, bare), 0.55 * skin.freckles))
    melanin = nodes.math("MAXIMUM", melanin, 0.0)
    # Blood: blotches, and tiny vessels.
    red = nodes.math("SUBTRACT", nodes.noise(offset, 13.0, 5.0, 0.62), 0.5)
    blood = nodes.math("ADD", nodes.attribute("blood"), nodes.math("MULTIPLY", red, 0.55))
    blood = nodes.math("ADD", blood, nodes.math("MULTIPLY", fine, 0.35))
    blood = nodes.math("MAXIMUM", blood, 0.02)
    terms = [(MELANIN, melanin), (BLOOD, blood)]
    if skin.stubble > 0:
        dots = nodes.ramp(nodes.voronoi(offset, 75.0), 0.10, 0.45, 1.0, 0.25)
        terms.append((STUBBLE, nodes.math("MULTIPLY", nodes.math("MULTIPLY", nodes.attribute("beard"), dots), 0.85 * skin.stubble)))
    colour = nodes.power_colour(terms, BARE)
    # Relief: pores, fine lines, lip furrows, creases.
    pores = nodes.ramp(nodes.voronoi(offset, 58.0), 0.0, 0.34)
    grain = nodes.noise(offset, 120.0, 3.0, 0.7)
    normal = nodes.bump(nodes.noise(offset, 16.0, 4.0, 0.5), 0.25, 0.012)
    normal = nodes.bump(pores, 0.30, 0.006, normal)
    normal = nodes.bump(grain, 0.35, 0.006, normal)
    long = nodes.add("ShaderNodeVectorMath", 0, {"operation": "MULTIPLY"}, i0=offset, i1=(60.0, 7.0, 12.0))
    furrows = nodes.math("MULTIPLY", nodes.noise(long, 1.0, 3.0, 0.6), lips)
    normal = nodes.bump(furrows, 0.8, 0.018, normal)
    if skin.wrinkles > 0:
        creases = nodes.math("SUBTRACT", 1.0, nodes.attribute("crease"))
        normal = nodes.bump(creases, min(1.0, 0.7 * skin.wrinkles), 0.03 * skin.wrinkles, normal)
    rough = nodes.math("SUBTRACT", 0.52, nodes.math("MULTIPLY", oily, 0.20 * skin.oily))
    rough = nodes.math("SUBTRACT", rough, nodes.math("MULTIPLY", lips, 0.14))
    rough = nodes.math("ADD", rough, nodes.math("MULTIPLY", nodes.math("SUBTRACT", nodes.noise(offset, 70.0), 0.5), 0.25))
    shader = nodes.add(
        "ShaderNodeBsdfPrincipled", 0, {"subsurface_method": "RANDOM_WALK_SKIN"},
        Base_Color=colour, Roughness=rough, Normal=normal, IOR=1.4,
        Subsurface_Weight=1.0, Subsurface_Radius=(1.0, 0.34, 0.17), Subsurface_Scale=0.030, Subsurface_IOR=1.4,
        Subsurface_Anisotropy=0.75, Specular_IOR_Level=0.42,
    )  # fmt: skip
    return nodes.finish(shader)


def head_points(thing: Any) -> tuple[np.ndarray, np.ndarray]:
    """Points and rest places of the subdivided head."""
    return points_of(thing.data), get_attribute(thing.data, "rest").astype(np.float64)
