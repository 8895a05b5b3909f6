"""The parts of a personal model: the frozen backbone and encoder, and the forms of the Aligner between them."""
