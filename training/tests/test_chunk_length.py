"""Graphs for another length of a chunk: other shapes, and the weights of the file that they point into. Their numbers are compared by libs/inference."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import torch

from talkmesh_nano.decoder.chunk_length import WEIGHTS_SHA256, constants, derive, difference, shapes
from talkmesh_nano.decoder.config import smoke
from talkmesh_nano.decoder.export import build_graphs, export_graphs


class DeriveTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.scratch.name)
        torch.manual_seed(5)
        export_graphs(*build_graphs(smoke(cls.scratch.name), trained=False), cls.folder)
        cls.written = derive(cls.folder, 7, smoke(cls.scratch.name))

    @classmethod
    def tearDownClass(cls) -> None:
        cls.scratch.cleanup()

    def test_shapes_follow_the_length(self) -> None:
        self.assertEqual(self.written, {"reference": "reference-7.onnx", "decoder": "decoder-7.onnx"})
        decoder = shapes(onnx.load(str(self.folder / "decoder-7.onnx")).graph)
        self.assertEqual((decoder["latent"], decoder["flow"], decoder["state"]), ([7, 8, 2, 2], [28, 64, 64, 2], [9, 2, 2]))
        self.assertEqual(shapes(onnx.load(str(self.folder / "reference-7.onnx")).graph)["c0"], [7, 8, 2, 2])

    def test_weights_are_those_of_the_file_beside_it_and_not_stored_again(self) -> None:
        short = onnx.load(str(self.folder / "decoder.onnx"))
        long = onnx.load(str(self.folder / "decoder-7.onnx"))
        before, after = constants(short.graph), constants(long.graph)
        same = [name for name in before if np.array_equal(before[name], after[name])]
        self.assertGreater(sum(before[name].nbytes for name in same), 0.99 * sum(value.nbytes for value in before.values()))
        alone = onnx.load(str(self.folder / "decoder-7.onnx"), load_external_data=False)
        self.assertLess(alone.ByteSize(), 0.15 * short.ByteSize())
        self.assertEqual({e.value for t in alone.graph.initializer for e in t.external_data if e.key == "location"}, {"decoder.onnx"})
        self.assertEqual([entry.key for entry in alone.metadata_props], [WEIGHTS_SHA256])

    def test_graphs_of_other_nodes_are_refused(self) -> None:
        short, long = (onnx.load(str(self.folder / name)).graph for name in ("decoder.onnx", "reference.onnx"))
        with self.assertRaisesRegex(ValueError, "other nodes"):
            difference(short, long)


if __name__ == "__main__":
    unittest.main()
