from reasonrec_core.testing import ReporterConformance


class TestHtml(ReporterConformance):
    component = "html"
