"""How results become bytes, and where these are kept: may import ``_transport`` and what is below it."""
