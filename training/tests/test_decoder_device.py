"""Every training step of the decoder's half is the same on another device than the CPU: net, batches, optimiser, average, evaluation."""

import tempfile
import unittest
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from far_device import FAR, far_device
from torch import Tensor, nn

from talkmesh_nano.baselines.train_plain_vae import UNSEEN, VaeStage
from talkmesh_nano.decoder.config import smoke
from talkmesh_nano.decoder.data import write_shard
from talkmesh_nano.decoder.train import CPU, STAGES, Average, make_optimizer, make_stage
from talkmesh_nano.pixel_encoder.train import Trainer as EncoderTrainer
from talkmesh_nano.portrait import config as portrait_config, data as portrait_data
from talkmesh_nano.portrait.data import Portraits
from talkmesh_nano.portrait.net import PortraitNet
from talkmesh_nano.portrait.scenes import Scenes
from talkmesh_nano.portrait.train import losses

Task = tuple[nn.Module, Callable[[], Tensor], Callable[[], dict[str, float]]]


class DeviceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        torch.set_num_threads(1)
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.config = smoke(folder.name)
        cls.config.mouth.width_weight = 0.2
        for shard in (-1, 0):
            write_shard(cls.config, shard)

    def step(self, make: Callable[[torch.device], Task], device: torch.device) -> list[float]:
        """Loss, first weights after a step and scores of a task on a device, where all of its tensors must be."""
        torch.manual_seed(3)
        with far_device() if device == FAR else nullcontext():
            net, loss, evaluate = make(device)
            optimizer, average = make_optimizer(net, 1e-3), Average(net, 0.9)
            torch.manual_seed(4)
            value = loss()
            value.backward()
            optimizer.step()
            average.update(net)
            kept = [part for state in optimizer.state.values() for part in state.values() if isinstance(part, Tensor) and part.dim()]
            parameters = [*net.parameters()]
            everything = (value, *kept, *parameters, *average.weights.values(), *(parameter.grad for parameter in parameters))
            self.assertEqual({part.device for part in everything}, {device})
            with torch.no_grad():
                scores = evaluate()
            return [value.item(), *(parameter.flatten()[0].item() for parameter in parameters), *scores.values()]

    def compare(self, make: Callable[[torch.device], Task]) -> None:
        np.testing.assert_allclose(self.step(make, FAR), self.step(make, CPU), rtol=1e-4, atol=1e-6)

    def test_the_stages_of_the_decoder(self) -> None:
        for name in STAGES:
            with self.subTest(name):

                def make(device: torch.device) -> Task:
                    stage = make_stage(self.config, name, device)
                    return stage.net, stage.loss, stage.evaluate

                self.compare(make)

    def test_the_plain_vae(self) -> None:
        clips = np.random.default_rng(1).integers(0, 256, (UNSEEN + 1, 8, 6, 128, 128), dtype=np.uint8)

        def make(device: torch.device) -> Task:
            stage = VaeStage(clips, np.full((UNSEEN + 1, 3, 2), 64.0), device, batch=2)
            return stage.net, stage.loss, stage.evaluate

        self.compare(make)

    def test_the_pixel_encoder(self) -> None:
        def make(device: torch.device) -> Task:
            trainer = EncoderTrainer(self.config, Path(self.config.folder), [0], 3, 2, device)
            return trainer.reader, trainer.loss, dict

        self.compare(make)

    def test_the_portrait_finder(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            config = portrait_config.smoke(folder)
            portrait_data.write_shard(config, 0)
            batch = Scenes(config, Portraits(config), 1).batch(24)

        def make(device: torch.device) -> Task:
            net = PortraitNet().to(device)
            return net, lambda: sum(losses(net, batch.to(device)).values()), dict

        self.compare(make)


if __name__ == "__main__":
    unittest.main()
