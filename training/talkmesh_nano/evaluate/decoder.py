"""Measures the decoder on held-out avatars: python3 -m talkmesh_nano.evaluate.decoder [--config FILE] [--avatars N] [--designed].

Writes eval.json, eval.md (the gate, avatar by avatar) and eval_sheet.png (truth above, decoded below) into the configured
run's folder. Frames go the whole way: rig -> latents -> decoder graph -> I420 -> RGB, against the renderer's frames of the
same rig.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from PIL import Image

from ..decoder.config import load
from ..decoder.data import HELD_OUT_SEED, random_mouth
from ..decoder.export import build_graphs, motion_tracks
from ..decoder.graph import FRAMES, LATENT_FRAMES, STATE_SHAPE, DecoderGraph, ReferenceGraph, decode_chunk
from ..decoder.pixels import i420_to_rgb
from ..motion.rig import INDEX, NEUTRAL, encode_rig
from ..render.avatar import Avatar
from ..render.avatars import DESIGNED, random_spec
from .measures import correlation
from .mouth_probe import MouthProbe, targets

CHUNKS = 3


def evaluation_track(seed: int, frames: int) -> np.ndarray:
    """A rig track with much motion: mouth shapes that follow each other every few frames, blinks, gaze, head motion."""
    rng = np.random.default_rng(seed)
    rig = motion_tracks(seed, 1, max(frames, 64))[0][:frames].copy()
    place = 0
    shape = NEUTRAL[:4]
    while place < frames:
        step = int(rng.integers(3, 7))
        target = random_mouth(rng)[:4]
        ease = np.linspace(0, 1, step + 1)[1:, None]
        rig[place : place + step, :4] = (shape + (target - shape) * ease)[: frames - place]
        place, shape = place + step, target
    middle = frames // 2
    rig[middle : middle + 3, INDEX["blink"]] = (0.6, 1.0, 0.7)
    return rig.astype(np.float32)


def decode_track(reference: ReferenceGraph, decoder: DecoderGraph, avatar: Avatar, rig: np.ndarray) -> np.ndarray:
    """Encodes and decodes: from rig rows [12 n, 15] to RGB frames uint8 [12 n, 256, 256, 3]."""
    with torch.no_grad():
        tensors = reference(torch.from_numpy(avatar.reference), torch.from_numpy(avatar.landmarks))[1:]
        latents, state, frames = torch.from_numpy(encode_rig(rig)), torch.zeros(STATE_SHAPE), []
        for first in range(0, len(latents), LATENT_FRAMES):
            pictures, state = decode_chunk(decoder, latents[first : first + LATENT_FRAMES], state, tensors)
            frames.append(i420_to_rgb(pictures.numpy()))
    return np.concatenate(frames)


def psnr(output: np.ndarray, truth: np.ndarray) -> float:
    error = np.square(output.astype(np.float32) - truth.astype(np.float32)).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def crop(frames: np.ndarray, x: float, y: float, half_width: int, above: int, below: int) -> np.ndarray:
    left, top = int(round(x)), int(round(y))
    return frames[:, max(0, top - above) : top + below, max(0, left - half_width) : left + half_width]


Decode = Callable[[Avatar, np.ndarray], np.ndarray]
"""What is measured: an avatar and rig rows [12 n, 15] -> RGB frames uint8 [12 n, 256, 256, 3]."""


def measure(decode: Decode, avatar: Avatar, seed: int) -> tuple[dict[str, float], np.ndarray]:
    """Scores of one avatar and a strip of truth above decoded frames."""
    rig = evaluation_track(seed, FRAMES * CHUNKS)
    decoded = decode(avatar, rig)
    truth = np.stack([avatar.draw(row) for row in rig])
    still_lips = rig.copy()
    still_lips[:, :5] = NEUTRAL[:5]
    closed = np.stack([avatar.draw(row, features) for row, features in zip(rig, still_lips)])
    mouths = [crop(frames, *avatar.landmarks[0], 44, 26, 42) for frames in (decoded, truth, closed)]
    scores = {
        "whole_psnr": psnr(decoded, truth),
        "whole_psnr_unchanged": psnr(np.broadcast_to(avatar.reference, truth.shape), truth),
        "mouth_psnr": psnr(mouths[0], mouths[1]),
        "mouth_psnr_closed_aligned": psnr(mouths[2], mouths[1]),
        **blink_scores(decode, avatar),
        **temporal_scores(decoded, truth),
    }
    scores["mouth_gain"] = scores["mouth_psnr"] - scores["mouth_psnr_closed_aligned"]
    scores["flicker_ratio"] = scores["flicker_border"] / scores["flicker_inside"]
    scores.update(probe_scores(avatar, rig, decoded, truth))
    middle = len(rig) // 2 + 1
    picked = [3, 9, middle, 26, 33]
    strip = np.concatenate([np.concatenate(list(frames[picked]), 1) for frames in (truth, decoded)])
    return scores, strip


def blink_scores(decode: Decode, avatar: Avatar) -> dict[str, float]:
    """How much of the true change from open to closed eyes is in the decoded pixels: 1 is all of it."""
    rig = np.tile(NEUTRAL, (FRAMES, 1))
    rig[3:8, INDEX["blink"]] = (0.45, 1, 1, 0.65, 0.2)
    decoded = decode(avatar, rig).astype(np.float32)
    change = decoded[5] - decoded[10]
    true = avatar.draw(rig[5]).astype(np.float32) - avatar.reference
    return {"blink_change": float((change * true).sum() / np.square(true).sum()), "blink_correlation": correlation(change.ravel(), true.ravel())}


def probe_scores(avatar: Avatar, rig: np.ndarray, decoded: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Opening and width read from pixels against the rig's; `_ceiling` is what the same probe reads in drawn frames."""
    probe, true = MouthProbe(avatar), targets(avatar, rig)
    scores = {}
    for suffix, frames in (("", decoded), ("_ceiling", truth)):
        read = probe.read(frames, rig)
        scores[f"opening{suffix}"] = correlation(read[:, 0], true[:, 0])
        if avatar.spec.kind != "robot":
            scores[f"width{suffix}"] = correlation(read[:, 1], true[:, 1])
    return scores


def temporal_scores(decoded: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Mean absolute change per frame (levels 0..255) of the error, at and inside latent frames, beside true motion."""
    error = decoded.astype(np.float32) - truth
    change = np.abs(np.diff(error, axis=0)).mean((1, 2, 3))
    border = np.arange(1, len(error)) % 4 == 0
    motion = np.abs(np.diff(truth.astype(np.float32), axis=0)).mean()
    return {"flicker_border": float(change[border].mean()), "flicker_inside": float(change[~border].mean()), "true_motion": float(motion)}


GATE = {"mouth_gain": (4.0, 1), "opening": (0.95, 1), "width": (0.95, 1), "blink_change": (0.8, 1), "flicker_ratio": (1.3, -1), "whole_psnr": (28.0, 1)}
"""The limits that every avatar should reach: at least (1) or at most (-1) the value."""


def failures(scores: dict[str, float]) -> list[str]:
    """Names of the gate's conditions that these scores miss."""
    return [name for name, (limit, sign) in GATE.items() if name in scores and sign * scores[name] < sign * limit]


def gate_table(each: dict[str, dict[str, float]]) -> str:
    lines = ["| avatar | " + " | ".join(GATE) + " | misses |", "|" + "---|" * (len(GATE) + 2)]
    for name, scores in each.items():
        cells = [f"{scores[key]:.2f}" if key in scores else "" for key in GATE]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {', '.join(failures(scores))} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config")
    parser.add_argument("--avatars", type=int, default=16)
    parser.add_argument("--designed", action="store_true", help="the designed avatars instead of unseen ones")
    args = parser.parse_args()
    config = load(args.config)
    torch.set_num_threads(config.threads)
    graphs = build_graphs(config)
    specs = DESIGNED[: args.avatars] if args.designed else [random_spec(HELD_OUT_SEED + i) for i in range(args.avatars)]
    results = [(spec, *measure(partial(decode_track, *graphs), Avatar(spec), 40 + i)) for i, spec in enumerate(specs)]
    names = dict.fromkeys(name for _, scores, _ in results for name in scores)
    mean = {name: round(float(np.mean([scores[name] for _, scores, _ in results if name in scores])), 4) for name in names}
    each = {spec.id: {name: round(value, 3) for name, value in scores.items()} for spec, scores, _ in results}
    folder, suffix = config.checkpoint("mouth").parent, "_designed" if args.designed else ""
    sheet = folder / f"eval_sheet{suffix}.png"
    Image.fromarray(np.concatenate([strip for *_, strip in results])).save(sheet)
    table = gate_table({**each, "mean": mean})
    (folder / f"eval{suffix}.json").write_text(json.dumps({"mean": mean, "each": each}, indent=1) + "\n")
    (folder / f"eval{suffix}.md").write_text(table)
    print(json.dumps({"mean": mean, "sheet": str(sheet)}, indent=1))
    print(table)


if __name__ == "__main__":
    main()
