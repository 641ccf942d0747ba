"""Which images a training learns from, and how patches are drawn from them."""
