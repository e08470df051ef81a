"""The figures of single clips: the same rows from the judge's readings and from the probes', where they can be had."""
import numpy as np

from ..motion.rig import FPS, INDEX
from .judge import CLOSED, NEARLY
from .measures import correlation, offset_ms


def clip_figures(opening, clip):
    """Rows of one clip. @param opening: read from its frames [n] @param clip: its rig [n, 15], closed and silent [n]; a share of no frames is None"""
    track = clip["rig"][:, INDEX["mouth_open"]]
    return {
        "opening": correlation(opening, track),
        "lips, ms": offset_ms([opening], [track], FPS),
        "m b p closed, %": share(opening[clip["closed"]] < NEARLY),
        "silence closed, %": share(opening[clip["silent"]] < CLOSED),
    }


def share(mask):
    return 100 * float(np.mean(mask)) if len(mask) else None


def by_clip(clips, judged, probed):
    """[{clip, set, avatar, judge, probe}] in the order of `clips`. @param judged, probed: id -> opening read from the frames, without what cannot be read"""

    def rows(readings, clip):
        return clip_figures(readings[clip["id"]], clip) if clip["id"] in readings else None

    return [
        {"clip": clip["id"], "set": clip["set"], "avatar": clip["avatar"], "judge": rows(judged, clip), "probe": rows(probed, clip)} for clip in clips
    ]
