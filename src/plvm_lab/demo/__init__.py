"""A first look at everything: people enrolled, pictures talked about, every answer held against the truth."""
