"""The format of a dataset for training: what is to be made, its shards and tables, its manifest, and how it is read."""
