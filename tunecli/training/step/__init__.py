"""One optimizer step: batches, loss, precision, schedule, and the weights' average."""
