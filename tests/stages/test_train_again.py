"""When a training goes on and when it starts anew, and that no two work on the same checkpoints."""

import json
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path

from filelock import FileLock

import maskmill
from maskmill import models
from maskmill.stages import _fingerprint
from maskmill.stages import train as stage

ROOT = Path(maskmill.__file__).parent
IMPORTED = """
import importlib, json, sys
found = {}
for name in sys.argv[1:]:
    for loaded in [loaded for loaded in sys.modules if loaded.startswith("maskmill.models")]:
        del sys.modules[loaded]
    importlib.import_module(f"maskmill.models.networks.{name}")
    parts = [module for key, module in sys.modules.items() if key.startswith("maskmill.models")]
    found[name] = sorted(part.__file__ for part in parts if part.__name__ != "maskmill.models.networks")
print(json.dumps(found))
"""


def test_of_the_networks_code_a_training_depends_on_what_its_variant_imports():
    command = [sys.executable, "-c", IMPORTED, *models.names()]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    for name in models.names():
        code = {str(path) for path in _fingerprint.code(name) if "models" in path.relative_to(ROOT).parts}
        assert code == {*found[name], str(ROOT / "models/weights.py")}, name
    assert ROOT / "models/networks/fcn.py" not in _fingerprint.code("unet")
    assert ROOT / "training/loop.py" in _fingerprint.code("unet")


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
        with stage._alone(tmp_path, "unet", Alone()):
            began.set()

    with before:
        thread = threading.Thread(target=train)
        thread.start()
        deadline = time.monotonic() + 10
        said = ""
        while not said and time.monotonic() < deadline:
            time.sleep(0.02)
            said += capsys.readouterr().out
        assert f"unet: another training of it works in {tmp_path}/checkpoints; waiting for it to end" in said
        assert not began.wait(0.3)
        with stage._alone(tmp_path, "fcn", Alone()):
            pass  # another variant's is another
    assert began.wait(10)
    thread.join()
