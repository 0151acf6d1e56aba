"""One run of a flow: may import ``deadlines``, ``shutdown`` and ``inputs``."""
