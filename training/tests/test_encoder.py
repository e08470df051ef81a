"""The pixel encoder: its crops follow the head, its code is the rig's, its state makes chunks one stream."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import torch

from support import SmokeDataCase

from talkmesh_nano.decoder.config import smoke
from talkmesh_nano.decoder.data import write_shard
from talkmesh_nano.decoder.pixels import pack
from talkmesh_nano.motion.rig import NAMES, NEUTRAL, encode_rig
from talkmesh_nano.pixel_encoder.net import FRAMES, POSE, STATE_SHAPE, EncoderGraph, RigReader, best_steady, half_yuv
from talkmesh_nano.pixel_encoder.train import Pictures, Trainer, export, latent_correlations, read_clips, steadied


def i420(packed: np.ndarray) -> torch.Tensor:
    """A packed picture [6, 128, 128] as I420 bytes [1, 98304]."""
    luma = packed[:4].reshape(2, 2, 128, 128).transpose(2, 0, 3, 1).reshape(-1)
    return torch.from_numpy(np.concatenate([luma, packed[4:].reshape(-1)]))[None]


class FixedReader(torch.nn.Module):
    """Reads the same rows from whatever it sees."""

    def __init__(self, rows: np.ndarray) -> None:
        super().__init__()
        self.rows = torch.from_numpy(rows)

    def forward(self, picture: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return self.rows[: len(picture)] + 0 * picture.mean()


class EncoderTest(SmokeDataCase):
    smoke, write_shard = staticmethod(smoke), staticmethod(write_shard)

    def encode(self, rows: np.ndarray, steady: np.ndarray, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        graph = EncoderGraph(FixedReader(rows), steady)
        frames, reference = torch.zeros(FRAMES, 98304, dtype=torch.uint8), torch.zeros(1, 98304, dtype=torch.uint8)
        return graph(frames, reference, torch.zeros(3, 2), state)

    def test_read_rig_rows_become_the_rig_code(self) -> None:
        rows = np.tile(NEUTRAL, (FRAMES, 1))
        rows[:, 0], rows[:, 9] = np.linspace(0, 1, FRAMES), np.linspace(-0.5, 0.5, FRAMES)
        latent, state = self.encode(rows, np.zeros(len(NAMES)), torch.zeros(STATE_SHAPE))
        np.testing.assert_allclose(latent, encode_rig(rows), atol=1e-3)
        np.testing.assert_allclose(state, [*rows[-1], 1], atol=1e-6)

    def test_the_state_steadies_across_chunks_and_not_before_the_first(self) -> None:
        steady = np.full(len(NAMES), 0.5)
        rows = np.tile(NEUTRAL, (FRAMES, 1))
        rows[:, 0] = 1
        _, first = self.encode(rows, steady, torch.zeros(STATE_SHAPE))
        self.assertEqual(float(first[0]), 1)
        before = torch.tensor([*NEUTRAL, 1.0])
        latent, _ = self.encode(rows, steady, before)
        eased = rows.copy()
        eased[:, 0] = 1 - 0.5 ** np.arange(1, FRAMES + 1)
        np.testing.assert_allclose(latent, encode_rig(eased), atol=1e-3)

    def test_a_steadier_reading_is_chosen_where_it_is_noisy(self) -> None:
        rng = np.random.default_rng(1)
        truth = np.zeros((4, 60, len(NAMES)))
        read = truth.copy()
        read[:, :, 9] = rng.normal(size=(4, 60))
        steady = best_steady(read, truth)
        self.assertLess(steadied(read, steady)[:, :, 9].std(), 0.8 * read[:, :, 9].std())
        self.assertGreater(steady[9], 0.5)
        self.assertEqual(steady[0], 0)

    def test_crops_follow_the_head(self) -> None:
        pictures = Pictures(self.config, [0], 5)
        picture, reference, landmarks, rig = pictures.draw(8)
        reader, gains = RigReader(), []
        for pose in (rig[:, POSE], torch.zeros(8, 6)):
            seen = reader._crop(picture, landmarks[:, 0], "mouth", pose)[:, 0]
            still = reader._crop(reference, landmarks[:, 0], "mouth", None)[:, 0]
            # the upper rows lie above the lips, so that only the pose can make them differ
            gains.append(float((seen - still)[:, :8].abs().mean()))
        self.assertLess(gains[0], 0.6 * gains[1])

    def test_half_pictures_are_the_packed_means(self) -> None:
        packed = pack(np.random.default_rng(2).integers(0, 256, (256, 256, 3), dtype=np.uint8))
        half = (half_yuv(i420(packed))[0] + 1) * 127.5
        np.testing.assert_allclose(half[0], packed[:4].mean(0), atol=1e-3)
        np.testing.assert_allclose(half[1:], packed[4:], atol=1e-3)

    def test_training_moves_resumes_and_exports(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(self.config, Path(folder), [0], 3, 2)
            before = {key: value.clone() for key, value in trainer.reader.state_dict().items()}
            trainer.run(60)
            self.assertTrue(any(not torch.equal(value, before[key]) for key, value in trainer.reader.state_dict().items()))
            again = Trainer(self.config, Path(folder), [0], 3, 2)
            again.resume()
            self.assertEqual(again.step, 2)
            path = Path(folder) / "encoder.onnx"
            export(again.reader, np.zeros(len(NAMES)), path)
            graph = onnx.load(str(path)).graph
            self.assertEqual([value.name for value in graph.input], ["frames", "reference", "landmarks", "state"])
            self.assertEqual([size.dim_value for size in graph.output[0].type.tensor_type.shape.dim], [3, 8, 2, 2])
            self.assertLess(path.stat().st_size, 2e6)

    def test_it_is_evaluated_on_clips_of_unseen_avatars(self) -> None:
        read, truth = read_clips(RigReader(), 1, FRAMES)
        self.assertEqual(read.shape, truth.shape)
        self.assertLess(latent_correlations(read, truth)["pose"], 0.9)
        self.assertEqual(latent_correlations(truth, truth), {"mouth": 1.0, "eyes": 1.0, "pose": 1.0})


if __name__ == "__main__":
    unittest.main()
