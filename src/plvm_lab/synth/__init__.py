"""Datasets of people: generators of pictures, filters, questions, and the pipeline that makes shards of them."""
