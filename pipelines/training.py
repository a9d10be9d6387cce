"""Flow `training`: the DAG of dvc.yaml, one task per stage.

DVC says what there is to do and does it; MLflow and the files say what came out; this flow says
when, and shows it.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import httpx
from prefect import Task, allow_failure, flow, get_run_logger
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from maskmill.protection.outs import check_outs
from maskmill.settings import config
from maskmill.system import exits
from maskmill.system.errors import MaskmillError, few_of
from maskmill.system.files import full_disk_in_words
from maskmill.system.processes import FLOW_GRACE_S, watch_parent
from maskmill.system.repository import check_inside
from maskmill.tracking import lineage
from pipelines import dag, page, registry, summary, workspace
from pipelines.frozen_splits import freeze_after_experiment
from pipelines.repro import Commands

LEASE_S = 60  # a slot whose holder was killed is free again after so long
_TELL_S = 5.0  # for Prefect's server to hear that a flow was asked to end
_AGAIN_S = 2.0  # between two questions for a slot that is taken, or to a server that restarts
_THREADS: Any = ThreadPoolTaskRunner(max_workers=256)  # stages that wait hold one, too


@flow(name="training", task_runner=_THREADS)
def training(
    update_data: bool = True, parallel: Annotated[int, Field(ge=1, le=64)] = 1
) -> State[Any]:
    """Bring every stage of dvc.yaml up to date, as `dvc repro` does.

    Args:
        update_data: First bring the data up to date, where it comes from a source (dvc update) or a
            remote (dvc pull).
        parallel: Stages that may run at the same time. Trainings also share the slots of the limit
            `gpu`.
    """
    watch_parent(_end)
    for name in ("prefect.task_runs", "prefect._internal.concurrency"):
        logging.getLogger(name).addFilter(_says_something)
    os.environ[lineage.FLOW_VARIABLE] = str(flow_run.id)  # for the version that it registers
    try:
        with _ending_in_time(), full_disk_in_words():
            return _train(update_data, parallel)
    except MaskmillError as error:
        return Failed(message=str(error))


def _train(update_data: bool, parallel: int) -> State[Any]:
    params = config.load()
    check_inside(params.paths.versioned)
    say = get_run_logger().info
    with workspace.exclusive_lock(Path(params.paths.state), say), Commands() as commands:
        workspace.mend_after_kill(say)
        check_outs(params)
        freeze_after_experiment(params, say)
        before, asked = (
            workspace.read_lock_file(),
            workspace.registry_question("pipelines.registry"),
        )
        # in a process of its own, which imports much
        workspace.registry_question("maskmill", "check").answer()
        data = dag.data_files()
        if update_data and data.edited:
            raise MaskmillError(
                f"{few_of(data.edited, 5)}: not as `dvc update` brought it, which would delete it;"
                " move what is yours elsewhere, have DVC keep it (dvc commit), or run without an"
                " update: make flow ARGS=--no-update-data"
            )
        run = _Run(commands, parallel, params.services.gpu_slots)
        if update_data and not run.bring(data):
            return Failed(message=run.failed())
        steps = dag.dag_steps()
        if not run.stages(steps) or not run.registration(
            asked, restored=workspace.read_lock_file() != before
        ):
            say(
                workspace.put_back(
                    before, lambda *checkout: commands.run("--wait-for-lock", *checkout, say=say)[0]
                )
            )
            return Failed(message=run.failed())
        page.publish_page(params)
        if data.remote and not run.one("push", "push", "--run-cache"):
            return Failed(message=run.failed())
    return Completed(message="; ".join(summary.describe_verdict(params)))


class _Run:
    """One run's DVC commands as tasks: which may start now, and what became of them."""

    def __init__(self, commands: Commands, parallel: int, slots: int) -> None:
        self._commands = commands
        self._free = threading.BoundedSemaphore(parallel)
        # stages that would wait in vain for a slot, which this very run holds, leave their place to
        # other stages
        self._gates: dict[str, threading.BoundedSemaphore] = defaultdict(
            lambda: threading.BoundedSemaphore(slots)
        )
        self._failures: dict[str, str] = {}
        self._not_run: set[str] = set()
        self._outcomes: dict[str, str] = {}

    def failed(self) -> str:
        """What failed, in its own words."""
        return "; ".join(f"{name}: {error}" for name, error in self._failures.items())

    def bring(self, data: dag.DataFiles) -> bool:
        """Update what follows a source, pull the rest where there is a remote."""
        for file in data.files:
            verb = "update" if file in data.imports else "pull"
            if (verb == "update" or data.remote) and not self.one(f"{verb} {file}", verb, file):
                return False
        if data.remote and not self.one("fetch", "fetch", "--run-cache"):
            del self._failures["fetch"]
            get_run_logger().warning(
                "not all is on the remote %r; stages run where results are missing", data.remote
            )
        return True

    def stages(self, steps: tuple[dag.DagStep, ...]) -> bool:
        """Run the stages that must run."""
        futures: dict[str, PrefectFuture[Any]] = {}
        for step in steps:
            needed = [allow_failure(futures[name]) for name in step.upstream]
            futures[step.name] = _task(self._stage, step.name).submit(step, wait_for=needed)
        for future in futures.values():
            future.wait()
        return not self._failures

    def registration(self, asked: workspace.Question, *, restored: bool) -> bool:
        """Register again where the registry is behind what registration.json says.

        The registry was `asked` before the run.
        """
        if self._outcomes.get("register") == "Completed":
            return True
        if not registry.must_register_again(asked, restored=restored):
            return True
        again = self.one("register again", "repro", "--single-item", "--force", "register")
        return again and self.one("report again", "repro", "report")

    def one(self, name: str, *arguments: str) -> bool:
        """Run one DVC command as a task, now."""
        self._failures[name] = "it did not end"
        _task(self._dvc, name).submit(name, *arguments).wait()
        return name not in self._failures

    def _stage(self, step: dag.DagStep) -> State[Any]:
        if missing := sorted({*self._failures, *self._not_run}.intersection(step.upstream)):
            self._not_run.add(step.name)
            return Failed(name="NotRun", message=f"it needs {', '.join(missing)}")
        if not step.changed:
            return Completed(name="Cached", message="nothing that it depends on has changed")
        self._failures[step.name] = "it did not end"
        get_run_logger().info("ready; waiting for its turn")
        try:
            with self._slot(step.slot) if step.slot else self._free:
                return self._dvc(step.name, "repro", "--single-item", step.name)
        except ConcurrencySlotAcquisitionError as error:
            self._failures[step.name] = (
                f"no slot of {step.slot!r}: {error}; `maskmill up` makes the limit anew"
            )
            return Failed(message=self._failures[step.name])

    @contextmanager
    def _slot(self, name: str) -> Iterator[None]:
        """A slot of the server's limit `name`, over all its flows.

        A server that is away is waited for.
        """
        with self._gates[name], self._free, ExitStack() as held:
            while True:
                lasting = concurrency(
                    name,
                    lease_duration=LEASE_S,
                    strict=True,
                    raise_on_lease_renewal_failure=False,
                    max_retries=0,
                )
                try:
                    held.enter_context(lasting)
                    break
                except ConcurrencySlotAcquisitionError as error:
                    away = isinstance(error.__cause__, httpx.TransportError)
                    if self._commands.stopped or not (away or _is_taken(error.__cause__)):
                        raise
                    if away:
                        get_run_logger().warning(
                            "Prefect's server is away; asking again for a slot of %r", name
                        )
                    time.sleep(_AGAIN_S)
            yield
            with suppress(httpx.HTTPError):  # the slot is free again when its lease ends
                held.close()

    def _dvc(self, name: str, *arguments: str) -> State[Any]:
        say = get_run_logger().info

        kills = exits.memory_kills()
        with closing(page.FlowProgress(name)) as progress:
            code, output = self._commands.run(
                "--wait-for-lock", *arguments, say=say, step=progress.step
            )
        if code:
            how = f"dvc {' '.join(arguments)} {exits.describe_exit(code, kills)}. {exits.GO_ON}"
            self._failures[name] = output.error.removeprefix(f"{name} ") or how
            return Failed(message=self._failures[name])
        self._failures.pop(name, None)
        self._outcomes[name] = output.outcome
        return Completed(name=output.outcome)


def _task(run: Callable[..., State[Any]], name: str) -> Task[..., Any]:
    return Task(run, name=name, cache_policy=NO_CACHE)


def _is_taken(error: BaseException | None) -> bool:
    """Whether the server has said that all slots are held."""
    return (
        isinstance(error, httpx.HTTPStatusError)
        and error.response.status_code == httpx.codes.LOCKED
    )


def _says_something(record: logging.LogRecord) -> bool:
    """Whether to keep a line of Prefect's log.

    Some lines repeat a failure, with an empty traceback or Prefect's own.
    """
    return (
        record.exc_info != (None, None, None)
        and record.msg != "Service %r failed to process item %r"
    )


@contextmanager
def _ending_in_time() -> Iterator[None]:
    """Give Prefect's server limited time to hear of the end of a flow, once the stages have ended.

    Prefect's client asks a server that is away again and again, for minutes.
    """
    try:
        yield
    except Exception:
        raise
    except BaseException as end:  # SIGTERM, Ctrl-C, or cancelled on the page
        _leave_soon(signal.SIGINT if isinstance(end, KeyboardInterrupt) else signal.SIGTERM)
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            # until Prefect puts back what was there before the flow
            signal.signal(signal.SIGTERM, _leave_soon)


def _leave_soon(asked: int, *_: object) -> None:
    timer = threading.Timer(_TELL_S, _leave, [asked])
    timer.daemon = True
    timer.start()


def _leave(asked: int) -> None:
    print(
        f"the flow has ended; Prefect's server did not answer for {_TELL_S:.0f} s, "
        "so its page shows the run as running until `maskmill up` starts the server",
        file=sys.stderr, flush=True,
    )  # fmt: skip
    sys.stdout.flush()
    os._exit(128 + asked)


def _end() -> None:
    """End as after SIGTERM, since the parent is gone: the server then hears of it.

    The end comes within seconds in any case.
    """
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(FLOW_GRACE_S)
    os._exit(1)
