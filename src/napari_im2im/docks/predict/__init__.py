"""The Predict dock."""
