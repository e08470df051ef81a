"""Rebuilds the decoder's checkpoints from a model folder: python3 -m talkmesh_nano.decoder.restore --model ../models/nano [--config FILE].

Writes checkpoint_mouth.pt, checkpoint_eyes.pt and checkpoint_flow.pt into the configured folder, for `decoder.train --init` or
`--resume` (from step 0) and for `decoder.export`, `evaluate.decoder` and `pixel_encoder.train`. Large weights ship as float16 and come back as such.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from ..export.onnx_files import stored_weights
from .config import DecoderConfig, load
from .export import fresh_nets
from .train import make_optimizer

CODE, FEATURES = "Resize", "DepthToSpace"
"""What makes the moving inputs of `enter` and of `join`, the two convolutions of which each graph holds a half."""


def named_weights(graph: onnx.GraphProto) -> dict[str, Tensor]:
    """Parameters of one graph under the networks' own names, and the halves of split ones under `<name>/reference` and `<name>/motion`.

    The exporter keeps a parameter's name unless it folded something into it. Nodes are in the order of the code, so the owner of an unnamed
    weight follows from its node, by its named neighbours and by where its input comes from. Raises ValueError when it does not.
    """
    values = {name: torch.tensor(array) for name, array in stored_weights(graph).items()}
    makers = {output: node.op_type for node in graph.node for output in node.output}
    found = {name: value for name, value in values.items() if name.partition(".")[0] in ("mouth", "eyes", "flow")}
    last = ""
    for node in graph.node:
        unnamed = [values[name] for name in node.input if name.startswith("onnx::") and name in values]
        named = [name for name in node.input if name in found]
        if unnamed and node.op_type in ("Conv", "Mul", "Add"):
            found.update(_resolved(node, unnamed, named, last, makers))
        last = named[-1] if named else last
    return found


def _resolved(node: onnx.NodeProto, unnamed: list[Tensor], named: list[str], last: str, makers: dict[str, str]) -> dict[str, Tensor]:
    """The parameters in a node's unnamed weights; `named` are its other weights, `last` is the named weight used before it."""
    net = last.partition(".")[0]
    if node.op_type in ("Mul", "Add"):
        # the normalisation comes right after the style of its block, and ends in scale and shift
        block = last.rpartition(".style.")[0]
        return {f"{block}.norm.{'weight' if node.op_type == 'Mul' else 'bias'}": unnamed[0].flatten()}
    if len(unnamed) == 2:
        sizes = [len(unnamed[0]) - 1, 1]
        (leave, gain), (leave_bias, gain_bias) = (tensor.split(sizes) for tensor in unnamed)
        return {f"{net}.leave.weight": leave, f"{net}.gain.weight": gain, f"{net}.leave.bias": leave_bias, f"{net}.gain.bias": gain_bias}
    if named:
        return {f"{named[0].removesuffix('.bias')}.weight/reference": unnamed[0]}
    half = {CODE: "enter", FEATURES: "join"}.get(makers.get(node.input[0], ""))
    if half is None:
        raise ValueError(f"{node.name}: its weights match no layer of this decoder; restore from a graph that decoder/export.py wrote")
    return {f"{net}.{half}.weight/motion": unnamed[0]}


def joined_halves(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Split convolutions made whole: `enter` takes the reference's channels first, `join` last."""
    whole = {name: value for name, value in weights.items() if "/" not in name}
    for name in {name.partition("/")[0] for name in weights if "/" in name}:
        halves = [weights.get(f"{name}/{part}") for part in (("reference", "motion") if ".enter." in name else ("motion", "reference"))]
        if None in halves:
            raise ValueError(f"{name}: only one of its halves was found")
        whole[name] = torch.cat(halves, 1)  # type: ignore[arg-type]
    return whole


def restored_nets(config: DecoderConfig, model: Path) -> dict[str, nn.Module]:
    """Mouth, eyes and flow with the weights of a model folder's reference.onnx and decoder.onnx.

    Raises ValueError when the files hold too little, too much or another size of network than configured.
    """
    weights: dict[str, Tensor] = {}
    for file in ("reference.onnx", "decoder.onnx"):
        weights.update(named_weights(onnx.load(str(model / file)).graph))
    weights = joined_halves(weights)
    nets = fresh_nets(config)
    wanted = {f"{net}.{name}": value.shape for net, module in nets.items() for name, value in module.state_dict().items()}
    wrong = sorted({*wanted} ^ {*weights}) + [name for name in wanted if name in weights and weights[name].shape != wanted[name]]
    if wrong:
        raise ValueError(f"{model} does not hold the configured networks: {', '.join(wrong)}")
    for net, module in nets.items():
        module.load_state_dict({name.removeprefix(f"{net}."): value for name, value in weights.items() if name.startswith(f"{net}.")})
    return nets


def write_checkpoints(config: DecoderConfig, model: Path) -> list[Path]:
    """One checkpoint a stage, at step 0 with a fresh optimiser. Raises FileExistsError rather than replace one."""
    paths = {name: Path(config.folder) / config.checkpoint(name).name for name in ("mouth", "eyes", "flow")}
    for path in paths.values():
        if path.exists():
            raise FileExistsError(f"{path} exists; move it away, or name another folder in the configuration")
    for name, net in restored_nets(config, model).items():
        paths[name].parent.mkdir(parents=True, exist_ok=True)
        optimizer = make_optimizer(net, getattr(config, name).rate)
        torch.save({"net": net.state_dict(), "average": net.state_dict(), "optimizer": optimizer.state_dict(), "step": 0, "curve": []}, paths[name])
    return [*paths.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="folder of the model, for example ../models/nano")
    parser.add_argument("--config", help="JSON overrides of the defaults")
    args = parser.parse_args()
    for path in write_checkpoints(load(args.config), Path(args.model)):
        print(path)


if __name__ == "__main__":
    main()
