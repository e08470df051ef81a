"""Stage 3: the sparse causal student of a few steps, by DMD, regression to the teacher's samples, the truth for the mouth, and
the data's spread for eyes and pose.

DMD (distribution matching distillation): two bidirectional networks look at the student's roll-outs under fresh noise. The real score is
the teacher, frozen; the fake score is a copy that keeps learning the student's own outputs. Where they disagree about x0 is the direction in
which the student's distribution differs from the teacher's. A student of any chunk size is cut into the teacher's chunks for that.
"""
import copy

import torch

from ..dataset.sequences import component_weights, teacher_view
from ..runs.parallel import ShardedAdamW
from .flow import SCHEDULES, TEACHER_TIMES, flow_error, mixed, noise_like, sample
from .losses import lips_loss, step_loss
from .spread import Spread


class Pairs:
    """Noise -> sample pairs of the teacher with the states at the student's levels, each pair used a few times."""

    def __init__(self, teacher, times, uses, size):
        self.teacher, self.uses, self.size, self.rows = teacher, uses, size, []
        self.picks = [k for k, t in enumerate(TEACHER_TIMES[1:]) if t in times]

    def draw(self, run, batch, make):
        """A pair (Batch, noise, states); `make()` returns new material for this rank."""
        rng = run.step_rng()
        if len(self.rows) < 2 or rng.random() < 1.0 / self.uses:
            self.rows = self.rows[-self.size + 1:] + [self._make(make(), run.rngs(batch, 1))]
            return self.rows[-1]
        return self.rows[int(rng.integers(len(self.rows)))]

    def _make(self, material, rngs):
        x0 = teacher_view(material.x0)
        noise = noise_like(material.x0, rngs)
        with torch.no_grad():
            states = sample(self.teacher, teacher_view(noise), x0[:, :1], material.teacher_audio, TEACHER_TIMES, look_ahead=True, heun=True)
        # c_0 is given, so only the chunks after it are compared
        rest = [states[k][:, 1:].flatten(1, 2) for k in self.picks]
        return material, noise, [z.reshape(len(z), -1, *material.x0.shape[2:]) for z in rest]


class Matching:
    """The real and the fake score, and the training of the fake one."""

    def __init__(self, teacher, settings):
        self.real, self.settings = teacher, settings
        self.fake = copy.deepcopy(teacher).train()
        self.optimizer = ShardedAdamW(self.fake.parameters(), settings["fake_lr"], betas=(0.5, 0.98))
        device = next(teacher.parameters()).device
        self.weights, self.recent = component_weights().to(device), []
        # audio determines the mouth, so the mouth is trained by regression alone
        self.slots = torch.tensor([settings["dmd_mouth"]] * 2 + [1.0, 1.0], device=device).reshape(2, 2)

    def learn(self, material, made, run):
        """Updates of the fake score on the student's outputs, fresh and recent; returns the last loss."""
        x = teacher_view(torch.cat([material.x0[:, :1], made.detach()], 1))
        self.recent = self.recent[-5:] + [(x, material.teacher_audio)]
        loss = torch.zeros((), device=x.device)
        for k in range(self.settings["fake_updates"]):
            x, audio = self.recent[-1 - k % len(self.recent)]
            rngs = run.rngs(len(x) * run.ranks, 10 + k)
            guess, share = flow_error(self.fake, x, audio, rngs, look_ahead=True)
            loss = (((guess - x)[:, 1:].square() * self.weights).flatten(1).mean(1) * share).mean()
            loss.backward()
            self.optimizer.step(self.settings["fake_lr"])
        return loss.item()

    def direction(self, material, made, rngs):
        """Loss whose gradient by `made` [B, N, F, ...] is the normalised disagreement of the scores, slot by slot."""
        x = teacher_view(torch.cat([material.x0[:, :1], made], 1))
        t = torch.tensor([rng.uniform(0.05, 0.98) for rng in rngs], dtype=torch.float32, device=x.device)
        with torch.no_grad():
            noised = mixed(x, noise_like(x, rngs), t)
            real, fake = (net(noised, material.teacher_audio, t, True)[:, 1:] for net in (self.real, self.fake))
            scale = (x[:, 1:] - real).abs().mean((1, 2, 3), keepdim=True).clamp(min=0.05)
            gradient = (fake - real) / scale * self.slots
        return (x[:, 1:] * gradient).mean(), gradient.square().mean().sqrt().item()


class Distiller:
    """Losses of one student; `settings` are those of configs/distill.json."""

    def __init__(self, student, teacher, settings, data):
        self.student, self.settings, self.data = student, settings, data
        self.times = SCHEDULES[settings["student_steps"]]
        self.pairs = Pairs(teacher, self.times, settings["uses"], settings["buffer"])
        self.matching = Matching(teacher, settings) if settings["dmd"] else None
        device = next(student.parameters()).device
        self.spread = Spread(data.cache.shards[data.usable[0]]["rig"], device=device) if settings["spread"] else None
        weights = component_weights().to(device)
        self.mouth_weights, self.weights = weights[:, 0], weights * torch.tensor([[settings["pair_mouth"]], [1.0]], device=device)

    def loss(self, run, batch):
        """(loss, numbers for the curve) of one student update; the fake score is trained beside it."""
        settings, values = self.settings, {}
        material, noise, states = self.pairs.draw(run, batch, lambda: self.data.draw(run.rngs(batch)))
        rngs = run.rngs(batch, 2)
        x0, rest = material.x0, material.x0[:, 1:]
        if run.step_rng().random() < settings["own"]:
            got = [z[:, 1:] for z in sample(self.student, noise, x0[:, :1], material.audio, self.times)]
            made = got[-1]
            drops = [a - b for a, b in zip(self.times[:-1], self.times[1:])]
            paths = sum(((g - s).square() * self.weights).mean() / max(0.3, d) ** 2 for g, s, d in zip(got[:-1], states, drops))
            whole = [torch.cat([x0[:, :1], z], 1) for z in (made, states[-1])]
            pair = 0.5 * paths / (len(got) - 1) + ((made - states[-1]).square() * self.weights).mean() + 0.05 * step_loss(*whole).mean()
            values["pair"] = pair.item()
        else:
            # data in place of the student's own past: one step from a noised truth
            now = self.times[int(run.step_rng().integers(len(self.times) - 1))]
            made = self.student(mixed(x0, noise_like(x0, rngs), now), material.audio, torch.full((len(x0),), now, device=x0.device))[:, 1:]
            pair = torch.zeros((), device=x0.device)
        mouth = ((made - rest)[..., 0, :].square() * self.mouth_weights).mean()
        lips = lips_loss(made, rest, material.closed, settings["closure"], settings["hinge"])
        loss = settings["pair"] * pair + settings["mouth"] * mouth + settings["lips"] * lips
        values.update(mouth=mouth.item(), lips=lips.item())
        if self.spread:
            spread = self.spread.loss(made)
            loss, values["spread"] = loss + settings["spread"] * spread, spread.item()
        if self.matching and run.step >= settings["dmd_after"]:
            dmd, values["dmd"] = self.matching.direction(material, made, rngs)
            loss = loss + settings["dmd"] * dmd
        if self.matching:
            values["fake"] = self.matching.learn(material, made, run)
        return loss, values
