"""What a training leaves: its folder, package, record and report."""
