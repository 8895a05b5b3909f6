"""Concepts, picture and turns as one sequence of token ids, and the extra rows that concepts are in it."""
