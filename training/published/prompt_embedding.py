"""Writes the embedding of a prompt for `talkmesh models import livetalk`: the last hidden states of umT5-XXL for its tokens, then zeros.

    /usr/bin/python3 -m published.prompt_embedding --model google/umt5-xxl --prompt "A person speaks to the camera." --out prompt.safetensors

Needs PyTorch, transformers 4.36.2 and sentencepiece. --model is a folder, or a name that transformers fetches (11 GB of encoder in bfloat16, more to load).
The text is prepared, and the embedding padded, as in wan/modules/t5.py and tokenizers.py (Wan-Video/Wan2.1 9737cba). NOT RUN WITH THE REAL WEIGHTS: they were
not at hand. It ran with a network of random weights and 24 values a token.
"""
import argparse
import html
import re
from pathlib import Path

import torch

from talkmesh_nano.export.safetensors import write_safetensors

TOKENS = 512


def clean(text):
    return re.sub(r"\s+", " ", html.unescape(html.unescape(text))).strip()


@torch.no_grad()
def embed(tokenizer, encoder, prompt, tokens=TOKENS):
    """[tokens, width] float32: zeros after the tokens of the prompt."""
    ids = tokenizer(clean(prompt), return_tensors="pt", truncation=True, max_length=tokens)
    states = encoder(input_ids=ids.input_ids, attention_mask=ids.attention_mask).last_hidden_state[0].float()
    padded = torch.zeros(tokens, states.shape[1])
    padded[: states.shape[0]] = states
    return padded


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    options = parser.parse_args()
    from transformers import AutoTokenizer, UMT5EncoderModel

    tokenizer = AutoTokenizer.from_pretrained(options.model)
    encoder = UMT5EncoderModel.from_pretrained(options.model, torch_dtype=getattr(torch, options.dtype)).eval()
    embedding = embed(tokenizer, encoder, options.prompt)
    if not torch.isfinite(embedding).all():
        raise SystemExit("the embedding has numbers that are not finite; try --dtype float32")
    write_safetensors(options.out, {"prompt_embeds": embedding.numpy()}, {"prompt": options.prompt, "model": options.model})
    print(f"{options.out}: {tuple(embedding.shape)}")


if __name__ == "__main__":
    main()
