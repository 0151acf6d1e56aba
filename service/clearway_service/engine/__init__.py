"""The engine decides about runs, in one transaction for each turn: may import store, core and below."""
