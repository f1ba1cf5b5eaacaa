"""``reasonrec serve``: a finished run behind HTTP.

Nothing of it is imported where a run is asked in Python or on the command line.
"""
