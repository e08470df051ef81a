"""The decoder: pixel format, rig matrices, patch placement, exported graphs and a short run of every training stage."""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import torch

from talkmesh_nano.decoder.config import DecoderConfig, FlowNetSize, load, smoke
from talkmesh_nano.decoder.data import POSE_NUMBERS, eye_number_rows, patch_box, shard_specs, write_shard
from talkmesh_nano.decoder.export import build_graphs, export_graphs, motion_tracks, write_avatars
from talkmesh_nano.decoder.graph import DECODER_INPUTS, DECODER_OUTPUTS, REFERENCE_OUTPUTS, STATE_SHAPE, Composer, decode_chunk, mirrored, packed_feather
from talkmesh_nano.decoder.net import FlowNet
from talkmesh_nano.decoder.pixels import i420_to_rgb, pack, to_float, to_rgb
from talkmesh_nano.decoder.rig_matrices import decode_with_border, fit_border
from talkmesh_nano.decoder.train import STAGES, rate_at, stage_trainer
from talkmesh_nano.motion.rig import INDEX, NEUTRAL, decode_rig, encode_rig
from talkmesh_nano.render.avatar import Avatar
from talkmesh_nano.render.avatars import SHIPPED, designed


class AvatarsTest(unittest.TestCase):
    def test_drawn_avatars_are_written_and_rendered_people_stay_listed(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            person = {"id": "ada", "image": "avatars/ada.png", "decoder": "mesh"}
            (folder / "avatars.json").write_text(json.dumps([person, {"id": "old", "image": "avatars/old.png"}]))
            write_avatars(folder)
            listed = [entry["id"] for entry in json.loads((folder / "avatars.json").read_text())]
            self.assertEqual(listed, [SHIPPED[0], "ada", *SHIPPED[1:]])
            self.assertEqual(sorted(path.stem for path in folder.glob("*.large.png")), sorted(f"{id}.large" for id in SHIPPED))


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
        self.assertLess(rate_at(training, 0, 0), rate_at(training, 200, 0.04))
        self.assertLess(rate_at(training, training.steps - 1, 1 - 1 / training.steps), 0.05 * training.rate)


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
        latents, tensors = torch.from_numpy(encode_rig(rig)), dict(zip(REFERENCE_OUTPUTS, self.tensors[1:]))
        with torch.no_grad():
            if silence_edits:
                *_, flow, _ = self.decoder(latents, torch.zeros(STATE_SHAPE), *(tensors[name] for name in DECODER_INPUTS))
                frames = Composer()(tensors["reference_luma"], tensors["reference_chroma"], torch.zeros(0, 2), (), flow)
            else:
                frames, _ = decode_chunk(self.decoder, latents, torch.zeros(STATE_SHAPE), self.tensors[1:])
        return i420_to_rgb(frames.numpy())

    def test_without_edits_the_neutral_latent_gives_the_reference(self) -> None:
        frames = self.decode(np.tile(NEUTRAL, (12, 1)), silence_edits=True)
        away = np.abs(frames.astype(int).mean((1, 2)) - self.avatar.reference.mean((0, 1)))
        self.assertLess(away.max(), 1.5)
        self.assertGreater(10 * np.log10(255**2 / np.square(frames - self.avatar.reference.astype(float)).mean()), 30)

    def test_patches_are_cut_where_they_are_pasted(self) -> None:
        tensors = dict(zip(REFERENCE_OUTPUTS, self.tensors[1:]))
        size = self.config.mouth_patch
        left, top, right, bottom = patch_box(*self.avatar.landmarks[0], size)
        np.testing.assert_array_equal(tensors["reference_corners"][0], (left // 2, top // 2))
        fade = packed_feather(size)[None]
        flow, zero = torch.zeros(1, 8, 8, 2), torch.zeros(1, 1, 256, 256)
        frame = Composer()(zero, torch.zeros(1, 2, 128, 128), tensors["reference_corners"][:1], (100 * fade,), flow)
        luma = frame[0, : 256 * 256].view(256, 256).float()
        ramp = ((torch.arange(80).minimum(79 - torch.arange(80)) + 0.5) / size.feather).clamp(max=1)
        self.assertEqual(float(luma[:top].max()) + float(luma[:, :left].max()) + float(luma[bottom:].max()), 0)
        torch.testing.assert_close(luma[top + 28, left:right], (100 * ramp + 0.5).floor())
        patch = torch.from_numpy(pack(self.avatar.reference[top:bottom, left:right])).float() / 127.5 - 1
        torch.testing.assert_close(tensors["reference_mouth_patch"][0], patch, atol=0.006, rtol=0)

    def test_a_mirrored_patch_is_the_packed_mirror(self) -> None:
        picture = self.avatar.reference[60:100, 60:100]
        packed, other = (torch.from_numpy(pack(np.ascontiguousarray(side))) for side in (picture, picture[:, ::-1]))
        torch.testing.assert_close(mirrored(packed), other)

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
            _, state = decode_chunk(self.decoder, latent, torch.zeros(STATE_SHAPE), self.tensors[1:])
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
        self.assertEqual(set(inputs), {"latent", "state", *DECODER_INPUTS})
        self.assertEqual({name: inputs[name] for name in DECODER_INPUTS}, {name: facts["referenceOutputs"][name] for name in DECODER_INPUTS})
        outputs = {value.name: shape(value) for value in graph.output}
        self.assertEqual(tuple(outputs), DECODER_OUTPUTS)
        field = self.config.flow_net.final_size
        self.assertEqual(outputs["flow"], [12, field, field, 2])
        self.assertEqual(outputs["edit_mouth"], [12, 6, 28, 40])
        self.assertEqual([value.name for value in reference.output], ["c0", *REFERENCE_OUTPUTS])
        self.assertEqual([value.name for value in reference.input], ["image", "landmarks"])

    def test_the_neutral_pose_is_not_warped(self) -> None:
        blend = self.decoder.flow.blend(torch.zeros(2, len(POSE_NUMBERS)))
        # the two products are of one row and of two, which a library may add up in another order
        self.assertLess(float(blend.abs().max()), 1e-6)


class TuningTest(unittest.TestCase):
    def test_a_second_pass_of_the_flow_starts_where_the_first_ended(self) -> None:
        torch.manual_seed(3)
        first, second = FlowNet(FlowNetSize(refine=0), 7).eval(), FlowNet(FlowNetSize(refine=8), 7).eval()
        missing, unknown = second.load_state_dict(first.state_dict(), strict=False)
        self.assertEqual(unknown, [])
        self.assertTrue(all(name.startswith("refine.") for name in missing))
        picture, landmarks, pose = torch.randn(2, 6, 128, 128), torch.rand(2, 3, 2) * 256, torch.randn(4, 7)
        with torch.no_grad():
            coarse, fine = first(picture, landmarks, pose), second(picture, landmarks, pose)
        self.assertEqual(fine.shape, (4, 2, 64, 64))
        expected = torch.nn.functional.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
        torch.testing.assert_close(fine, expected, atol=1e-5, rtol=0)

    def test_hard_shards_hold_beards_and_robots_alone(self) -> None:
        config = DecoderConfig(shards=3, hard_shards=1, avatars_per_shard=9)
        specs = shard_specs(config, 2)
        self.assertEqual(len({spec.id for spec in specs}), 9)
        self.assertEqual([spec.kind == "robot" for spec in specs], [False] * 6 + [True] * 3)
        self.assertTrue(all(spec.beard for spec in specs[:6]))
        self.assertFalse(all(spec.beard or spec.kind == "robot" for spec in shard_specs(config, 1)))

    def test_weights_of_another_network_are_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            config = smoke(folder)
            for shard in (-1, 0):
                write_shard(config, shard)
            eyes = stage_trainer(config, "eyes")
            eyes.save()
            with self.assertRaisesRegex(ValueError, "does not fit"):
                stage_trainer(config, "flow").start_from(eyes.checkpoint)


class TrainingTest(unittest.TestCase):
    def test_every_stage_trains_saves_and_resumes(self) -> None:
        torch.set_num_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            config = smoke(folder)
            for shard in (-1, 0):
                write_shard(config, shard)
            for name in STAGES:
                trainer = stage_trainer(config, name)
                before = {key: value.clone() for key, value in trainer.stage.net.state_dict().items()}
                trainer.run()
                moved = [key for key, value in trainer.stage.net.state_dict().items() if not torch.equal(value, before[key])]
                self.assertEqual(len(moved), len(before), f"{name}: some weights never moved")
                again = stage_trainer(config, name)
                again.resume()
                self.assertEqual(again.step, config.mouth.steps)
                for key, value in trainer.average.weights.items():
                    torch.testing.assert_close(again.average.weights[key], value)
                self.assertTrue((Path(folder) / f"curve_{name}.csv").exists())


if __name__ == "__main__":
    unittest.main()
