"""The files that hold images, one format a file."""
