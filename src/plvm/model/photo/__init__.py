"""The family of photographs: a pretrained language model with two matching heads, and the reference encoder of faces."""
