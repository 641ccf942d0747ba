"""Measuring predictions against the truth."""
