"""Make one optimizer step: batches, loss, precision, schedule, and averaging of weights."""
