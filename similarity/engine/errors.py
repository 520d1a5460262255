"""What can go wrong in the engine, in words that a person can act on."""

from __future__ import annotations

from typing import ClassVar


class EngineError(Exception):
    """Base of every error that the engine raises on purpose.

    `code` is stable and for programs; the message is a sentence for a person.
    """

    code: ClassVar[str] = "engine_error"


class UnknownBackend(EngineError):
    """A name that no backend of that kind has."""

    code = "unknown_backend"


class MissingWeights(EngineError):
    """A model is configured and its weights are not there."""

    code = "missing_weights"


class WrongWeights(EngineError):
    """A weights file is there and does not fit the model."""

    code = "wrong_weights"


class BadImage(EngineError):
    """The bytes of an upload are not a picture that we take.

    The code differs by cause, so it is the instance's: `not_an_image`, `file_too_large`, ...
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]


class FetchRefused(EngineError):
    """An address that we do not fetch from, or that did not give a picture."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]


class BrokenBuild(EngineError):
    """An index build on disk that is incomplete, damaged or of another shape than it says."""

    code = "broken_build"


class BuildInProgress(EngineError):
    """Another process is building an index for the same embedder."""

    code = "build_in_progress"


class IndexUnavailable(EngineError):
    """The service that holds the vectors does not answer, or refuses."""

    code = "index_unavailable"


class NothingServes(IndexUnavailable):
    """The service answers, and has no collection to search in yet."""


class BadDataset(EngineError):
    """Labelled photos that cannot be read, or are not laid out as they should be."""

    code = "bad_dataset"


class UnknownWeights(EngineError):
    """A name that no model of the catalogue has."""

    code = "unknown_weights"


class DownloadFailed(EngineError):
    """A file of weights that could not be fetched, or is not what it should be."""

    code = "download_failed"
