"""Where tiles lie, and what that needs to know of a network."""
