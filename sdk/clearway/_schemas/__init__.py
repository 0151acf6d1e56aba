"""Parts of the public module ``schemas``; may import ``states`` and below."""
