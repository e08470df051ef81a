"""The independent judge's measures on landmarks whose motion is known."""
import tempfile
import unittest
from pathlib import Path

import numpy as np

from talkmesh_nano.evaluate.judge import EYES, LIPS, NOSE_BASE, calibrate, figures, peaks, read_points
from talkmesh_nano.motion.rig import INDEX, NEUTRAL

FRAMES = 250


def shape(seed):
    """A face of 468 points in pixels; its nose's base is in the middle."""
    points = np.random.default_rng(seed).uniform(-60, 60, (468, 3)) + (128, 128, 0)
    points[NOSE_BASE] = (128, 130, -20)
    for side, (outer, inner, upper, lower) in zip((-1, 1), EYES):
        points[outer], points[inner] = (128 + 50 * side, 100, 0), (128 + 20 * side, 100, 0)
        points[upper], points[lower] = (128 + 35 * side, 94, 0), (128 + 35 * side, 106, 0)
    return points


def rig_of(seed):
    rng = np.random.default_rng(seed)
    rig = np.tile(NEUTRAL, (FRAMES, 1))
    rig[:, INDEX["mouth_open"]] = np.clip(np.convolve(rng.standard_normal(FRAMES + 8), np.hanning(9), "valid") / 3, 0, 1)
    for at in range(30, FRAMES - 5, 60):
        rig[at:at + 5, INDEX["blink"]] = (0.45, 1, 1, 0.65, 0.2)
    return rig


def seen(rig, face=0, noise=0.1, seed=1):
    """What the judge finds when the face `face` shows `rig`, with noise in pixels."""
    points = np.tile(shape(face), (len(rig), 1, 1))
    points[:, LIPS[0]] = (128, 150, 0)
    points[:, LIPS[1]] = (128, 151, 0)
    points[:, LIPS[1], 1] += 20 * rig[:, INDEX["mouth_open"]]
    for _, _, upper, _ in EYES:
        points[:, upper, 1] += 10 * rig[:, INDEX["blink"]]
    return (points + np.random.default_rng(seed).normal(0, noise, points.shape)).astype(np.float32)


FOUND = np.ones(FRAMES, bool)


class Calibrated(unittest.TestCase):
    def test_readings_come_back_in_the_units_of_the_rig(self):
        rig, other = rig_of(1), rig_of(2)
        calibration = calibrate([(seen(rig), FOUND, rig)])
        self.assertTrue(calibration.judges_lids)
        self.assertLess(np.abs(calibration.opening(seen(other, seed=5)) - other[:, INDEX["mouth_open"]]).mean(), 0.02)
        self.assertGreater(calibration.blink(seen(other, seed=5))[31], 0.9)

    def test_the_wrong_face_is_left_out(self):
        """Frames that show another motion, frames that never move, and frames in which often no face is found."""
        rig = rig_of(1)
        self.assertFalse(calibrate([(seen(rig_of(2)), FOUND, rig)]).judges_lips)
        self.assertFalse(calibrate([(seen(np.tile(NEUTRAL, (FRAMES, 1))), FOUND, rig)]).judges_lips)
        self.assertIn("left out", str(calibrate([(seen(rig), np.arange(FRAMES) % 10 > 0, rig)])))

    def test_frames_without_a_face_repeat_the_one_before(self):
        points = seen(rig_of(1))
        gaps = points.copy()
        gaps[:3], gaps[10] = np.nan, np.nan
        with tempfile.TemporaryDirectory() as folder:
            gaps.tofile(Path(folder) / "clip.points")
            filled, found = read_points(Path(folder) / "clip.points")
        self.assertEqual(found.sum(), FRAMES - 4)
        np.testing.assert_array_equal(filled[10], points[9])
        np.testing.assert_array_equal(filled[0], points[3])


class Scores(unittest.TestCase):
    def clip(self, rig, shown):
        closed = rig[:, INDEX["mouth_open"]] == 0
        calibration = calibrate([(seen(rig), FOUND, rig)])
        read = {"opening": calibration.opening(seen(shown, seed=7)), "blink": calibration.blink(seen(shown, seed=7))}
        return {**read, "rig": rig, "closed": closed, "silent": closed, "found": FOUND, "judge_blinks": True, "pcm": np.zeros(FRAMES * 960, np.float32)}

    def test_the_true_motion_scores_full_and_a_late_or_open_mouth_does_not(self):
        rig = rig_of(3)
        full = figures([self.clip(rig, rig)])
        self.assertGreater(full["opening, correlation with the true track"], 0.98)
        self.assertGreater(full["m b p: closed, %"], 99)
        self.assertEqual(full["of them complete, %"], 100)
        self.assertAlmostEqual(full["lips after the true track, ms"], 0, delta=4)
        late = figures([self.clip(rig, np.roll(rig, 2, 0))])
        self.assertAlmostEqual(late["lips after the true track, ms"], 80, delta=6)
        ajar = rig.copy()
        ajar[:, INDEX["mouth_open"]] = np.maximum(0.25, ajar[:, INDEX["mouth_open"]])
        ajar[:, INDEX["blink"]] *= 0.65
        worse = figures([self.clip(rig, ajar)])
        self.assertLess(worse["m b p: closed, %"], 5)
        self.assertLess(worse["silent frames with the mouth closed, %"], 5)
        self.assertEqual(worse["of them complete, %"], 0)
        self.assertGreater(worse["blinks a minute"], 20)

    def test_without_blinks_no_share_of_them_is_complete(self):
        still = np.tile(NEUTRAL, (FRAMES, 1))
        still[:, INDEX["mouth_open"]] = rig_of(3)[:, INDEX["mouth_open"]]
        scores = figures([self.clip(rig_of(3), still)])
        self.assertEqual((scores["blinks a minute"], scores["of them complete, %"]), (0, None))

    def test_peaks_are_those_of_each_blink(self):
        self.assertEqual(peaks(np.array([0, 0.6, 0.9, 0.2, 0, 0.7])), [0.9, 0.7])


if __name__ == "__main__":
    unittest.main()
