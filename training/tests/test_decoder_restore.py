"""Checkpoints from shipped weights: what was exported comes back, and what came back exports the shipped graphs."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import torch

from talkmesh_nano.decoder.config import DecoderConfig
from talkmesh_nano.decoder.export import build_graphs, export_graphs, fresh_nets
from talkmesh_nano.decoder.graph import DecoderGraph, ReferenceGraph
from talkmesh_nano.decoder.restore import named_weights, restored_nets, write_checkpoints
from talkmesh_nano.decoder.rig_matrices import neutral_latent

SHIPPED = Path(__file__).resolve().parents[2] / "models/nano"
FILES = ("reference.onnx", "decoder.onnx")


def parameters(file: Path) -> dict[str, torch.Tensor]:
    """The networks' weights in a graph: what is unnamed there is numbered anew by every version of the exporter."""
    return named_weights(onnx.load(str(file)).graph)


class RestoreTest(unittest.TestCase):
    def setUp(self) -> None:
        torch.set_num_threads(1)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_every_exported_parameter_comes_back(self) -> None:
        torch.manual_seed(4)
        config, nets = DecoderConfig(), fresh_nets(DecoderConfig())
        with torch.no_grad():
            for net in nets.values():
                for parameter in net.parameters():
                    parameter.add_(0.1 * torch.randn_like(parameter))
        border = np.zeros((64, 60), np.float32), np.zeros(60, np.float32)
        parts = (net.eval() for net in nets.values())
        mouth, eyes, flow = parts
        graphs = ReferenceGraph(config, mouth, eyes, flow, neutral_latent()).eval(), DecoderGraph(config, mouth, eyes, flow, border).eval()
        export_graphs(*graphs, self.folder)
        for name, net in restored_nets(config, self.folder).items():
            for key, value in net.state_dict().items():
                torch.testing.assert_close(value, nets[name].state_dict()[key], rtol=2**-10, atol=2**-24, msg=f"{name}.{key}")

    def test_the_shipped_weights_export_the_shipped_graphs(self) -> None:
        config = DecoderConfig(folder=str(self.folder))
        write_checkpoints(config, SHIPPED)
        export_graphs(*build_graphs(config), self.folder)
        for file in FILES:
            ours, shipped = parameters(self.folder / file), parameters(SHIPPED / file)
            self.assertEqual(ours.keys(), shipped.keys())
            self.assertGreater(len(shipped), 30)
            for name, value in shipped.items():
                torch.testing.assert_close(ours[name], value, rtol=0, atol=0, msg=name)

    def test_other_networks_and_checkpoints_that_exist_are_refused(self) -> None:
        config = DecoderConfig(folder=str(self.folder))
        config.flow_net.refine = 0
        with self.assertRaisesRegex(ValueError, "flow.refine.0.weight"):
            write_checkpoints(config, SHIPPED)
        (self.folder / "checkpoint_eyes.pt").touch()
        with self.assertRaisesRegex(FileExistsError, "checkpoint_eyes"):
            write_checkpoints(DecoderConfig(folder=str(self.folder)), SHIPPED)


if __name__ == "__main__":
    unittest.main()
