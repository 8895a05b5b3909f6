"""Backbones that a vLLM server runs: prompts go there as rows of numbers and pictures, answers come back as text."""
