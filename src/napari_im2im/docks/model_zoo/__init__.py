"""The Model Zoo dock."""
