"""Messages that name options of the command line, put into the words of Python.

Importing is explained once, for the command line; who calls from Python writes ``columns={...}`` instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from reasonrec_core.errors import ReasonRecError

COLUMN = re.compile(r"(?<![\w-])--column ([A-Za-z_.]+)=([^\s().,:;]*)")
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]*[a-z])( (?='))?")


def speak_python(text: str) -> str:
    """The same with arguments in place of options.

    >>> speak_python("If one of them is it, say so: --column user_id=customer.")
    'If one of them is it, say so: columns={"user_id": "customer"}.'
    >>> speak_python("Say how times are written: --time-format '%m/%d/%Y'.")
    "Say how times are written: time_format='%m/%d/%Y'."
    """
    text = COLUMN.sub(r'columns={"\1": "\2"}', text).replace("--column", "columns")
    return OPTION.sub(lambda found: found[1].replace("-", "_") + ("=" if found[2] else ""), text)


@contextmanager
def python_words() -> Iterator[None]:
    """Errors from the block speak of Python's arguments."""
    try:
        yield
    except ReasonRecError as error:
        error.what = speak_python(error.what)
        error.where = None if error.where is None else speak_python(error.where)
        error.fix = None if error.fix is None else speak_python(error.fix)
        error.args = (error.message,)
        raise
