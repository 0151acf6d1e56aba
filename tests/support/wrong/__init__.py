"""Tables of invalid requests for each RPC, with the expected errors."""
