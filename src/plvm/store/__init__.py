"""Concepts on disk: SQLite by path, PostgreSQL by URL."""

from plvm.store.store import ConceptStore

__all__ = ["ConceptStore"]
