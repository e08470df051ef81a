"""Fits rig_codec.json from seeded motion tracks: python -m talkmesh_nano.motion.fit_codec [--out FILE]."""
import argparse
import json

import numpy as np

from ..dataset.stretches import make_track
from . import rig


def fit(seed=20250603, tracks=240, seconds=20.0):
    """The codec as plain lists. espeak-ng keeps state between utterances, so a second fit differs in the third digit."""
    rng = np.random.default_rng(seed)
    frames = np.concatenate([make_track(rng, seconds, augmented=False)[1] for _ in range(tracks)])
    groups = frames[: len(frames) // 4 * 4].reshape(-1, rig.TEMPORAL, len(rig.NAMES)).astype(np.float64)
    slots = {}
    for name, part, count in rig.SLOTS:
        rows = groups[:, :, part].reshape(len(groups), -1)
        mean = rows.mean(0)
        values, vectors = np.linalg.eigh(np.cov(rows - mean, rowvar=False))
        order = np.argsort(values)[::-1][:count]
        vectors = vectors[:, order] * np.sign(vectors[np.abs(vectors[:, order]).argmax(0), order])
        scale = np.sqrt(np.maximum(values[order], 1e-8))
        slots[name] = {
            "mean": mean.round(7).tolist(),
            "encode": (vectors / scale).T.round(6).tolist(),
            "decode": (vectors * scale).round(7).tolist(),
        }
        kept = values[order].sum() / values.sum()
        print(f"{name}: {count} of {len(values)} components keep {kept:.6f} of the variance; scale {scale.round(4).tolist()}")
    return {"version": 1, "names": rig.NAMES, "temporal": rig.TEMPORAL, "slots": slots}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default=str(rig.CODEC_PATH))
    args = parser.parse_args()
    text = json.dumps(fit(), indent=None, separators=(",", ":"))
    with open(args.out, "w") as file:
        file.write(text + "\n")


if __name__ == "__main__":
    main()
