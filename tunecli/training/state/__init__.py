"""The state of training: checkpoints, random numbers, memory."""
