"""The 8-bit decoder's graph: what is rewritten and what is not. Its pictures are compared with the float32 ones by libs/inference."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from talkmesh_nano.decoder.config import smoke
from talkmesh_nano.decoder.export import build_graphs, export_graphs
from talkmesh_nano.decoder.quantize import Constants, convolutions, quantised, quantised_weights, scale_of


class NumbersTest(unittest.TestCase):
    def test_zero_stays_exact_and_the_range_fits(self) -> None:
        for limits in ((-0.28, 18.7), (-160.3, 38.7), (0.5, 2.0), (-3.0, -1.0), (0.0, 0.0)):
            scale, zero = scale_of(limits)
            low, high = -float(scale) * int(zero), float(scale) * (255 - int(zero))
            self.assertLessEqual(low - float(scale), min(limits[0], 0))
            self.assertGreaterEqual(high + float(scale), max(limits[1], 0))

    def test_weights_are_off_by_half_a_step_of_their_own_output_at_most(self) -> None:
        weights = np.random.default_rng(1).standard_normal((5, 4, 3, 3)).astype(np.float32) * np.float32([[[[0.01]]], [[[1]]], [[[30]]], [[[0]]], [[[2]]]])
        whole, scale = quantised_weights(weights)
        self.assertEqual(whole.dtype, np.int8)
        error = np.abs(whole * scale[:, None, None, None] - weights).reshape(5, -1).max(1)
        self.assertTrue((error <= 0.5001 * scale).all())


class GraphTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        with tempfile.TemporaryDirectory() as folder:
            export_graphs(*build_graphs(smoke(folder), trained=False), Path(folder))
            cls.model = onnx.load(f"{folder}/decoder.onnx")
        names = {name for node in convolutions(cls.model.graph) for name in (node.input[0], node.output[0])}
        cls.ranges = {name: (-4.0, 6.0) for name in names}
        every = [node.name for node in convolutions(cls.model.graph)]
        cls.left = [name for name in every if "leave" in name or "refine" in name]
        cls.chosen = [name for name in every if name not in cls.left]
        cls.result = quantised(cls.model, cls.ranges, cls.chosen)

    def test_chosen_convolutions_become_whole_numbers_the_others_stay(self) -> None:
        self.assertEqual([node.name for node in convolutions(self.result.graph)], self.left)
        self.assertGreater(len(self.left), 1)
        rewritten = [node for node in self.result.graph.node if node.op_type == "QLinearConv"]
        self.assertEqual(len(rewritten), len(self.chosen))
        before = {node.output[0]: node for node in convolutions(self.model.graph)}
        stored, floats = {tensor.name: numpy_helper.to_array(tensor) for tensor in self.result.graph.initializer}, Constants(self.model.graph)
        for node in rewritten:
            weights = floats.values(before[node.output[0].removesuffix(".q")].input[1])
            whole, scale = stored[node.input[3]], stored[node.input[4]]
            self.assertEqual((whole.dtype, whole.shape), (np.int8, weights.shape))
            self.assertLess(np.abs(whole * scale[:, None, None, None] - weights).max(), 0.6 * scale.max())

    def test_values_between_two_of_them_stay_bytes_where_only_pixels_move(self) -> None:
        moved = [node for node in self.result.graph.node if node.op_type == "DepthToSpace" and node.input[0].endswith(".q")]
        self.assertEqual(len(moved), 2, "mouth and eyes are enlarged once")
        self.assertFalse({node.input[0].removesuffix(".q") for node in moved} & {name for node in self.result.graph.node for name in node.output})

    def test_interface_and_unused_weights(self) -> None:
        for side in ("input", "output"):
            self.assertEqual(list(getattr(self.result.graph, side)), list(getattr(self.model.graph, side)))
        self.assertLess(self.result.ByteSize(), self.model.ByteSize())
        used = {name for node in self.result.graph.node for name in node.input}
        self.assertEqual({tensor.name for tensor in self.result.graph.initializer} - used, set())

    def test_the_same_model_gives_the_same_bytes_and_is_left_alone(self) -> None:
        again = quantised(self.model, self.ranges, self.chosen)
        self.assertEqual(again.SerializeToString(), self.result.SerializeToString())
        self.assertFalse([node for node in self.model.graph.node if node.op_type == "QLinearConv"])


if __name__ == "__main__":
    unittest.main()
