"""What can be learned, one file for each task."""
