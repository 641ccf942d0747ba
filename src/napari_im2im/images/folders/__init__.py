"""Which files of a folder belong together."""
