"""The engine: decides proposals, one transaction per turn. May import store, core and below."""
