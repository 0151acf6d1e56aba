"""The command line of Clearway."""
