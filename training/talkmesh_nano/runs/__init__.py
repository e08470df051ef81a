"""How a training run goes: arguments, devices, ranks, budgets, curves and checkpoints."""
