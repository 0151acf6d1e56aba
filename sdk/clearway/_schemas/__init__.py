"""Parts of what ``schemas`` offers: may import ``states`` and what is below it."""
