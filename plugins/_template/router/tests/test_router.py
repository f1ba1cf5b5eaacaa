from reasonrec_core.testing import RouterConformance


class TestTemplate(RouterConformance):
    component = "template"
