"""Identity through a call on faces whose drift is known: frozen, shifted, blurred, and turned into another."""
import json
import tempfile
import unittest
from pathlib import Path

import numpy as np

from talkmesh_nano.evaluate.hour import Call, apart, ends, face_onto, figures, from_start, neutral, same_state, upper_shapes
from talkmesh_nano.evaluate.judge import aligned, upper_face
from talkmesh_nano.motion.rig import INDEX, NEUTRAL, encode_rig

from test_judge import rig_of, seen

WINDOWS = 12


def posed(points, seed=2):
    """Frames turned, scaled and moved one by one."""
    rng, out = np.random.default_rng(seed), []
    for frame in points:
        u, _, vt = np.linalg.svd(np.eye(3) + 0.2 * rng.standard_normal((3, 3)))
        turn = u @ vt * np.sign(np.linalg.det(u @ vt))
        out.append((frame - frame.mean(0)) @ turn * rng.uniform(0.9, 1.1) + rng.uniform(90, 160, 3))
    return np.float32(out)


SIZE = 64


def picture(seed=0):
    """Luma of a smooth face-sized texture [64, 64]."""
    return np.kron(np.random.default_rng(seed).uniform(60, 200, (8, 8)), np.ones((8, 8)))


def blurred(luma):
    return np.mean([np.roll(luma, shift, axis) for axis in (1, 2) for shift in range(-3, 4)], 0)


def placed(luma, points, x, y):
    """The picture and its landmarks moved by whole pixels."""
    return np.roll(luma, (y, x), (0, 1)), points + np.float32((x, y, 0))


class Landmarks(unittest.TestCase):
    def distances(self, windows):
        return from_start(upper_shapes(windows))

    def test_a_frozen_face_does_not_drift_at_all(self):
        still = np.tile(seen(rig_of(1), noise=0)[:1], (24, 1, 1))
        np.testing.assert_allclose(self.distances([still] * WINDOWS), 0, atol=1e-3)

    def test_pose_place_and_mouth_are_no_drift(self):
        first, last, spread = ends(self.distances([posed(seen(rig_of(k), seed=k)[:24], k) for k in range(WINDOWS)]))
        self.assertLess(first, 0.6)
        self.assertLess(abs(last - first), 3 * spread + 0.05)

    def test_a_face_whose_one_side_moves_by_a_known_distance(self):
        """Every second landmark is moved by 2 pixels from the seventh window on; the alignment takes the mean of it, one pixel, away."""
        still = np.tile(seen(rig_of(1), noise=0)[:1], (24, 1, 1))
        moved = still.copy()
        upper = np.flatnonzero(upper_face(still))
        moved[:, upper[::2], 0] += 2
        distances = self.distances([still] * 6 + [moved] * 6)
        self.assertLess(max(distances[:6]), 1e-3)
        for distance in distances[6:]:
            self.assertAlmostEqual(distance, 1, delta=0.1)

    def test_a_face_that_turns_into_another_goes_all_the_way(self):
        steps = [(1 - k / 11) * seen(rig_of(k), seed=k)[:24] + k / 11 * seen(rig_of(k), face=4, seed=k)[:24] for k in range(WINDOWS)]
        shapes, keep = upper_shapes(steps), upper_face(steps[0])
        other = np.median(aligned(seen(rig_of(3), face=4)[:24][:, keep].astype(np.float64), steps[0][0][keep].astype(np.float64)), 0)
        self.assertGreater(from_start(shapes)[-1], 0.8 * apart(shapes[0], other))


class SameState(unittest.TestCase):
    def windows(self, change=lambda frames, k: frames, moved=0):
        """A face in the middle of 64 pixels, in windows of 24 frames of which the second half may be used, moved by up to `moved` pixels."""
        rng, points = np.random.default_rng(3), np.float32(np.random.default_rng(4).uniform(20, 44, (468, 3)))
        for k in range(WINDOWS):
            rig = np.tile(NEUTRAL, (24, 1))
            rig[:, INDEX["yaw"]] = rng.uniform(-0.5, 0.5, 24)
            frames = [placed(picture(), points, *rng.integers(-moved, moved + 1, 2)) for _ in range(24)]
            yield change(np.stack([luma for luma, _ in frames]), k), np.stack([where for _, where in frames]), rig, np.arange(24) > 11

    def test_a_frozen_picture_scores_the_same_at_both_ends(self):
        first, last, _ = ends(same_state(list(self.windows())))
        self.assertGreater(first, 45)
        self.assertAlmostEqual(first, last, delta=0.1)

    def test_a_face_that_moves_in_the_picture_is_put_in_its_place(self):
        self.assertGreater(min(same_state(list(self.windows(moved=6)))), 45)

    def test_a_face_is_turned_and_scaled_back(self):
        """The frame is the partner's, turned by 20 degrees and shrunk to .8: of a plane of grey levels nothing is lost."""
        y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64) - 32
        plane = lambda a, b: (128 + 1.5 * a + 0.7 * b).astype(np.float32)
        cos, sin = np.cos(np.radians(20)) * 0.8, np.sin(np.radians(20)) * 0.8
        partner = np.float32(np.random.default_rng(4).uniform(20, 44, (468, 3)))
        centred = partner[:, :2] - 32
        points = np.stack([cos * centred[:, 0] - sin * centred[:, 1] + 32, sin * centred[:, 0] + cos * centred[:, 1] + 32], 1)
        shown = plane((cos * x + sin * y) / 0.64, (-sin * x + cos * y) / 0.64)
        face, box = face_onto(shown, np.concatenate([points, partner[:, 2:]], 1), partner)
        np.testing.assert_allclose(face, plane(x, y)[box], atol=0.01)

    def test_a_picture_that_blurs_or_darkens_loses(self):
        for change in (lambda f, k: blurred(f) if k > 8 else f, lambda f, k: f - 2 * k):
            first, last, spread = ends(same_state(list(self.windows(change))))
            self.assertLess(last, first - 5 - spread)

    def test_the_nearest_state_is_chosen_and_speech_is_not(self):
        """Frames that may not be used are of another picture: no one of them may be compared."""
        other = lambda f, k: np.where((np.arange(24) > 11)[:, None, None], f, picture(9))
        self.assertGreater(ends(same_state(list(self.windows(other))))[0], 45)

    def test_a_window_without_silence_has_no_value(self):
        windows = list(self.windows())
        windows[5] = (*windows[5][:3], np.zeros(24, bool))
        values = same_state(windows)
        self.assertIsNone(values[5])
        self.assertEqual(sum(value is None for value in values), 1)


class Calls(unittest.TestCase):
    def test_neutral_frames_are_a_second_into_silence_with_closed_lips_and_open_eyes(self):
        rig, silent = np.tile(NEUTRAL, (100, 1)), np.arange(100) >= 40
        rig[80:84, INDEX["blink"]] = 1
        rig[90, INDEX["mouth_open"]] = 0.5
        chosen = np.flatnonzero(neutral(rig, silent))
        self.assertEqual(chosen.min(), 64)
        self.assertFalse({80, 83, 90} & set(chosen))

    def written(self, folder, minutes):
        """A call of windows of 24 frames, every sixth of 144, that shows a still face."""
        frames, rng = int(minutes * 60 * 25) // 12 * 12, np.random.default_rng(1)
        rig = np.tile(NEUTRAL, (frames, 1)) + 0.01 * rng.standard_normal((frames, 15)).astype(np.float32)
        encode_rig(rig).tofile(folder / "rendered.latents")
        (folder / "rendered").mkdir(exist_ok=True)
        windows = [{"index": i, "firstFrame": start} for i, start in enumerate(range(75, frames - 144, 750))]
        for window in windows:
            np.full((24, 98304), 120, np.uint8).tofile(folder / "rendered" / f"{window['index']}.i420")
            seen(rig[:24], noise=0.05, seed=window["index"]).tofile(folder / "rendered" / f"{window['index']}.points")
        about = {"avatar": "amina", "stride": 6, "framesPerChunk": 12, "silentChunks": [int(i > 2) for i in range(frames // 12)], "windows": windows}
        (folder / "rendered.json").write_text(json.dumps(about))
        return Call(folder, "rendered")

    def test_a_call_is_read_as_it_was_written(self):
        with tempfile.TemporaryDirectory() as folder:
            scores = figures(self.written(Path(folder), 4), [seen(rig_of(9), face=4)[:24]])
        self.assertEqual((scores["windows"], scores["face"], scores["frames without a face, %"]), (8, "amina", 0))
        self.assertLess(scores["landmarks, mean of the first sixth to mean of the last, px"], 0.1)
        self.assertGreater(scores["landmarks, to the nearest other face, px"], 10)
        self.assertEqual(scores["same state in silence, dB: first sixth, last sixth, spread in the first"][1:], (scores["by window"]["same state"][0], 0.0))
        self.assertIsNone(scores["against the same motion drawn, dB: first sixth, last sixth, spread in the first"])

    def test_a_call_that_is_too_short_says_so(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaisesRegex(ValueError, "two minutes or longer"):
            self.written(Path(folder), 1)


if __name__ == "__main__":
    unittest.main()
