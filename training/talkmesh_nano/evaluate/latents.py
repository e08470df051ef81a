"""Statistics of the latents that the diffusion model is trained on: python3 -m talkmesh_nano.evaluate.latents --data DIR [--config FILE]; JSON on stdout.

DIR: folders of stretches by dataset.make (rig.npy), best of the test split. With --config, also what noise on the latents does to pixels.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from ..decoder.config import load
from ..decoder.data import HELD_OUT_SEED
from ..motion.rig import TEMPORAL, encode_rig
from ..render.avatars import random_spec


def latent_facts(tracks: list[np.ndarray]) -> dict[str, object]:
    """Spread, smoothness and rank of the latents of rig tracks [frames, 15]."""
    coded = [encode_rig(track[: len(track) // TEMPORAL * TEMPORAL]).reshape(-1, 32) for track in tracks]
    every = np.concatenate(coded).astype(np.float64)
    spread = every.std(0)
    slots = {"mouth": spread.reshape(8, 4)[:, :2].ravel(), "eyes": spread.reshape(8, 4)[:, 2], "pose": spread.reshape(8, 4)[:, 3]}
    change = np.concatenate([np.diff(part, axis=0) for part in coded])
    values = np.linalg.eigvalsh(np.cov(every, rowvar=False)).clip(0)
    smooth = 1 - change.var(0) / (2 * every.var(0))
    return {
        "latent_frames": len(every),
        "spread": {name: [round(float(part.min()), 3), round(float(part.mean()), 3), round(float(part.max()), 3)] for name, part in slots.items()},
        "largest": round(float(np.abs(every).max()), 2),
        "beyond_4": round(float((np.abs(every) > 4).mean()), 5),
        "correlation_of_neighbours_first_component": {
            "mouth": round(float(smooth[0]), 3),
            "eyes": round(float(smooth[2]), 3),
            "pose": round(float(smooth[3]), 3),
        },
        "effective_dimensions": round(float(values.sum() ** 2 / np.square(values).sum()), 1),
        "dead_channels": int((spread < 0.1).sum()),
    }


def noise_facts(config_path: str, levels: tuple[float, ...] = (0.1, 0.25, 0.5)) -> dict[str, float]:
    """PSNR of frames decoded from noisy latents against those from clean ones, dB, whole pictures of one unseen avatar."""
    from .decoder import decode_track, evaluation_track, psnr
    from ..decoder.export import build_graphs
    from ..render.avatar import Avatar
    from ..motion.rig import decode_rig

    graphs, avatar = build_graphs(load(config_path)), Avatar(random_spec(HELD_OUT_SEED + 1))
    clean = encode_rig(evaluation_track(41, 24))
    pictures = decode_track(*graphs, avatar, decode_rig(clean))
    rng, facts = np.random.default_rng(6), {}
    for level in levels:
        noisy = clean + level * rng.standard_normal(clean.shape).astype(np.float32)
        facts[str(level)] = round(psnr(decode_track(*graphs, avatar, decode_rig(noisy)), pictures), 2)
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--config")
    args = parser.parse_args()
    torch.set_num_threads(1)
    tracks = [track for path in sorted(Path(args.data).glob("**/rig.npy")) for track in np.load(path)]
    if not tracks:
        parser.error(f"no rig.npy under {args.data}; run python3 -m talkmesh_nano.dataset.make first")
    facts = latent_facts(tracks)
    if args.config:
        facts["psnr_with_noise"] = noise_facts(args.config)
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
