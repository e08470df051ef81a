"""Shards in the format of dataset.make from takes: python -m talkmesh_nano.dataset.spoken --takes DIR... --out DIR [--count N] [--seed S] [--once].

Stretches of random takes with pauses between them, voices changed by up to 15 %, rooms, noise and levels; with --once every take in order, as it is.
"""
import argparse
from pathlib import Path

import numpy as np

from ..motion.rig import FPS
from ..motion.tracks import rig_track
from ..motion.visemes import viseme_track
from ..speech.augment import augment
from ..speech.synthesis import RATE_HZ, loudness, resample
from ..speech.takes import load, normalised
from .make import SECONDS
from .stretches import SAMPLES_PER_FRAME

FRAMES = int(SECONDS * FPS) // 12 * 12
# how much quieter than full scale a stretch may become: microphones far away, and callers who whisper
QUIET_DB = 45.0
_START_S = 0.4


class Stretch:
    """One stretch that fills up with takes."""

    def __init__(self):
        self.pcm, self.phones, self.at_s = np.zeros(FRAMES * SAMPLES_PER_FRAME, np.float32), [(0.0, "")], _START_S

    def fits(self, seconds):
        return self.at_s + seconds <= SECONDS - 0.2

    def add(self, pcm, phones, end_s, pause_s):
        """A take from `at_s` on, with soft ends, then a pause."""
        start, fade = int(self.at_s * RATE_HZ), np.linspace(0, 1, RATE_HZ // 100, dtype=np.float32)
        part = pcm.copy()
        part[:len(fade)] *= fade
        part[-len(fade):] *= fade[::-1]
        self.pcm[start:start + len(part)] += part
        self.phones += [(self.at_s + at, name) for at, name in phones] + [(self.at_s + end_s, "")]
        self.at_s += len(pcm) / RATE_HZ + pause_s

    def finished(self, rng, augmented):
        """(pcm, rig [FRAMES, 15], flags [FRAMES]) as dataset.make stores them."""
        energy = loudness(self.pcm, FRAMES)
        mouth, closed, silent = viseme_track(self.phones, SECONDS, FRAMES, energy)
        rig = rig_track(rng, mouth, energy)
        pcm = augment(rng, self.pcm, silent, QUIET_DB) if augmented else self.pcm
        return np.round(np.clip(pcm, -1, 1) * 32767).astype(np.int16), rig, (closed + 2 * silent).astype(np.uint8)


def changed(rng, take):
    """(pcm, phones, end s) of a take, usually with its clock and formants stretched by up to 15 %."""
    ratio = float(np.exp(rng.uniform(-0.15, 0.15))) if rng.random() < 0.7 else 1.0
    pcm = normalised(resample(take.pcm, ratio))
    return pcm, [(at * ratio, name) for at, name in take.phones], take.end_s * ratio


def in_room(rng, pcm, phones, end_s):
    """The take with the hiss of its room before and after, as a gate opens and closes: a sudden hiss is no speech."""
    before, after = (int(rng.uniform(0.04, 0.4) * RATE_HZ) for _ in range(2))
    hiss = rng.standard_normal(before + len(pcm) + after).astype(np.float32) * np.float32(0.1 * 10 ** (-rng.uniform(25, 55) / 20))
    hiss[before:before + len(pcm)] += pcm
    start_s = before / RATE_HZ
    return hiss, [(0.0, "")] + [(start_s + at, name) for at, name in phones] + [(start_s + end_s, "")], len(hiss) / RATE_HZ


def drawn(rng, takes):
    """A stretch of random takes; some stretches pause much. Takes that do not fit are passed over."""
    stretch, pause_s = Stretch(), float(rng.choice([0.15, 0.5, 1.5]))
    for _ in range(40):
        pcm, phones, end_s = changed(rng, takes[int(rng.integers(len(takes)))])
        if rng.random() < 0.3:
            pcm, phones, end_s = in_room(rng, pcm, phones, end_s)
        if stretch.fits(len(pcm) / RATE_HZ):
            stretch.add(pcm, phones, end_s, 0.1 + rng.exponential(pause_s))
    return stretch.finished(rng, augmented=True)


def in_order(takes, pause_s=0.5):
    """Every take once, unchanged, in as many stretches as they need. Raises ValueError for a take longer than a stretch."""
    rows, stretch, rng = [], Stretch(), np.random.default_rng(0)
    for take in takes:
        length = len(take.pcm) / RATE_HZ
        if not stretch.fits(length):
            rows.append(stretch.finished(rng, augmented=False))
            stretch = Stretch()
        if not stretch.fits(length):
            raise ValueError(f"a take of {length:.1f} s does not fit into a stretch of {SECONDS} s: cut it")
        stretch.add(take.pcm, take.phones, take.end_s, pause_s)
    return [*rows, stretch.finished(rng, augmented=False)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--takes", required=True, nargs="+")
    parser.add_argument("--out", required=True)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--once", action="store_true", help="every take in order, as it is: for evaluation")
    args = parser.parse_args()
    takes = [take for folder in args.takes for take in load(folder)]
    rows = in_order(takes) if args.once else [drawn(np.random.default_rng([args.seed, i]), takes) for i in range(args.count)]
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for name, arrays in zip(("pcm", "rig", "flags"), zip(*rows)):
        np.save(out / f"{name}.npy", np.stack(arrays))
    print(f"{len(rows)} stretches of {len(takes)} takes")


if __name__ == "__main__":
    main()
