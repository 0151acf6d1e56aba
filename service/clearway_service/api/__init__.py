"""The API: RPCs convert, call, convert: may import engine, result_files and below, no rule and no SQL."""
