"""Writes portrait.onnx and portrait.json from a checkpoint: python3 -m talkmesh_nano.portrait.export --out DIR [--config FILE].

The first half of the held-out avatars sets the limits, the second half evaluates them, by the gateway's steps: run the
finder on the whole picture, cut the square around the landmarks, run it again. Prints the result as JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..decoder.config import DecoderConfig
from ..decoder.export import LEAST_HALVED
from ..export.onnx_files import write_onnx
from ..render.pose import PICTURE_SIZE
from .config import PortraitConfig, load
from .data import Portraits
from .net import FEATURES, OUTPUTS, PortraitGraph
from .scenes import KINDS, SIDE, Scenes
from .train import averaged

USUAL = np.float32([[128, 169.2], [99.2, 121.4], [156.8, 121.4]])
"""Mean landmarks of the shipped avatars; the gateway takes them from the manifest."""
MIN_YAW, MAX_MOUTH_OPEN, MAX_BLINK = 0.45, 0.4, 0.6
FACES = ("fits", "unlike", "too_small")


def square_around(found: np.ndarray) -> tuple[float, float, float]:
    """left, top, side of the square that brings the landmarks to their usual places in the picture (least squares)."""
    moved, usual = found - found.mean(0), USUAL - USUAL.mean(0)
    scale = float((moved * usual).sum() / (usual * usual).sum())
    left, top = found.mean(0) - USUAL.mean(0) * scale
    return float(left), float(top), max(scale, 1 / PICTURE_SIZE) * PICTURE_SIZE


def cut(picture: Tensor, square: tuple[float, float, float]) -> Tensor:
    """A square of a picture [3, H, W] at the model's size; edges are repeated."""
    left, top, side = square
    height, width = picture.shape[1:]
    steps = (torch.arange(PICTURE_SIZE) + 0.5) / PICTURE_SIZE * side
    y, x = torch.meshgrid((steps + top) * 2 / height - 1, (steps + left) * 2 / width - 1, indexing="ij")
    smaller = max(1, int(side / PICTURE_SIZE))
    source = F.avg_pool2d(picture[None], smaller) if smaller > 1 else picture[None]
    grid = torch.stack([x, y], -1)[None]
    return F.grid_sample(source, grid, padding_mode="border", align_corners=False)[0].clamp(0, 255)


def inspect(graph: PortraitGraph, picture: Tensor) -> dict[str, np.ndarray]:
    image = picture.permute(1, 2, 0).round().to(torch.uint8)
    with torch.no_grad():
        return {name: value.numpy() for name, value in zip(OUTPUTS, graph(image))}


def found_in(graph: PortraitGraph, picture: Tensor) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The finder's outputs for the square around the face, and the landmarks in the picture's pixels."""
    square = (0.0, 0.0, float(picture.shape[1]))
    for _ in range(3):
        seen = inspect(graph, cut(picture, square))
        landmarks = seen["landmarks"] * square[2] / PICTURE_SIZE + np.float32(square[:2])
        square = square_around(landmarks)
    seen = inspect(graph, cut(picture, square))
    return seen, seen["landmarks"] * square[2] / PICTURE_SIZE + np.float32(square[:2])


def scene_of(scenes: Scenes, index: int, scale: float) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """One held-out picture at random in a scene four times as large: pixels [3, 512, 512], landmarks, attributes."""
    pixels, landmarks, attributes = scenes.portraits.at(index)
    size = 2 * PICTURE_SIZE
    ground = torch.from_numpy(scenes._ground().astype(np.float32).copy()).permute(2, 0, 1)[None]
    scene = F.interpolate(ground, size=(size, size), mode="bilinear", align_corners=False)[0]
    side = int(PICTURE_SIZE * scale)
    figure = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
    figure = F.interpolate(figure, size=(side, side), mode="bilinear", align_corners=False, antialias=True)[0]
    left, top = (int(value) for value in scenes.rng.integers(0, size - side + 1, 2))
    opacity = figure[3:] / 255 if scenes.rng.random() < 0.5 else torch.ones(1, side, side)
    part = scene[:, top : top + side, left : left + side]
    scene[:, top : top + side, left : left + side] = part * (1 - opacity) + figure[:3] * opacity
    scene = scene + torch.from_numpy(scenes.rng.normal(0, 2, tuple(scene.shape)).astype(np.float32))
    return scene.clamp(0, 255), landmarks * scale + np.float32([left, top]), attributes


def describe(net: torch.nn.Module, config: PortraitConfig, batches: int) -> tuple[Tensor, Tensor]:
    """Mean and spread of the features of drawn faces framed as the gateway frames them."""
    graph = PortraitGraph(net, torch.zeros(FEATURES), torch.ones(FEATURES))  # type: ignore[arg-type]
    portraits = Portraits(config)
    rng = np.random.default_rng(config.seed + 3)
    rows = []
    for index in rng.choice(len(portraits), min(len(portraits), 16 * batches), replace=False):
        pixels, landmarks, _ = portraits.at(int(index))
        picture = torch.from_numpy(pixels[..., :3].astype(np.float32)).permute(2, 0, 1)
        shaken = landmarks + rng.normal(0, 1.5, (3, 2)).astype(np.float32)
        framed = cut(picture, square_around(shaken))
        with torch.no_grad():
            rows.append(graph.net(F.avg_pool2d(framed[None], PICTURE_SIZE // SIDE))[3][0])
    features = torch.stack(rows)
    spread = features.std(0)
    return features.mean(0), spread.clamp(min=float(spread.median()) * 0.2 + 1e-3)


def evaluate(graph: PortraitGraph, scenes: Scenes, indices: range) -> list[dict[str, float]]:
    """Every picture of `indices` once, at a random size, through all steps of the gateway."""
    rows = []
    for index in indices:
        picture, landmarks, attributes = scene_of(scenes, index, float(scenes.rng.uniform(0.6, 1.9)))
        seen, found = found_in(graph, picture)
        eyes = np.linalg.norm(landmarks[2] - landmarks[1])
        # error in pixels of the model's picture, where the eyes are 57.6 apart
        error = np.linalg.norm(found - landmarks, axis=1) * (USUAL[2, 0] - USUAL[1, 0]) / eyes
        plain = abs(attributes[2]) < 0.5 and attributes[0] < 0.1 and attributes[1] < 0.1
        rows.append(
            {
                "fits": float(seen["kinds"][KINDS.index("fits")]),
                "face": float(KINDS[int(seen["kinds"].argmax())] in FACES),
                "confidence": float(seen["confidence"].min()),
                "distance": float(seen["distance"]),
                "error": float(error.max()),
                "mouth_error": float(error[0]),
                "eye_error": float(error[1:].max()),
                "plain": float(plain),
                "open": float(seen["attributes"][0]),
                "true_open": float(attributes[0]),
                "blink": float(seen["attributes"][1]),
                "yaw": float(abs(seen["attributes"][2])),
                "true_yaw": float(abs(attributes[2])),
            }
        )
    return rows


def passes(row: dict[str, float], limits: dict[str, float]) -> bool:
    return (
        row["face"] > 0
        and row["fits"] >= limits["minFits"]
        and row["confidence"] >= limits["minConfidence"]
        and row["distance"] <= limits["maxDistance"]
        and row["yaw"] <= limits["maxYaw"]
        and row["open"] <= limits["maxMouthOpen"]
        and row["blink"] <= limits["maxBlink"]
    )


def calibrate(rows: list[dict[str, float]]) -> dict[str, float]:
    """Limits, with a margin, that about 99 of 100 plain pictures keep."""
    plain = [row for row in rows if row["plain"] > 0]

    def share(name: str, percent: float) -> float:
        return float(np.percentile([row[name] for row in plain], percent))

    return {
        "minFits": round(min(0.5, max(0.05, share("fits", 1) * 0.8)), 3),
        "minConfidence": round(min(0.6, max(0.05, share("confidence", 1) * 0.7)), 3),
        "maxDistance": round(share("distance", 99) * 1.1, 3),
        "maxYaw": round(max(MIN_YAW, share("yaw", 99) * 1.1), 3),
        "maxMouthOpen": MAX_MOUTH_OPEN,
        "maxBlink": MAX_BLINK,
    }


def summary(graph: PortraitGraph, rows: list[dict[str, float]], scenes: Scenes, limits: dict[str, float]) -> dict[str, object]:
    plain = [row for row in rows if row["plain"] > 0]
    opened = [row for row in rows if row["true_open"] > 0.6]
    turned = [row for row in rows if row["true_yaw"] > 1.3]
    others = {}
    for kind in KINDS[1:]:
        batch = scenes.batch(48, kind)
        pictures = F.interpolate(batch.pictures, scale_factor=2.0)
        seen = [inspect(graph, picture) for picture in pictures]
        named = [KINDS[int(one["kinds"].argmax())] for one in seen]
        others[kind] = {
            "named": round(float(np.mean([name == kind for name in named])), 3),
            "taken_for_fits": round(float(np.mean([name == "fits" for name in named])), 3),
        }

    def mean(values: list[float]) -> float:
        return round(float(np.mean(values)), 3) if values else float("nan")

    return {
        "pictures": len(rows),
        "plain": len(plain),
        "plain_pass": mean([float(passes(row, limits)) for row in plain]),
        "found": mean([row["face"] for row in rows]),
        "error_px": {name: [round(float(np.percentile([row[name] for row in rows], p)), 2) for p in (50, 95)] for name in ("mouth_error", "eye_error")},
        "open_rejected": mean([float(row["open"] > limits["maxMouthOpen"]) for row in opened]),
        "turned_rejected": mean([float(row["yaw"] > limits["maxYaw"]) for row in turned]),
        "others": others,
    }


def export(graph: PortraitGraph, path: Path) -> None:
    image = torch.full((PICTURE_SIZE, PICTURE_SIZE, 3), 90, dtype=torch.uint8)
    write_onnx(graph, (image,), path, ["image"], list(OUTPUTS), LEAST_HALVED)


def patch_boxes() -> dict[str, list[int]]:
    decoder = DecoderConfig()
    return {
        "mouth": [decoder.mouth_patch.width, decoder.mouth_patch.height, decoder.mouth_patch.above],
        "eye": [decoder.eye_patch.width, decoder.eye_patch.height, decoder.eye_patch.above],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", help="JSON overrides of the defaults")
    parser.add_argument("--out", required=True, help="folder of the model, for example models/nano")
    args = parser.parse_args()
    config, out = load(args.config), Path(args.out)
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    net = averaged(torch.load(Path(config.folder) / "checkpoint.pt", map_location="cpu")["average"])
    graph = PortraitGraph(net, *describe(net, config, 60)).eval()
    scenes = Scenes(config, Portraits(config, held_out=True), config.seed + 17)
    half = len(scenes.portraits) // 2
    limits = calibrate(evaluate(graph, scenes, range(half)))
    result = summary(graph, evaluate(graph, scenes, range(half, 2 * half)), scenes, limits)
    export(graph, out / "portrait.onnx")
    facts = {"kinds": list(KINDS), **limits, "boxes": patch_boxes()}
    (out / "portrait.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps({"limits": limits, **result, "bytes": (out / "portrait.onnx").stat().st_size}, indent=1))


if __name__ == "__main__":
    main()
