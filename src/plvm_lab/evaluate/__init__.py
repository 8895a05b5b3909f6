"""Measuring systems: what is asked (`datasets`, `questionnaire`, `crowds`), how (`protocols`, `controls`), and what
comes of it (`metrics`, `runner`)."""
