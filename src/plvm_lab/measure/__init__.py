"""What things cost: parameters and memory, time, and what shared prefixes save in training."""
