"""The laboratory: how the shipped families were made, and how everything was measured. `plvm` knows nothing of it."""
