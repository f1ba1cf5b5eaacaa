from reasonrec_core.testing import DelegateConformance


class TestTemplate(DelegateConformance):
    component = "template"
