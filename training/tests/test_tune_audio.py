"""Tuning the audio encoder through a score model that stays as it is."""
import json
import subprocess
import sys
import tempfile
import unittest
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from test_score import random_score

from talkmesh_nano.dataset.cache import chunk_windows
from talkmesh_nano.motion.tracks import rig_track
from talkmesh_nano.runs.run import load_weights
from talkmesh_nano.score.audio_encoder import AudioEncoder
from talkmesh_nano.score.flow import noise_like
from talkmesh_nano.score.tune_audio import AudioTuner, SoundSequences, labels

torch.set_num_threads(1)
SETTINGS = {
    "steps": 8, "lr": 0.002, "ema": 0.5, "batch": 2, "latents": 21, "student_steps": 2,
    "mouth": 1.0, "lips": 5.0, "closure": 4.0, "hinge": 1.0, "silence": 1.0, "keep": 1.0, "gain": 1.0, "read": 1.0, "read_closure": 1.0, "read_silence": 1.0,
}
FRAMES = 600


def material(folder):
    """A shard whose sound is as loud as the mouth is open."""
    rng, shard = np.random.default_rng(3), Path(folder) / "train1"
    shard.mkdir()
    mouth = np.repeat(rng.uniform(0, 1, (2, FRAMES // 4, 4)), 4, 1).astype(np.float32)
    loud = np.repeat(mouth[:, :, 0], 960, 1) * rng.standard_normal((2, FRAMES * 960))
    np.save(shard / "pcm.npy", np.int16(np.clip(loud * 0.3, -1, 1) * 32767))
    np.save(shard / "rig.npy", np.stack([rig_track(rng, m, np.zeros(FRAMES, np.float32)) for m in mouth]))
    np.save(shard / "flags.npy", rng.integers(0, 4, (2, FRAMES)).astype(np.uint8))


class TuneAudioTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        material(cls.folder)
        (cls.folder / "test1").symlink_to(cls.folder / "train1")
        torch.manual_seed(5)
        score = random_score()
        for name, model in (("audio", AudioEncoder()), ("score", score)):
            torch.save({"ema": model.state_dict(), "model": model.state_dict(), "config": asdict(score.config)}, cls.folder / f"{name}.pt")
        cls.files = (str(cls.folder / "audio.pt"), str(cls.folder / "score.pt"))

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def drawn(self, seed=0):
        return SoundSequences(self.folder, latents=21).draw([np.random.default_rng([seed, k]) for k in range(2)])

    def test_a_chunk_hears_what_the_service_feeds_it(self):
        class First:
            """Draws the first row from its start."""

            def integers(self, *_):
                return 0

            def random(self):
                return 1.0

        sequences = SoundSequences(self.folder, latents=21)
        pcm = np.load(self.folder / "train1" / "pcm.npy")[0].astype(np.float32) / 32767
        windows = chunk_windows(pcm)
        heard = sequences.draw([First()]).audio[0].numpy()
        self.assertEqual(heard.shape, (8, windows.shape[1]))
        self.assertFalse(heard[0].any())
        np.testing.assert_allclose(heard[1:], windows[:7], atol=1e-7)
        later = sequences._tokens(None, "train1", 0, 9)
        np.testing.assert_allclose(later[1:], windows[3:10], atol=1e-7)

    def test_labels_are_those_of_the_chunks_after_the_first(self):
        drawn = self.drawn()
        mouth, flags = labels(drawn)
        self.assertEqual((mouth.shape, flags.shape), ((14, 12, 4), (14, 12)))
        np.testing.assert_array_equal(flags.reshape(2, -1) & 1, drawn.closed.numpy())
        np.testing.assert_array_equal(flags.reshape(2, -1) >= 2, drawn.silent.numpy())

    def test_only_the_encoder_learns_and_the_lips_follow_better(self):
        config = self.folder / "config.json"
        config.write_text(json.dumps(SETTINGS))
        encoder, score = self.files
        command = [sys.executable, "-m", "talkmesh_nano.score.tune_audio", "--data", self.folder, "--init", encoder, "--score", score, "--config", config,
                   "--out", self.folder / "tuned"]
        done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=400)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        tuner = AudioTuner(encoder, score, SETTINGS)
        drawn = self.drawn(9)
        noise = noise_like(drawn.x0, [np.random.default_rng([1, k]) for k in range(2)])
        with torch.no_grad():
            before, values = tuner.loss(drawn, noise)
            load_weights(tuner.encoder, self.folder / "tuned" / "last.pt", ema=False)
            after, tuned = tuner.loss(drawn, noise)
        self.assertLess(after.item(), 0.97 * before.item())
        self.assertLess(tuned["read"], values["read"])
        self.assertTrue(all(p.grad is None and not p.requires_grad for p in tuner.retuner.student.parameters()))


if __name__ == "__main__":
    unittest.main()
