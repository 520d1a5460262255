"""Pictures in an object store that speaks S3: Amazon's, MinIO, Ceph and others."""

from __future__ import annotations

import datetime as dt
from http import HTTPStatus
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from storages.backends.s3 import S3Storage

CONNECT_SECONDS, READ_SECONDS = 5, 30
"""How long a store may take to answer before it is asked again."""

TRIES = 3

IN_MEMORY = 2**20
"""Bytes of a file that a reader holds in memory; a larger one goes to the disk meanwhile."""


class ObjectStorage(S3Storage):  # type: ignore[misc]  # the library has no types
    """As S3 stores them: whole or not at all, and read from any machine.

    Stored names are random, or follow from such a name: one that is taken is written again.
    Nobody but us reads them: pictures are shown by our own addresses, with their permissions.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            client_config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"max_attempts": TRIES, "mode": "standard"},
                # What other makers' stores understand as well.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                signature_version="s3v4",
                s3={"addressing_style": "path" if options.get("endpoint_url") else "auto"},
            ),
            file_overwrite=True,
            default_acl=None,
            max_memory_size=IN_MEMORY,
            **options,
        )

    def get_modified_time(self, name: str) -> dt.datetime:
        """Raises FileNotFoundError, as reading does."""
        try:
            changed: dt.datetime = super().get_modified_time(name)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.NOT_FOUND:
                raise FileNotFoundError(name) from error
            raise
        return changed
