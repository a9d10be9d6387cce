"""What the pages share: a template becomes HTML, with all of it escaped and nothing fetched."""

import math
from functools import cache
from importlib.resources import files as resources

import jinja2

from maskmill.statistics.scores import interval_in_words, number_in_words, score_in_words


@cache
def load_template(name: str) -> jinja2.Template:
    """The template `name` beside this file, which may include the others.

    What a page shows is escaped.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(
            lambda part: (resources(__package__) / part).read_text(encoding="utf-8")
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "score": _score,
        "duration": _duration,
        "said": score_in_words,
        "interval": interval_in_words,
    }
    return environment.get_template(name)


def _score(value: float | None) -> str:
    return number_in_words(math.nan if value is None else value)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
