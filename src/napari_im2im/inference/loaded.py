"""A model that is loaded once, for one prediction or for many."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Self

    import numpy as np

    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.models.package import ModelPackage
    from napari_im2im.models.runtimes import Runtime


class LoadedModel:
    """A package in the engines that run it, each loaded when it is first needed.

    Parameters
    ----------
    package
        The model.
    config
        Engine, device and precision to run it with.
    trusted
        sha256 of the code that the user agreed to run.
    """

    def __init__(
        self,
        package: ModelPackage,
        config: PredictConfig,
        trusted: Collection[str] = (),
    ) -> None:
        from napari_im2im.models.custom_steps import load_custom_steps

        self.package = load_custom_steps(package, trusted=trusted)
        self.config = config
        self._trusted = trusted
        self._loaded: dict[tuple[str, str], Runtime] = {}
        self.paces: dict[tuple[int, ...], float | None] = {}
        """Seconds of a tile by its shape, as far as a forecast has timed one."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def runtime(self, engine: str | None = None) -> Runtime:
        """Return what runs the model.

        Parameters
        ----------
        engine
            Name of the engine; default: that of the config.

        Raises
        ------
        ModelError
            If it can't be loaded; `TrustError` if it needs code nobody agreed to.
        """
        return self._load(engine or self.config.engine, self.config.precision)

    @property
    def measuring(self) -> Callable[[Sequence[np.ndarray | None]], list[np.ndarray]]:
        """The model in float32: rounding would look as if all depended on all."""

        def measure(inputs: Sequence[np.ndarray | None]) -> list[np.ndarray]:
            return self._load("auto", "float32")(inputs)

        return measure

    def close(self) -> None:
        """Free the memory."""
        for runtime in self._loaded.values():
            runtime.close()
        self._loaded.clear()

    def _load(self, engine: str, precision: str) -> Runtime:
        from napari_im2im.inference.reproduction import reproduces
        from napari_im2im.models.runtimes import load_runtime
        from napari_im2im.models.runtimes.runtime import CompilableRuntime

        key = engine, precision
        if key not in self._loaded:
            runtime = load_runtime(
                self.package,
                engine=engine,
                device=self.config.device,
                precision=precision,
                trusted=self._trusted,
                check=partial(reproduces, self.package),
            )
            if self.config.compile and isinstance(runtime, CompilableRuntime):
                runtime.compile()
            self._loaded[key] = runtime
        return self._loaded[key]
