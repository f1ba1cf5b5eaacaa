from reasonrec_core.testing import UncertaintyConformance


class TestTemplate(UncertaintyConformance):
    component = "template"
