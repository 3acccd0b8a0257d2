"""What a finished run is for: recommendations for users of the next period, and weights for other programs."""
