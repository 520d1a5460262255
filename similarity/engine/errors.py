"""What can go wrong in the engine, in words that a person can act on."""

from __future__ import annotations

from typing import Any, ClassVar


def gettext_noop(sentence: str) -> str:
    """Marks a sentence for translators: whoever shows it looks up what they have made of it."""
    return sentence


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


class Unacceptable(EngineError):
    """What somebody has sent cannot be taken. They are told why, in their language.

    `sentence` is the English one, with a name in braces for each of `values`; the exception's text
    has them filled in. The code differs by cause, so it is the instance's.
    """

    def __init__(self, code: str, sentence: str, **values: Any) -> None:
        whole = {name: _english(value) for name, value in values.items()}
        super().__init__(sentence.format(**whole))
        self.code = code  # type: ignore[misc]
        self.sentence = sentence
        self.values = values


def _english(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


class BadImage(Unacceptable):
    """The bytes of an upload are no picture that we take: `not_an_image`, `file_too_large`, ..."""


class FetchRefused(Unacceptable):
    """An address that we do not fetch from, or that did not give a picture."""


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
