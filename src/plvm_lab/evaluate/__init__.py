"""Measuring systems: what is asked (`benchmark_scenes`, `portraits_benchmark`, `photo_benchmark`, `faces_benchmark`), how
(`protocols`, `controls`, `harness`), and what comes of it (`figures`, `metrics`, `runner`)."""
