"""The decoder: pixel format, rig matrices, patch placement, exported graphs and a short run of every training stage."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import torch

from talkmesh_nano.avatars import designed
from talkmesh_nano.decoder_config import DecoderConfig, load, smoke
from talkmesh_nano.decoder_data import POSE_NUMBERS, eye_number_rows, patch_box, write_shard
from talkmesh_nano.decoder_graph import REFERENCE_OUTPUTS, STATE_SHAPE, feather
from talkmesh_nano.decoder_pixels import i420_to_rgb, pack, to_float, to_rgb
from talkmesh_nano.decoder_rig import decode_with_border, fit_border
from talkmesh_nano.export_decoder import build_graphs, export_graphs, motion_tracks
from talkmesh_nano.render import Avatar
from talkmesh_nano.rig import INDEX, NEUTRAL, decode_rig, encode_rig
from talkmesh_nano.train_decoder import STAGES, Trainer, rate_at


class PixelsTest(unittest.TestCase):
    def test_black_and_white_hit_the_limits_of_bt601(self) -> None:
        picture = np.zeros((2, 4, 3), np.uint8)
        picture[:, 2:] = 255
        packed = pack(picture)
        np.testing.assert_array_equal(packed[:4, 0, 0], 16)
        np.testing.assert_array_equal(packed[:4, 0, 1], 235)
        np.testing.assert_array_equal(packed[4:], 128)

    def test_flat_colours_survive_both_ways(self) -> None:
        picture = np.full((4, 4, 3), (200, 90, 40), np.uint8)
        back = to_rgb(to_float(torch.from_numpy(pack(picture))[None]))[0] * 255
        self.assertLess(float((back - torch.tensor([200.0, 90, 40])[:, None, None]).abs().max()), 2)

    def test_luma_phases_are_rows_first(self) -> None:
        picture = np.zeros((2, 2, 3), np.uint8)
        picture[0, 1] = 255
        np.testing.assert_array_equal(pack(picture)[:4, 0, 0], (16, 235, 16, 16))


class RigTest(unittest.TestCase):
    def test_border_correction_lowers_the_error_of_unseen_tracks(self) -> None:
        tracks = motion_tracks(3, 12, 1600)
        border = fit_border(tracks[:11])
        latents = encode_rig(tracks[11][:1600])
        truth = tracks[11][: len(latents) * 4, 5:]
        plain = np.abs(decode_rig(latents, clip=False)[:, 5:] - truth).mean()
        eased = np.abs(decode_with_border(latents, *border)[:, 5:] - truth).mean()
        self.assertLess(eased, 0.97 * plain)

    def test_right_eyes_get_mirrored_gaze(self) -> None:
        rig = NEUTRAL.copy()[None]
        rig[0, INDEX["gaze_x"]] = 0.5
        np.testing.assert_allclose(eye_number_rows(rig, -1)[0, [1, 5]], (0.5, -1))
        np.testing.assert_allclose(eye_number_rows(rig, 1)[0, [1, 5]], (-0.5, 1))


class ConfigTest(unittest.TestCase):
    def test_unknown_settings_are_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "config.json"
            path.write_text('{"mouth": {"steps": 5, "pace": 1}}')
            with self.assertRaisesRegex(ValueError, "mouth.pace"):
                load(path)

    def test_rate_rises_and_falls(self) -> None:
        training = DecoderConfig().mouth
        self.assertLess(rate_at(training, 0), rate_at(training, 200))
        self.assertLess(rate_at(training, training.steps - 1), 0.05 * training.rate)


class GraphTest(unittest.TestCase):
    """Graphs with untrained weights: what must hold whatever was learned."""

    @classmethod
    def setUpClass(cls) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(1)
        cls.config = DecoderConfig()
        cls.reference, cls.decoder = build_graphs(cls.config, trained=False)
        cls.avatar = Avatar(designed("kenji"))
        with torch.no_grad():
            cls.tensors = cls.reference(torch.from_numpy(cls.avatar.reference), torch.from_numpy(cls.avatar.landmarks))

    def decode(self, rig: np.ndarray, silence_edits: bool = False) -> np.ndarray:
        tensors = list(self.tensors[1:])
        if silence_edits:
            rows = REFERENCE_OUTPUTS.index("reference_rows")
            tensors[rows] = torch.zeros_like(tensors[rows])
        with torch.no_grad():
            frames, _ = self.decoder(torch.from_numpy(encode_rig(rig)), torch.zeros(STATE_SHAPE), *tensors)
        return i420_to_rgb(frames.numpy())

    def test_without_edits_the_neutral_latent_gives_the_reference(self) -> None:
        frames = self.decode(np.tile(NEUTRAL, (12, 1)), silence_edits=True)
        away = np.abs(frames.astype(int).mean((1, 2)) - self.avatar.reference.mean((0, 1)))
        self.assertLess(away.max(), 1.5)
        self.assertGreater(10 * np.log10(255**2 / np.square(frames - self.avatar.reference.astype(float)).mean()), 30)

    def test_patches_are_cut_where_they_are_pasted(self) -> None:
        size = self.config.mouth_patch
        box = patch_box(*self.avatar.landmarks[0], size)
        rows = self.tensors[1 + REFERENCE_OUTPUTS.index("reference_rows")][:, : size.height]
        columns = self.tensors[1 + REFERENCE_OUTPUTS.index("reference_columns")][:, : size.width]
        pasted = rows @ torch.ones(size.height, size.width) @ columns.T
        expected = torch.zeros(256, 256)
        expected[box[1] : box[3], box[0] : box[2]] = feather(size.height, size.feather)[:, None] * feather(size.width, size.feather)
        torch.testing.assert_close(pasted, expected)

    def test_edits_stay_inside_the_patches_of_an_unposed_head(self) -> None:
        rig = np.tile(NEUTRAL, (12, 1))
        change = np.abs(self.decode(rig).astype(int) - self.decode(rig, silence_edits=True)).sum(3)
        allowed = np.zeros((256, 256), bool)
        for landmark, size in zip(self.avatar.landmarks, (self.config.mouth_patch, self.config.eye_patch, self.config.eye_patch)):
            left, top, right, bottom = patch_box(*landmark, size)
            allowed[top - 3 : bottom + 3, left - 3 : right + 3] = True
        self.assertEqual(change[:, ~allowed].max(), 0)

    def test_state_carries_the_previous_latent_frame(self) -> None:
        latent = torch.from_numpy(encode_rig(motion_tracks(2, 1, 64)[0][:12]))
        with torch.no_grad():
            _, state = self.decoder(latent, torch.zeros(STATE_SHAPE), *self.tensors[1:])
            fresh = self.decoder.rig(latent, torch.zeros(STATE_SHAPE))
            eased = self.decoder.rig(latent, torch.cat([latent[0], torch.ones(1, 2, 2)]))
        torch.testing.assert_close(state[:8], latent[-1])
        self.assertEqual(float(state[8].min()), 1)
        self.assertGreater(float((fresh[:4] - eased[:4]).abs().max()), 1e-4)
        torch.testing.assert_close(fresh[4:], eased[4:])

    def test_exported_files_have_the_agreed_interface(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            facts = export_graphs(self.reference, self.decoder, Path(folder))
            graph = onnx.load(str(Path(folder) / "decoder.onnx")).graph
            reference = onnx.load(str(Path(folder) / "reference.onnx")).graph

        def shape(value: onnx.ValueInfoProto) -> list[int]:
            return [size.dim_value for size in value.type.tensor_type.shape.dim]

        inputs = {value.name: shape(value) for value in graph.input}
        self.assertEqual(inputs["latent"], [3, 8, 2, 2])
        self.assertEqual(inputs["state"], facts["stateShape"])
        self.assertEqual({name: inputs[name] for name in REFERENCE_OUTPUTS}, facts["referenceOutputs"])
        self.assertEqual([value.name for value in graph.output], ["frames", "state_out"])
        self.assertEqual(shape(graph.output[0]), [12, 98304])
        self.assertEqual(graph.output[0].type.tensor_type.elem_type, onnx.TensorProto.UINT8)
        self.assertEqual([value.name for value in reference.output], ["c0", *REFERENCE_OUTPUTS])
        self.assertEqual([value.name for value in reference.input], ["image", "landmarks"])

    def test_the_neutral_pose_is_not_warped(self) -> None:
        blend = self.decoder.flow.blend(torch.zeros(2, len(POSE_NUMBERS)))
        self.assertEqual(float(blend.abs().max()), 0)


class TrainingTest(unittest.TestCase):
    def test_every_stage_trains_saves_and_resumes(self) -> None:
        torch.set_num_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            config = smoke(folder)
            for shard in (-1, 0):
                write_shard(config, shard)
            for name in STAGES:
                trainer = Trainer(config, name)
                before = {key: value.clone() for key, value in trainer.stage.net.state_dict().items()}
                trainer.run()
                moved = [key for key, value in trainer.stage.net.state_dict().items() if not torch.equal(value, before[key])]
                self.assertEqual(len(moved), len(before), f"{name}: some weights never moved")
                again = Trainer(config, name)
                again.resume()
                self.assertEqual(again.step, config.mouth.steps)
                for key, value in trainer.average.weights.items():
                    torch.testing.assert_close(again.average.weights[key], value)
                self.assertTrue((Path(folder) / f"curve_{name}.csv").exists())


if __name__ == "__main__":
    unittest.main()
