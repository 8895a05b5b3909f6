"""Captions with the names of known people, in files beside the pictures they are about."""
