from reasonrec_core.testing import PolicyConformance


class TestTemplate(PolicyConformance):
    component = "template"
