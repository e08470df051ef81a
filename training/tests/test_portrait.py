"""The portrait finder: scenes are what they are called, landmarks lie on the face, training runs and resumes."""

import tempfile
import unittest

import numpy as np
import torch

from support import SmokeDataCase, changed

from talkmesh_nano.motion.rig import NEUTRAL
from talkmesh_nano.portrait.config import load, smoke
from talkmesh_nano.portrait.data import Portraits, portrait, write_shard
from talkmesh_nano.portrait.net import OUTPUTS, PortraitGraph, expected_places
from talkmesh_nano.portrait.scenes import KINDS, SIDE, WITH_LANDMARKS, Scenes
from talkmesh_nano.portrait.train import Trainer, averaged
from talkmesh_nano.render.avatar import Avatar
from talkmesh_nano.render.avatars import random_spec


class PortraitTest(SmokeDataCase):
    smoke, write_shard = staticmethod(smoke), staticmethod(write_shard)

    def test_neutral_landmarks_are_the_avatars_own(self) -> None:
        avatar = Avatar(random_spec(31))
        picture, points = portrait(avatar, NEUTRAL)
        self.assertEqual((picture.shape, picture.dtype), ((256, 256, 4), np.uint8))
        np.testing.assert_allclose(points, avatar.landmarks, atol=1.0)

    def test_landmarks_follow_the_pose(self) -> None:
        avatar = Avatar(random_spec(31))
        turned = portrait(avatar, changed(yaw=1.2))[1] - avatar.landmarks
        self.assertTrue((turned[:, 0] > 4).all(), turned)
        tilted = portrait(avatar, changed(roll=1.4))[1]
        self.assertGreater(abs(tilted[1, 1] - tilted[2, 1]), 5)

    def test_every_kind_can_be_drawn(self) -> None:
        scenes = Scenes(self.config, Portraits(self.config), 3)
        for name in KINDS:
            batch = scenes.batch(6, name)
            self.assertEqual(batch.pictures.shape, (6, 3, SIDE, SIDE))
            self.assertTrue((batch.kinds == KINDS.index(name)).all())
            if name in WITH_LANDMARKS:
                self.assertTrue(((batch.landmarks > 0) & (batch.landmarks < 1)).all(), batch.landmarks)
                # the left eye is left of the right one and the mouth below both
                self.assertTrue((batch.landmarks[:, 1, 0] < batch.landmarks[:, 2, 0]).all())
                self.assertTrue((batch.landmarks[:, 0, 1] > batch.landmarks[:, 1:, 1].max(1).values).all())

    def test_the_same_seed_draws_the_same_batch(self) -> None:
        first, second = (Scenes(self.config, Portraits(self.config), 8).batch(5) for _ in range(2))
        torch.testing.assert_close(first.pictures, second.pictures)

    def test_training_runs_saves_and_resumes(self) -> None:
        Trainer(self.config).run()
        longer = smoke(self.temporary.name)
        longer.steps = 5
        again = Trainer(longer)
        again.resume()
        self.assertEqual(again.step, 3)
        again.run()
        self.assertEqual(again.step, 5)
        self.assertEqual([row["step"] for row in again.curve], [2, 3, 4, 5])
        graph = PortraitGraph(averaged(again.average.weights), torch.zeros(64), torch.ones(64))
        outputs = dict(zip(OUTPUTS, graph(torch.full((256, 256, 3), 90, dtype=torch.uint8))))
        self.assertEqual(outputs["landmarks"].shape, (3, 2))
        self.assertAlmostEqual(float(outputs["kinds"].sum()), 1.0, places=4)
        self.assertEqual(outputs["distance"].shape, ())

    def test_missing_shards_and_unknown_settings_are_errors(self) -> None:
        with tempfile.TemporaryDirectory() as folder, self.assertRaisesRegex(FileNotFoundError, "portrait.data"):
            Portraits(smoke(folder))
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write('{"stepps": 3}')
            file.flush()
            with self.assertRaisesRegex(ValueError, "stepps"):
                load(file.name)


class AccuracyOfLossTest(unittest.TestCase):
    def test_a_net_learns_one_face(self) -> None:
        """Sixty steps on one picture bring the landmarks within a few pixels: the loss and its gradients are right."""
        with tempfile.TemporaryDirectory() as folder:
            config = smoke(folder)
            for shard in (-1, 0):
                write_shard(config, shard)
            trainer = Trainer(config)
            batch = trainer.scenes.batch(8, "fits")
            trainer.scenes.batch = lambda *_: batch  # type: ignore[method-assign]
            config.steps, config.report_every = 60, 1000
            trainer.run()
            trainer.net.train()
            error = (expected_places(trainer.net(batch.pictures)[0]) - batch.landmarks).abs().mul(256)
            self.assertLess(float(error.median()), 6)


if __name__ == "__main__":
    unittest.main()
