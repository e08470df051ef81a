"""What several tests share."""

from __future__ import annotations

import tempfile
import unittest
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch

from talkmesh_nano.motion.rig import INDEX, NEUTRAL


def changed(**numbers: float) -> np.ndarray:
    """The neutral rig row with other values for the named numbers."""
    rig = NEUTRAL.copy()
    for name, value in numbers.items():
        rig[INDEX[name]] = value
    return rig


class SmokeDataCase(unittest.TestCase):
    """Tests on the held-out shard and one shard of a smoke configuration, `cls.config`, in a temporary folder."""

    smoke: ClassVar[Callable[[str], Any]]
    write_shard: ClassVar[Callable[[Any, int], object]]

    @classmethod
    def setUpClass(cls) -> None:
        torch.set_num_threads(1)
        cls.temporary = tempfile.TemporaryDirectory()
        cls.config = cls.smoke(cls.temporary.name)
        for shard in (-1, 0):
            cls.write_shard(cls.config, shard)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.temporary.cleanup()
