"""The engine decides proposals, one transaction per turn: may import store, core and below."""
