"""wav2vec 2.0 as LiveTalk runs it (GAIR-NLP/LiveTalk, utils/Omniavatarpatch/wav2vec.py, over transformers 4.36.2) at small sizes."""
import importlib.util

import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor

from .livetalk import COMMIT, REPOSITORY  # noqa: F401
from .seeded import fill, noise

FRAMES, SAMPLES_PER_FRAME = 29, 1000
SEED = {"weights": 41, "inputs": 42}
SIZES = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64, "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}


def run(source):
    spec = importlib.util.spec_from_file_location("wav2vec", source / "utils" / "Omniavatarpatch" / "wav2vec.py")
    published = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(published)
    model = fill(published.Wav2VecModel(Wav2Vec2Config(**SIZES)), SEED["weights"])
    pcm = noise(SEED["inputs"], 0, 0, FRAMES * SAMPLES_PER_FRAME) * 0.1 + 0.02
    values = Wav2Vec2FeatureExtractor(do_normalize=True)(pcm, sampling_rate=16000).input_values[0]
    with torch.no_grad():
        found = model(torch.from_numpy(values)[None], seq_len=FRAMES, output_hidden_states=True)
    hidden = torch.cat([found.last_hidden_state, *found.hidden_states], -1)
    return {"hidden": hidden[0].numpy()}
