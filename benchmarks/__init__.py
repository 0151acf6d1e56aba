"""Benchmarks: measures each figure together with the bare limit it is compared to, in the same run."""
