"""What a state is made of, and how its result is read: may import ``results`` and what is below it."""
