"""Training of an Aligner: settings, tasks, batches, the step, the loss and the loop."""
