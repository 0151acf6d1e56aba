"""The RPCs: convert, call, convert. No rule lives here, and no SQL."""
