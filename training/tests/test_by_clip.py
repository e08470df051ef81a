"""The figures of single clips on readings whose answer is known."""
import unittest

import numpy as np

from talkmesh_nano.evaluate.by_clip import by_clip, clip_figures
from talkmesh_nano.motion.rig import INDEX

from test_judge import rig_of


def clip_of(seed, name="one"):
    rig = rig_of(seed)
    closed = rig[:, INDEX["mouth_open"]] == 0
    return {"id": name, "set": "rendered", "avatar": "amina", "rig": rig, "closed": closed, "silent": closed}


class Clips(unittest.TestCase):
    def test_the_true_track_is_full_and_a_late_one_trails(self):
        clip = clip_of(3)
        track = clip["rig"][:, INDEX["mouth_open"]]
        full, late = clip_figures(track, clip), clip_figures(np.roll(track, 2), clip)
        self.assertAlmostEqual(full["opening"], 1)
        self.assertEqual((full["m b p closed, %"], full["silence closed, %"]), (100, 100))
        self.assertAlmostEqual(late["lips, ms"], 80, delta=6)
        self.assertLess(late["m b p closed, %"], 95)

    def test_a_mouth_that_stays_ajar_closes_in_neither(self):
        clip = clip_of(3)
        ajar = clip_figures(np.maximum(0.2, clip["rig"][:, INDEX["mouth_open"]]), clip)
        self.assertEqual((ajar["m b p closed, %"], ajar["silence closed, %"]), (0, 0))

    def test_a_clip_without_such_frames_has_no_share(self):
        clip = {**clip_of(3), "closed": np.zeros(250, bool)}
        self.assertIsNone(clip_figures(clip["rig"][:, 0], clip)["m b p closed, %"])

    def test_what_cannot_be_read_is_none(self):
        one, two = clip_of(3), clip_of(4, "two")
        rows = by_clip([one, two], {"one": one["rig"][:, 0]}, {"two": two["rig"][:, 0]})
        self.assertEqual([(row["clip"], row["judge"] is None, row["probe"] is None) for row in rows], [("one", False, True), ("two", True, False)])


if __name__ == "__main__":
    unittest.main()
