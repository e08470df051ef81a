"""python -m unittest discover -s tests (from training/): the rig codec, lips, causality and the roll-out's equivalence."""
import unittest

import numpy as np
import torch

from talkmesh_nano.dataset.cache import chunk_windows
from talkmesh_nano.dataset.stretches import make_track
from talkmesh_nano.evaluate.score import centres
from talkmesh_nano.motion import rig
from talkmesh_nano.motion.tracks import rig_track
from talkmesh_nano.motion.visemes import phoneme_targets, viseme_track
from talkmesh_nano.score.audio_encoder import AudioEncoder, AudioGraph
from talkmesh_nano.score.losses import MATRIX, lips_loss, to_rig
from talkmesh_nano.score.model import Score, ScoreConfig
from talkmesh_nano.score.train_audio import loss_of_tokens
from talkmesh_nano.sizes import CHUNK_SIZES, HISTORY_SAMPLES, chunk_samples

torch.set_num_threads(1)


def random_score(seed=0, frames=3):
    """A score model whose zero-initialised layers are woken up, so that every path carries signal."""
    torch.manual_seed(seed)
    model = Score(ScoreConfig(frames=frames, dim=32, layers=2, heads=2, mlp=64)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


class CodecTest(unittest.TestCase):
    def test_round_trip_keeps_the_visible_motion(self):
        rng = np.random.default_rng(3)
        _, frames, _, silent = make_track(rng, 24, augmented=False, talk=0.5)
        back = rig.decode_rig(rig.encode_rig(frames))
        rmse = np.sqrt(((back - frames) ** 2).mean(0))
        self.assertLess(rmse[:5].max(), 0.02)
        self.assertLess(rmse.max(), 0.06)
        self.assertTrue(silent.any())
        self.assertLess(back[silent, 0].max(), 0.02)

    def test_the_error_names_a_bad_shape(self):
        with self.assertRaisesRegex(ValueError, "multiple of 4"):
            rig.encode_rig(np.zeros((5, 15), np.float32))


class LipsTest(unittest.TestCase):
    def test_closed_consonants_and_silence(self):
        phonemes = [(0.5, "ɑː"), (0.8, "b"), (0.9, "ɑː"), (1.2, "")]
        track, closed, silent = viseme_track(phonemes, 2.0, 50)
        self.assertTrue(closed.any() and silent.any())
        self.assertEqual(track[closed, 0].max(), 0)
        self.assertEqual(track[silent, 0].max(), 0)
        self.assertGreater(track[:, 0].max(), 0.7)

    def test_diphthong_has_two_shapes_and_unknown_none(self):
        self.assertEqual(len(phoneme_targets("aɪ")), 2)
        self.assertEqual(phoneme_targets("?"), [])

    def test_same_seed_same_motion(self):
        mouth, energy = np.zeros((240, 4), np.float32), np.zeros(240, np.float32)
        one, two, other = (rig_track(np.random.default_rng(s), mouth, energy) for s in (11, 11, 12))
        np.testing.assert_array_equal(one, two)
        self.assertGreater(np.abs(one - other).max(), 0.1)


class AudioTest(unittest.TestCase):
    def test_a_mouth_that_stays_open_costs_what_its_weight_says(self):
        encoder = AudioEncoder()
        with torch.no_grad():
            encoder.head.weight.zero_()
            encoder.head.bias.zero_()
        tokens, mouth = torch.zeros(1, 24, 128), np.zeros((1, 24, 4), np.float32)
        flags = np.zeros((1, 24), np.uint8)

        def loss(value, **weights):
            flags[:] = value
            return loss_of_tokens(encoder, tokens, mouth, flags, **weights).item()

        # every shape reads .5 where 0 is true; the opening's error counts twice and is one of four
        for value, weights in ((1, {"closure": 9.0}), (2, {"silence": 9.0})):
            plain = loss(value, closure=1.0, silence=1.0)
            self.assertAlmostEqual(loss(value, **weights) - loss(value, **{name: 1.0 for name in weights}), 0.5 * 2.0 * 8 / 4, places=4)
            self.assertAlmostEqual(loss(0, closure=9.0, silence=9.0), loss(0, closure=1.0, silence=1.0), places=6)
            self.assertGreater(plain, 0)

    def test_window_is_the_causal_limit(self):
        torch.manual_seed(0)
        encoder = AudioEncoder().eval()
        for frames in CHUNK_SIZES:
            graph, hop = AudioGraph(encoder), chunk_samples(frames)
            pcm = np.random.default_rng(0).standard_normal(4 * hop).astype(np.float32)
            changed = pcm.copy()
            changed[2 * hop:] = 0
            with torch.no_grad():
                a, b = ([graph(torch.from_numpy(w)) for w in chunk_windows(p, frames)] for p in (pcm, changed))
            self.assertEqual(tuple(a[0].shape), (frames, 4, 128))
            self.assertEqual(len(chunk_windows(pcm, frames)[0]), HISTORY_SAMPLES + hop)
            for k in (0, 1):
                self.assertTrue(torch.equal(a[k], b[k]))
            self.assertFalse(torch.allclose(a[2], b[2]))


class ScoreTest(unittest.TestCase):
    def test_whole_sequence_equals_step_by_step(self):
        for frames in CHUNK_SIZES:
            model = random_score(frames=frames)
            x, audio = torch.randn(1, 4, frames, 8, 2, 2), torch.randn(1, 4, frames, 4, 128)
            with torch.no_grad():
                whole = model(x, audio, torch.tensor([0.6]))[0]
                modulation = model.time(torch.tensor([0.6]))[0]
                empty = torch.zeros(2, 0, 32)
                _, k0, v0 = model.step(x[0, 0], modulation, audio[0, 0], empty, empty)
                self.assertEqual(tuple(k0.shape), (2, 4 * frames, 32))
                last = (k0, v0)
                for n in range(1, 4):
                    contexts = [torch.cat(pair, 1) for pair in zip((k0, v0), last)]
                    velocity, *last = model.step(x[0, n], modulation, audio[0, n], *contexts)
                    torch.testing.assert_close(x[0, n] - 0.6 * velocity, whole[n], atol=1e-5, rtol=0)

    def test_no_chunk_depends_on_later_ones_without_look_ahead(self):
        model = random_score()
        x, audio, t = torch.randn(1, 4, 3, 8, 2, 2), torch.randn(1, 4, 3, 4, 128), torch.tensor([0.7])
        other = x.clone()
        other[:, 3] += 1
        with torch.no_grad():
            self.assertTrue(torch.equal(model(x, audio, t)[:, :3], model(other, audio, t)[:, :3]))
            ahead = [model(v, audio, t, look_ahead=True) for v in (x, other)]
        self.assertFalse(torch.allclose(ahead[0][:, 2], ahead[1][:, 2]))

    def test_stage_two_trains_audio_layers_only(self):
        names = random_score().audio_parameters()
        self.assertTrue(names)
        self.assertTrue(all("audio" in n or "film" in n for n in names))


class LossTest(unittest.TestCase):
    def test_graph_decoding_equals_the_codec(self):
        latents = torch.randn(2, 3, 3, 8, 2, 2)
        mean = np.zeros((4, 15), np.float32)
        for name, part, _ in rig.SLOTS:
            mean[:, part] = rig.codec()[name]["mean"].reshape(4, -1)
        for b in range(2):
            want = rig.decode_rig(latents[b].reshape(-1, 8, 2, 2).numpy(), clip=False)
            np.testing.assert_allclose(to_rig(latents)[b].numpy() + np.tile(mean, (9, 1)), want, atol=1e-4)

    def test_open_lips_in_m_b_p_weigh_more(self):
        truth, guess = torch.zeros(1, 2, 3, 8, 2, 2), torch.full((1, 2, 3, 8, 2, 2), 0.1)
        never, always = torch.zeros(1, 24, dtype=torch.bool), torch.ones(1, 24, dtype=torch.bool)
        self.assertGreater(lips_loss(guess, truth, always), 1.2 * lips_loss(guess, truth, never))

    def test_the_middle_of_every_closure(self):
        closed = np.zeros((2, 12), bool)
        closed[0, [0, 3, 4, 5, 8, 9, 10, 11]] = closed[1, 10:] = True
        self.assertEqual(np.argwhere(centres(closed)).tolist(), [[0, 0], [0, 4], [0, 9], [1, 10]])

    def test_the_hinge_pulls_open_lips_only(self):
        truth, never, always = torch.zeros(1, 2, 3, 8, 2, 2), torch.zeros(1, 24, dtype=torch.bool), torch.ones(1, 24, dtype=torch.bool)
        opening = MATRIX.reshape(32, 4, 15)[:, :, 0].mean(1)
        opening = (opening / opening.square().sum()).reshape(8, 2, 2)
        for sign, closed, pulls in ((1, always, True), (-1, always, False), (1, never, False)):
            guess = truth + 0.3 * sign * opening
            extra = lips_loss(guess, truth, closed, hinge=4.0) - lips_loss(guess, truth, closed)
            self.assertEqual(extra.item() > 0.01, pulls)


if __name__ == "__main__":
    unittest.main()
