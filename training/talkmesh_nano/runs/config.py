"""Configurations as dataclasses with JSON overrides, and the command lines that the stages with such a configuration share."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from .device import add_device, require


def override(target: Any, values: dict[str, Any], where: str = "") -> None:
    """Sets fields of a dataclass, nested ones by nested objects. Raises ValueError for settings that do not exist."""
    known = {item.name for item in fields(target)}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"unknown setting {where}{name}; known: {', '.join(sorted(known))}")
        if isinstance(value, dict):
            override(getattr(target, name), value, f"{where}{name}.")
        else:
            setattr(target, name, value)


def overridden(config: Any, path: str | Path | None) -> Any:
    """`config` with the overrides of a JSON file, if one is given. Raises ValueError for settings that do not exist."""
    if path is not None:
        override(config, json.loads(Path(path).read_text()))
    return config


def config_parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", help="JSON overrides of the defaults")
    return parser


def write_shards(description: str | None, load: Callable[[str | None], Any], write_shard: Callable[[Any, int], object]) -> None:
    """The command line that draws a configuration's shards and prints what each took."""
    parser = config_parser(description)
    parser.add_argument("--first", type=int, default=-1, help="first shard; -1 is the held-out one")
    parser.add_argument("--count", type=int, help="how many shards; all by default")
    args = parser.parse_args()
    config = load(args.config)
    torch.set_num_threads(config.threads)
    stop = config.shards if args.count is None else args.first + args.count
    for shard in range(args.first, stop):
        started = time.time()
        write_shard(config, shard)
        print(f"shard {shard} in {config.folder}: {time.time() - started:.0f} s", flush=True)


def training_arguments(
    parser: argparse.ArgumentParser, load: Callable[[str | None], Any], run_smoke: Callable[[torch.device], None]
) -> tuple[argparse.Namespace, Any, torch.device]:
    """(arguments, configuration, device) of a training command. With --smoke it runs the smoke test instead and exits."""
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the configured folder")
    parser.add_argument("--smoke", action="store_true", help="a few steps on little data, to see that everything runs")
    add_device(parser)
    args = parser.parse_args()
    config, device = load(args.config), require(args.device)
    torch.set_num_threads(config.threads)
    if args.smoke:
        run_smoke(device)
        raise SystemExit(0)
    return args, config, device
