"""Times one chunk in PyTorch on one thread: python3 -m talkmesh_nano.evaluate.bench_torch --model ../models/nano [--repeats N]; JSON on stdout.

The same networks as the services run (sizes from score.json and the decoder's configuration): audio encoder, all denoising steps with full contexts, decoder with
pasting and warp. Weights are random, since time does not depend on them. `npm run bench -- score-training` prints it beside ONNX Runtime in the same run.
"""
import argparse
import json
import time
from pathlib import Path

import torch

from ..decoder.config import load
from ..decoder.export import build_graphs
from ..decoder.graph import REFERENCE_OUTPUTS, decode_chunk
from ..score.audio_encoder import AudioEncoder, AudioGraph
from ..score.model import Score, ScoreConfig
from ..sizes import HISTORY_SAMPLES, chunk_samples

WARM_UP = 4


def times_ms(run, repeats):
    out = []
    for _ in range(repeats + WARM_UP):
        begin = time.perf_counter()
        run()
        out.append((time.perf_counter() - begin) * 1e3)
    return out[WARM_UP:]


def chunk_of_score(facts):
    """The function that makes one chunk's latents as the score service does: audio encoder, then every step of the schedule."""
    sizes, schedule, frames = facts["score"]["dit"], facts["score"]["schedule"], facts["chunk"]["latentFrames"]
    model = Score(ScoreConfig(frames=frames, dim=sizes["dim"], layers=sizes["layers"], heads=sizes["heads"], mlp=sizes["mlp"])).eval()
    encoder = AudioGraph(AudioEncoder().eval())
    pcm, context = torch.randn(HISTORY_SAMPLES + chunk_samples(frames)) * 0.1, torch.randn(sizes["layers"], 2 * model.config.tokens, sizes["dim"])
    modulation = [model.time(torch.tensor([t]))[0] for t in schedule]

    def run():
        tokens, x = encoder(pcm), torch.randn(frames, 8, 2, 2)
        for t, after, embedding in zip(schedule, [*schedule[1:], 0.0], modulation):
            x = x + (after - t) * model.step(x, embedding, tokens, context, context)[0]
        return x

    return run


def chunk_of_decoder(facts):
    """The function that makes one chunk's frames."""
    reference, decoder = build_graphs(load(None), trained=False, latent_frames=facts["chunk"]["latentFrames"])
    landmarks = torch.tensor([[128.0, 170.0], [100.0, 121.0], [156.0, 121.0]])
    c0, *rest = reference(torch.randint(0, 256, (256, 256, 3), dtype=torch.uint8), landmarks)
    latent, state = torch.randn(c0.shape), torch.zeros(9, 2, 2)
    assert len(rest) == len(REFERENCE_OUTPUTS)
    return lambda: decode_chunk(decoder, latent, state, tuple(rest))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--repeats", type=int, default=40)
    args = parser.parse_args()
    torch.set_num_threads(1)
    facts = json.loads((Path(args.model) / "score.json").read_text())
    with torch.no_grad():
        report = {"score_ms": times_ms(chunk_of_score(facts), args.repeats), "decode_ms": times_ms(chunk_of_decoder(facts), args.repeats)}
    print(json.dumps({**report, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
