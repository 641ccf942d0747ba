"""From what a network says about objects to a label for each of them."""
