"""The pure core turns facts into decisions without I/O, clock or randomness: may import texts only."""
