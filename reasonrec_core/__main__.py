"""``python -m reasonrec_core`` is ``reasonrec``."""

from reasonrec_core.cli.main import main

main()
