"""A training between its steps: one step, one validation, one checkpoint."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_im2im.errors import ConfigError, DataError, ModelError
from napari_im2im.events import (
    Event,
    Message,
    MetricsLogged,
    Preview,
    Progress,
    TrainingFinished,
)
from napari_im2im.training.best import BestModel
from napari_im2im.training.devices import is_out_of_memory
from napari_im2im.training.divergence import worst_patch
from napari_im2im.training.finetuning.adaptation import (
    adapt,
    first_examples,
    first_loss,
)
from napari_im2im.training.schedule import StepPlan
from napari_im2im.training.step_losses import StepLosses, first_that_diverged
from napari_im2im.training.stepping import Stepper
from napari_im2im.training.together import any_process

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from lightning_fabric import Fabric

    from napari_im2im.training.preparation import Preparation
    from napari_im2im.training.runs.folder import RunFolder
    from napari_im2im.training.validation import Evaluation

_logger = logging.getLogger(__name__)

_VALIDATIONS = 30
"""Most validations of a training that is too short for them to cost much."""

_VALIDATION_SHARE = 0.12
"""Part of the time that validating and writing packages may take."""

_FIRST_VALIDATION = 10
"""Latest step of the first one, so that a training stopped early leaves a model."""


class Trainer:
    """A training between two of its steps: what a checkpoint holds, and how to go on.

    Everything random follows from the seed and the number of the step, so a
    training that goes on from a checkpoint does what it would have done.
    """

    def __init__(
        self, preparation: Preparation, run: RunFolder, fabric: Fabric
    ) -> None:
        config = preparation.config
        self.preparation, self.run, self.fabric = preparation, run, fabric
        self.config, self.task = config, preparation.task
        self.validator = preparation.validator(fabric.device)
        crop = self.validator.crops[0].spatial_shape
        self.stepper = Stepper(preparation, fabric, crop)
        self.learner = self.stepper.learner
        self.plan = StepPlan(config.effort, self.stepper.steps_per_epoch)
        self.step = 0
        self.best = BestModel(preparation, run)
        self.next_validation = _FIRST_VALIDATION
        self.reason = ""
        self.losses = StepLosses(self.learner.loss_names, fabric)

    @property
    def epoch(self) -> int:
        """Number of times that as many pixels were seen as there are."""
        return self.step // self.stepper.steps_per_epoch

    def events(self) -> Generator[Event]:
        """Take the steps that are left."""
        started = time.monotonic() - self.plan.elapsed
        if self.step == 0:
            # Whatever ends this process, the run can be resumed.
            self._save()
        try:
            if self.fabric.world_size > 1:
                yield from self._rehearse()
            if self.step == 0 and self.preparation.start is not None:
                yield from self._begin(started)
            while not self.reason:
                if self.plan.finished(self.step):
                    if self.losses:
                        yield from self._validate(started)
                    self.reason = self.reason or "all steps done"
                    break
                yield from self._take_step()
                self.plan.update(self.step, self._elapsed(started))
                yield self._progress()
                if self.losses.enough:
                    yield from self._fetch_losses()
                if self.step >= self.next_validation and not self.reason:
                    yield from self._validate(started)
        except GeneratorExit:
            # Other processes aren't asked any more: they may have stopped elsewhere.
            if first_that_diverged(self.losses.fetch(alone=True)) is None:
                self._save()
            for message in self._complete():
                _logger.warning(message.text)
            raise
        yield replace(self._progress(), activity="Measuring how far the model looks")
        yield from self._complete()
        yield self._finished()

    def _begin(self, started: float) -> Iterator[Event]:
        """Let the model that training starts from be the first best."""
        start, stepper = self.preparation.start, self.stepper
        network = self.learner.network.module
        if self.preparation.adapts and start is not None:
            examples = first_examples(stepper.batches, stepper.parts)
            adapt(network, examples, start.new_head)
            self.learner.restart_average()
        batch = stepper.batches.batch(0)
        self.losses.begin(first_loss(network, batch, stepper.parts, stepper.loss))
        yield from self._validate(started)

    def _take_step(self) -> Iterator[Event]:
        """Learn one batch; with less of it at once where memory is short."""
        self.learner.follow_schedule(self.plan.progress(self.step + 1))
        while True:
            try:
                self.losses.add(self.stepper.learn(self.step))
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if self.fabric.world_size > 1:
                    raise ConfigError(
                        "Memory ran short in one of the processes, and the others wait "
                        f"for it: go on with --resume {self.run.path}, which tries how "
                        "much fits before it begins."
                    ) from error
                yield self._shrink(error)
        self.step += 1

    def _rehearse(self) -> Iterator[Event]:
        """Compute no more at once than fits into the memory of every process."""
        while True:
            short = False
            try:
                self.stepper.rehearse(self.step)
            except (RuntimeError, MemoryError) as error:
                # Kept, it would keep the tensors that it was raised among.
                short = is_out_of_memory(error)
                if not short:
                    raise
            if not any_process(short, self.fabric):
                return
            yield self._shrink()

    def _shrink(self, error: BaseException | None = None) -> Message:
        """Compute less at once from now on."""
        return Message(self.stepper.shrink(error), level="warning")

    def _progress(self) -> Progress:
        return Progress(
            self.step,
            max(self.plan.total or 0, self.step),
            "Training",
            self.plan.seconds_left(self.step),
        )

    def _fetch_losses(self) -> Iterator[Event]:
        first = self.step - self.losses.waiting
        wrong = first_that_diverged(self.losses.fetch())
        if wrong is not None:
            yield self._diverge(first + wrong)
            return
        yield MetricsLogged(self.step, self.epoch, self.losses.recent())

    def _diverge(self, step: int) -> Message:
        """Stop, and keep the patch whose loss was no number."""
        self.reason = "the loss is no number any more"
        weights = self.run.load_checkpoint()["network"]
        batches, loss = self.stepper.batches, self.stepper.loss
        network = self.learner.network.module
        worst = worst_patch(network, weights, batches.batch(step), loss)
        patch = batches.patches(step).patch(worst)
        file = self.run.save_patch(step, patch)
        # Without a model, training ends with an error that says what to do.
        end = "."
        if self.run.package.exists():
            end = f": {self._gentler()}. The best model until then is kept."
        return Message(
            f"The loss became infinite or NaN in step {step + 1}, so training stopped"
            f"{end} The patch with the largest loss in that step is {file}.",
            level="warning",
        )

    def _gentler(self) -> str:
        rate = self.config.optimizer.learning_rate
        return f"try a smaller learning rate than {rate:g}, or another normalisation"

    def _elapsed(self, started: float) -> float:
        """Return the seconds since then, by one clock where several have to agree."""
        elapsed = time.monotonic() - started
        if self.fabric.world_size == 1 or self.config.effort.time_limit is None:
            return elapsed
        return float(self.fabric.broadcast(elapsed))

    def _validate(self, started: float) -> Iterator[Event]:
        """Judge the network, keep it if it is the best, and plan the next time."""
        if self.losses.waiting:
            yield from self._fetch_losses()
            if self.reason:
                return
        # What is loaded or measured once is no part of the cost.
        import_module("bioimageio.spec")
        note = self.best.get_ready(self.learner.kept, self.validator.crops[0].input)
        if note:
            yield Message(note)
        begun = time.monotonic()
        evaluation = self.validator.evaluate(self.learner.judged, self.stepper.loss)
        values = {
            **self.losses.close_interval(),
            "validation_loss": evaluation.loss,
            "learning_rate": self.learner.rate,
            **evaluation.metrics,
        }
        elapsed = time.monotonic() - started
        row = {"step": self.step, "epoch": self.epoch, "seconds": round(elapsed, 1)}
        self.run.append_metrics({**row, **values})
        events: list[Event] = [
            MetricsLogged(self.step, self.epoch, values),
            self._preview(evaluation),
        ]
        score = self.fabric.broadcast(self.best.score(evaluation, self.step))
        self.learner.follow_validation(score)
        improved = self.best.improves(score)
        if improved:
            crop = self.validator.crops[0].input
            kept = self.best.keep(evaluation, self.step, self.learner.kept, crop)
            events.append(kept)
        elif self.best.waited == self.config.effort.patience:
            self.reason = f"no improvement in {self.best.waited} validations"
        self._plan_validation(time.monotonic() - begun, started)
        self._save(best=improved)
        # Told only now, so that whoever stops here stops a training that is whole.
        yield from events

    def _preview(self, evaluation: Evaluation) -> Preview:
        crop = self.validator.crops[0]
        return Preview(
            self.step,
            *self.task.shown(crop.input, crop.target, evaluation.predictions[0]),
            labels=self.task.shows_labels,
            unpaired=self.preparation.others is not None,
        )

    def _plan_validation(self, cost: float, started: float) -> None:
        if self.step == 0:
            return
        elapsed = self._elapsed(started)
        pace = max(1e-6, (elapsed - cost) / self.step)
        regular = (self.plan.total or 0) / _VALIDATIONS
        # Where the number of steps is fixed, a rerun must do the same as a run.
        fixed = self.config.effort.time_limit is None
        least = _FIRST_VALIDATION if fixed else cost / _VALIDATION_SHARE / pace
        interval = math.ceil(max(regular, least))
        interval = self.fabric.broadcast(max(1, interval))
        self.next_validation = self.step + interval

    def _complete(self) -> Iterator[Message]:
        """Let the best model declare its halo; without, it is as good a model."""
        try:
            self.best.complete(self.validator.crops[0].input)
        except ModelError as error:
            yield Message(f"The model declares no halo. {error}", level="warning")

    def _finished(self) -> TrainingFinished:
        self.fabric.barrier()
        if not self.run.package.exists():
            raise DataError(
                f"Training ended without a model ({self.reason}): {self._gentler()}, "
                "and look for extreme values in the images."
            )
        return TrainingFinished(
            self.run.path, self.run.package, self.best.metrics, self.reason
        )

    def _save(self, *, best: bool = False) -> None:
        self.run.save_checkpoint(
            {
                **self.learner.state_dict(),
                "scaling": self._scaling(),
                "step": self.step,
                "elapsed": self.plan.elapsed,
                "total": self.plan.total,
                **self.best.state_dict(),
                "next_validation": self.next_validation,
                "interval_losses": self.losses.interval,
                "patch": self.stepper.patch,
                "parts": self.stepper.parts,
            },
            best=best,
        )

    def _scaling(self) -> list[list[float]]:
        return [*self.preparation.split.fingerprint(), *self.task.fingerprint()]

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        DataError
            If the images aren't those that the run learned from.
        ModelError
            If the checkpoint is of another network.
        """
        if state["scaling"] != self._scaling():
            raise DataError(
                f"These are not the images that {self.run.path.name} learned from: "
                "choose the same ones, or train anew."
            )
        self.learner.load_state_dict(state)
        self.stepper.parts = state["parts"]
        self.stepper.set_patch(state["patch"])
        self.plan.elapsed = state["elapsed"]
        if self.config.effort.time_limit is not None:
            self.plan.total = state["total"]
        self.best.load_state_dict(state)
        self.step, self.next_validation = state["step"], state["next_validation"]
        self.losses.interval = [list(row) for row in state["interval_losses"]]
        self.run.forget_metrics_after(self.step)
        self.run.remove_unfinished()
