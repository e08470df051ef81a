"""An independent judge of decoded frames: MediaPipe's 468 landmarks, found in the pixels of each frame alone. No probe of our own takes part.

The evaluation's roll-out writes the landmarks of ID.i420 to ID.points: float32 [frames, 468, 3], not a number where no face was found. What they
say is calibrated per face on frames whose motion is known: drawn by the renderer, or, for a rendered or photographed person, by the decoder from the true motion.
A face whose known motion the judge does not see is left out.
"""
from dataclasses import dataclass

import numpy as np

from ..motion.rig import FPS, INDEX
from ..speech.synthesis import loudness
from .measures import correlation, offset_ms

POINTS = 468
LIPS = (13, 14)
EYES = ((33, 133, 159, 145), (263, 362, 386, 374))
"""Outer corner, inner corner, upper and lower lid."""
NOSE_BASE = 2
FOLLOWS_LIPS, FOLLOWS_LIDS, FINDS = 0.85, 0.7, 0.98
"""Least correlation with the known motion, and least share of frames with a face, with which a face is judged."""
CLOSED, NEARLY, BLINK, SHUT = 0.1, 0.15, 0.5, 0.8
"""The limits of the probe's figures, so that both compare; a blink is complete when it is read as SHUT."""


def read_points(path):
    """Landmarks of a clip [n, 468, 3] and whether a face was found [n]; frames without one repeat the frame before."""
    points = np.fromfile(path, np.float32).reshape(-1, POINTS, 3)
    found = np.isfinite(points).all((1, 2))
    if not found.any():
        return np.zeros_like(points), found
    last = np.maximum.accumulate(np.where(found, np.arange(len(points)), np.argmax(found)))
    return points[last], found


def apart(points, a, b):
    return np.linalg.norm(points[:, a, :2] - points[:, b, :2], axis=1)


def eye_distance(points):
    """Between the eyes' outer corners, pixels [n]."""
    return np.maximum(apart(points, EYES[0][0], EYES[1][0]), 1e-3)


def lip_gap(points):
    """Between the inner lips, as a part of the distance of the eyes [n]."""
    return apart(points, *LIPS) / eye_distance(points)


def eye_height(points):
    """Height of both eyes as a part of their width [n]."""
    return np.mean([apart(points, up, low) / np.maximum(apart(points, out, inner), 1e-3) for out, inner, up, low in EYES], 0)


@dataclass(frozen=True)
class Calibration:
    """How the judge sees one face: lines from its readings to the rig's numbers, and how well they follow frames whose motion is known."""

    lips: np.ndarray
    lids: np.ndarray
    follows_lips: float
    follows_lids: float
    found: float

    @property
    def judges_lips(self):
        return self.found >= FINDS and self.follows_lips >= FOLLOWS_LIPS

    @property
    def judges_lids(self):
        return self.judges_lips and self.follows_lids >= FOLLOWS_LIDS

    def opening(self, points):
        """In the rig's unit: 0 closed to 1 [n]."""
        return (lip_gap(points) - self.lips[1]) / self.lips[0]

    def blink(self, points):
        """0 open to 1 closed [n]."""
        return (eye_height(points) - self.lids[1]) / self.lids[0]

    def __str__(self):
        if self.found < FINDS:
            return f"no face in {100 * (1 - self.found):.0f} % of frames: left out"
        verdict = "" if self.judges_lids else ": blinks left out" if self.judges_lips else ": left out"
        return f"{self.follows_lips:.2f}, {self.follows_lids:.2f}{verdict}"


def calibrate(clips):
    """Calibration from [(points, found, rig [n, 15])] of one face, whose frames show exactly these rigs."""
    points, found, rig = (np.concatenate([clip[i] for clip in clips]) for i in range(3))
    opening, blink = rig[:, INDEX["mouth_open"]], rig[:, INDEX["blink"]]
    gap, height = lip_gap(points), eye_height(points)
    return Calibration(line(opening, gap), line(blink, height), correlation(gap, opening), -correlation(height, blink), float(found.mean()))


def line(known, read):
    """Slope and offset of `read`; a slope of 0 would not calibrate, so it is at least a thousandth."""
    slope, offset = np.polyfit(known, read, 1) if np.std(known) > 1e-6 else (0.0, float(np.mean(read)))
    return np.array([slope if abs(slope) > 1e-3 else 1e-3, offset])


def peaks(track):
    """The largest value of each stretch of `track` above BLINK."""
    above = np.flatnonzero(np.diff(np.concatenate([[0], track > BLINK, [0]])))
    return [float(track[start:stop].max()) for start, stop in above.reshape(-1, 2)]


def figures(clips):
    """Scores of clips: dicts with opening, blink (judged [n]), found, rig, closed, silent, pcm (float32), judge_blinks."""
    track = [clip["rig"][:, INDEX["mouth_open"]] for clip in clips]
    loud = [loudness(clip["pcm"], len(rows)) for clip, rows in zip(clips, track)]
    read = [clip["opening"] for clip in clips]
    joined = np.concatenate
    silent, closed = joined([clip["silent"] for clip in clips]), joined([clip["closed"] for clip in clips])
    blinks = [peak for clip in clips if clip["judge_blinks"] for peak in peaks(clip["blink"])]
    seconds = sum(len(clip["blink"]) for clip in clips if clip["judge_blinks"]) / FPS
    return {
        "opening, correlation with the true track": correlation(joined(read), joined(track)),
        "the same, worst clip": min(correlation(r, t) for r, t in zip(read, track)),
        "opening, correlation with loudness": correlation(joined(read), joined(loud)),
        "lips after the true track, ms": offset_ms(read, track, FPS),
        "lips after loudness, ms": offset_ms(read, loud, FPS),
        "silent frames with the mouth closed, %": share(joined(read)[silent] < CLOSED),
        "m b p: mean opening": float(joined(read)[closed].mean()) if closed.any() else 0.0,
        "m b p: closed, %": share(joined(read)[closed] < NEARLY),
        "blinks a minute": len(blinks) * 60 / seconds if seconds else 0.0,
        "of them complete, %": share(np.array(blinks) > SHUT) if blinks else None,
        "frames without a face, %": share(~joined([clip["found"] for clip in clips])),
    }


def share(mask):
    """Percent; 0 of nothing."""
    return 100 * float(np.mean(mask)) if len(mask) else 0.0


def upper_face(points):
    """Which points lie above the base of the nose, that is, do not belong to the mouth [468]."""
    middle = points.mean(0)
    return middle[:, 1] < middle[NOSE_BASE, 1]


def aligned(points, to):
    """Each [k, d] of `points` moved, turned and scaled onto `to` (Umeyama)."""
    target = to - to.mean(0)
    centred = points - points.mean(1, keepdims=True)
    u, size, vt = np.linalg.svd(np.einsum("kd,nke->nde", target, centred))
    mirror = np.ones_like(size)
    mirror[:, -1] = np.sign(np.linalg.det(u @ vt))
    turn = (u * mirror[:, None]) @ vt
    scale = (size * mirror).sum(1) / np.square(centred).sum((1, 2))
    return scale[:, None, None] * np.einsum("nde,nke->nkd", turn, centred) + to.mean(0)
