from reasonrec_core.testing.reporter import ReporterConformance


class TestFaithfulness(ReporterConformance):
    component = "faithfulness"
