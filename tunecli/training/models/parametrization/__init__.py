"""The maximal update parametrization: initial weights and learning rates that follow the width."""
