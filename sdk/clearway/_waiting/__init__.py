"""How threads and coroutines wait and are interrupted: may import ``context`` and what is below it."""
