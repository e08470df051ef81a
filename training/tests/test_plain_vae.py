"""The plain VAE: starts as the linear optimum, uses no later frame, and its training learns and is evaluated."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

from talkmesh_nano.baselines.linear import patches, principal
from talkmesh_nano.baselines.plain_vae import NUMBERS, PlainVae, with_past
from talkmesh_nano.baselines.train_plain_vae import UNSEEN, Clips, picture_loss, trained, vae_trainer


class PlainVaeTest(unittest.TestCase):
    def setUp(self) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(2)

    def test_a_latent_frame_and_its_pictures_depend_on_nothing_later(self) -> None:
        net, frames = PlainVae(), torch.rand(1, 12, 6, 32, 32) * 2 - 1
        other = frames.clone()
        other[:, 8:] = 0
        with torch.no_grad():
            (first, _), (second, _) = net.encoder(frames), net.encoder(other)
            self.assertEqual(first.shape, (1, 3, NUMBERS, 4, 4))
            torch.testing.assert_close(first[:, :2], second[:, :2])
            self.assertGreater((first[:, 2] - second[:, 2]).abs().max().item(), 1e-3)
            torch.testing.assert_close(net.decoder(first)[:, :8], net.decoder(second)[:, :8])
        self.assertEqual(with_past(first)[0, :NUMBERS].abs().max().item(), 0)

    def test_it_starts_at_the_linear_optimum(self) -> None:
        rng = np.random.default_rng(3)
        modes = rng.normal(size=(4, 24 * 64)) * 12
        rows = 128 + rng.normal(size=(2048, 4)) @ modes
        net = PlainVae()
        net.start_linear(*principal([rows.astype(np.float32)]))
        frames = torch.from_numpy(rows[:4].astype(np.float32)).reshape(4, 4, 6, 8, 8) / 127.5 - 1
        with torch.no_grad():
            mean, _ = net.encoder(frames)
            error = net.decoder(mean) - frames
        self.assertLess(error.square().mean().item(), 0.05 * frames.var().item())
        self.assertEqual(patches(np.zeros((4, 6, 128, 128), np.uint8)).shape, (256, 1536))

    def test_crops_weigh_the_face_more_and_training_lowers_the_loss(self) -> None:
        rng = np.random.default_rng(5)
        clips = rng.integers(0, 256, (UNSEEN + 1, 8, 6, 128, 128), dtype=np.uint8)
        landmarks = np.tile(np.array([[64.0, 90], [50, 60], [78, 60]]), (UNSEEN + 1, 1, 1))
        frames, weights = Clips(clips, landmarks).draw(4, np.random.default_rng(1))
        self.assertEqual((frames.shape, set(weights.unique().tolist())), ((4, 8, 6, 64, 64), {1.0, 4.0}))
        net = PlainVae()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        losses = []
        for _ in range(6):
            loss = picture_loss(net(frames * 0.3)[0], frames * 0.3, weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        self.assertLess(losses[-1], losses[0])

    def test_it_trains_for_its_cpu_time_and_resumes_with_more(self) -> None:
        rng = np.random.default_rng(7)
        clips, landmarks = rng.integers(0, 256, (UNSEEN + 1, 8, 6, 128, 128), dtype=np.uint8), np.full((UNSEEN + 1, 3, 2), 64.0)
        with tempfile.TemporaryDirectory() as folder:
            out, cpu = Path(folder), torch.device("cpu")
            first = vae_trainer(out, clips, landmarks, cpu, batch=2)
            first.run(0.01)
            self.assertEqual(first.step, 1)
            spent = first.curve[-1]["cpu_seconds"]
            again = vae_trainer(out, clips, landmarks, cpu, batch=2)
            again.resume()
            again.run(spent + 0.01)
            self.assertEqual(again.step, 2)
            self.assertGreater(again.curve[-1]["cpu_seconds"], spent)
            torch.testing.assert_close(trained(out).state_dict(), dict(again.average.weights))
            self.assertIn("unseen_psnr", (out / "curve_vae.csv").read_text().splitlines()[0])


if __name__ == "__main__":
    unittest.main()
