"""Identity through long calls: python3 -m talkmesh_nano.evaluate.hour --run DIR KIND...; JSON on stdout.

Of each KIND (drawn, rendered, photographed) the roll-out writes KIND.json, KIND.latents (float32, all frames of the call) and, for windows of some seconds,
KIND/N.i420 (frames) and KIND/N.points (the judge's landmarks). Two measures, neither of which uses a network of ours:

landmarks: points above the base of the nose, which speech does not move, aligned in three dimensions as a rigid shape, so that pose does not count; their
median in a window against the mean of the first sixth of the windows, root mean square of x and y in pixels. A window of the first sixth is compared with
the others of that sixth: what this gives without any drift is the yardstick.
same state: PSNR of the face's luma of a frame in settled silence against the frame of the first sixth, of another window, whose head, eyes and lips are nearest;
one is moved, turned and scaled onto the other by the landmarks.
"""
import argparse
import json
from pathlib import Path

import numpy as np

from ..decoder.pixels import to_i420
from ..motion.rig import FPS, INDEX, decode_rig
from .clips import avatar_specs
from .decoded_frames import avatar_of, rounded
from .judge import aligned, read_points, upper_face
from .measures import blinks_a_minute, loop_peak
from .pixel_probe import SIZE

SETTLED = FPS
"""Frames of silence after which the lips are at rest."""
CLOSED, OPEN_EYES = 0.08, 0.2
DRAWN_EVERY = 6


def sixth(count):
    """Windows in the first and in the last sixth: at least two, because one has no other to be compared with."""
    return max(2, round(count / 6))


def upper_shapes(windows):
    """Median shape of the upper face in each window [w, k, 3]. @param windows: landmarks [n, 468, 3] of each, as the judge sees them"""
    keep = upper_face(windows[0])
    base = windows[0][0][keep].astype(np.float64)
    return np.stack([np.median(aligned(points[:, keep].astype(np.float64), base), 0) for points in windows])


def apart(first, second):
    """Root mean square distance of two shapes [k, 3] in the picture, pixels."""
    return float(np.sqrt(np.square(first - second)[:, :2].sum(1).mean()))


def from_start(shapes):
    """Distance of each window from the mean of the first sixth, itself left out, pixels [w]."""
    part = sixth(len(shapes))
    start = shapes[:part].sum(0)
    return [apart(shape, (start - shape) / (part - 1) if i < part else start / part) for i, shape in enumerate(shapes)]


def neutral(rig, silent):
    """Frames of settled silence with closed lips and open eyes [n]. @param rig: of the whole call [n, 15] @param silent: [n]"""
    settled = np.convolve(silent, np.ones(SETTLED), "full")[: len(silent)] >= SETTLED
    return settled & (rig[:, INDEX["mouth_open"]] < CLOSED) & (rig[:, INDEX["blink"]] < OPEN_EYES)


def psnr(first, second):
    error = np.square(first.astype(np.float32) - second.astype(np.float32)).mean()
    return float(10 * np.log10(255**2 / max(error, 0.01)))


def face_onto(luma, points, partner):
    """The face of a frame where it lies in the partner's frame, and its rows and columns there. @param luma: [n, n] @param points, partner: landmarks [468, 3]"""
    flat, target = points[:, :2].astype(np.float64), partner[:, :2].astype(np.float64)
    size = luma.shape[0]
    left, top = np.clip(np.floor(target.min(0)), 0, size - 2).astype(int)
    right, bottom = np.clip(np.ceil(target.max(0)), 1, size - 1).astype(int)
    y, x = (grid.ravel() for grid in np.mgrid[top:bottom, left:right])
    # where the partner's pixels lie in this frame: the least-squares similarity of the landmarks
    there, here = target - target.mean(0), flat - flat.mean(0)
    a, b = np.array([(there * here).sum(), (there[:, 1] * here[:, 0] - there[:, 0] * here[:, 1]).sum()]) / np.square(there).sum()
    dx, dy = x - target[:, 0].mean(), y - target[:, 1].mean()
    u = np.clip(a * dx + b * dy + flat[:, 0].mean(), 0, size - 1.001)
    v = np.clip(-b * dx + a * dy + flat[:, 1].mean(), 0, size - 1.001)
    column, row = u.astype(int), v.astype(int)
    fx, fy = u - column, v - row
    above = luma[row, column] * (1 - fx) + luma[row, column + 1] * fx
    below = luma[row + 1, column] * (1 - fx) + luma[row + 1, column + 1] * fx
    return (above * (1 - fy) + below * fy).reshape(bottom - top, right - left), (slice(top, bottom), slice(left, right))


def same_state(windows):
    """PSNR of each window [w], dB, None without a frame in silence. @param windows: (luma [n, size, size], landmarks [n, 468, 3], rig [n, 15], usable [n]) of each

    A window counts with the frame that has the nearest partner, by the rig's numbers over their spread in usable frames.
    """
    part = sixth(len(windows))
    usable = np.concatenate([rig[mask] for _, _, rig, mask in windows])
    spread = np.maximum(usable.std(0), 1e-3) if len(usable) else 1
    scaled = [rig / spread for _, _, rig, _ in windows]
    chosen = [np.flatnonzero(mask) for *_, mask in windows]
    out = []
    for i, (luma, points, _, _) in enumerate(windows):
        pairs = [
            (float(distances.min()), at, j, chosen[j][distances.argmin()])
            for j in range(part)
            if j != i and len(chosen[j])
            for at in chosen[i]
            for distances in [np.square(scaled[j][chosen[j]] - scaled[i][at]).sum(1)]
        ]
        if not pairs:
            out.append(None)
            continue
        _, at, j, partner = min(pairs)
        face, box = face_onto(luma[at].astype(np.float32), points[at], windows[j][1][partner])
        out.append(psnr(face, windows[j][0][partner][box]))
    return out


def ends(values):
    """Mean of the first and of the last sixth of the windows that have a value, and the standard deviation inside the first."""
    part = sixth(len(values))
    first, last = ([value for value in chosen if value is not None] for chosen in (values[:part], values[-part:]))
    if not first or not last:
        return None
    return float(np.mean(first)), float(np.mean(last)), float(np.std(first))


class Call:
    """One long call, as the roll-out wrote it."""

    def __init__(self, run, kind):
        about = json.loads((run / f"{kind}.json").read_text())
        self.avatar, self.stride = about["avatar"], about["stride"]
        self.latents = np.fromfile(run / f"{kind}.latents", np.float32).reshape(-1, 8, 2, 2)
        self.rig = decode_rig(self.latents)
        self.silent = np.repeat(np.array(about["silentChunks"], bool), about["framesPerChunk"])
        paths = [run / kind / str(window["index"]) for window in about["windows"]]
        if len(paths) < 4:
            raise ValueError(f"{kind}: the call has {len(paths)} windows, and its first and last sixth need 2 each; make it two minutes or longer")
        self.luma = [np.fromfile(f"{path}.i420", np.uint8).reshape(-1, SIZE * SIZE * 3 // 2)[:, : SIZE * SIZE] for path in paths]
        self.rows = [window["firstFrame"] + self.stride * np.arange(len(luma)) for window, luma in zip(about["windows"], self.luma)]
        self.minutes = [round(window["firstFrame"] / FPS / 60, 2) for window in about["windows"]]
        seen = [read_points(f"{path}.points") for path in paths]
        self.points, self.found = [points for points, _ in seen], np.concatenate([found for _, found in seen])

    def drawn_again(self):
        """PSNR of each window against the same motion as the renderer draws it, dB."""
        draw = avatar_of(self.avatar).draw
        return [
            float(np.mean([psnr(luma[i], to_i420(draw(self.rig[rows[i]]))[: SIZE * SIZE]) for i in range(0, len(luma), DRAWN_EVERY)]))
            for luma, rows in zip(self.luma, self.rows)
        ]


def figures(call, others):
    """Scores of one call. @param others: landmarks [n, 468, 3] of other faces"""
    usable = neutral(call.rig, call.silent)
    shapes = upper_shapes(call.points)
    part, distance = sixth(len(shapes)), from_start(shapes)
    state = same_state([(luma.reshape(-1, SIZE, SIZE), points, call.rig[rows], usable[rows]) for luma, points, rows in zip(call.luma, call.points, call.rows)])
    start = shapes[:part].mean(0)
    keep, base = upper_face(call.points[0]), call.points[0][0][upper_face(call.points[0])].astype(np.float64)
    other = [apart(start, np.median(aligned(points[:, keep].astype(np.float64), base), 0)) for points in others]
    minutes = np.array_split(call.latents.reshape(len(call.latents), -1), max(1, round(len(call.rig) / FPS / 60)))
    pose = call.latents.reshape(-1, 8, 4)[:, :, 3]
    settled = np.convolve(call.silent, np.ones(SETTLED), "full")[: len(call.silent)] >= SETTLED
    drawn = call.drawn_again() if call.avatar in {spec.id for spec in avatar_specs()} else None
    return {
        "minutes": round(len(call.rig) / FPS / 60, 2),
        "face": call.avatar,
        "windows": len(shapes),
        "frames judged": len(call.found),
        "frames without a face, %": 100 * float(np.mean(~call.found)),
        "landmarks from the first sixth, px: first sixth, last sixth, spread in the first": ends(distance),
        "landmarks, mean of the first sixth to mean of the last, px": apart(start, shapes[-part:].mean(0)),
        "landmarks, to the nearest other face, px": min(other, default=None),
        "same state in silence, dB: first sixth, last sixth, spread in the first": ends(state),
        "against the same motion drawn, dB: first sixth, last sixth, spread in the first": None if drawn is None else ends(drawn),
        "latent spread: first minute, last minute": [float(minutes[0].std()), float(minutes[-1].std())],
        "largest latent": float(np.abs(call.latents).max()),
        "pose: largest drift of a minute's mean, in spreads": float(np.abs(np.stack([m.reshape(-1, 8, 4)[:, :, 3].mean(0) for m in minutes])).max() / pose.std()),
        "silence: mouth closed, % of latents": 100 * float((call.rig[settled, 0] < CLOSED).mean()),
        "blinks a minute, speech": blinks_a_minute([call.rig[~call.silent, INDEX["blink"]]], FPS),
        "blinks a minute, silence": blinks_a_minute([call.rig[call.silent, INDEX["blink"]]], FPS),
        "loop: largest autocorrelation of the pose beyond 5 s": loop_peak(call.rig[:, 9:12]),
        "by window": {"minute": call.minutes, "landmarks": distance, "same state": state, "drawn": drawn},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("kinds", nargs="+")
    args = parser.parse_args()
    calls = {kind: Call(args.run, kind) for kind in args.kinds}
    others = {kind: [call.points[0] for name, call in calls.items() if name != kind] for kind in calls}
    print(json.dumps(rounded({kind: figures(call, others[kind]) for kind, call in calls.items()})))


if __name__ == "__main__":
    main()
