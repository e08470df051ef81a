"""How far a training run is: by steps, or by CPU time of its process, which a shared machine does not stretch as it does wall time."""

from __future__ import annotations

import math
import time


class Budget:
    """`steps` or, where given, `cpu_seconds`, of which `spent` were spent by the runs that this one continues.

    The time of all threads of this process counts, evaluations too; what another device computes does not.
    """

    def __init__(self, steps: int, cpu_seconds: float | None = None, spent: float = 0.0) -> None:
        if cpu_seconds is not None and not (math.isfinite(cpu_seconds) and cpu_seconds > 0):
            raise ValueError(f"a budget needs CPU seconds above 0, not {cpu_seconds}")
        self.steps, self.cpu_seconds = steps, cpu_seconds
        self.started = time.process_time() - spent

    def spent(self) -> float:
        """CPU seconds so far."""
        return time.process_time() - self.started

    def done(self, step: int) -> float:
        """0 at the start, 1 or more at the end."""
        return step / self.steps if self.cpu_seconds is None else self.spent() / self.cpu_seconds
