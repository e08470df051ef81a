"""Where training computes: `--device cpu` (default), `cuda`, `cuda:1`, `mps`. Data is made and read on the CPU; batches and networks move there."""
import torch


def add_device(parser):
    parser.add_argument("--device", default="cpu", type=torch.device, help="cpu, cuda, cuda:1, ...; default: cpu")


def require(device):
    """The device, once a tensor was put on it; ends the program with what to do when that is not possible."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SystemExit(f"--device {device}: {str(error).splitlines()[0]}. Leave --device out to train on the CPU.") from error
    return device
