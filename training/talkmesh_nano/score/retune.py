"""Fits a student to another audio encoder: its lips to the labels, its eyes and head to what it did before on the old encoder's tokens.

The frozen student from before plays the same noise with the old tokens (`dataset.sequences --name before`), so no teacher is needed and what it knows
about blinks, gaze and head is kept. `gain` widens that motion about the neutral face, because a distilled student moves less than its data.
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
