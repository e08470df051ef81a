"""The compiler's fixtures still equal PyTorch's results, and weights survive their file."""
import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

from talkmesh_nano.export.compile_fixtures import WAN_HEADS
from talkmesh_nano.export.safetensors import read_safetensors, write_safetensors
from talkmesh_nano.export.wan_reference import WanReference
from talkmesh_nano.score.describe import describe, weights
from talkmesh_nano.score.model import Score, ScoreConfig

FIXTURES = Path(__file__).resolve().parents[2] / "libs" / "inference" / "src" / "testing" / "fixtures"
torch.set_num_threads(1)


def parts(name):
    """(weights, case -> name -> tensor) of a fixture file."""
    tensors, cases = {}, {}
    for key, array in read_safetensors(FIXTURES / f"{name}.safetensors").items():
        value = torch.from_numpy(array.astype(np.float64))
        if key.startswith("io."):
            _, case, label = key.split(".")
            cases.setdefault(case, {})[label] = value
        else:
            tensors[key] = value
    return tensors, cases


class FixtureTest(unittest.TestCase):
    def assert_close(self, got, case, names=("velocity", "k_chunk", "v_chunk")):
        for name, value in zip(names, got):
            self.assertLess(float((value.double() - case[name]).abs().max()), 2e-6, name)

    def test_score_network(self):
        tensors, cases = parts("nano")
        description = json.loads((FIXTURES / "nano.json").read_text())
        config = ScoreConfig(
            **{name: description[name] for name in ("dim", "layers", "heads", "mlp")}, time_hidden=description["time"]["hidden"])
        model = Score(config).eval()
        self.assertEqual(describe(model), description)
        found = model.load_state_dict({name: value.float() for name, value in tensors.items()}, strict=False)
        self.assertEqual((found.missing_keys, found.unexpected_keys), (["angles"], []))
        self.assertEqual(set(cases), {"first", "later"})
        for case in cases.values():
            given = [case[name].float() for name in ("x", "modulation", "condition", "k_context", "v_context")]
            with torch.no_grad():
                self.assert_close(model.step(*given), case)
                self.assert_close(model.time(case["t"].float()), case, ["modulation"])

    def test_wan_shape(self):
        for name in ("wan-t2v", "wan-i2v"):
            tensors, cases = parts(name)
            model = WanReference(tensors, WAN_HEADS)
            for case in cases.values():
                level = round(float(case["t"]), 6)
                given = [case[key] for key in ("condition", "k_context", "v_context")]
                self.assert_close(model.step(case["x"], level, *given, case.get("image")), case)
                self.assert_close([torch.cat([part.flatten() for part in model.time(level)])], case, ["modulation"])


class SafetensorsTest(unittest.TestCase):
    def test_round_trip(self):
        model = Score(ScoreConfig(dim=32, layers=1, heads=2, mlp=64))
        arrays = weights(model)
        self.assertNotIn("angles", arrays)
        self.assertEqual({str(array.dtype) for array in arrays.values()}, {"float16", "float32"})
        with tempfile.TemporaryDirectory() as folder:
            write_safetensors(Path(folder) / "w.safetensors", {**arrays, "count": np.arange(3)}, {"from": "test"})
            back = read_safetensors(Path(folder) / "w.safetensors")
        self.assertEqual(back.pop("count").tolist(), [0, 1, 2])
        self.assertEqual(set(back), set(arrays))
        for name, array in arrays.items():
            np.testing.assert_array_equal(back[name], array)
        with self.assertRaisesRegex(ValueError, "float64"):
            write_safetensors("unused", {"x": np.zeros(1)})


if __name__ == "__main__":
    unittest.main()
