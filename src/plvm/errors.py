"""Errors that say what to do next: `message` is what was wrong and what was found, `hint` is the next step."""

from __future__ import annotations


class PlvmError(Exception):
    """The base of every error a user can cause or meet. The CLI prints both lines and exits with code 2."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    @property
    def line(self) -> str:
        """Both on one line, for lists of what was left out."""
        return f"{self.message} {self.hint}".strip()


class ImageError(PlvmError):
    """A picture cannot be used."""


class ConceptNameError(PlvmError):
    """A concept name cannot be used."""


class DuplicateConceptError(ConceptNameError):
    """A name is taken by another concept of the same namespace."""


class UnknownConceptError(PlvmError):
    """A name in a question or command belongs to no concept at hand."""


class StoreError(PlvmError):
    """The concept store, or a file exported from one, is damaged, locked, unreachable or of another version."""


class DamagedStoreError(StoreError):
    """The file of a concept store is damaged as a whole, so that it has to be repaired before anything in it is used."""


class AlignerMismatchError(PlvmError):
    """A concept was made by another Aligner than the one in use."""


class CheckpointError(PlvmError):
    """A model folder is missing something, damaged or of another version."""


class EngineError(PlvmError):
    """The server that computes answers for us is out of reach, refuses, or says what nobody can read."""


class RequestError(PlvmError):
    """A request asks for what cannot be done: a wrong parameter, too long a prompt, no image where one is needed."""
