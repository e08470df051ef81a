"""Avatars: the same seed draws the same picture, the rig moves what it should, and the true flow explains the pose."""

import unittest
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from support import changed

from talkmesh_nano.decoder.stages import posed_picture, warp
from talkmesh_nano.motion.rig import NEUTRAL
from talkmesh_nano.render.avatar import Avatar, premultiplied
from talkmesh_nano.render.avatars import DESIGNED, designed, random_spec
from talkmesh_nano.render.pose import MARGIN, true_flow


class RenderTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        torch.set_num_threads(1)
        cls.mia = Avatar(designed("mia"))

    def difference(self, rig: np.ndarray) -> np.ndarray:
        return np.abs(self.mia.draw(rig).astype(int) - self.mia.reference).sum(2)

    def test_ids_are_unique(self) -> None:
        self.assertEqual(len({spec.id for spec in DESIGNED}), len(DESIGNED))

    def test_unknown_avatar_names_the_known_ones(self) -> None:
        with self.assertRaisesRegex(KeyError, "mia"):
            designed("unknown")

    def test_seed_decides_the_picture(self) -> None:
        self.assertEqual(random_spec(7), random_spec(7))
        self.assertNotEqual(random_spec(7), random_spec(8))
        np.testing.assert_array_equal(Avatar(random_spec(7)).reference, Avatar(random_spec(7)).reference)

    def test_frame_is_a_byte_picture_and_bad_rigs_are_refused(self) -> None:
        self.assertEqual((self.mia.reference.shape, self.mia.reference.dtype), ((256, 256, 3), np.uint8))
        with self.assertRaisesRegex(ValueError, "shape"):
            self.mia.draw(np.zeros(14))

    def test_opening_the_mouth_changes_pixels_at_the_mouth(self) -> None:
        x, y = self.mia.landmarks[0].astype(int)
        change = self.difference(changed(mouth_open=1.0))
        self.assertGreater(change[y : y + 16, x - 12 : x + 12].mean(), 60)
        self.assertEqual(change[:100].max(), 0)

    def test_a_blink_changes_both_eyes_alone(self) -> None:
        change = self.difference(changed(blink=1.0))
        for x, y in self.mia.landmarks[1:].astype(int):
            self.assertGreater(change[y - 5 : y + 5, x - 8 : x + 8].mean(), 60)
        self.assertEqual(change[int(self.mia.landmarks[0][1]) - 12 :].max(), 0)

    def test_patches_equal_the_whole_picture(self) -> None:
        rig = changed(mouth_round=0.8, smile=0.5)
        box = self.mia.mouth_box()
        patch = self.mia.patch_drawer(box).mouth(rig).astype(int)
        whole = self.mia.draw(rig)[box[1] : box[3], box[0] : box[2]]
        self.assertLess(np.abs(patch - whole).max(), 4)

    def test_the_shipped_pictures_are_these(self) -> None:
        folder = Path(__file__).parents[2] / "models/nano/avatars"
        for name, size in (("mia.png", 256), ("mia.large.png", 512)):
            shipped = np.asarray(Image.open(folder / name).convert("RGB"))
            np.testing.assert_array_equal(Avatar(designed("mia"), size).reference, shipped)

    def test_larger_pictures_show_the_same(self) -> None:
        large = Avatar(designed("mia"), 512)
        rig = changed(mouth_open=0.7, yaw=0.5, blink=0.4)
        frame = large.draw(rig)
        self.assertEqual(frame.shape, (512, 512, 3))
        np.testing.assert_allclose(large.landmarks, 2 * self.mia.landmarks, rtol=1e-5)
        halved = frame.reshape(256, 2, 256, 2, 3).mean((1, 3))
        self.assertLess(np.abs(halved - self.mia.draw(rig)).mean(), 2)
        with self.assertRaisesRegex(ValueError, "multiple of 32"):
            Avatar(designed("mia"), 300)

    def test_true_flow_brings_the_reference_to_the_pose(self) -> None:
        rig = torch.from_numpy(changed(yaw=0.9, pitch=-0.5, roll=0.6))[None]
        layers = torch.nn.functional.avg_pool2d(self.mia.layers(NEUTRAL), 2)[None]
        geometry = self.mia.geometry[None]
        inner = slice(MARGIN // 2, MARGIN // 2 + 128)
        backdrop = torch.nn.functional.avg_pool2d(premultiplied(self.mia.backdrop)[None, :3], 2)[:, :, inner, inner]
        flow, weight = true_flow(layers[:, :, 3], rig, geometry, 128)
        posed = posed_picture(layers, backdrop, rig, geometry)
        still = posed_picture(layers, backdrop, torch.from_numpy(NEUTRAL)[None], geometry)
        trusted = (weight > 0.95)[:, None]
        error = ((warp(still, flow) - posed).abs() * trusted).sum() / trusted.sum() / 3
        unmoved = ((still - posed).abs() * trusted).sum() / trusted.sum() / 3
        self.assertLess(float(error), 0.2 * float(unmoved))


if __name__ == "__main__":
    unittest.main()
