"""What a module says is a line on stdout, as it is, and once."""

import logging
import subprocess
import sys

from tqdm import tqdm

from maskmill.system.logs import log_to_stdout

LOG = logging.getLogger("maskmill.stages.split")


def test_a_message_is_one_line_as_it_is(capsys):
    log_to_stdout()
    LOG.info("split: 100 % of a group")
    LOG.warning("split: warning: one group")
    LOG.debug("not for users")
    out, err = capsys.readouterr()
    assert (out, err) == ("split: 100 % of a group\nsplit: warning: one group\n", "")


def test_a_root_that_a_library_has_set_up_prints_nothing_twice(capsys):
    handler = logging.StreamHandler(sys.stdout)
    logging.getLogger().addHandler(handler)
    try:
        LOG.info("once")
    finally:
        logging.getLogger().removeHandler(handler)
    assert capsys.readouterr().out == "once\n"


def test_a_line_stands_above_a_bar(capsys):
    with tqdm(total=2, file=sys.stdout, desc="bar") as bar:
        bar.update()
        LOG.info("a validation")
    (line,) = (one for one in capsys.readouterr().out.split("\n") if "a validation" in one)
    assert line.rpartition("\r")[2] == "a validation"


def test_a_reader_that_has_gone_ends_nothing():
    code = (
        "import logging; from maskmill.system.logs import log_to_stdout; log_to_stdout()\n"
        "log = logging.getLogger('maskmill.x')\n"
        "import time; time.sleep(0.5)\n"
        "for i in range(9): log.info('x' * 9999)\n"
        "import os; os._exit(7)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(timeout=60) == 7
