"""Concepts on disk: SQLite by path, any other SQLAlchemy database by URL."""

from plvm.store.store import ConceptStore

__all__ = ["ConceptStore"]
