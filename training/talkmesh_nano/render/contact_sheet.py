"""Draws the data card's contact sheet: python3 -m talkmesh_nano.render.contact_sheet --out ../docs/images/avatars.jpg.

The designed avatars at rest and in motion, then random ones of the training set, then some held out for evaluation.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from PIL import Image, ImageDraw

from ..decoder.data import HELD_OUT_SEED, TRAIN_SEED, random_eyes, random_mouth, random_pose
from .avatar import Avatar
from .avatars import DESIGNED, SHIPPED, AvatarSpec, random_spec

SIDE, COLUMNS, CAPTION = 112, 12, 16


def moving_rig(rng: np.random.Generator) -> np.ndarray:
    """A random rig row: mouth, eyes and pose."""
    rig = random_pose(rng, 1)[0]
    rig[:5] = random_mouth(rng)[:5]
    rig[5:9] = random_eyes(rng)[5:9] * (0.4, 1, 1, 1)
    return rig


def row(specs: list[AvatarSpec], rng: np.random.Generator | None) -> Image.Image:
    """One line of avatars; at rest without `rng`."""
    strip = Image.new("RGB", (SIDE * COLUMNS, SIDE), "white")
    for i, spec in enumerate(specs[:COLUMNS]):
        avatar = Avatar(spec)
        picture = avatar.reference if rng is None else avatar.draw(moving_rig(rng))
        strip.paste(Image.fromarray(picture).resize((SIDE, SIDE), Image.LANCZOS), (i * SIDE, 0))
    return strip


def contact_sheet(seed: int = 3) -> Image.Image:
    rng = np.random.default_rng(seed)
    known = [random_spec(TRAIN_SEED + i) for i in range(2 * COLUMNS)]
    unseen = [random_spec(HELD_OUT_SEED + i) for i in range(COLUMNS)]
    lines = [
        (f"designed, at rest (these ship: {', '.join(SHIPPED)})", list(DESIGNED), None),
        ("designed, in motion", list(DESIGNED), rng),
        ("random, training", known[:COLUMNS], rng),
        ("", known[COLUMNS:], rng),
        ("random, never trained on", unseen, rng),
    ]
    sheet = Image.new("RGB", (SIDE * COLUMNS, sum(SIDE + (CAPTION if text else 0) for text, *_ in lines)), "white")
    draw, top = ImageDraw.Draw(sheet), 0
    for text, specs, motion in lines:
        if text:
            draw.text((4, top + 2), text, fill="black")
            top += CAPTION
        sheet.paste(row(specs, motion), (0, top))
        top += SIDE
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    contact_sheet().save(args.out, quality=86)


if __name__ == "__main__":
    main()
