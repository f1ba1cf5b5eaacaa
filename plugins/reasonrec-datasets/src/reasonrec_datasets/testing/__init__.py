"""The conformance suite of data sources that read tables. It needs pytest (``pip install pytest``).

class TestMine(DataSourceConformance):
    component = "mine"

    def write(self, folder, tables): ...
"""

import pytest

pytest.register_assert_rewrite("reasonrec_core.testing.component", "reasonrec_datasets.testing.data_source")

from reasonrec_datasets.testing.data_source import DataSourceConformance as DataSourceConformance  # noqa: E402
from reasonrec_datasets.testing.data_source import tiny_tables as tiny_tables  # noqa: E402
