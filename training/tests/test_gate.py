"""The evaluation of the decoder: the mouth probe, the gate, facts about latents, the linear autoencoder."""

import unittest

import numpy as np
import torch

from talkmesh_nano.baselines.linear import patches, pictures
from talkmesh_nano.decoder.data import random_mouth, random_pose
from talkmesh_nano.decoder.export import motion_tracks
from talkmesh_nano.evaluate.decoder import failures, gate_table
from talkmesh_nano.evaluate.latents import latent_facts
from talkmesh_nano.evaluate.measures import correlation
from talkmesh_nano.evaluate.mouth_probe import MouthProbe, targets
from talkmesh_nano.motion.rig import INDEX, NEUTRAL
from talkmesh_nano.render.avatar import Avatar
from talkmesh_nano.render.avatars import designed


class ProbeTest(unittest.TestCase):
    def test_the_probe_reads_the_drawn_mouth_and_not_the_given_pose(self) -> None:
        torch.set_num_threads(1)
        avatar, rng = Avatar(designed("kofi")), np.random.default_rng(9)
        probe = MouthProbe(avatar, count=90)
        rig = random_pose(rng, 14)
        rig[:, :5] = np.stack([random_mouth(rng)[:5] for _ in rig])
        drawn, true = np.stack([avatar.draw(row) for row in rig]), targets(avatar, rig)
        read = probe.read(drawn, rig)
        self.assertGreater(correlation(read[:, 0], true[:, 0]), 0.95)
        self.assertGreater(correlation(read[:, 1], true[:, 1]), 0.9)
        closed = rig.copy()
        closed[:, :5] = NEUTRAL[:5]
        shut = probe.read(np.stack([avatar.draw(row, still) for row, still in zip(rig, closed)]), rig)
        self.assertLess(shut[:, 0].std(), 0.35 * true[:, 0].std())


class GateTest(unittest.TestCase):
    good = {"mouth_gain": 4.1, "opening": 0.96, "width": 0.95, "blink_change": 0.9, "flicker_ratio": 1.2, "whole_psnr": 28.5}

    def test_failures_name_the_missed_limits(self) -> None:
        self.assertEqual(failures(self.good), [])
        bad = {**self.good, "mouth_gain": 3.9, "flicker_ratio": 1.31}
        self.assertEqual(failures(bad), ["mouth_gain", "flicker_ratio"])
        del bad["width"]
        self.assertEqual(failures(bad), ["mouth_gain", "flicker_ratio"])
        self.assertIn("| odd | 3.90 | 0.96 |  | 0.90 | 1.31 | 28.50 | mouth_gain, flicker_ratio |", gate_table({"odd": bad}))


class LatentTest(unittest.TestCase):
    def test_dead_and_wild_numbers_are_found(self) -> None:
        moving = latent_facts(motion_tracks(4, 6, 800))
        still = [np.tile(NEUTRAL, (400, 1)) + 1e-5 * np.random.default_rng(1).normal(size=(400, 15)).astype(np.float32)]
        self.assertEqual(latent_facts(still)["dead_channels"], 32)
        self.assertLess(moving["dead_channels"], 17)
        self.assertGreater(moving["correlation_of_neighbours_first_component"]["pose"], 0.8)
        wild = motion_tracks(4, 1, 400)
        wild[0][::7, INDEX["yaw"]] = 40
        self.assertGreater(latent_facts(wild)["beyond_4"], moving["beyond_4"])


class LinearTest(unittest.TestCase):
    def test_patches_come_back_as_pictures(self) -> None:
        packed = np.random.default_rng(1).integers(0, 256, (8, 6, 128, 128), dtype=np.uint8)
        rows = patches(packed)
        self.assertEqual(rows.shape, (512, 1536))
        np.testing.assert_array_equal(pictures(rows), packed)
        self.assertEqual({*rows[0].astype(int)} - {*packed[:4, :, :8, :8].ravel().tolist()}, set())


if __name__ == "__main__":
    unittest.main()
