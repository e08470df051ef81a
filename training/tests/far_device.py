"""A second device without one: tensors that say they are elsewhere, compute on the CPU, and refuse to meet tensors that are not there.

What a GPU would refuse (an operation on tensors of two devices, NumPy on a tensor that is elsewhere) fails here too, and what remains has the CPU's values,
so a training step "there" can be compared number by number with one here. Nothing about a GPU's speed or rounding follows from it.
"""
from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils._python_dispatch import TorchDispatchMode

FAR = torch.device("meta")


class FarTensor(torch.Tensor):
    """A tensor that lies on FAR; `here` holds its numbers."""

    @staticmethod
    def __new__(cls, here):
        made = torch.Tensor._make_wrapper_subclass(
            cls, here.shape, strides=here.stride(), storage_offset=here.storage_offset(), dtype=here.dtype, device=FAR, requires_grad=False)
        made.here = here
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, operator, types, given=(), options=None):
        return dispatch(operator, given, options or {})


@contextmanager
def far_device():
    """Within it, tensors made with device=FAR are FarTensors."""
    with FromNumbers(), Operators():
        yield


class Operators(TorchDispatchMode):
    def __torch_dispatch__(self, operator, types, given=(), options=None):
        return dispatch(operator, given, options or {})


class FromNumbers(TorchFunctionMode):
    """torch.tensor and Tensor.new_tensor build their tensor before any operator is dispatched."""

    def __torch_function__(self, function, types, given=(), options=None):
        options = dict(options or {})
        if function is torch.tensor and options.get("device") == FAR:
            return torch.tensor(*given, **{**options, "device": torch.device("cpu")}).to(FAR)
        if function is torch.Tensor.new_tensor and isinstance(given[0], FarTensor):
            return torch.tensor(given[1], dtype=options.get("dtype", given[0].dtype)).to(FAR)
        return function(*given, **options)


def dispatch(operator, given, options):
    name, target = operator.overloadpacket.__name__, options.get("device")
    tensors = [z for z in tree_flatten((given, options))[0] if isinstance(z, torch.Tensor)]
    far = [z for z in tensors if isinstance(z, FarTensor)]
    # copies may cross, and a single number may stay on the CPU
    crossing = name in ("_to_copy", "copy_") or all(z.dim() == 0 for z in tensors if not isinstance(z, FarTensor))
    if far and not crossing:
        raise RuntimeError(f"{name}: tensors on two devices")
    there = target == FAR if target is not None else bool(far)
    if target is not None:
        options = {**options, "device": torch.device("cpu")}
    here = tree_map(lambda z: z.here if isinstance(z, FarTensor) else z, (tuple(given), options))
    made = operator(*here[0], **here[1])
    if name.endswith("_") and not name.startswith("_"):
        return given[0]
    return tree_map(lambda z: FarTensor(z) if there and isinstance(z, torch.Tensor) else z, made)
