"""Training on another device than the CPU takes the same steps: every stage, its optimiser, its checkpoints."""
import subprocess
import sys
import tempfile
import unittest
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from far_device import FAR, far_device
from test_stages import SETTINGS, material, vector

from talkmesh_nano.dataset.cache import Cache
from talkmesh_nano.dataset.sequences import Sequences, encode_windows
from talkmesh_nano.runs.run import Run, load_weights
from talkmesh_nano.score.audio_encoder import AudioEncoder
from talkmesh_nano.score.model import Score, ScoreConfig
from talkmesh_nano.score.train import loss_of as stage_loss
from talkmesh_nano.score.train_audio import correlations, loss_of

torch.set_num_threads(1)
SMALL = {"dim": 32, "layers": 2, "heads": 2, "mlp": 64}
CPU = torch.device("cpu")


class DeviceTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        material(self.folder)

    def arguments(self, device, out, **more):
        settings = {**SETTINGS, "batch": 2, "fake_updates": 1}
        options = dict(device=device, out=self.folder / out, settings=settings, seed=1, smoke=False, seconds=None, steps=3, resume=False)
        return Namespace(**{**options, **more})

    def train(self, stage, device, **more):
        """Two updates of a stage; returns (losses, the checkpoint it leaves)."""
        torch.manual_seed(3)
        args = self.arguments(device, f"{stage}-{device.type}", teacher=self.folder / "teacher.pt", **more)
        with far_device() if device == FAR else nullcontext():
            model = Score(ScoreConfig(frames=7 if stage == "distill" else 3, **SMALL))
            load_weights(model, self.folder / "teacher.pt")
            data = Sequences(self.folder, audio=stage != "warmup", latents=21, frames=model.config.frames, device=device)
            # as Module.to does on real devices, parameters stay the same objects
            model.to(device)
            run = Run(args, model, model.parameters())
            step, losses = stage_loss(stage, args, model, data, run), []
            for _ in range(2):
                loss, values = step()
                losses.append(loss.item())
                run.update(loss, **values)
            run.save()
        return losses, torch.load(args.out / "last.pt")

    def compare(self, stage):
        here, there = self.train(stage, CPU), self.train(stage, FAR)
        np.testing.assert_allclose(there[0], here[0], rtol=1e-5)
        for part in ("model", "ema"):
            torch.testing.assert_close(vector(there[1][part]), vector(here[1][part]), rtol=0, atol=1e-6)
        torch.testing.assert_close(there[1]["optimizer"]["exp_avg"], here[1]["optimizer"]["exp_avg"], rtol=1e-4, atol=1e-7)
        # the step went somewhere at all
        start = vector(torch.load(self.folder / "teacher.pt")["ema"])
        self.assertGreater((vector(here[1]["model"]) - start).norm().item(), 1e-3)
        return there[1]

    def teacher(self):
        torch.manual_seed(2)
        torch.save({"ema": Score(ScoreConfig(**SMALL)).state_dict(), "config": SMALL}, self.folder / "teacher.pt")

    def test_flow_matching_and_distillation_take_the_same_steps(self):
        self.teacher()
        for stage in ("warmup", "audio", "distill", "retune"):
            with self.subTest(stage):
                self.compare(stage)

    def test_a_run_resumes_on_another_device(self):
        self.teacher()
        self.train("warmup", CPU)
        (self.folder / "warmup-cpu").rename(self.folder / "warmup-meta")
        losses, state = self.train("warmup", FAR, resume=True)
        self.assertEqual((state["step"], len(losses), state["optimizer"]["steps"]), (4, 2, 4))

    def test_the_audio_encoder_trains_on_another_device(self):
        rng = np.random.default_rng(4)
        np.save(self.folder / "train1" / "pcm.npy", rng.integers(-9000, 9000, (2, 600 * 960)).astype(np.int16))
        cache, results = Cache(self.folder), []
        for device in (CPU, FAR):
            torch.manual_seed(5)
            with far_device() if device == FAR else nullcontext():
                encoder = AudioEncoder().to(device)
                run = Run(self.arguments(device, f"audio-encoder-{device.type}"), encoder, encoder.parameters())
                run.update(loss_of(encoder, *cache.windows(run.rngs(2))))
                windows = np.zeros((3, 23040), np.float32)
                results.append((vector(run.averaged()), encode_windows(encoder, windows), correlations(encoder, cache, batches=1)))
        results[1] = (results[1][0].to(CPU), *results[1][1:])
        torch.testing.assert_close(results[1][0], results[0][0], rtol=0, atol=1e-6)
        np.testing.assert_allclose(results[1][1], results[0][1], atol=1e-5)

    def test_a_missing_device_is_reported_first(self):
        command = [sys.executable, "-m", "talkmesh_nano.score.train", "warmup", "--data", self.folder, "--out", self.folder / "x", "--device", "cuda:7"]
        if torch.cuda.is_available() and torch.cuda.device_count() > 7:
            command[-1] = "cuda:99"
        done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("Leave --device out to train on the CPU", done.stderr)

    def test_the_stand_in_refuses_what_a_gpu_would(self):
        with far_device():
            far = torch.zeros(3, device=FAR)
            with self.assertRaisesRegex(RuntimeError, "two devices"):
                far + torch.zeros(3)
            with self.assertRaises(RuntimeError):
                far.numpy()
            self.assertEqual((far + 1).sum().item(), 3.0)


if __name__ == "__main__":
    unittest.main()
