"""Pre-trains the audio encoder on mouth shapes.

python -m talkmesh_nano.score.train_audio --data DIR --out DIR [--config configs/encoder.json] [--seconds N] [--resume] [--smoke]
"""
import numpy as np
import torch
import torch.nn.functional as F

from ..dataset.cache import Cache
from ..runs.run import Run, arguments, load_weights
from ..sizes import CHUNK_FRAMES
from .audio_encoder import AudioEncoder

CLOSURE, SILENCE = 4.0, 1.0


def loss_of(encoder, pcm, mouth, flags, closure=CLOSURE, silence=SILENCE):
    """The loss of windows of audio: pcm [B, S], mouth [B, F, 4], flags [B, F]; weights as in `loss_of_tokens`."""
    device = encoder.stem.weight.device
    return loss_of_tokens(encoder, encoder(torch.from_numpy(pcm).to(device)), mouth, flags, closure, silence)


def loss_of_tokens(encoder, tokens, mouth, flags, closure=CLOSURE, silence=SILENCE):
    """Weighted L1 on mouth shape plus the two logits; frames of the window's history count a third.

    In frames of m, b and p the opening weighs `closure` times as much, and whether the lips are closed counts more than whether it is silent: a mouth
    that stays open there is what a viewer sees first, and those frames are one in eighteen. In silent frames it weighs `silence` times as much: breaths
    of people sound like speech.
    """
    shape, closed, silent = encoder.read(tokens)
    mouth, flags = (torch.from_numpy(a).to(tokens.device) for a in (mouth, flags))
    weight = torch.full_like(closed, 0.33)
    weight[:, -CHUNK_FRAMES:] = 1.0
    scale = closed.new_tensor([2.0, 1.0, 1.0, 0.7]).expand(*closed.shape, 4).clone()
    scale[..., 0] *= 1 + (closure - 1) * (flags & 1) + (silence - 1) * (flags // 2)
    error = ((shape - mouth).abs() * scale).mean(-1)
    bce = F.binary_cross_entropy_with_logits
    flag = 4 * bce(closed, (flags & 1).float(), reduction="none") + bce(silent, (flags // 2).float(), reduction="none")
    return ((error + 0.05 * flag) * weight).mean() / weight.mean()


def correlations(encoder, cache, seed=7, batches=12):
    """Held-out Pearson correlation of the four mouth numbers over the chunk's own frames."""
    read, true, device = [], [], encoder.stem.weight.device
    with torch.no_grad():
        for k in range(batches):
            pcm, mouth, _ = cache.windows([np.random.default_rng([seed, k, i]) for i in range(32)])
            read.append(encoder.read(encoder(torch.from_numpy(pcm).to(device)))[0][:, -CHUNK_FRAMES:].cpu().numpy())
            true.append(mouth[:, -CHUNK_FRAMES:])
    read, true = np.concatenate(read).reshape(-1, 4), np.concatenate(true).reshape(-1, 4)
    return [round(float(np.corrcoef(read[:, k], true[:, k])[0, 1]), 4) for k in range(4)]


def main():
    args = arguments(__doc__, "configs/encoder.json")
    cache = Cache(args.data)
    encoder = AudioEncoder()
    if args.init:
        load_weights(encoder, args.init)
    run = Run(args, encoder, encoder.parameters())
    batch = 4 if args.smoke else args.settings["batch"]
    weights = {name: args.settings[name] for name in ("closure", "silence") if name in args.settings}
    while run.running():
        run.update(loss_of(encoder, *cache.windows(run.rngs(batch)), **weights))
        if run.step % 200 == 0:
            cache.refresh()
            run.save()
    run.save()
    encoder.load_state_dict(run.averaged())
    run.log(heldout_correlation=correlations(encoder, Cache(args.data, "test"), batches=1 if args.smoke else 12))


if __name__ == "__main__":
    main()
