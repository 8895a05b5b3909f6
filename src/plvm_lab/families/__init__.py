"""How the shipped mini family and the small encoders of Table 4 are made."""
