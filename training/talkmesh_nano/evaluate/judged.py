"""What the independent judge says of a run, group by group, beside the same readings of frames with the true motion and beside the probe's figures."""
import numpy as np

from .judge import calibrate, figures, read_points

PROBE = {
    "opening, correlation with the true track": "opening correlation",
    "the same, worst clip": "opening correlation, worst clip",
    "lips after the true track, ms": "lip offset, ms",
    "silent frames with the mouth closed, %": "silent frames with the mouth closed, %",
    "m b p: mean opening": "m b p: mean opening",
    "m b p: closed, %": "m b p: closed, %",
    "blinks a minute": "blinks a minute",
}
"""Rows of the judge and what the probe calls the same."""
MOVED = ("rendered", "photographed")
"""Sets of clips whose pictures no renderer of the training package draws: their decoder shows the true motion."""


class Judged:
    """`Judged(material, run, clips)` calibrates the judge for every face of `clips` (with rig, closed, silent)."""

    def __init__(self, material, run, clips):
        self.material, self.run, self.clips = material, run, clips
        self.true = {clip["id"]: read_points(self._truth(clip)) for clip in clips}
        faces = sorted({clip["avatar"] for clip in clips})
        self.calibrations = {face: calibrate([(*self.true[c["id"]], c["rig"]) for c in clips if c["avatar"] == face]) for face in faces}

    def _truth(self, clip):
        folder = self.run if clip["set"] in MOVED else self.material / "clips"
        return folder / f"{clip['id']}.truth.points"

    def openings(self):
        """Opening as read from the model's frames [n], by clip, of the faces that the judge sees."""
        seen = [clip for clip in self.clips if self.calibrations[clip["avatar"]].judges_lips]
        return {clip["id"]: self.calibrations[clip["avatar"]].opening(read_points(self.run / f"{clip['id']}.points")[0]) for clip in seen}

    def calibration(self):
        """Correlation of the readings of lips and of lids with the true motion, by face."""
        return {face: str(calibration) for face, calibration in self.calibrations.items()}

    def section(self, name, probe=None):
        """Figures of one set of clips, faces that the judge cannot see left out. @param probe: chosen clips -> the probe's figures"""
        clips = [clip for clip in self.clips if clip["set"] == name]
        chosen = [clip for clip in clips if self.calibrations[clip["avatar"]].judges_lips]
        left_out = sorted({clip["avatar"] for clip in clips} - {clip["avatar"] for clip in chosen})
        out = {"clips judged, of all": f"{len(chosen)} of {len(clips)}", "faces left out": ", ".join(left_out) or "none"}
        if not chosen:
            return out
        made = [self._read(clip, read_points(self.run / f"{clip['id']}.points")) for clip in chosen]
        known, probed = figures([self._read(clip, self.true[clip["id"]]) for clip in chosen]), {} if probe is None else probe(chosen)
        for row, value in figures(made).items():
            out[row] = value
            out[f"{row}; of frames with the true motion"] = known[row]
            if row in PROBE and probed:
                out[f"{row}; by the probe"] = probed[PROBE[row]]
        out["tracks"] = [
            {"clip": clip["id"], "true": clip["rig"][:, 0].round(3).tolist(), "read": m["opening"].round(3).tolist()} for clip, m in zip(chosen, made)
        ]
        return out

    def _read(self, clip, read):
        points, found = read
        calibration = self.calibrations[clip["avatar"]]
        pcm = np.frombuffer((self.material / "clips" / f"{clip['id']}.pcm").read_bytes(), "<i2").astype(np.float32) / 32767
        return {
            **{key: clip[key] for key in ("rig", "closed", "silent")},
            **{"pcm": pcm, "found": found, "judge_blinks": calibration.judges_lids},
            **{"opening": calibration.opening(points), "blink": calibration.blink(points)},
        }
