"""What training keeps to resume exactly: checkpoints, random state, memory."""
