"""What happens to pixels before and behind the network."""
