"""Training tasks of the laboratory, which `plvm train` finds by entry point."""
