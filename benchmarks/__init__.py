"""Benchmarks: each figure beside the bare limit that it is to be compared with, measured in the same run."""
