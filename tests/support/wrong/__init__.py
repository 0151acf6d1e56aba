"""Tables of wrong requests, for each RPC, and what is to be said about each."""
