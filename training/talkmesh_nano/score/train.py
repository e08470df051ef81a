"""Stages of the score model: python -m talkmesh_nano.score.train STAGE --data DIR --out DIR [--init CKPT] ...

warmup   bidirectional (a chunk also sees the next), motion without audio, all layers
audio    the new audio layers on top, everything else frozen: with the layers below, the teacher of stage 3
causal   sparse causal attention, all layers, flow matching: where a student starts, at its chunk size (--frames)
distill  stage 3: the causal student of --student-steps (--init), by DMD with the bidirectional teacher (--teacher) and regression
retune   a student (--init) fitted to another audio encoder: needs the new tokens and the old ones (dataset.sequences --name before)
tiers    a student (--init) fitted to several numbers of steps; only what reads the noise level trains
"""
import sys

import torch

from ..dataset.sequences import TOKENS, Sequences, component_weights
from ..runs.run import Run, arguments, load_score, load_weights
from ..sizes import CHUNK_SIZES, LATENT_FRAMES
from .distill import Distiller
from .flow import SCHEDULES, flow_loss, noise_like
from .model import Score, ScoreConfig
from .retune import Leveller, Retuner

BEFORE = "before"
STAGES = ("warmup", "audio", "causal", "distill", "retune", "tiers")


def options(parser):
    parser.add_argument("--frames", type=int, default=LATENT_FRAMES, choices=CHUNK_SIZES, help="latent frames in a chunk (causal, distill)")
    parser.add_argument("--student-steps", type=int, choices=sorted(SCHEDULES), help="distill: denoising steps of the student")
    parser.add_argument("--teacher", help="distill: checkpoint of the bidirectional teacher")
    parser.add_argument("--checkpointing", action="store_true", help="compute activations again in the backward pass: less memory, more time")


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in STAGES:
        raise SystemExit(__doc__)
    stage = sys.argv.pop(1)
    args = arguments(__doc__, f"configs/{stage}.json", options)
    if not args.init and stage != "warmup":
        raise SystemExit(f"{stage} starts from the stage before: give --init")
    if stage in ("warmup", "audio") and args.frames != LATENT_FRAMES:
        raise SystemExit(f"the bidirectional stages use chunks of {LATENT_FRAMES}; students of every size are matched to that teacher")
    settings = args.settings
    if args.student_steps:
        settings["student_steps"] = args.student_steps
    teacher = BEFORE if stage == "retune" else TOKENS
    data = Sequences(args.data, audio=stage != "warmup", latents=settings["latents"], frames=args.frames, device=args.device, teacher=teacher)
    model = Score(ScoreConfig(frames=args.frames))
    model.checkpointing = args.checkpointing
    if args.init:
        load_weights(model, args.init)
    trained = trained_of(stage, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
    # --resume continues from the folder's checkpoint
    run = Run(args, model, [p for p in model.parameters() if p.requires_grad])
    torch.manual_seed(args.seed + run.rank)
    step = loss_of(stage, args, model, data, run)
    while run.running():
        loss, values = step()
        run.update(loss, **values)
        if run.step % 100 == 0:
            data.refresh()
            run.save()
    run.save()
    run.log(state_bytes=run.optimizer.state_bytes())


def trained_of(stage, model):
    """Names of the parameters that a stage trains."""
    if stage == "audio":
        return set(model.audio_parameters())
    return {n for n, _ in model.named_parameters() if stage != "tiers" or n.startswith("time.")}


def loss_of(stage, args, model, data, run):
    """The function of one update's loss: () -> (loss, numbers for the curve)."""
    batch = 2 if args.smoke else args.settings["batch"]
    if stage == "distill":
        if not args.teacher:
            raise SystemExit("distill needs the bidirectional teacher: give --teacher")
        teacher = load_score(args.teacher)[0].to(args.device)
        distiller = Distiller(model, teacher, args.settings, data)
        return lambda: distiller.loss(run, batch)
    if stage == "retune":
        retuner = Retuner(model, args.settings)

        def fitted():
            material = data.draw(run.rngs(batch))
            return retuner.loss(material, noise_like(material.x0, run.rngs(batch, 2)))

        return fitted
    if stage == "tiers":
        leveller = Leveller(model, args.settings)
        counts = [leveller.main, *leveller.gains]

        def levelled():
            material = data.draw(run.rngs(batch))
            steps = counts[int(run.step_rng().integers(len(counts)))]
            return leveller.loss(material, noise_like(material.x0, run.rngs(batch, 2)), steps)

        return levelled
    weights, look_ahead = component_weights().to(args.device), args.settings["bidirectional"]

    def flow():
        rngs = run.rngs(batch)
        material = data.draw(rngs)
        return flow_loss(model, material.x0, material.audio, rngs, weights, look_ahead, stage != "warmup")

    return flow


if __name__ == "__main__":
    main()
