"""Where mouth and eyes are in a portrait's picture: they are known from the camera."""

from __future__ import annotations

import numpy as np

from .anny_mesh import AnnyMesh, eye_balls
from .eyes import lid_edges
from .portraits import Portrait
from .scene import project
from .skin import lip_points


def landmarks(mesh: AnnyMesh, portrait: Portrait, size: int) -> list[list[float]]:
    """Mouth centre, left and right eye (the viewer's) in pixels of a picture of `size`."""
    vertices = mesh.shape(portrait.identity)
    eye_height = float(np.mean([centre[1] for centre, _ in eye_balls(mesh, vertices)]))
    lips = lip_points(mesh, vertices)
    edges = lid_edges(mesh, vertices)
    eyes = [np.concatenate([edges[f"{side}1"][0], edges[f"{side}2"][0]]).mean(0) for side in ("r", "l")]
    places = project(np.stack([lips.mean(0), *eyes]), portrait.frame, eye_height) * size
    return [[round(float(x), 2), round(float(y), 2)] for x, y in places]
