"""Who is there: evidence for everyone who is enrolled, and yes, no or unsure from it."""
