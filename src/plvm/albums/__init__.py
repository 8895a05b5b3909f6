"""The people whom a photo app or a home camera knows already, brought into a concept store and kept in step with it."""
