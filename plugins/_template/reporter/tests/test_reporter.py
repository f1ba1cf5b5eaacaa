from reasonrec_core.testing import ReporterConformance


class TestTemplate(ReporterConformance):
    component = "template"
