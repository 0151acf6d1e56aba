"""The pure core: turns facts into decisions without I/O, clock or randomness. May import texts only."""
