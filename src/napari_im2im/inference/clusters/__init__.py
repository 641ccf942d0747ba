"""Predictions shared by the processes of a cluster."""
