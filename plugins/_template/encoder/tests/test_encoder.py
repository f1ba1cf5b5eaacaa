from reasonrec_core.testing import EncoderConformance


class TestTemplate(EncoderConformance):
    component = "template"
