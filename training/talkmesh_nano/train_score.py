"""Stages of the score model: python -m talkmesh_nano.train_score STAGE --data DIR --out DIR [--init CKPT] ...

warmup   bidirectional (a chunk also sees the next), motion without audio, all layers
audio    the new audio layers on top, everything else frozen
causal   the teacher of stage 3: sparse causal attention, all layers, flow matching
distill  stage 3: the causal 2-step student, regressed to its teacher's many-step samples on the same noise (--init: teacher)
match    an experiment: the student's 2-step roll-outs against the distribution of the data (energy scores over windows)
"""
import sys

import numpy as np
import torch

from .common import Run, arguments, load_weights
from .losses import distribution_loss, step_loss
from .score import Score
from .sequences import Sequences, component_weights

STUDENT_TIMES = (1.0, 0.6, 0.0)
TEACHER_TIMES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.48, 0.36, 0.24, 0.12, 0.0)


def flow_loss(model, x0, audio, rng, weights, look_ahead, use_audio):
    """Flow matching with x0 prediction: squared velocity error, its 1/t^2 bounded; c_0 is given, so it has no loss."""
    batch = len(x0)
    t = torch.sigmoid(torch.randn(batch) * 1.2 + 0.6)
    t[rng.random(batch) < 0.1] = 1.0
    wide = t.reshape(-1, 1, 1, 1, 1, 1)
    x = (1 - wide) * x0 + wide * torch.randn_like(x0)
    guess = model(x, audio, t, look_ahead, use_audio)
    error = (guess - x0)[:, 1:].square() * weights
    share = 1.0 / (t.square() + 0.1)
    jerk = step_loss(guess, x0)
    return ((error.flatten(1).mean(1) + 0.05 * jerk) * share).mean(), error, jerk.mean().item()


def sample(model, noise, c0, audio, times):
    """Roll-out of whole sequences with causal contexts at equal noise levels: noise [B, 1+N, ...], c_0 known.

    Returns (x0 estimate, the state at the student's second noise level).
    """
    x, middle = noise, None
    for now, after in zip(times[:-1], times[1:]):
        t = torch.full((len(x),), now)
        x = torch.cat([(1 - now) * c0 + now * noise[:, :1], x[:, 1:]], 1)
        guess = model(x, audio, t)
        x = x + (after - now) * (x - guess) / now
        if abs(after - STUDENT_TIMES[1]) < 1e-6:
            middle = x
    return x, middle


class PairBuffer:
    """Noise -> sample pairs of the teacher, each used a few times."""

    def __init__(self, teacher, data, rng, batch, uses, size):
        self.teacher, self.data, self.rng = teacher, data, rng
        self.batch, self.uses, self.size, self.pairs = batch, uses, size, []

    def draw(self):
        if len(self.pairs) < 2 or self.rng.random() < 1.0 / self.uses:
            self.pairs = self.pairs[-self.size + 1:] + [self._make()]
            return self.pairs[-1]
        return self.pairs[int(self.rng.integers(len(self.pairs)))]

    def _make(self):
        x0, audio = self.data.draw(self.rng, self.batch)
        noise = torch.randn_like(x0)
        with torch.no_grad():
            end, middle = sample(self.teacher, noise, x0[:, :1], audio, TEACHER_TIMES)
        return noise, x0[:, :1], audio, middle, end, x0


def distill_loss(student, pair, weights, truth=1.0):
    """Student's two steps against the teacher's states at the same noise levels; the mouth mostly against the truth.

    Audio decides the mouth, so there the spread of the teacher's samples is only error. Eyes and pose are the teacher's:
    regressed to the truth they would average blinks and nods away.
    """
    noise, c0, audio, middle, end, x0 = pair
    mouth_weights, weights = weights[:, 0], weights * torch.tensor([[0.1], [1.0]])
    got, got_middle = sample(student, noise, c0, audio, STUDENT_TIMES)
    step1 = ((got_middle - middle)[:, 1:].square() * weights).mean() / (1 - STUDENT_TIMES[1]) ** 2
    step2 = ((got - end)[:, 1:].square() * weights).mean() + 0.05 * step_loss(got, end).mean()
    mouth = ((got - x0)[:, 1:, :, :, 0].square() * mouth_weights).mean()
    return step1 * 0.5 + step2 + truth * mouth, dict(step1=step1.item(), step2=step2.item(), mouth=mouth.item())


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in ("warmup", "audio", "causal", "distill", "match"):
        raise SystemExit(__doc__)
    stage = sys.argv.pop(1)
    args = arguments(__doc__, f"configs/{stage}.json")
    settings = args.settings
    data = Sequences(args.data, audio=stage != "warmup", count=settings["chunks"])
    rng, weights = np.random.default_rng(args.seed), component_weights()
    model = Score()
    if args.init:
        load_weights(model, args.init)
    elif stage != "warmup":
        raise SystemExit(f"{stage} starts from the stage before: give --init")
    trained = set(model.audio_parameters()) if stage == "audio" else {n for n, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
    run = Run(args, model, [p for p in model.parameters() if p.requires_grad])
    batch = 2 if args.smoke else settings["batch"]
    if stage == "distill":
        teacher = Score().eval()
        load_weights(teacher, args.teacher or args.init)
        pairs = PairBuffer(teacher, data, rng, batch, settings["uses"], 1 if args.smoke else settings["buffer"])
    while run.running():
        if stage == "distill":
            loss, values = distill_loss(model, pairs.draw(), weights)
        elif stage == "match":
            loss, values = match_loss(model, *data.draw(rng, batch), weights)
        else:
            x0, audio = data.draw(rng, batch)
            loss, error, jerk = flow_loss(model, x0, audio, rng, weights, stage in ("warmup", "audio"), stage != "warmup")
            values = dict(zip(("mouth", "eyes", "pose"), slot_errors(error)), jerk=jerk)
        run.update(loss, **values)
        if run.step % 200 == 0:
            data.refresh()
            run.save()
    run.save()
    run.log()


def match_loss(student, x0, audio, weights, truth=1.0):
    """Two roll-outs of the student on the same audio, different noise, against the truth; the mouth also by regression."""
    twice = torch.cat([x0, x0])
    both = sample(student, torch.randn_like(twice), twice[:, :1], torch.cat([audio, audio]), STUDENT_TIMES)[0]
    both = torch.cat([twice[:, :1], both[:, 1:]], 1)
    score = distribution_loss(*both.chunk(2), x0)
    mouth = ((both - twice)[:, 1:, :, :, 0].square() * weights[:, 0]).mean()
    return score + truth * mouth, dict(score=score.item(), mouth=mouth.item())


def slot_errors(error):
    cells = error.detach().mean((0, 1, 2, 3)).flatten()
    return float(cells[:2].mean()), float(cells[2]), float(cells[3])


if __name__ == "__main__":
    main()
