"""When a training goes on and when it starts anew, and that no two work on the same checkpoints."""

import threading
import time
from contextlib import nullcontext
from pathlib import Path

from filelock import FileLock

from maskmill.stages import train as stage


class Alone:
    """As Fabric with one process."""

    is_global_zero = True

    def rank_zero_first(self):
        return nullcontext()


def test_a_training_waits_for_the_one_before_it(tmp_path: Path, capsys):
    (tmp_path / "checkpoints").mkdir()
    before = FileLock(tmp_path / "checkpoints/unet.lock")
    began = threading.Event()

    def train() -> None:
        with stage._exclusive_training(tmp_path, "unet", Alone()):
            began.set()

    with before:
        thread = threading.Thread(target=train)
        thread.start()
        deadline = time.monotonic() + 10
        said = ""
        while not said and time.monotonic() < deadline:
            time.sleep(0.02)
            said += capsys.readouterr().out
        assert (
            f"unet: another training of it works in {tmp_path}/checkpoints; waiting for it to end"
            in said
        )
        assert not began.wait(0.3)
        with stage._exclusive_training(tmp_path, "fcn", Alone()):
            pass  # another variant's is another
    assert began.wait(10)
    thread.join()
