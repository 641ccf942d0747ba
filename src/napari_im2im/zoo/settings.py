"""Where the zoo is on the web, and how long to wait for it."""

from __future__ import annotations

from pydantic import PositiveFloat
from pydantic_settings import BaseSettings, SettingsConfigDict

INDEX_URL = "https://bioimage-io.github.io/collection/index.json"
"""The index of the BioImage Model Zoo."""


class ZooSettings(BaseSettings):
    """Settings of the zoo, each also an environment variable.

    ``NAPARI_IM2IM_ZOO_INDEX_URL`` sets ``index_url``, and so on.
    """

    model_config = SettingsConfigDict(env_prefix="NAPARI_IM2IM_ZOO_", extra="ignore")

    index_url: str = INDEX_URL
    """Address of the list of models; the reports lie beside it."""

    records_url: str = "https://zenodo.org/api/records"
    """Address of the archive that a Zenodo DOI names a record of."""

    timeout: PositiveFloat = 10.0
    """Seconds to wait for a connection, and for each next piece of an answer."""

    deadline: PositiveFloat = 60.0
    """Seconds that the whole of a list, description or cover may take."""
