"""Networks that learn from a second one which tells their images from real ones."""
