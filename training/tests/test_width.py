"""The loss of lips' width: alike for every contrast; avatars in focus; how long a run lasts."""

import unittest

import numpy as np
import torch

from talkmesh_nano.decoder.config import DecoderConfig
from talkmesh_nano.decoder.data import MOUTH_NUMBERS, SWING_OPENINGS, columns, patch_box, width_swing
from talkmesh_nano.decoder.pixels import pack, to_float
from talkmesh_nano.decoder.stages import Focus, swing_at, width_loss
from talkmesh_nano.motion.rig import NEUTRAL
from talkmesh_nano.render.avatar import Avatar
from talkmesh_nano.render.avatars import DESIGNED, designed
from talkmesh_nano.runs.budget import Budget


def wide_where_narrow_was_asked(id: str) -> float:
    """The width loss of an avatar that shows its widest closed mouth in place of its narrowest."""
    avatar = Avatar(designed(id))
    drawer = avatar.patch_drawer(patch_box(*avatar.landmarks[0], DecoderConfig().mouth_patch))
    pictures = []
    for width, rounding in ((0, 1), (1, 0)):
        rig = NEUTRAL.copy()
        rig[columns(MOUTH_NUMBERS)] = (0, width, rounding, 0.3, 0.3)
        pictures.append(to_float(torch.from_numpy(pack(drawer.mouth(rig))[None])))
    swing = swing_at(torch.from_numpy(width_swing(drawer))[None], torch.zeros(1))
    return float(width_loss(pictures[1] - pictures[0], swing))


class WidthTest(unittest.TestCase):
    def test_dark_lips_on_dark_skin_count_like_others(self) -> None:
        for id in ("amara", "ella", "mia"):
            self.assertAlmostEqual(wide_where_narrow_was_asked(id), 1, delta=0.35, msg=id)

    def test_the_swing_lies_between_its_openings(self) -> None:
        swing = torch.arange(SWING_OPENINGS).float()[None, :, None, None, None].expand(4, -1, 6, 2, 2) * 127.5
        found = swing_at(swing, torch.tensor([0, 0.125, 0.5, 1]))
        torch.testing.assert_close(found[:, 0, 0, 0], torch.tensor([0, 0.5, 2, 4]))

    def test_focus_picks_its_avatars_and_their_narrow_mouths(self) -> None:
        numbers = torch.zeros(12, 8, 5)
        numbers[..., 0] = 0.9
        numbers[:, 5, 0] = 0.1
        row, avatars, samples = [spec.id for spec in DESIGNED].index("amara"), np.zeros(400, int), np.zeros((400, 4), int)
        Focus(("amara",), 0.5, numbers).pick(np.random.default_rng(1), avatars, samples)
        picked = avatars == row
        self.assertTrue(160 < picked.sum() < 240 and (avatars[~picked] == 0).all())
        self.assertTrue(0.4 < (samples[picked] == 5).mean() < 0.6 and (samples[~picked] == 0).all())


class BudgetTest(unittest.TestCase):
    def test_steps_or_cpu_time_end_a_run(self) -> None:
        self.assertEqual(Budget(200).done(50), 0.25)
        budget = Budget(200, cpu_seconds=1e-3, spent=0.5e-3)
        self.assertGreaterEqual(budget.done(0), 0.5)
        while budget.spent() < 1e-3:
            pass
        self.assertGreaterEqual(budget.done(0), 1)
        with self.assertRaisesRegex(ValueError, "above 0"):
            Budget(200, cpu_seconds=0)


if __name__ == "__main__":
    unittest.main()
