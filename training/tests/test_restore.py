"""What ships can be taken up again: a model folder -> checkpoints -> the same model folder."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import torch

from talkmesh_nano.export.onnx_files import stored_weights
from talkmesh_nano.export.safetensors import read_safetensors
from talkmesh_nano.runs.run import load_score, load_weights
from talkmesh_nano.score.audio_encoder import AudioEncoder
from talkmesh_nano.score.export import main as export
from talkmesh_nano.score.restore import fit_head

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT.parent / "models" / "nano"


def initialisers(path):
    return stored_weights(onnx.load(str(path)).graph)


class RestoreTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def restore(self, model):
        command = [sys.executable, "-m", "talkmesh_nano.score.restore", "--model", model, "--out", self.folder]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    def test_a_shipped_model_goes_through_checkpoints_unchanged(self):
        self.assertEqual(self.restore(SHIPPED).returncode, 0)
        options = ["score.export", "--encoder", f"{self.folder}/audio.pt", "--score", f"{self.folder}/score.pt", "--out", f"{self.folder}/again", "--check", f"{self.folder}/c"]
        given, sys.argv = sys.argv, options
        try:
            export()
        finally:
            sys.argv = given
        for name, read in (("score.safetensors", read_safetensors), ("audio.onnx", initialisers)):
            want, got = read(SHIPPED / name), read(self.folder / "again" / name)
            self.assertEqual(set(got), set(want))
            for key, array in want.items():
                np.testing.assert_array_equal(got[key], array)
        facts, manifest = (json.loads(path.read_text()) for path in (self.folder / "again" / "score.json", SHIPPED / "model.json"))
        # Other numbers of steps are exported from checkpoints of their own, by score.export_tier.
        shipped = {key: value for key, value in manifest["score"].items() if key != "tiers"}
        self.assertEqual(facts["score"], {**shipped, "weights": ["score.safetensors"]})

    def test_training_continues_from_restored_checkpoints(self):
        self.restore(SHIPPED)
        score, state = load_score(self.folder / "score.pt")
        manifest = json.loads((SHIPPED / "model.json").read_text())
        self.assertEqual((score.config.frames, state["settings"]["student_steps"]), (manifest["chunk"]["latentFrames"], len(manifest["score"]["schedule"])))
        encoder = AudioEncoder()
        before = encoder.head.weight.clone()
        load_weights(encoder, self.folder / "audio.pt")
        # what reads mouth shapes from tokens does not ship
        self.assertTrue(torch.equal(encoder.head.weight, before))
        self.assertFalse(torch.equal(encoder.stem.weight, AudioEncoder().stem.weight))

    def test_the_linear_layer_for_mouth_shapes_is_fitted_again(self):
        encoder = AudioEncoder().eval()

        class Loud:
            """Windows whose mouth is open where there is sound."""

            def windows(self, rngs):
                loud = np.array([rng.random() < 0.5 for rng in rngs])
                pcm = np.stack([rng.standard_normal(23040) * 0.1 * on for rng, on in zip(rngs, loud)]).astype(np.float32)
                mouth = np.broadcast_to(loud[:, None, None], (len(rngs), 24, 4)).astype(np.float32) * 0.8
                return pcm, mouth, np.where(loud[:, None], 0, 2).repeat(24, 1).astype(np.uint8)

        fit_head(encoder, Loud(), batches=1)
        with torch.no_grad():
            pcm, mouth, _ = Loud().windows([np.random.default_rng(k) for k in range(12)])
            read = encoder.read(encoder(torch.from_numpy(pcm)))[0].numpy()
        self.assertGreater(np.corrcoef(read.ravel(), mouth.ravel())[0, 1], 0.95)

    def test_the_error_names_a_folder_without_a_model(self):
        (self.folder / "audio.onnx").write_bytes((SHIPPED / "audio.onnx").read_bytes())
        done = self.restore(self.folder)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("holds neither model.json nor score.json", done.stderr)


if __name__ == "__main__":
    unittest.main()
