"""The evaluation's measures on tracks whose answer is known, and its probe on frames that were drawn."""
import unittest

import numpy as np

from talkmesh_nano.decoder.data import HELD_OUT_SEED
from talkmesh_nano.decoder.pixels import to_i420
from talkmesh_nano.evaluate.measures import blinks_a_minute, correlation, frechet, loop_peak, offset_ms, pca, ratio_at
from talkmesh_nano.evaluate.pixel_probe import Probe, drawn, halved_yuv, training_rigs
from talkmesh_nano.render.avatar import Avatar
from talkmesh_nano.render.avatars import random_spec


def wave(count, seed=0):
    rng = np.random.default_rng(seed)
    return np.convolve(rng.standard_normal(count + 8), np.hanning(9), "valid")


class Measures(unittest.TestCase):
    def test_offset_is_found_between_frames_and_has_a_sign(self):
        fine = np.interp(np.arange(0, 300, 0.1), np.arange(300), wave(300))
        true, late, early = fine[50:2850:10], fine[35:2835:10], fine[70:2870:10]
        self.assertAlmostEqual(offset_ms([late], [true], 25), 60, delta=6)
        self.assertAlmostEqual(offset_ms([early], [true], 25), -80, delta=6)

    def test_correlation_of_a_still_track_is_zero(self):
        self.assertEqual(correlation(np.zeros(50), wave(50)), 0.0)

    def test_blinks_are_counted_per_minute_of_all_tracks(self):
        track = np.zeros(1500)
        for at in (100, 400, 900):
            track[at:at + 4] = (0.4, 1, 1, 0.6)
        self.assertEqual(blinks_a_minute([track], 25), 3)
        self.assertEqual(blinks_a_minute([track, np.zeros(1500)], 25), 1.5)

    def test_a_jump_at_every_group_shows_in_the_ratio(self):
        change = np.ones(119)
        change[3::4] = 3
        self.assertAlmostEqual(ratio_at([change], 4), 3)
        self.assertAlmostEqual(ratio_at([np.ones(119)], 4), 1)

    def test_frechet_is_zero_for_the_same_and_grows_with_the_shift(self):
        points = np.random.default_rng(1).standard_normal((400, 8))
        self.assertAlmostEqual(frechet(points, points), 0, places=6)
        self.assertAlmostEqual(frechet(points, points + 2), 8 * 4, places=6)

    def test_principal_components_keep_distances(self):
        rows = np.random.default_rng(2).standard_normal((60, 3)).astype(np.float32) @ np.random.default_rng(3).standard_normal((3, 500)).astype(np.float32)
        kept = pca(rows, 3)(rows)
        self.assertAlmostEqual(np.linalg.norm(kept[0] - kept[1]) / np.linalg.norm(rows[0] - rows[1]), 1, places=3)

    def test_a_loop_has_a_high_autocorrelation_peak(self):
        once = np.stack([wave(200, k) for k in range(3)], 1)
        self.assertGreater(loop_peak(np.tile(once, (8, 1))), 0.8)
        self.assertLess(loop_peak(np.stack([wave(1600, k) for k in range(3)], 1)), 0.3)


class Reading(unittest.TestCase):
    def test_the_probe_reads_drawn_frames_of_an_unseen_avatar_in_any_pose(self):
        avatar = Avatar(random_spec(HELD_OUT_SEED))
        probe, rig = Probe(avatar, 1, count=160), training_rigs(99, 60)
        read = probe.read(halved_yuv(np.stack([to_i420(avatar.draw(row)) for row in rig])), rig)
        for column, least in enumerate((0.9, 0.75, 0.9)):
            self.assertGreater(correlation(read[:, column], drawn(rig)[:, column]), least)

    def test_i420_is_what_the_decoder_graph_gives(self):
        picture = np.random.default_rng(4).integers(0, 256, (256, 256, 3), np.uint8)
        frame = to_i420(picture)
        self.assertEqual(frame.shape, (98304,))
        grey = to_i420(np.full((256, 256, 3), 128, np.uint8))
        self.assertEqual(set(grey[:65536]), {126})
        self.assertEqual(set(grey[65536:]), {128})


if __name__ == "__main__":
    unittest.main()
