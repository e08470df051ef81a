"""Writes cached stretches: python -m talkmesh_nano.dataset.make --out DIR [--count N] [--seed S] [--split train|test].

One shard = pcm.npy int16 [n, samples], rig.npy float32 [n, frames, 15], flags.npy uint8 [n, frames] (1 closed, 2 silent).
"""
import argparse
from pathlib import Path

import numpy as np

from .stretches import SAMPLES_PER_FRAME, make_track

SECONDS = 24.0


def make_shard(seed, count, split, augmented=True, talk=None, quiet_db=30.0):
    """(pcm, rig, flags) of `count` stretches; the draws of stretch i depend on (seed, i) alone."""
    frames = int(SECONDS * 25) // 12 * 12
    pcm = np.zeros((count, frames * SAMPLES_PER_FRAME), np.int16)
    rig = np.zeros((count, frames, 15), np.float32)
    flags = np.zeros((count, frames), np.uint8)
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        sound, rig[i], closed, silent = make_track(rng, SECONDS, split, augmented, talk, quiet_db)
        pcm[i] = np.round(np.clip(sound, -1, 1) * 32767)
        flags[i] = closed + 2 * silent
    return pcm, rig, flags


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--split", default="train", choices=["train", "test"])
    parser.add_argument("--clean", action="store_true", help="no rooms, noise, bands or changed voices: speech as the synthesiser makes it")
    parser.add_argument("--quiet-db", type=float, default=30, help="how far below full scale levels may fall")
    args = parser.parse_args()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    rows = make_shard(args.seed, args.count, args.split, augmented=not args.clean, quiet_db=args.quiet_db)
    for name, array in zip(("pcm", "rig", "flags"), rows):
        np.save(out / f"{name}.npy", array)


if __name__ == "__main__":
    main()
