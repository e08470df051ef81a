"""The stages of the score model: distillation and its parts, chunk sizes, ranks and activation checkpointing."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from test_score import random_score

from talkmesh_nano.dataset.sequences import Batch, Sequences, teacher_view
from talkmesh_nano.decoder.config import load
from talkmesh_nano.decoder.export import build_graphs
from talkmesh_nano.decoder.graph import DECODER_INPUTS, REFERENCE_OUTPUTS, STATE_SHAPE
from talkmesh_nano.motion.rig import encode_rig
from talkmesh_nano.motion.tracks import rig_track
from talkmesh_nano.runs.run import load_score
from talkmesh_nano.score.distill import Matching
from talkmesh_nano.score.flow import SCHEDULES, TEACHER_TIMES, sample
from talkmesh_nano.score.model import Score
from talkmesh_nano.score.retune import Leveller, Retuner
from talkmesh_nano.score.spread import Spread

torch.set_num_threads(1)
SETTINGS = {
    "lr": 0.001, "batch": 4, "latents": 21, "bidirectional": True, "steps": 4, "uses": 2, "buffer": 4, "pair": 0.5, "pair_mouth": 0.05,
    "mouth": 1.0, "lips": 5.0, "closure": 12.0, "hinge": 4.0, "own": 0.7, "spread": 0.3, "dmd": 0.5, "dmd_mouth": 0.0, "dmd_after": 0, "fake_lr": 0.0005, "fake_updates": 2,
    "student_steps": 2, "silence": 1.0, "keep": 2.0, "gain": 1.12,
}


def material(folder):
    """A shard of moving faces with noise as audio tokens: what the stages read, without a synthesiser."""
    rng = np.random.default_rng(2)
    shard = Path(folder) / "train1"
    shard.mkdir()
    mouth = [rng.uniform(0, 1, (600, 4)).astype(np.float32) for _ in range(2)]
    np.save(shard / "rig.npy", np.stack([rig_track(rng, m, np.zeros(600, np.float32)) for m in mouth]))
    np.save(shard / "pcm.npy", np.zeros((2, 10), np.int16))
    np.save(shard / "flags.npy", rng.integers(0, 2, (2, 600)).astype(np.uint8))
    for frames in (3, 7):
        np.save(shard / f"tokens{frames}.npy", rng.standard_normal((2, 150 // frames, frames, 4, 128)).astype(np.float16))
        np.save(Path(folder) / f"silence{frames}.npy", np.zeros((frames, 4, 128), np.float32))


def train(stage, folder, out, *options, **changed):
    """Runs a stage as a user would; returns (model, checkpoint, last line of the curve)."""
    config = Path(folder) / f"{out}.json"
    config.write_text(json.dumps({**SETTINGS, **changed}))
    command = [sys.executable, "-m", "talkmesh_nano.score.train", stage, "--config", config, "--data", folder, "--out", Path(folder) / out, *options]
    environment = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, env=environment, timeout=400)
    if done.returncode:
        raise AssertionError(done.stderr[-3000:])
    curve = (Path(folder) / out / "curve.jsonl").read_text().splitlines()
    return (*load_score(Path(folder) / out / "last.pt"), json.loads(curve[-1]))


def vector(weights):
    return torch.cat([v.flatten() for k, v in sorted(weights.items()) if k not in ("angles", "time.frequencies")])


class StagesTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        material(self.folder.name)

    def test_two_ranks_train_as_one(self):
        name = self.folder.name
        options = ("--steps", "4", "--checkpointing")
        train("warmup", name, "start", "--steps", "1")
        start = ("--init", f"{name}/start/last.pt")
        _, one, line_one = train("warmup", name, "one", *options, *start)
        _, two, line_two = train("warmup", name, "two", *options, *start, "--ranks", "2")
        _, other, _ = train("warmup", name, "other", *options, *start, "--seed", "2")
        began = vector(torch.load(f"{name}/start/last.pt")["ema"])
        moved = (vector(one["model"]) - began).norm()
        self.assertLess((vector(one["model"]) - vector(two["model"])).norm(), 0.02 * moved)
        self.assertLess((vector(one["ema"]) - vector(two["ema"])).norm(), 0.02 * moved)
        self.assertGreater((vector(one["model"]) - vector(other["model"])).norm(), 0.2 * moved)
        # the whole state is the same size, each rank keeps half of it
        self.assertEqual(one["optimizer"]["exp_avg"].shape, two["optimizer"]["exp_avg"].shape)
        self.assertAlmostEqual(line_two["state_bytes"] / line_one["state_bytes"], 0.5, places=3)

    def test_every_student_of_the_study_distils_and_resumes(self):
        name = self.folder.name
        train("warmup", name, "teacher", "--steps", "1")
        base = ("--init", f"{name}/teacher/last.pt", "--teacher", f"{name}/teacher/last.pt")
        size = ("--frames", "7", "--student-steps", "4")
        model, state, line = train("distill", name, "c7s4", *base, *size, "--steps", "2", bidirectional=False)
        self.assertEqual((model.config.frames, state["settings"]["student_steps"], line["step"]), (7, 4, 2))
        self.assertTrue({"dmd", "fake", "mouth", "lips"} <= set(line))
        _, state, line = train("distill", name, "c7s4", *base, *size, "--steps", "3", "--resume", bidirectional=False)
        self.assertEqual((state["step"], line["step"]), (3, 3))

    def test_retuning_keeps_the_motion_and_learns_the_lips(self):
        name, settings = self.folder.name, {"keep": 2.0, "gain": 1.0, "lr": 0.003}
        rng = np.random.default_rng(4)
        np.save(Path(name) / "before-silence3.npy", np.zeros((3, 4, 128), np.float32))
        with self.assertRaisesRegex(FileNotFoundError, "tokens3.npy and before3.npy|before3.npy and tokens3.npy"):
            Sequences(name, latents=21, teacher="before")
        np.save(Path(name) / "train1" / "before3.npy", rng.standard_normal((2, 50, 3, 4, 128)).astype(np.float16))
        train("warmup", name, "start", "--steps", "1")
        before = load_score(f"{name}/start/last.pt")[0]
        after, state, line = train("retune", name, "fitted", "--init", f"{name}/start/last.pt", "--steps", "24", **settings)
        self.assertTrue({"mouth", "lips", "silence", "keep", "steps"} <= set(line))
        self.assertEqual(state["settings"]["student_steps"], 2)
        material = Sequences(name, latents=21, teacher="before").draw([np.random.default_rng(k) for k in range(4)])
        noise = torch.randn(material.x0.shape, generator=torch.Generator().manual_seed(1))
        wide = Retuner(before, {**SETTINGS, **settings, "gain": 2.0})
        kept, doubled = (Retuner(before, {**SETTINGS, **settings}).kept(noise, material.x0[:, :1], material.teacher_audio),
                         wide.kept(noise, material.x0[:, :1], material.teacher_audio))
        self.assertTrue(torch.allclose(doubled - wide.neutral, 2 * (kept - wide.neutral), atol=1e-5))
        losses = [Retuner(before, {**SETTINGS, **settings}), Retuner(before, {**SETTINGS, **settings})]
        losses[1].student = after
        old, new = (retuner.loss(material, noise)[1] for retuner in losses)
        self.assertLess(new["mouth"], 0.8 * old["mouth"])
        with self.assertRaisesRegex(SystemExit, "distil one of 7"):
            Retuner(random_score(frames=7), SETTINGS)

    def test_a_student_learns_another_number_of_steps_and_keeps_its_own(self):
        name, settings = self.folder.name, {"gains": {"4": [1.0, 0.5]}, "lr": 0.003}
        train("warmup", name, "start", "--steps", "1")
        before = load_score(f"{name}/start/last.pt")[0]
        after, _, line = train("tiers", name, "levelled", "--init", f"{name}/start/last.pt", "--steps", "24", **settings)
        self.assertTrue({"apart2", "jumps2"} <= set(line) or {"apart4", "jumps4"} <= set(line))
        moved = {n for n, p in before.named_parameters() if not torch.equal(p, dict(after.named_parameters())[n])}
        self.assertEqual(moved, {f"time.{p}.{k}" for p in ("inner", "outer") for k in ("weight", "bias")})
        material = Sequences(name, latents=21).draw([np.random.default_rng(k) for k in range(4)])
        noise = torch.randn(material.x0.shape, generator=torch.Generator().manual_seed(1))
        levellers = [Leveller(before, {**SETTINGS, **settings}), Leveller(before, {**SETTINGS, **settings})]
        levellers[1].student = after
        two, four = (levellers[0].target(noise, material.x0[:, :1], material.audio, steps) for steps in (2, 4))
        self.assertTrue(torch.equal(two[..., 0, :], four[..., 0, :]), "the mouth is that of its own steps")
        old, new = (leveller.loss(material, noise, 4)[1]["apart4"] for leveller in levellers)
        self.assertLess(new, 0.9 * old)

    def test_chunks_of_seven_and_of_three_hold_the_same_latents(self):
        batch = Sequences(self.folder.name, latents=21, frames=7).draw([np.random.default_rng(5)])
        three = Sequences(self.folder.name, latents=21).draw([np.random.default_rng(5)])
        self.assertEqual(tuple(batch.x0.shape), (1, 4, 7, 8, 2, 2))
        self.assertEqual(tuple(teacher_view(batch.x0).shape), (1, 8, 3, 8, 2, 2))
        self.assertTrue(torch.equal(teacher_view(batch.x0)[:, 1:].flatten(1, 2), batch.x0[:, 1:].flatten(1, 2)))
        self.assertEqual(tuple(batch.teacher_audio.shape), (1, 8, 3, 4, 128))
        self.assertTrue(torch.equal(three.audio, three.teacher_audio))
        with self.assertRaisesRegex(ValueError, "multiple of 21"):
            Sequences(self.folder.name, latents=24, frames=7)


class PartsTest(unittest.TestCase):
    def test_activation_checkpointing_keeps_less_and_changes_nothing(self):
        model, kept, grads = random_score().train(), [], []
        x, audio, t = torch.randn(2, 5, 3, 8, 2, 2), torch.randn(2, 5, 3, 4, 128), torch.tensor([0.3, 0.8])
        for model.checkpointing in (False, True):
            size = []
            with torch.autograd.graph.saved_tensors_hooks(lambda z: (size.append(z.numel()), z)[1], lambda z: z):
                loss = model(x, audio, t).square().mean()
            model.zero_grad()
            loss.backward()
            kept.append(sum(size))
            grads.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
        self.assertLess(kept[1], 0.4 * kept[0])
        torch.testing.assert_close(grads[0], grads[1], atol=1e-6, rtol=1e-4)

    def test_teacher_samples_keep_their_spread(self):
        def gaussian(x, audio, t, look_ahead):
            t = t.reshape(-1, 1, 1, 1, 1, 1)
            return x * (1 - t) / ((1 - t) ** 2 + t ** 2)

        torch.manual_seed(0)
        noise = torch.randn(50, 5, 3, 8, 2, 2)
        ends = [sample(gaussian, noise, noise[:, :1], None, TEACHER_TIMES, heun=h)[-1][:, 1:].std().item() for h in (True, False)]
        self.assertAlmostEqual(ends[0], 1.0, delta=0.03)
        self.assertLess(ends[1], 0.92)
        self.assertTrue(all(t in TEACHER_TIMES for times in SCHEDULES.values() for t in times))

    def test_spread_pulls_a_student_with_little_motion_towards_the_data(self):
        rng = np.random.default_rng(4)
        rigs = np.stack([rig_track(rng, np.zeros((600, 4), np.float32), np.zeros(600, np.float32)) for _ in range(6)])
        full = torch.from_numpy(encode_rig(rigs.reshape(-1, 15))).reshape(6, 50, 3, 8, 2, 2)
        reduced = (full * 0.5).requires_grad_()
        loss = Spread(rigs).loss(reduced)
        self.assertLess(Spread(rigs).loss(full), 0.1 * loss)
        loss.backward()
        # the gradient descends away from rest, and leaves the mouth alone
        self.assertLess((reduced.grad * reduced).sum(), 0)
        self.assertEqual(reduced.grad[..., 0, :].abs().max(), 0)

    def test_the_decoder_draws_the_same_in_chunks_of_seven(self):
        graphs = {f: build_graphs(load(None), trained=False, latent_frames=f) for f in (3, 7)}
        graphs[7][1].load_state_dict({k: v for k, v in graphs[3][1].state_dict().items() if k != "sides"}, strict=False)
        landmarks, latents = torch.tensor([[128.0, 170.0], [100.0, 121.0], [156.0, 121.0]]), torch.randn(21, 8, 2, 2)
        with torch.no_grad():
            c0, *reference = graphs[7][0](torch.full((256, 256, 3), 90, dtype=torch.uint8), landmarks)
            self.assertEqual(tuple(c0.shape), (7, 8, 2, 2))
            tensors, drawn = dict(zip(REFERENCE_OUTPUTS, reference)), {}
            for frames, (_, decoder) in graphs.items():
                state, parts = torch.zeros(STATE_SHAPE), []
                for at in range(0, 21, frames):
                    *made, state = decoder(latents[at:at + frames], state, *(tensors[name] for name in DECODER_INPUTS))
                    parts.append(torch.cat([part.flatten(1) for part in made], 1))
                drawn[frames] = torch.cat(parts)
        torch.testing.assert_close(drawn[3], drawn[7], atol=1e-3, rtol=1e-4)

    def test_matching_pushes_where_the_scores_disagree(self):
        torch.manual_seed(0)
        matching = Matching(Score().eval(), SETTINGS)
        x0 = torch.randn(2, 8, 3, 8, 2, 2)
        batch = Batch(x0, torch.zeros(2, 8, 3, 4, 128), torch.zeros(2, 84, dtype=torch.bool), torch.zeros(2, 84, dtype=torch.bool), torch.zeros(2, 8, 3, 4, 128))
        made = torch.randn(2, 7, 3, 8, 2, 2, requires_grad=True)
        rngs = [np.random.default_rng(k) for k in (1, 2)]
        self.assertEqual(matching.direction(batch, made, rngs)[0].item(), 0.0)
        with torch.no_grad():
            matching.fake.leave.bias += 1.0
        matching.direction(batch, made, [np.random.default_rng(k) for k in (1, 2)])[0].backward()
        # the fake score predicts "more", so less is wanted; the mouth is left alone
        self.assertGreater(made.grad[..., 1, :].min(), 0)
        self.assertEqual(made.grad[..., 0, :].abs().max(), 0)


if __name__ == "__main__":
    unittest.main()
