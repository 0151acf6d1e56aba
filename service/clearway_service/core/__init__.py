"""The pure core: facts in, decisions out. Nothing here does I/O, reads a clock or draws a number."""
