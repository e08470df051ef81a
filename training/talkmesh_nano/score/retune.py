"""Fits a student to another audio encoder: its lips to the labels, its eyes and head to what it did before on the old encoder's tokens.

The frozen student from before plays the same noise with the old tokens (`dataset.sequences --name before`), so no teacher is needed and what it knows
about blinks, gaze and head is kept. `gain` widens that motion about the neutral face, because a distilled student moves less than its data.

Leveller fits one student to several numbers of steps on the encoder it has: each update draws one of them. With the number it was distilled for it stays
as it is; with the others the mouth is that of the former, and eyes and head are its own, each pulled to or from the neutral face by a factor.
"""
import copy

import torch

from ..dataset.sequences import component_weights, neutral_chunk
from ..sizes import LATENT_FRAMES
from .flow import SCHEDULES, sample
from .losses import CLOSED_ENOUGH, lips_loss, step_loss, to_rig


class Retuner:
    """Losses of one student; `settings` are those of configs/retune.json."""

    def __init__(self, student, settings):
        if student.config.frames != LATENT_FRAMES:
            raise SystemExit(f"retune fits students of chunks of {LATENT_FRAMES} latent frames; distil one of {student.config.frames} again")
        self.student, self.settings = student, settings
        self.before = copy.deepcopy(student).eval()
        self.times = SCHEDULES[settings["student_steps"]]
        device = next(student.parameters()).device
        self.neutral = torch.from_numpy(neutral_chunk()).to(device)
        weights = component_weights().to(device)
        self.mouth_weights, self.other_weights = weights[:, 0], weights[:, 1]

    def kept(self, noise, c0, audio):
        """What the student from before makes of it, eyes and pose widened: [B, N, F, 8, 2, 2] after c_0."""
        with torch.no_grad():
            made = sample(self.before, noise, c0, audio, self.times)[-1][:, 1:]
            return self.neutral + (made - self.neutral) * self.settings["gain"]

    def loss(self, material, noise):
        """(loss, numbers for the curve) of a Batch whose `teacher_audio` holds the old tokens."""
        settings, c0 = self.settings, material.x0[:, :1]
        truth, kept = material.x0[:, 1:], self.kept(noise, c0, material.teacher_audio)
        made = sample(self.student, noise, c0, material.audio, self.times)[-1][:, 1:]
        mouth = ((made - truth)[..., 0, :].square() * self.mouth_weights).mean()
        lips = lips_loss(made, truth, material.closed, settings["closure"], settings["hinge"])
        apart = (to_rig(made) - to_rig(truth))[..., 0]
        # breaths and the hiss of a room must not open the mouth; in silence the truth is closed
        silence = ((apart - CLOSED_ENOUGH).clamp(min=0) * material.silent).mean()
        keep = ((made - kept)[..., 1, :].square() * self.other_weights).mean()
        # slow numbers also keep their changes from frame to frame, at chunk edges too
        steps = step_loss(*(torch.cat([c0, z], 1) for z in (made, kept))).mean()
        lips_and_silence = settings["lips"] * (lips + settings["silence"] * silence)
        loss = settings["mouth"] * mouth + lips_and_silence + settings["keep"] * (keep + 0.05 * steps)
        return loss, {"mouth": mouth.item(), "lips": lips.item(), "silence": silence.item(), "keep": keep.item(), "steps": steps.item()}


class Leveller:
    """Losses of one student for several step counts; `settings` are those of configs/tiers.json."""

    def __init__(self, student, settings):
        self.student, self.settings = student, settings
        self.before = copy.deepcopy(student).eval()
        self.main, self.gains = settings["student_steps"], {int(n): g for n, g in settings["gains"].items()}
        device = next(student.parameters()).device
        self.neutral = torch.from_numpy(neutral_chunk(student.config.frames)).to(device)
        self.weights = component_weights().to(device)

    def target(self, noise, c0, audio, steps):
        """What the student from before makes in its own number of steps, and, but for the mouth, in `steps`: [B, N, F, 8, 2, 2] after c_0."""
        with torch.no_grad():
            kept = sample(self.before, noise, c0, audio, SCHEDULES[self.main])[-1][:, 1:]
            if steps != self.main:
                own = sample(self.before, noise, c0, audio, SCHEDULES[steps])[-1][:, 1:]
                gain = torch.tensor(self.gains[steps], device=own.device)
                kept[..., 1, :] = (self.neutral + (own - self.neutral) * gain)[..., 1, :]
            return kept

    def loss(self, material, noise, steps):
        """(loss, numbers for the curve) of a Batch, rolled out in `steps`."""
        c0 = material.x0[:, :1]
        kept = self.target(noise, c0, material.audio, steps)
        made = sample(self.student, noise, c0, material.audio, SCHEDULES[steps])[-1][:, 1:]
        apart = ((made - kept).square() * self.weights).mean()
        jumps = step_loss(*(torch.cat([c0, z], 1) for z in (made, kept))).mean()
        return apart + 0.05 * jumps, {f"apart{steps}": apart.item(), f"jumps{steps}": jumps.item()}
